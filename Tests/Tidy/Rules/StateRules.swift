// SPDX-License-Identifier: Apache-2.0

extension Rule {
    /// Rule 4 of the architecture, first part.
    static let noMutableGlobals = Rule(
        name: "no mutable globals",
        reason: """
            A variable that everybody can reach makes two nodes in one process, and two tests side by side, share what they should \
            not. Hold it in the component that owns it and pass it on.
            """,
        bad: [
            Sample("Sources/Node/A.swift", "enum A { static var count = 0 }"),
            Sample("Sources/Node/A.swift", "var count = 0"),
            Sample("Sources/Node/A.swift", "nonisolated(unsafe) let p: Int"),
            Sample("Sources/Node/A.swift", "enum A { nonisolated(unsafe) static let p = make() }"),
            Sample("Sources/Node/A.swift", "enum A { static let count = Mutex(0) }"),
            Sample("Sources/Node/A.swift", "private let count = Atomic<Int>(0)"),
        ],
        good: [
            Sample("Sources/Node/A.swift", "enum A { static var count: Int { 3 }\nstatic let limit = 3 }"),
            Sample("Sources/Node/A.swift", "struct A { var count = 0; let lock = Mutex(0) }\nfunc f() { var x = 1 }"),
            Sample("Sources/Node/A.swift", "protocol P { static var name: String { get } }"),
            Sample("Sources/Node/A.swift", "enum A { static let lock = Mutex(()) }\nfunc f() { nonisolated(unsafe) let writer = w }"),
        ],
        check: { file in
            guard file.isSwift, file.isUnder(["Sources"]) else { return [] }
            let tokens = Lexer.tokens(of: file.text)
            var depth = 0
            var findings: [Finding] = []
            for (index, token) in tokens.enumerated() {
                if token.is("{") || token.is("(") || token.is("[") { depth += 1 }
                if token.is("}") || token.is(")") || token.is("]") { depth -= 1 }
                let shared = depth == 0 || (tokens.at(index - 1)?.is("static") ?? false) || (tokens.at(index - 1)?.is("class") ?? false)
                if shared, token.is("var") && isStored(tokens, from: index + 1) || token.is("let") && holdsLock(tokens, from: index + 1) {
                    findings.append(
                        Finding(path: file.path, line: token.line, what: "`\(tokens.at(index + 1)?.text ?? "")` is a mutable global"))
                } else if tokens.reads(["nonisolated", "(", "unsafe", ")"], at: index), depth == 0 || isShared(tokens, after: index + 4) {
                    findings.append(
                        Finding(path: file.path, line: token.line, what: "`nonisolated(unsafe)` switches the compiler's check off"))
                }
            }
            return findings
        })

    private static func isShared(_ tokens: [Token], after index: Int) -> Bool {
        tokens.at(index)?.is("static") ?? false || tokens.at(index)?.is("var") ?? false || tokens.at(index + 1)?.is("static") ?? false
    }

    /// Whether the variable whose name is at `start` has a value of its own: `=` comes before any `{`, or its line ends without either.
    private static func isStored(_ tokens: [Token], from start: Int) -> Bool {
        for index in start..<min(start + 60, tokens.count) {
            if tokens[index].is("{") { return false }
            if tokens[index].is("=") || index > start && tokens[index].startsLine { return true }
        }
        return true
    }

    private static func holdsLock(_ tokens: [Token], from start: Int) -> Bool {
        guard let sign = tokens[start...].prefix(12).firstIndex(where: { $0.is("=") }), let type = tokens.at(sign + 1) else { return false }
        // A lock of nothing guards something of the whole process, such as standard error, and holds no state itself.
        if tokens.reads(["(", "(", ")", ")"], at: sign + 2) { return false }
        return ["Mutex", "Atomic", "ManagedAtomic", "NIOLockedValueBox", "NIOLock", "Lock"].contains(type.text)
    }

