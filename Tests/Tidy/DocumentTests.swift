// SPDX-License-Identifier: Apache-2.0

import Testing

/// The papers of the house: what they say exists, and what they promise is enforced.
@Suite struct DocumentTests {
    static let papers = [
        "README.md", "ARCHITECTURE.md", "SPECIFICATION.md", "THREAT_MODEL.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Makefile",
        ".ci/run", ".swift-format",
    ]

    @Test("the house has its papers", arguments: papers)
    func present(path: String) { #expect(Tree.exists(path), "\(path) is missing") }

    @Test("every link in the documents leads somewhere")
    func links() {
        let findings = Tree.here.files.filter(\.isMarkdown).flatMap { file in
            Documents.brokenLinks(in: file, exists: Tree.exists) { path in Tree.here.file(path).map(Documents.anchors) }
        }
        report(findings, because: Documents.linksReason)
    }

    @Test("every document that a comment names is there")
    func namedDocuments() {
        let findings = Tree.here.files.filter { !$0.path.hasPrefix("Tests/Tidy/") }.flatMap { file in
            Documents.missingDocuments(in: file, exists: Tree.exists)
        }
        report(findings, because: Documents.linksReason)
    }

    @Test("every promise of the specification is enforced or pending")
    func promises() throws {
        let file = try #require(Tree.here.file("SPECIFICATION.md"))
        report(Documents.brokenPromises(in: file) { Tree.here.file($0)?.text }, because: Documents.promisesReason)
    }

    @Test("the changelog keeps its shape")
    func changelog() throws {
        let file = try #require(Tree.here.file("CHANGELOG.md"))
        report(Documents.brokenChangelog(file), because: Documents.changelogReason)
    }

    @Test("CI runs what the README tells everybody to run")
    func ci() throws {
        let script = try #require(Tree.here.file(".ci/run")?.text)
        let readme = try #require(Tree.here.file("README.md")?.text)
        #expect(script.contains("make test"), ".ci/run must call `make test`")
        #expect(readme.contains("make test") && readme.contains("make demo"), "README.md must tell `make test` and `make demo`")
    }

    @Test("every make target that a document names exists")
    func makeTargets() throws {
        let makefile = try #require(Tree.here.file("Makefile"))
        let targets = Set(
            makefile.lines.compactMap { line in line.first?.isLetter ?? false ? line.split(separator: ":").first.map(String.init) : nil })
        #expect(
            targets.isSuperset(of: ["demo", "test", "check", "fmt", "build", "bench", "install", "uninstall", "test-vm", "sim", "help"]))
        for file in Tree.here.files where file.isMarkdown {
            for (index, line) in file.lines.enumerated() {
                var rest = line
                while let range = rest.firstRange(of: "`make ") {
                    rest = rest[range.upperBound...]
                    let name = String(rest.prefix { $0.isLetter || $0 == "-" })
                    #expect(targets.contains(name), "\(file.path):\(index + 1) names `make \(name)`, which the Makefile does not have")
                }
            }
        }
    }

    @Test(
        "broken links are caught",
        arguments: [
            ("[a](no.md)", 1), ("[a](../x.md)", 0), ("[a](#nope)", 1), ("[a](#b-c)\n# B C", 0), ("`[a](no.md)`", 0), ("[a](https://x)", 0),
        ])
    func brokenLinks(text: String, count: Int) {
        let file = SourceFile(path: "docs/a.md", text: text)
        let findings = Documents.brokenLinks(
            in: file, exists: { ["x.md", "docs/a.md"].contains($0) }, headings: { _ in Documents.anchors(of: file) })
        #expect(findings.count == count, "\(findings)")
    }

    @Test(
        "a document that is not there is caught",
        arguments: [("/// See docs/no.md.", 1), ("/// See docs/x.md, and `docs/guides/a-b.md`.", 0), ("https://a.org/docs/no.md", 0)])
    func missingDocuments(text: String, count: Int) {
        let findings = Documents.missingDocuments(in: SourceFile(path: "a.swift", text: text)) {
            ["docs/x.md", "docs/guides/a-b.md"].contains($0)
        }
        #expect(findings.count == count, "\(findings)")
    }

    @Test(
        "broken promises are caught",
        arguments: [
            ("| 1 | Fast. | [is fast](Tests/a.swift) |", 0), ("| 1 | Fast. | *pending* |", 0), ("| 1 | Fast. | soon |", 1),
            ("| 1 | Fast. |", 1),
            ("| 1 | Fast. | [is slow](Tests/a.swift) |", 1), ("| 1 | Fast. | [x](Tests/b.swift) |", 1),
            ("| 1 | Fast. | [x](README.md) |", 1),
            ("| 1 | A. | *pending* |\n| 1 | B. | *pending* |", 1), ("nothing", 1),
        ])
    func brokenPromises(text: String, count: Int) {
        let findings = Documents.brokenPromises(in: SourceFile(path: "SPECIFICATION.md", text: text)) { path in
            path == "Tests/a.swift" ? "@Test(\"it is fast\")" : nil
        }
        #expect(findings.count == count, "\(findings)")
    }

    @Test(
        "a misshapen changelog is caught",
        arguments: [
            ("# Changelog\n\n## [0.1.0] - unreleased\n\n### Added\n\n- A thing\n  with two lines.\n", 0),
            ("# Changelog\n\n## [0.2.0] - 2026-01-31\n### Fixed\n- B.\n\n## [0.1.0] - 2026-01-01\n### Added\n- A.\n", 0),
            ("# Changes\n\n## [0.1.0] - unreleased\n", 1), ("# Changelog\n## 0.1.0\n", 2), ("# Changelog\n## [0.1.0] - today\n", 2),
            ("# Changelog\n## [0.1.0] - unreleased\n### News\n- A.\n", 1),
            ("# Changelog\n## [0.1.0] - unreleased\n### Added\n- no end\n", 1),
            ("# Changelog\n## [0.1.0] - 2026-01-01\n## [0.2.0] - 2026-01-02\n", 1), ("# Changelog\n- A.\n## [0.1.0] - unreleased\n", 1),
        ])
    func changelogShapes(text: String, count: Int) {
        let findings = Documents.brokenChangelog(SourceFile(path: "CHANGELOG.md", text: text))
        #expect(findings.count == count, "\(findings)")
    }
}
