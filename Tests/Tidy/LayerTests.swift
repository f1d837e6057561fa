// SPDX-License-Identifier: Apache-2.0

import Testing

/// The rules of ARCHITECTURE.md, each with the reason in its failure.
@Suite struct LayerTests {
    @Test("rule 1: imports go strictly down")
    func imports() { Rule.importsGoDown.expect() }

    @Test("rule 1: the table of layers itself goes strictly down")
    func tableGoesDown() {
        var below: Set<String> = ["CBrumeLinux"]
        for layer in Layer.all {
            let above = layer.own.subtracting(below).sorted()
            #expect(above.isEmpty, "\(layer.target) may import \(above), which do not stand below it in Layers.swift")
            below.insert(layer.target)
        }
        let adapters = Layer.all.filter { $0.folder.hasPrefix("Sources/Adapters/") }
        for adapter in adapters {
            let siblings = adapters.map(\.target).filter { adapter.own.contains($0) }
            #expect(siblings.isEmpty, "adapters are strangers to each other, but \(adapter.target) may import \(siblings)")
        }
    }

    @Test("rule 2: Core, Workload and Simulator are pure")
    func purity() { Rule.purity.expect() }

    @Test("rule 2: pure code never iterates over a Dictionary or Set")
    func order() { Rule.orderedIteration.expect() }

    @Test("rule 3: one third-party family per adapter")
    func families() {
        Rule.oneFamilyPerAdapter.expect()
        var homes: [String: String] = [:]
        for layer in Layer.all where layer.folder.hasPrefix("Sources/Adapters/") {
            let replaceable = layer.outside.subtracting(Layer.currency).sorted()
            #expect(replaceable.count <= 1, "\(layer.target) holds the families \(replaceable); split it")
            for family in replaceable {
                let other = homes.updateValue(layer.target, forKey: family)
                #expect(other == nil, "the family \(family) lives in \(layer.target) and in \(other ?? "")")
            }
        }
    }

    @Test("rule 4: no mutable globals")
    func globals() { Rule.noMutableGlobals.expect() }

    @Test("rule 4: the environment and the logging set-up are touched only in brume")
    func environment() { Rule.environmentOnlyInBrume.expect() }

    @Test("rule 4: only brume writes to the terminal, and the engine does not log")
    func silence() { Rule.libraryIsSilent.expect() }

    @Test("rule 5: bytes never enter the engine")
    func bytes() { Rule.bytesStayOutside.expect() }

    @Test("rule 6: every queue has a named limit")
    func limits() { Rule.everythingHasALimit.expect() }

    @Test("rule 7: adapters and shells throw the model's errors")
    func errors() { Rule.oneErrorStruct.expect() }

    @Test("rule 8: resources, prices and times are exact")
    func units() { Rule.exactUnits.expect() }

    @Test("Package.swift, the folders and the table of layers name the same targets")
    func manifest() throws {
        let text = try #require(Tree.here.file("Package.swift")?.text)
        let manifest = Manifest(text)
        #expect(manifest.targets.count > 20, "Package.swift was not understood: only \(manifest.targets.count) targets found")
        for target in manifest.targets {
            let hasFiles = Tree.here.files.contains { $0.path.hasPrefix(target.path + "/") }
            #expect(hasFiles, "the target \(target.name) has no file under \(target.path)")
            guard !target.isTest, let layer = Layer.all.first(where: { $0.target == target.name }) else { continue }
            #expect(layer.folder == target.path, "\(target.name) lies in \(target.path), but Layers.swift says \(layer.folder)")
            let upward = target.targets.filter { name in name.hasPrefix("Brume") && !layer.own.contains(name) }
            #expect(upward.isEmpty, "Package.swift lets \(target.name) depend on \(upward), which the table of layers forbids")
        }
        let folders = manifest.targets.map { $0.path + "/" }
        let homeless = Tree.here.files.filter { file in
            file.isSwift && file.isUnder(["Sources", "Tests"]) && !folders.contains { file.path.hasPrefix($0) }
                && !file.path.contains("/Programs/")
        }
        report(
            homeless.map { Finding(path: $0.path, line: 1, what: "belongs to no target of Package.swift") },
            because: "A file that is not built rots.")
    }
}
