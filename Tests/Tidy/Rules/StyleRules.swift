// SPDX-License-Identifier: Apache-2.0

extension Rule {
    /// Longest file, in lines: past it, it does two jobs.
    static let fileLinesMax = 500
    /// Longest function, in lines: past it, it no longer fits a screen.
    static let functionLinesMax = 70
    /// Longest line, in characters: what `.swift-format` allows.
    static let columnsMax = 140

    /// Code that people write: what size and style rules are about. Prose, data and generated text are not.
    private static func isCode(_ file: SourceFile) -> Bool {
        [".swift", ".c", ".h", ".py", ".mjs", ".js", ".sh"].contains { file.path.hasSuffix($0) } || file.path.hasPrefix("Scripts/")
            || file.path.hasPrefix(".ci/")
    }

    static let fileLength = Rule(
        name: "a file has at most \(fileLinesMax) lines",
        reason: "A file has one job. Past \(fileLinesMax) lines it has two: split it along the seam.",
        bad: [Sample("Sources/Node/A.swift", String(repeating: "\n", count: fileLinesMax + 1))],
        good: [
            Sample("Sources/Node/A.swift", String(repeating: "\n", count: fileLinesMax)),
            Sample("a.md", String(repeating: "\n", count: 900)),
        ],
        check: { file in
            guard isCode(file), file.lines.count > fileLinesMax + 1 else { return [] }
            return [Finding(path: file.path, line: fileLinesMax + 1, what: "\(file.lines.count) lines")]
        })

    static let lineLength = Rule(
        name: "a line has at most \(columnsMax) columns",
        reason: "Lines fit beside one another in a review: at most \(columnsMax) columns.",
        bad: [Sample("Sources/Node/A.swift", String(repeating: "a", count: columnsMax + 1))],
        good: [
            Sample("Sources/Node/A.swift", String(repeating: "é", count: columnsMax)),
            Sample("Tests/Node/A.swift", "let document = \"" + String(repeating: "a", count: columnsMax) + "\""),
        ],
        check: { file in
            guard isCode(file) else { return [] }
            let long = file.lines.indices.filter { file.lines[$0].utf8.count > columnsMax && file.lines[$0].count > columnsMax }
            guard !long.isEmpty else { return [] }
            // A document in a test is easier to compare whole.
            let documents = file.path.hasPrefix("Tests/") && file.isSwift ? longStrings(file) : []
            return long.filter { !documents.contains($0 + 1) }.map {
                Finding(path: file.path, line: $0 + 1, what: "\(file.lines[$0].count) columns")
            }
        })

    /// The numbers of the lines on which a string literal of more than half a line stands.
    private static func longStrings(_ file: SourceFile) -> Set<Int> {
        var lines: Set<Int> = []
        for token in Lexer.tokens(of: file.text) where token.kind == .string && token.text.utf8.count > columnsMax / 2 {
            lines.formUnion(token.line...(token.line + token.text.utf8.count { $0 == UInt8(ascii: "\n") }))
        }
        return lines
    }

    static let functionLength = Rule(
        name: "a function has at most \(functionLinesMax) lines",
        reason: "A function fits on a screen: at most \(functionLinesMax) lines. Name the parts and call them.",
        bad: [
            Sample("Sources/Node/A.swift", "func f() {" + String(repeating: "\n", count: functionLinesMax) + "}"),
            Sample("Sources/Node/A.swift", "init(\n  a: Int\n) throws {" + String(repeating: "\n", count: functionLinesMax) + "}"),
            Sample("Sources/Native/a.c", "int main(void)\n{" + String(repeating: "\n  x();", count: functionLinesMax) + "\n}"),
        ],
        good: [
            Sample("Sources/Node/A.swift", "protocol P {\n func f()\n func g() }\nstruct S {" + String(repeating: "\n", count: 90) + "}"),
            Sample("Sources/Native/a.c", "struct a {" + String(repeating: "\n  int x;", count: 90) + "\n};"),
        ],
        check: { file in
            let lengths = file.isSwift ? swiftFunctions(file) : file.path.hasSuffix(".c") ? cFunctions(file) : []
            return lengths.filter { $0.lines > functionLinesMax }.map {
                Finding(path: file.path, line: $0.line, what: "`\($0.name)` has \($0.lines) lines")
            }
        })

    private struct Function {
        let name: String
        let line: Int
        let lines: Int
    }

