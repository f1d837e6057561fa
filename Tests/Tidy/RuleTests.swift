// SPDX-License-Identifier: Apache-2.0

import Testing

/// The rules are tested themselves: each catches its bad samples and lets its good ones pass.
@Suite struct RuleTests {
    static let all: [Rule] = [
        .importsGoDown, .oneFamilyPerAdapter, .purity, .orderedIteration, .noMutableGlobals, .environmentOnlyInBrume, .libraryIsSilent,
        .bytesStayOutside, .everythingHasALimit, .oneErrorStruct, .exactUnits, .fileLength, .lineLength, .functionLength, .licence,
        .nothingLeftOver, .crashesSayWhy, .tasksHaveOwners, .noMachinePaths,
    ]

    @Test("each rule catches its bad samples", arguments: all)
    func bad(rule: Rule) {
        #expect(!rule.bad.isEmpty)
        for sample in rule.bad {
            let findings = rule.check(SourceFile(path: sample.path, text: sample.text))
            #expect(!findings.isEmpty, "'\(rule.name)' does not catch, in \(sample.path): \(sample.text.prefix(300))")
        }
    }

    @Test("each rule lets its good samples pass", arguments: all)
    func good(rule: Rule) {
        #expect(!rule.good.isEmpty)
        for sample in rule.good {
            let findings = rule.check(SourceFile(path: sample.path, text: sample.text))
            #expect(findings.isEmpty, "'\(rule.name)' complains about good code: \(findings) in \(sample.text.prefix(300))")
        }
    }

    @Test("the tree that is judged is really this repository, all of it")
    func tree() {
        #expect(Tree.here.file("Package.swift") != nil)
        #expect(Tree.here.file("Tests/Tidy/RuleTests.swift") != nil)
        #expect(Tree.here.file("Makefile") != nil)
        let empty = Layer.all.filter { layer in !Tree.here.files.contains { $0.isSwift && $0.path.hasPrefix(layer.folder + "/") } }
        #expect(empty.isEmpty, "no Swift file was read under \(empty.map(\.folder))")
    }

    @Test(
        "the lexer tells code from comments and strings",
        arguments: [
            ("a // b\nc", "a c"), ("a /* b /* c */ d */ e", "a e"), ("\"a b\" c", "\"a b\" c"),
            ("\"\\(a(b, \"c\")) d\" e", "\" d\" ( a ( b , \"c\" ) ) e"),
            ("#\"a \"b\" \\(c)\"# d", "\"a \"b\" \\(c)\" d"), ("\"\"\"\n a \"b\" c\n\"\"\" d", "\"\n a \"b\" c\n\" d"),
            ("\"a\\\"b\" c", "\"a\\\"b\" c"),
            ("`async` x1 1.5e3", "`async` x1 1.5e3"), ("#if a", "# if a"), ("\"open\nnext", "\"open\" next"),
        ])
    func lexer(source: String, expected: String) {
        let words = Lexer.tokens(of: source).map { $0.kind == .string ? "\"\($0.text)\"" : $0.text }
        #expect(words.joined(separator: " ") == expected)
    }

    @Test("Package.swift is read with its targets, folders and dependencies")
    func manifest() {
        let manifest = Manifest(
            """
            func layer(_ name: String, _ path: String) -> Target { .target(name: name, path: "Sources/\\(path)") }
            let targets = [layer("A", "Core/A", []), layer("B", "Core/B", ["A", .nio], resources: [.copy("x")]),
                .executableTarget(name: "c", dependencies: ["B", .nio], path: "Sources/c"), tests("D", "Core/D", ["A"])]
            """)
        #expect(
            manifest.targets == [
                .init(name: "A", path: "Sources/Core/A", targets: [], isTest: false),
                .init(name: "B", path: "Sources/Core/B", targets: ["A"], isTest: false),
                .init(name: "c", path: "Sources/c", targets: ["B"], isTest: false),
                .init(name: "D", path: "Tests/Core/D", targets: ["A"], isTest: true),
            ])
    }
}
