// SPDX-License-Identifier: Apache-2.0

/// A link in a Markdown file: `[text](target)`.
struct Link: Equatable {
    let text: String
    let target: String
    let line: Int

    /// Links outside of code blocks and code spans, in order.
    static func all(in file: SourceFile) -> [Link] {
        var links: [Link] = []
        var fenced = false
        for (index, line) in file.lines.enumerated() {
            if line.drop(while: { $0 == " " }).hasPrefix("```") {
                fenced.toggle()
                continue
            }
            if !fenced { links += inline(line, number: index + 1) }
        }
        return links
    }

    private static func inline(_ line: Substring, number: Int) -> [Link] {
        var links: [Link] = []
        var open: Substring.Index?
        var inCode = false
        var index = line.startIndex
        while index < line.endIndex {
            let character = line[index]
            if character == "`", open == nil { inCode.toggle() }
            if inCode {
                index = line.index(after: index)
                continue
            }
            if character == "[" { open = line.index(after: index) }
            let next = line.index(after: index)
            if character == "]", let start = open {
                open = nil
                if next < line.endIndex, line[next] == "(", let end = line[next...].firstIndex(of: ")") {
                    let target = line[line.index(after: next)..<end]
                    links.append(Link(text: String(line[start..<index]), target: String(target), line: number))
                    index = end
                }
            }
            index = line.index(after: index)
        }
        return links
    }
}

/// What is checked about prose: links that lead somewhere, promises that are kept, a changelog with its shape.
enum Documents {
    static let linksReason = "A link that leads nowhere sends the reader away; correct it or remove it."

