// SPDX-License-Identifier: Apache-2.0

extension Rule {
    /// Words that pure code must not say, with what to do instead.
    private static let impureWords: [String: String] = [
        "Task": "return an output and let the node do the work",
        "Thread": "return an output and let the node do the work",
        "Date": "take the time as an argument (Instant)",
        "ContinuousClock": "take the time as an argument (Instant)",
        "SuspendingClock": "take the time as an argument (Instant)",
        "DispatchTime": "take the time as an argument (Instant)",
        "clock_gettime": "take the time as an argument (Instant)",
        "SystemRandomNumberGenerator": "take `inout SeededGenerator` as an argument",
        "arc4random": "take `inout SeededGenerator` as an argument",
        "UUID": "number things from a counter or the seeded generator",
        "hashValue": "it differs from run to run; compare or sort by the value itself",
        "Hasher": "it differs from run to run; use a digest of its own",
        "print": "emit `.note` and let the node log it",
        "debugPrint": "emit `.note` and let the node log it",
        "Mutex": "the shell holds the lock; pure code is a value",
        "Atomic": "the shell holds the lock; pure code is a value",
        "ObjectIdentifier": "addresses differ from run to run; give things a number",
    ]

    /// Standard library calls that draw from the system's generator unless they are given one.
    private static let draws: Set<String> = ["random", "shuffled", "shuffle", "randomElement"]

    /// Protocols whose requirements are `async`; a type that conforms to one must repeat that.
    private static let ports = ["SandboxDriver", "PeerLink", "Platform", "Store", "NodeOperations", "CodeStore"]

    /// Rule 2 of the architecture.
    static let purity = Rule(
        name: "Core, Workload and Simulator are pure",
        reason: """
            Decisions are made in pure code, so that the simulator runs exactly what the node runs and a seed replays it: no clock, no \
            chance, no task, no lock and no output of its own. Time and chance are arguments; effects are returned as outputs.
            """,
        bad: [
            Sample("Sources/Core/Engine/A.swift", "import Foundation"),
            Sample("Sources/Core/Engine/A.swift", "func f() { Task { g() } }"),
            Sample("Sources/Core/Broker/A.swift", "func f() async {}"),
            Sample("Sources/Lab/Workload/A.swift", "let now = ContinuousClock().now"),
            Sample("Sources/Lab/Simulator/A.swift", "let x = Int.random(in: 0..<9)"),
            Sample("Sources/Core/Engine/A.swift", "let y = list.shuffled()"),
            Sample("Sources/Core/Engine/A.swift", "let z = name.hashValue"),
            Sample("Sources/Core/Model/A.swift", "func f() { print(\"x\") }"),
            Sample("Sources/Lab/Simulator/A.swift", "let text = \"\\(Date())\""),
            Sample("Sources/Lab/Simulator/A.swift", "import Synchronization\nlet state = Mutex(1)"),
            Sample("Sources/Core/Engine/A.swift", "final class S: Store { let state = Mutex(1) }"),
        ],
        good: [
            Sample("Sources/Core/Model/Ports/A.swift", "public protocol Port { func start() async throws }"),
            Sample("Sources/Lab/Simulator/A.swift", "struct D: SandboxDriver { func start() async throws {} }"),
            Sample("Sources/Lab/Simulator/A.swift", "import Synchronization\nfinal class S: Store { let state = Mutex(1) }"),
            Sample("Sources/Core/Engine/A.swift", "let x = list.shuffled(using: &generator) // Task"),
            Sample("Sources/Core/Engine/A.swift", "func draw(_ g: inout SeededGenerator) -> Int { g.random(below: 3) }"),
            Sample("Sources/Node/A.swift", "import Logging\nfunc f() async {}"),
        ],
        check: { file in
            guard file.isSwift, file.isUnder(Layer.pure) else { return [] }
            let tokens = Lexer.tokens(of: file.text)
            let asynchronous = file.path.hasPrefix("Sources/Core/Model/Ports/") || conformsToPort(tokens)
            let simulatesPort = asynchronous && file.isUnder(["Sources/Lab/Simulator"])
            var findings = impureImports(file, besides: simulatesPort ? ["Synchronization"] : [])
            for (index, token) in tokens.enumerated() where token.kind == .identifier {
                if simulatesPort, token.is("Mutex") { continue }
                if let instead = impureWords[token.text], tokens.at(index - 1)?.is(".") != true {
                    findings.append(Finding(path: file.path, line: token.line, what: "`\(token.text)`: \(instead)"))
                } else if token.is("hashValue") {
                    findings.append(Finding(path: file.path, line: token.line, what: "`hashValue` differs from run to run"))
                } else if !asynchronous, token.is("async") || token.is("await") {
                    findings.append(Finding(path: file.path, line: token.line, what: "`\(token.text)` outside the ports"))
                } else if drawsUnseeded(tokens, at: index) {
                    findings.append(Finding(path: file.path, line: token.line, what: "`\(token.text)` without a generator of ours"))
                }
            }
            return findings
        })