    private static func swiftFunctions(_ file: SourceFile) -> [Function] {
        let tokens = Lexer.tokens(of: file.text)
        return tokens.indices.compactMap { index in
            let token = tokens[index]
            let declares = token.is("func") || (token.is("init") || token.is("subscript")) && !(tokens.at(index - 1)?.is(".") ?? false)
            guard declares, token.kind == .identifier, let open = body(tokens, after: index), let end = tokens.closing(open) else {
                return nil
            }
            let name = token.is("func") ? tokens.at(index + 1)?.text ?? "" : token.text
            return Function(name: name, line: token.line, lines: tokens[end].line - token.line + 1)
        }
    }

    /// The brace that opens the body of the function declared at `start`, or nil for a requirement of a protocol.
    private static func body(_ tokens: [Token], after start: Int) -> Int? {
        let next: Set<String> = ["func", "var", "let", "init", "static", "mutating", "case", "associatedtype", "subscript", "}"]
        var index = start + 1
        while index < tokens.count {
            let token = tokens[index]
            if token.is("{") { return index }
            if token.is("(") || token.is("[") {
                guard let end = tokens.closing(index) else { return nil }
                index = end + 1
                continue
            }
            if token.is("}") || token.startsLine && next.contains(token.text) { return nil }
            index += 1
        }
        return nil
    }

    /// Functions begin with a brace that stands or ends a line whose first column is not blank, and end with one in the first column.
    private static func cFunctions(_ file: SourceFile) -> [Function] {
        var found: [Function] = []
        var start: Int?
        for (index, line) in file.lines.enumerated() {
            if line.hasPrefix("}") {
                if let first = start {
                    found.append(Function(name: String(file.lines[first].prefix(60)), line: first + 1, lines: index - first + 1))
                }
                start = nil
            } else if line == "{" {
                start = max(0, index - 1)
            } else if line.hasSuffix(") {"), line.first != " ", line.first != "\t" {
                start = index
            }
        }
        return found
    }

    static let licence = Rule(
        name: "each file names its licence",
        reason: "Each file says its licence in its first lines, so that it may travel alone: `SPDX-License-Identifier: Apache-2.0`.",
        bad: [Sample("Sources/Node/A.swift", "import NIO\n"), Sample("Scripts/demo", "#!/usr/bin/env bash\nset -e\n")],
        good: [
            Sample("Sources/Node/A.swift", "// SPDX-License-Identifier: Apache-2.0\n"),
            Sample("Scripts/demo", "#!/usr/bin/env bash\n# SPDX-License-Identifier: Apache-2.0\n"),
            Sample("README.md", "# Brume"),
        ],
        check: { file in
            guard isCode(file) || file.name == "Makefile", !file.text.isEmpty else { return [] }
            let found = file.lines.prefix(3).contains { $0.contains("SPDX-License-Identifier: Apache-2.0") }
            return found ? [] : [Finding(path: file.path, line: 1, what: "no SPDX line")]
        })

    static let nothingLeftOver = Rule(
        name: "nothing is left to do later",
        reason: "Work that is left for later belongs in the issue tracker, where somebody finds it; the tree holds what is finished.",
        bad: [
            Sample("Sources/Node/A.swift", "// TO" + "DO: later"), Sample("a.c", "/* FIX" + "ME */"),
            Sample("README.md", "X" + "XX: write this"),
        ],
        good: [Sample("Sources/Node/A.swift", "let todoList = 3"), Sample("Scripts/demo", "mktemp -d brume.XX" + "XXXX")],
        check: { file in
            let marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
            return file.lines.indices.compactMap { index in
                let words = file.lines[index].split { !$0.isLetter && !$0.isNumber && $0 != "_" }
                guard let mark = marks.first(where: { mark in words.contains { $0 == mark } }) else { return nil }
                return Finding(path: file.path, line: index + 1, what: mark)
            }
        })

