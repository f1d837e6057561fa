// SPDX-License-Identifier: Apache-2.0

extension Rule {
    /// Rule 7 of the architecture.
    static let oneErrorStruct = Rule(
        name: "adapters and shells throw the model's errors",
        reason: """
            An error says what went wrong and what to do, with a code that callers switch over: that is `BrumeError`. An enum of \
            errors grows a case for each place that throws, and its words are lost at the rim. A normal outcome (a refusal, a full \
            queue) is not an error at all. Only `brume` may end with a failure of its own, which it prints; a private struct that never \
            leaves its file is no API; and BrumeCRDT, which people use without the model, brings a struct of its own.
            """,
        bad: [
            Sample("Sources/Node/A.swift", "enum NodeError: Error { case a }"),
            Sample("Sources/Core/Model/A.swift", "public enum ModelError: Error { case a }"),
            Sample("Sources/Node/A.swift", "struct Broken: Sendable, Error {}"),
            Sample("Sources/brume/A.swift", "enum Failure: Error {}"),
            Sample("Sources/Node/A.swift", "extension Fault: Error {}"),
            Sample("Sources/Node/A.swift", "final class E: Swift.Error {}"),
        ],
        good: [
            Sample("Sources/Core/Model/BrumeError.swift", "public struct BrumeError: Error, Sendable {}"),
            Sample("Sources/brume/A.swift", "struct Failure: Error {}"),
            Sample("Sources/Node/A.swift", "private struct TooLong: Error {}"),
            Sample("Sources/Node/A.swift", "struct A { var cause: (any Error)?; func f<E: Error>(_ e: E) throws(BrumeError) {} }"),
        ],
        check: { file in
            guard file.isSwift, file.isUnder(["Sources"]) else { return [] }
            let mayHaveStructs = file.isUnder([
                "Sources/Core/Model", "Sources/Core/CRDT", "Sources/Core/State", "Sources/Lab/Simulator", "Sources/Functions",
                "Sources/brume",
            ])
            let tokens = Lexer.tokens(of: file.text)
            return tokens.indices.compactMap { index in
                guard ["enum", "struct", "class", "actor", "extension"].contains(tokens[index].text), tokens[index].kind == .identifier,
                    tokens.at(index - 1)?.is(".") != true,
                    !(tokens[index].is("struct") && (mayHaveStructs || tokens.at(index - 1)?.is("private") ?? false)),
                    inherits("Error", tokens, from: index + 1)
                else { return nil }
                return Finding(
                    path: file.path, line: tokens[index].line, what: "`\(tokens.at(index + 1)?.text ?? "")` is an error type of its own")
            }
        })

    /// Whether `protocolName` stands in the inheritance clause of the declaration whose name is at `start`.
    private static func inherits(_ protocolName: String, _ tokens: [Token], from start: Int) -> Bool {
        var depth = 0
        var inClause = false
        for index in start..<min(start + 80, tokens.count) {
            let token = tokens[index]
            if token.is("{") || token.is("where") { return false }
            if token.is("<") { depth += 1 }
            if token.is(">") { depth -= 1 }
            if token.is(":"), depth == 0 { inClause = true }
            if inClause, depth == 0, token.is(protocolName) { return true }
        }
        return false
    }

    /// Rule 8 of the architecture.
    static let exactUnits = Rule(
        name: "resources, prices and times are exact",
        reason: """
            Prices and resources are integers (micro-credits, millicores, bytes), so that sums are exact and the same on every \
            machine; durations are `Duration`, so that nobody has to guess a unit. Round once, in one named function, where a ratio \
            enters.
            """,
        bad: [
            Sample("Sources/Core/Model/A.swift", "let memoryBytes: Double"),
            Sample("Sources/Core/Model/A.swift", "var price: Float = 0"),
            Sample("Sources/Core/Engine/A.swift", "func f(timeout: Int) {}"),
            Sample("Sources/Core/Broker/A.swift", "let keepAlive: Double"),
            Sample("Sources/Node/A.swift", "let timeout: TimeInterval"),
        ],
        good: [
            Sample("Sources/Core/Model/A.swift", "let memoryBytes: Int\nvar timeout: Duration = .zero\nlet durationMicroseconds: Int"),
            Sample("Sources/Adapters/Telemetry/A.swift", "let cpuSeconds: Double"),
        ],
        check: { file in
            guard file.isSwift, file.isUnder(["Sources/Core", "Sources/Node", "Sources/Lab/Simulator"]) else {
                return []
            }
            let tokens = Lexer.tokens(of: file.text)
            return tokens.indices.compactMap { index in
                let token = tokens[index]
                guard token.kind == .identifier, tokens.at(index + 1)?.is(":") ?? false, let type = tokens.at(index + 2) else { return nil }
                let name = token.text.lowercased()
                let floating = type.is("Double") || type.is("Float") || type.is("TimeInterval")
                let amount = ["bytes", "millicores", "price", "credits", "microcredits"].contains { name.hasSuffix($0) }
                let time = ["timeout", "keepalive", "interval", "delay", "deadline", "duration"].contains { name.hasSuffix($0) }
                let guess = floating || type.is("Int") || type.is("UInt64") || type.is("Int64")
                guard amount && floating || time && guess else { return nil }
                return Finding(path: file.path, line: token.line, what: "`\(token.text): \(type.text)`")
            }
        })
}