    private static func impureImports(_ file: SourceFile, besides: Set<String>) -> [Finding] {
        let allowed = besides.union(Layer.families["collections"] ?? [])
        return Import.all(in: file).filter { !$0.module.hasPrefix("Brume") && !allowed.contains($0.module) }.map {
            Finding(path: file.path, line: $0.line, what: "pure code may not import \($0.module)")
        }
    }

    /// Whether some type or extension in the file conforms to a port: a colon before a port's name, as in `: SandboxDriver`.
    private static func conformsToPort(_ tokens: [Token]) -> Bool {
        tokens.indices.contains { index in
            ports.contains(tokens[index].text) && tokens[index].kind == .identifier
                && (tokens.at(index - 1)?.is(":") ?? false || tokens.at(index - 1)?.is(",") ?? false)
        }
    }

    private static func drawsUnseeded(_ tokens: [Token], at index: Int) -> Bool {
        guard draws.contains(tokens[index].text), tokens.at(index - 1)?.is(".") ?? false, tokens.at(index + 1)?.is("(") ?? false,
            let end = tokens.closing(index + 1)
        else { return false }
        // `.random(below:)` and the like are the seeded generator's own; the standard library's take `in:` or nothing.
        let first = tokens.at(index + 2)
        let standard = end == index + 2 || first?.is("in") ?? false
        return standard && !tokens[index...end].contains { $0.is("using") }
    }

    /// Rule 2, second half: an order that differs from run to run must not reach a decision.
    static let orderedIteration = Rule(
        name: "pure code never iterates over a Dictionary or Set",
        reason: """
            The order of a Dictionary or Set differs between two runs of one program, so a decision taken in that order cannot be \
            replayed. Keep an array or an OrderedDictionary, or sort first: `for key in table.keys.sorted()`.
            """,
        bad: [
            Sample("Sources/Core/Engine/A.swift", "var t: [Int: String] = [:]\nfunc f() { for (k, v) in t { g(k, v) } }"),
            Sample("Sources/Core/Engine/A.swift", "var t: Set<Int> = []\nfunc f() { for k in t { g(k) } }"),
            Sample("Sources/Core/Broker/A.swift", "let t = Dictionary<Int, Int>()\nfunc f() { for k in self.t.keys { g(k) } }"),
            Sample("Sources/Core/Broker/A.swift", "var t: [Int: Int]\nfunc f() -> [Int] { t.map { $0.key } }"),
            Sample("Sources/Lab/Simulator/A.swift", "func f(t: [Int: Int]) { t.values.forEach(g) }"),
        ],
        good: [
            Sample("Sources/Core/Engine/A.swift", "var t: [Int: String] = [:]\nfunc f() { for k in t.keys.sorted() { g(k) } }"),
            Sample("Sources/Core/Engine/A.swift", "var t: [Int: String] = [:]\nfunc f() -> Bool { t.values.allSatisfy { $0.isEmpty } }"),
            Sample("Sources/Core/Engine/A.swift", "var t: [Int: Int] = [:]\nfunc f() -> Int { t.values.reduce(0, +) }"),
            Sample("Sources/Core/Engine/A.swift", "var list: [Int] = []\nfunc f() { for (i, v) in list.enumerated() { g(i, v) } }"),
            Sample("Sources/Core/Engine/A.swift", "var t: [Int: Int] = [:]\nfunc f() { for pair in t.sorted(by: order) { g(pair) } }"),
        ],
        check: { file in
            guard file.isSwift, file.isUnder(Layer.pure) else { return [] }
            let tokens = Lexer.tokens(of: file.text)
            let unordered = UnorderedNames.find(in: tokens)
            return tokens.indices.compactMap { index in
                guard UnorderedNames.isIteration(tokens, at: index, over: unordered) else { return nil }
                return Finding(path: file.path, line: tokens[index].line, what: "iterates over the unordered `\(tokens[index].text)`")
            }
        })
}