    /// Rule 4, second part.
    static let environmentOnlyInBrume = Rule(
        name: "the environment and the logging set-up are touched only in brume",
        reason: """
            Configuration is read in one place and handed down as plain values, so that a component behaves the same wherever it is \
            put and two of them can differ. Take the value as an argument and read the variable in Sources/brume.
            """,
        bad: [
            Sample("Sources/Adapters/Sandbox/A.swift", "let path = ProcessInfo.processInfo.environment[\"PATH\"]"),
            Sample("Sources/Adapters/Sandbox/A.swift", "let path = unsafe getenv(\"PATH\")"),
            Sample("Sources/Adapters/Telemetry/A.swift", "func f() { LoggingSystem.bootstrap(g) }"),
            Sample("Sources/Node/A.swift", "let a = CommandLine.arguments"),
            Sample("Sources/Native/CBrumeLinux/a.c", "char *p = getenv(\"X\");"),
        ],
        good: [
            Sample("Sources/brume/A.swift", "let path = ProcessInfo.processInfo.environment[\"PATH\"]"),
            Sample("Sources/Adapters/Sandbox/A.swift", "let e = spec.environment[\"PATH\"]"),
            Sample("Sources/Functions/A.swift", "let path = unsafe getenv(\"PATH\") // in somebody's function, told by its environment"),
            Sample("Sources/Native/Agent/a.c", "char *p = getenv(\"X\"); // a program of its own, told by its environment"),
        ],
        check: { file in
            let programs = ["Sources/brume", "Sources/Functions", "Sources/Native/Agent", "Sources/Native/Spawner"]
            guard file.isUnder(["Sources"]), !file.isUnder(programs), file.isSwift || file.path.hasSuffix(".c") else { return [] }
            let tokens = Lexer.tokens(of: file.text)
            return tokens.indices.compactMap { index in
                let token = tokens[index]
                let named = ["getenv", "secure_getenv", "setenv", "putenv", "environ"].contains(token.text) && token.kind == .identifier
                let read = token.is("processInfo") && tokens.reads([".", "environment"], at: index + 1)
                let setUp = (token.is("LoggingSystem") || token.is("MetricsSystem") || token.is("InstrumentationSystem"))
                let arguments = token.is("CommandLine")
                guard named && !isOwnMember(tokens, index) || read || setUp && tokens.reads([".", "bootstrap"], at: index + 1) || arguments
                else {
                    return nil
                }
                return Finding(path: file.path, line: token.line, what: "`\(token.text)` outside Sources/brume")
            }
        })

    private static func isOwnMember(_ tokens: [Token], _ index: Int) -> Bool { tokens.at(index - 1)?.is(".") ?? false }

    /// Rule 4, third part.
    static let libraryIsSilent = Rule(
        name: "only brume writes to the terminal, and the engine does not log",
        reason: """
            The engine returns `.note` and the shell logs it; adapters log through the Logger they are given. Whatever prints by \
            itself mixes with the output of a command and cannot be tested.
            """,
        bad: [
            Sample("Sources/Node/A.swift", "func f() { print(\"x\") }"),
            Sample("Sources/Core/Engine/A.swift", "func f() { logger.info(\"x\") }"),
        ],
        good: [
            Sample("Sources/brume/A.swift", "func f() { print(\"x\") }"),
            Sample("Sources/Node/A.swift", "func f() { logger.info(\"x\"); screen.print(1) }"),
        ],
        check: { file in
            guard file.isSwift, file.isUnder(["Sources"]), !file.isUnder(["Sources/brume"]) else { return [] }
            let pure = file.isUnder(Layer.pure)
            let tokens = Lexer.tokens(of: file.text)
            return tokens.indices.compactMap { index in
                let token = tokens[index]
                guard token.kind == .identifier else { return nil }
                let before = tokens.at(index - 1)
                let prints = ["print", "debugPrint", "dump"].contains(token.text) && (tokens.at(index + 1)?.is("(") ?? false)
                if prints, before?.is(".") != true, before?.is("func") != true {
                    return Finding(path: file.path, line: token.line, what: "`\(token.text)`")
                }
                if pure, token.is("logger") || token.is("Logger") {
                    return Finding(path: file.path, line: token.line, what: "`\(token.text)` in pure code")
                }
                return nil
            }
        })