    /// Links to files that are not there, or to headings that the file does not have.
    static func brokenLinks(in file: SourceFile, exists: (String) -> Bool, headings: (String) -> Set<String>?) -> [Finding] {
        Link.all(in: file).compactMap { link in
            if link.target.contains("://") || link.target.hasPrefix("mailto:") { return nil }
            let parts = link.target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts.first ?? "")
            let path = name.isEmpty ? file.path : resolve(name, from: file.path)
            guard exists(path) else { return Finding(path: file.path, line: link.line, what: "`\(link.target)` does not exist") }
            guard parts.count == 2, let known = headings(path), !known.contains(String(parts[1])) else { return nil }
            return Finding(path: file.path, line: link.line, what: "`\(link.target)`: no such heading")
        }
    }

    /// Mentions of `docs/NAME.md`, in whatever text, whose file is not there.
    static func missingDocuments(in file: SourceFile, exists: (String) -> Bool) -> [Finding] {
        guard file.text.contains("docs/") else { return [] }
        return file.lines.enumerated().flatMap { index, line in
            line.split { !$0.isLetter && !$0.isNumber && !"/-_.".contains($0) }.compactMap { word in
                let path = word.last == "." ? word.dropLast() : word
                guard path.hasPrefix("docs/"), path.hasSuffix(".md"), !exists(String(path)) else { return nil }
                return Finding(path: file.path, line: index + 1, what: "`\(path)` does not exist")
            }
        }
    }

    /// `target`, seen from the folder of the file at `path`, as a path from the root.
    static func resolve(_ target: String, from path: String) -> String {
        var parts = path.split(separator: "/").dropLast().map(String.init)
        for part in target.split(separator: "/") {
            if part == ".." { _ = parts.popLast() } else if part != "." { parts.append(String(part)) }
        }
        return parts.joined(separator: "/")
    }

    /// The anchors that a forge makes of the file's headings.
    static func anchors(of file: SourceFile) -> Set<String> {
        Set(
            file.lines.filter { $0.hasPrefix("#") }.map { line in
                let title = line.drop { $0 == "#" }.drop { $0 == " " }.lowercased()
                return title.filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }.split(separator: " ").joined(
                    separator: "-")
            })
    }

    static let promisesReason = """
        A promise that nothing enforces is a hope. Each row of SPECIFICATION.md reads `| number | promise | enforced by |`; the last \
        cell links to the test, benchmark or script that enforces it, with words of that file as the text of the link, or says \
        *pending*.
        """

    /// Rows of the specification that break its shape. `content` gives the text of a linked file.
    static func brokenPromises(in file: SourceFile, content: (String) -> String?) -> [Finding] {
        var findings: [Finding] = []
        var numbers: [String: Int] = [:]
        for (index, line) in file.lines.enumerated() where line.hasPrefix("| ") {
            let cells = line.split(separator: "|").map { $0.drop { $0 == " " } }
            guard let number = cells.first?.split(separator: " ").first, number.first?.isNumber ?? false else { continue }
            func fail(_ what: String) { findings.append(Finding(path: file.path, line: index + 1, what: "promise \(number): \(what)")) }
            if let before = numbers.updateValue(index + 1, forKey: String(number)) { fail("the number is taken by line \(before)") }
            guard cells.count >= 3 else {
                fail("the row has \(cells.count) cells instead of 3")
                continue
            }
            let links = Link.all(in: SourceFile(path: file.path, text: String(cells[2])))
            if links.isEmpty, !cells[2].contains("*pending*") { fail("neither a link nor *pending*") }
            for link in links {
                let path = resolve(link.target, from: file.path)
                if !isEvidence(path) {
                    fail("`\(path)` is no test, benchmark or script")
                } else if let text = content(path) {
                    if !text.contains(link.text) { fail("`\(path)` does not say \"\(link.text)\"") }
                } else {
                    fail("`\(path)` does not exist")
                }
            }
        }
        if numbers.isEmpty { findings.append(Finding(path: file.path, line: 1, what: "no promise at all")) }
        return findings
    }

    private static func isEvidence(_ path: String) -> Bool {
        ["Tests/", "Scripts/", "Benchmarks/", "docs/benchmarks"].contains { path.hasPrefix($0) }
    }

    static let changelogReason = """
        CHANGELOG.md follows Keep a Changelog: `# Changelog`, versions as `## [1.2.3] - 2026-01-31` or `- unreleased` from the newest \
        down, in them `### Added`, `Changed`, `Deprecated`, `Removed`, `Fixed` or `Security`, and entries `- A sentence.`
        """

    static func brokenChangelog(_ file: SourceFile) -> [Finding] {
        var findings: [Finding] = []
        var versions: [[Int]] = []
        var entry: (line: Int, text: String)?
        func fail(_ line: Int, _ what: String) { findings.append(Finding(path: file.path, line: line, what: what)) }
        func endEntry() {
            if let (line, text) = entry, !text.hasSuffix(".") { fail(line, "the entry is no sentence") }
            entry = nil
        }
        if file.lines.first != "# Changelog" { fail(1, "does not begin with `# Changelog`") }
        for (index, line) in file.lines.enumerated() {
            if line.hasPrefix("#") || line.hasPrefix("- ") || line.isEmpty { endEntry() }
            if line.hasPrefix("## ") {
                guard let version = version(in: line) else {
                    fail(index + 1, "`\(line)` is no version with a date or `unreleased`")
                    continue
                }
                if let last = versions.last, !version.lexicographicallyPrecedes(last) {
                    fail(index + 1, "versions go from the newest down")
                }
                versions.append(version)
            } else if line.hasPrefix("### ") {
                let kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
                if !kinds.contains(String(line.dropFirst(4))) { fail(index + 1, "`\(line)` is no kind of change") }
            } else if line.hasPrefix("- ") {
                if versions.isEmpty { fail(index + 1, "an entry before any version") }
                entry = (index + 1, String(line))
            } else if let (start, text) = entry {
                entry = (start, text + line)
            }
        }
        endEntry()
        if versions.isEmpty { fail(1, "no version at all") }
        return findings
    }

    /// `## [1.2.3] - 2026-01-31` or `## [1.2.3] - unreleased`.
    private static func version(in line: Substring) -> [Int]? {
        guard line.hasPrefix("## ["), let end = line.firstIndex(of: "]") else { return nil }
        let numbers = line[line.index(line.startIndex, offsetBy: 4)..<end].split(separator: ".").compactMap { Int($0) }
        let rest = line[line.index(after: end)...]
        guard numbers.count == 3, rest.hasPrefix(" - ") else { return nil }
        let date = rest.dropFirst(3)
        let isDate =
            date.count == 10 && date.split(separator: "-").map(\.count) == [4, 2, 2] && date.allSatisfy { $0.isNumber || $0 == "-" }
        return isDate || date == "unreleased" ? numbers : nil
    }
}
