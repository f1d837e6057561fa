// SPDX-License-Identifier: Apache-2.0

extension Rule {
    /// Rule 1 of the architecture.
    static let importsGoDown = Rule(
        name: "imports go strictly down",
        reason: """
            Imports go strictly down, and siblings never import one another: values cross between modules through BrumeModel, so that \
            a part can be replaced, tested and read alone. Move the shared value to BrumeModel, or name the concrete types in brume, \
            where parts are put together. If the drawing itself should change, change it in ARCHITECTURE.md and in Layers.swift.
            """,
        bad: [
            Sample("Sources/Core/Broker/A.swift", "import BrumeEngine"),
            Sample("Sources/Core/Model/A.swift", "public import DequeModule"),
            Sample("Sources/Adapters/Gateway/A.swift", "package import BrumeStore"),
            Sample("Sources/Node/A.swift", "import BrumeSandbox"),
            Sample("Sources/brume/A.swift", "import GRDB"),
            Sample("Sources/Adapters/Store/A.swift", "import struct Hummingbird.Router"),
            Sample("Sources/Adapters/Unlisted/A.swift", "import BrumeModel"),
        ],
        good: [
            Sample(
                "Sources/Core/Engine/A.swift", "import BrumeBroker\npublic import BrumeModel\n// import X\nlet a = \"import Y\""),
            Sample("Sources/Adapters/Store/A.swift", "import GRDB\npackage import BrumeModel"),
            Sample("Tests/Node/A.swift", "import BrumeSimulator"),
        ],
        check: { file in
            guard file.isSwift, file.isUnder(["Sources"]) else { return [] }
            guard let layer = Layer.of(file.path) else {
                return [Finding(path: file.path, line: 1, what: "this folder is no target of the table in Layers.swift")]
            }
            return Import.all(in: file).filter { !layer.allows($0.module) }.map {
                Finding(path: file.path, line: $0.line, what: "\(layer.target) may not import \($0.module)")
            }
        })

    /// Rule 3 of the architecture, seen from one file. ``LayerTests`` also holds the table itself against it.
    static let oneFamilyPerAdapter = Rule(
        name: "one third-party family per adapter",
        reason: """
            Each outside family has one home among the adapters: replacing Hummingbird or GRDB must touch one folder. Pass a value or \
            a closure of BrumeModel instead of the library's type.
            """,
        bad: [
            Sample("Sources/Adapters/Telemetry/A.swift", "import Hummingbird"),
            Sample("Sources/Adapters/Gateway/A.swift", "import GRDB"),
            Sample("Sources/Adapters/Sandbox/A.swift", "import Hummingbird"),
        ],
        good: [Sample("Sources/Adapters/Gateway/A.swift", "import Hummingbird\nimport NIOCore\nimport Logging")],
        check: { file in
            guard file.isSwift, file.isUnder(["Sources/Adapters"]), let layer = Layer.of(file.path) else { return [] }
            let mine = layer.outside.subtracting(Layer.currency)
            return Import.all(in: file).compactMap { found in
                let families = Layer.families.filter { $0.value.contains(found.module) }.keys.sorted()
                guard !families.isEmpty, !families.contains(where: { Layer.currency.contains($0) || mine.contains($0) }) else { return nil }
                let family = families.joined(separator: "/")
                return Finding(
                    path: file.path, line: found.line, what: "\(found.module) belongs to the family \(family), whose home is elsewhere")
            }
        })
}
