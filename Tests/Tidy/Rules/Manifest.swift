// SPDX-License-Identifier: Apache-2.0

/// The targets that Package.swift declares, read from its words.
struct Manifest {
    struct Target: Equatable {
        let name: String
        let path: String
        /// Names of the project's own targets it depends on.
        let targets: [String]
        let isTest: Bool
    }

    let targets: [Target]

    /// Understands `layer("Name", "path", [...])`, `tests("Name", "path", [...])` and `.target(name:path:...)` with its kin.
    init(_ text: String) {
        let tokens = Lexer.tokens(of: text)
        var targets: [Target] = []
        for index in tokens.indices where tokens.at(index + 1)?.is("(") ?? false {
            guard let end = tokens.closing(index + 1) else { continue }
            let call = Array(tokens[(index + 2)..<end])
            let word = tokens[index].text
            if word == "layer" || word == "tests", call.count > 2, call[0].kind == .string, call[2].kind == .string {
                let folder = word == "tests" ? "Tests/" : "Sources/"
                let names = Self.dependencies(Array(call.dropFirst(3)))
                targets.append(Target(name: call[0].text, path: folder + call[2].text, targets: names, isTest: word == "tests"))
            } else if word == "target" || word == "executableTarget", tokens.at(index - 1)?.is(".") ?? false,
                let name = Self.argument("name", in: call), let path = Self.argument("path", in: call), name.kind == .string
            {
                guard path.kind == .string, !path.text.isEmpty else { continue }
                let names = call.firstIndex { $0.is("dependencies") }.map { Self.dependencies(Array(call[$0...])) } ?? []
                targets.append(Target(name: name.text, path: path.text, targets: names, isTest: false))
            }
        }
        self.targets = targets
    }

    private static func argument(_ label: String, in call: [Token]) -> Token? {
        call.firstIndex { $0.is(label) }.flatMap { call.at($0 + 2) }
    }

    /// The string literals of the first bracketed list.
    private static func dependencies(_ tokens: [Token]) -> [String] {
        guard let open = tokens.firstIndex(where: { $0.is("[") }), let end = tokens.closing(open) else { return [] }
        return tokens[open..<end].filter { $0.kind == .string }.map(\.text)
    }
}