    /// Rule 5 of the architecture.
    static let bytesStayOutside = Rule(
        name: "bytes never enter the engine",
        reason: """
            The engine sees sizes and handles, never bodies: it stays small, can be copied into a scenario and logged, and no body is \
            copied on its way. Keep the bytes in the node beside the call's id.
            """,
        bad: [
            Sample("Sources/Core/Engine/A.swift", "let body: ByteBuffer"),
            Sample("Sources/Core/Engine/A.swift", "let body: [UInt8]"),
            Sample("Sources/Core/Broker/A.swift", "func f(_ request: CallRequest<Int>) {}"),
        ],
        good: [Sample("Sources/Core/Engine/A.swift", "let bodyBytes: Int")],
        check: { file in
            guard file.isSwift, file.isUnder(["Sources/Core/Broker", "Sources/Core/Engine"]) else { return [] }
            let tokens = Lexer.tokens(of: file.text)
            let types: Set<String> = ["ByteBuffer", "Data", "CallRequest", "Body", "RawSpan", "UnsafeRawBufferPointer"]
            return tokens.indices.compactMap { index in
                let bytes = tokens.reads(["[", "UInt8", "]"], at: index)
                guard bytes || tokens[index].kind == .identifier && types.contains(tokens[index].text) else { return nil }
                return Finding(path: file.path, line: tokens[index].line, what: "`\(bytes ? "[UInt8]" : tokens[index].text)` in the engine")
            }
        })

    /// Rule 6 of the architecture, as far as words show it.
    static let everythingHasALimit = Rule(
        name: "every queue has a named limit",
        reason: """
            A queue without a bound turns overload into death by memory, later and far from its cause. Name the limit, say why it is \
            that number, and say what happens at it; or, in a comment with the words "bounded by", what already keeps it small.
            """,
        bad: [
            Sample("Sources/Node/A.swift", "let (s, c) = AsyncStream<Int>.makeStream()"),
            Sample("Sources/Node/A.swift", "let s = AsyncStream(Int.self, bufferingPolicy: .unbounded) { _ in }"),
            Sample("Sources/Adapters/Gateway/A.swift", "let b = try await body.collect(upTo: .max)"),
            Sample("Sources/Adapters/Gateway/A.swift", "let b = try await body.collect(upTo: Int.max)"),
        ],
        good: [
            Sample(
                "Sources/Node/A.swift",
                "let (s, c) = AsyncStream.makeStream(of: Int.self, bufferingPolicy: .bufferingOldest(Self.eventsMax))"),
            Sample("Sources/Node/A.swift", "let s: AsyncStream<Int>"),
            Sample(
                "Sources/Node/A.swift", "// bounded by calls\nlet s = AsyncStream(Int.self, bufferingPolicy: .unbounded) {}"),
        ],
        check: { file in
            guard file.isSwift, file.isUnder(["Sources"]) else { return [] }
            let tokens = Lexer.tokens(of: file.text)
            return tokens.indices.compactMap { index in
                let token = tokens[index]
                if token.is("unbounded"), tokens.at(index - 1)?.is(".") ?? false {
                    if saysWhatBounds(file, before: token.line) { return nil }
                    return Finding(path: file.path, line: token.line, what: "`.unbounded`")
                }
                if token.is("upTo"),
                    tokens.reads([":", ".", "max"], at: index + 1) || tokens.reads([":", "Int", ".", "max"], at: index + 1)
                {
                    return Finding(path: file.path, line: token.line, what: "collects without a limit")
                }
                guard token.is("AsyncStream") || token.is("AsyncThrowingStream"), let open = streamCall(tokens, at: index),
                    let end = tokens.closing(open), !tokens[open...end].contains(where: { $0.is("bufferingPolicy") || $0.is("unfolding") })
                else { return nil }
                return Finding(path: file.path, line: token.line, what: "`\(token.text)` without a buffering policy")
            }
        })

    /// Whether a comment on one of the two lines above says what keeps an unbounded buffer small.
    private static func saysWhatBounds(_ file: SourceFile, before line: Int) -> Bool {
        file.lines[max(0, line - 3)..<max(0, line - 1)].contains { text in
            text.drop { $0 == " " }.hasPrefix("//") && text.contains("bounded by")
        }
    }

    /// The opening parenthesis of `AsyncStream<T>(` or `AsyncStream<T>.makeStream(`, if the word at `index` begins one.
    private static func streamCall(_ tokens: [Token], at index: Int) -> Int? {
        var next = index + 1
        if tokens.at(next)?.is("<") ?? false {
            var depth = 0
            repeat {
                if tokens.at(next)?.is("<") ?? false { depth += 1 }
                if tokens.at(next)?.is(">") ?? false { depth -= 1 }
                next += 1
            } while depth > 0 && next < tokens.count
        }
        if tokens.reads([".", "makeStream"], at: next) { next += 2 }
        return tokens.at(next)?.is("(") ?? false ? next : nil
    }
}