/// Finds, by words alone, the names of dictionaries and sets and where they are walked through.
enum UnorderedNames {
    /// Walking calls whose result shows the order.
    private static let ordered: Set<String> = [
        "map", "forEach", "compactMap", "flatMap", "first", "reduce", "prefix", "dropFirst", "makeIterator",
    ]
    /// What may follow `.keys`, `.values` or a walk, and makes the order unimportant.
    private static let harmless: Set<String> = [
        "sorted", "count", "isEmpty", "contains", "allSatisfy", "min", "max", "subtracting", "union", "intersection", "isDisjoint",
    ]

    /// Names declared with `: [Key: Value]`, `: Set<`, `: Dictionary<`, or begun with `= [:]`, `= Set`, `= Dictionary`.
    static func find(in tokens: [Token]) -> Set<String> {
        var names: Set<String> = []
        for index in tokens.indices where tokens[index].kind == .identifier {
            guard let sign = tokens.at(index + 1), sign.is(":") || sign.is("="), let type = tokens.at(index + 2) else { continue }
            let generic = type.is("Set") || type.is("Dictionary")
            let empty = tokens.reads(["[", ":", "]"], at: index + 2)
            if generic && !(tokens.at(index + 3)?.is(".") ?? false) || empty || (sign.is(":") && isDictionaryType(tokens, at: index + 2)) {
                names.insert(tokens[index].text)
            }
        }
        return names
    }

    /// Whether `[A: B]` begins here: a colon at the first level inside the brackets.
    private static func isDictionaryType(_ tokens: [Token], at open: Int) -> Bool {
        guard tokens.at(open)?.is("[") ?? false, let end = tokens.closing(open) else { return false }
        var depth = 0
        for index in open...end where tokens[index].kind == .symbol {
            if ["(", "[", "<"].contains(tokens[index].text) { depth += 1 }
            if [")", "]", ">"].contains(tokens[index].text) { depth -= 1 }
            if depth == 1, tokens[index].is(":") { return true }
        }
        return false
    }

    static func isIteration(_ tokens: [Token], at index: Int, over names: Set<String>) -> Bool {
        let token = tokens[index]
        guard token.kind == .identifier, names.contains(token.text), !(tokens.at(index + 1)?.is(":") ?? false) else { return false }
        var end = index
        if tokens.at(index + 1)?.is(".") ?? false, let view = tokens.at(index + 2), view.is("keys") || view.is("values") { end = index + 2 }
        if tokens.at(end + 1)?.is(".") ?? false, let call = tokens.at(end + 2) {
            if harmless.contains(call.text) || tokens.reads(["reduce", "(", "0", ",", "+"], at: end + 2) { return false }
            return ordered.contains(call.text) && !isMadeHarmless(tokens, after: end + 2)
        }
        return isLoopSource(tokens, from: index, to: end)
    }

    /// `for x in [self.]name {`, also with `where`.
    private static func isLoopSource(_ tokens: [Token], from start: Int, to end: Int) -> Bool {
        var before = start - 1
        if tokens.reads(["self", "."], at: start - 2) { before = start - 3 }
        guard tokens.at(before)?.is("in") ?? false, let next = tokens.at(end + 1), next.is("{") || next.is("where") else { return false }
        return tokens[max(0, before - 12)..<before].contains { $0.is("for") }
    }

    /// Whether the call at `index` is followed, after its arguments, by one that makes the order unimportant.
    private static func isMadeHarmless(_ tokens: [Token], after index: Int) -> Bool {
        guard let open = tokens.at(index + 1), open.is("(") || open.is("{"), let end = tokens.closing(index + 1) else { return false }
        return (tokens.at(end + 1)?.is(".") ?? false) && (tokens.at(end + 2).map { harmless.contains($0.text) } ?? false)
    }
}