    static let crashesSayWhy = Rule(
        name: "a crash says why, and nothing is forced",
        reason: """
            A trap with a sentence is a report; one without is a riddle. Say what was expected in `fatalError` and \
            `preconditionFailure`, and let optionals and errors take their way with `guard`, `try` and `??` instead of `!`.
            """,
        bad: [
            Sample("Sources/Node/A.swift", "func f() { fatalError() }"),
            Sample("Sources/Node/A.swift", "func f() { preconditionFailure() }"),
            Sample("Sources/Node/A.swift", "let a = try! f()"),
            Sample("Sources/Node/A.swift", "let a = b as! C"),
            Sample("Tests/Node/A.swift", "let a = list.first!"),
            Sample("Tests/Node/A.swift", "let a = table[3]!.name"),
            Sample("Sources/Node/A.swift", "var a: Int!"),
        ],
        good: [
            Sample("Sources/Node/A.swift", "func f() { if !a && b != c { fatalError(\"the pool is empty before start\") } }"),
            Sample("Sources/Node/A.swift", "let a = b ?? !c // first!\nlet s = \"ready!\""),
            Sample("Sources/Node/A.swift", "guard a !== b, !(c) else { return }"),
        ],
        check: { file in
            guard file.isSwift else { return [] }
            let tokens = Lexer.tokens(of: file.text)
            return tokens.indices.compactMap { index in
                let token = tokens[index]
                if token.is("fatalError") || token.is("preconditionFailure"), tokens.reads(["(", ")"], at: index + 1) {
                    return Finding(path: file.path, line: token.line, what: "`\(token.text)()` without a sentence")
                }
                guard token.is("!"), !token.spaced, tokens.at(index + 1)?.is("=") != true, let before = tokens.at(index - 1) else {
                    return nil
                }
                let value = before.kind != .symbol || [")", "]", "}", "?"].contains(before.text)
                let next = tokens.at(index + 1)
                let prefix =
                    !(next?.spaced ?? true) && (next?.kind == .identifier || next?.is("(") ?? false)
                    && !["try", "as"].contains(before.text)
                guard value, !prefix else { return nil }
                return Finding(path: file.path, line: token.line, what: "`\(before.text)!`")
            }
        })

    static let tasksHaveOwners = Rule(
        name: "every task has an owner",
        reason: """
            A task that nobody holds outlives what it works for, and its error is lost. Run it in the task group of its component, or \
            keep the handle and end it where the component ends.
            """,
        bad: [
            Sample("Sources/Node/A.swift", "func f() {\n  Task { g() }\n}"),
            Sample("Sources/Node/A.swift", "func f() {\n  Task.detached { g() }\n}"),
            Sample("Sources/Node/A.swift", "func f() {\n  _ = Task { g() }\n}"),
        ],
        good: [
            Sample("Sources/Node/A.swift", "let t = Task { g() }\nfunc f() -> Task<Void, Never> { Task { g() } }"),
            Sample("Sources/Node/A.swift", "func f() { Task.checkCancellation() }"),
        ],
        check: { file in
            guard file.isSwift, file.isUnder(["Sources"]) else { return [] }
            let tokens = Lexer.tokens(of: file.text)
            return tokens.indices.compactMap { index in
                let token = tokens[index]
                guard token.is("Task"), tokens.at(index + 1)?.is("{") ?? false || tokens.reads([".", "detached"], at: index + 1) else {
                    return nil
                }
                guard token.startsLine || tokens.reads(["_", "="], at: index - 2) else { return nil }
                return Finding(path: file.path, line: token.line, what: "a task that nobody holds")
            }
        })

    static let noMachinePaths = Rule(
        name: "no path of somebody's machine",
        reason:
            "The tree builds and runs in any folder of any machine. Find files from the file that asks, from an argument, or from PATH.",
        bad: [
            Sample("Sources/Node/A.swift", "let p = \"/ho" + "me/ann/brume\""), Sample("Scripts/demo", "cd /wo" + "rk/brume"),
            Sample("README.md", "see (/ro" + "ot/x)"),
        ],
        good: [
            Sample("Sources/Node/A.swift", "let p = \"/home/app/index.py\""), Sample("README.md", "https://example.org/wo" + "rk/a"),
            Sample("a.md", "net" + "work/route"),
        ],
        check: { file in
            let roots = ["/ho" + "me/", "/ro" + "ot/", "/Us" + "ers/", "/wo" + "rk/", "/fa" + "rm/", "/tmp/stu" + "dio"]
            return file.lines.indices.compactMap { index in
                let line = file.lines[index]
                guard line.contains("/"), let found = roots.first(where: { startsPath($0, in: line) }) else { return nil }
                return Finding(path: file.path, line: index + 1, what: "`\(found)...`")
            }
        })

    /// Whether `root` begins a path in the line: what stands before it is no part of a longer path.
    ///
    /// `/home/app` is OpenFaaS's, not a person's.
    private static func startsPath(_ root: String, in line: Substring) -> Bool {
        var rest = line
        while let range = rest.firstRange(of: root) {
            let before = range.lowerBound == rest.startIndex ? " " : rest[rest.index(before: range.lowerBound)]
            let partOfPath = before.isLetter || before.isNumber || "/.-_}$*)".contains(before)
            if !partOfPath, !["/home/app", "/home/nonexistent"].contains(where: rest[range.lowerBound...].hasPrefix) { return true }
            rest = rest[range.upperBound...]
        }
        return false
    }
}
