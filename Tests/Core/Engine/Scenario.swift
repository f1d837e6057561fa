// SPDX-License-Identifier: Apache-2.0

import BrumeBroker
import BrumeEngine
import BrumeModel

/// A golden file: blocks of commands, `----`, and everything that came out of the engine.
///
/// Commands read like the inputs they give. `after 5s` lets time pass and ticks at every announced wake-up on the way;
/// `view` prints the counts.
struct Scenario {
    struct Block {
        var commands: [String]
        var expected: [String]
    }

    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    private(set) var blocks: [Block] = []

    init(parsing text: String) {
        for paragraph in Self.paragraphs(of: text) {
            let rule = paragraph.firstIndex(of: "----") ?? paragraph.endIndex
            blocks.append(
                Block(commands: Array(paragraph[..<rule]), expected: Array(paragraph[rule...].dropFirst())))
        }
    }

    private static func paragraphs(of text: String) -> [[String]] {
        var result: [[String]] = [[]]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty { result.append([]) } else { result[result.count - 1].append(String(line)) }
        }
        return result.filter { !$0.isEmpty }
    }

    /// The same commands with what comes out now.
    func replayed() throws -> String {
        var player = ScenarioPlayer()
        let parts = try blocks.map { block -> String in
            if block.commands.allSatisfy({ $0.hasPrefix("#") }) { return block.commands.joined(separator: "\n") }
            var lines: [String] = []
            for command in block.commands where !command.hasPrefix("#") { lines += try player.play(command) }
            return (block.commands + ["----"] + (lines.isEmpty ? ["(nothing)"] : lines)).joined(separator: "\n")
        }
        return parts.joined(separator: "\n\n") + "\n"
    }
}

/// Plays commands on an engine.
struct ScenarioPlayer {
    private var engine = Engine(settings: EngineSettings(capacity: Resources(millicores: 1000, memoryBytes: 1 << 30)))
    private var now = Instant.zero
    private var wake: Instant?

    mutating func play(_ line: String) throws -> [String] {
        var words = Words(line)
        let command = try words.next("a command")
        switch command {
        case "node": return try node(&words)
        case "after": return advance(to: now + (try words.duration()))
        case "view": return try view(&words)
        case "deploy": return step(.deploy(try words.function(), try policy(&words)))
        case "remove": return step(.remove(try words.function()))
        case "scale": return step(.scale(try words.function(), replicas: try words.number()))
        case "arrive":
            let (call, function) = (try words.call(), try words.function())
            return step(.arrive(call, function, timeout: words.take("timeout") ? try words.duration() : nil))
        case "offer": return step(.offer(try words.call(), try words.function()))
        case "enqueue":
            let (call, function) = (try words.call(), try words.function())
            let failed = words.take("failed") ? try words.number() : 0
            let notBefore = words.take("not-before") ? Instant.zero + (try words.duration()) : .zero
            return step(.enqueue(call, function, failedAttempts: failed, notBefore: notBefore))
        case "abandon": return step(.abandon(try words.call()))
        case "started": return step(.started(try words.replica()))
        case "stopped": return step(.exited(try words.replica(), ReplicaExit(.stopped, "stopped")))
        case "crashed": return step(.exited(try words.replica(), ReplicaExit(.exited(code: 1), "The program ended with code 1.")))
        case "start-failed": return step(.exited(try words.replica(), ReplicaExit(.startFailed, "The program does not start.")))
        case "finished":
            let call = try words.call()
            return step(.finished(call, words.take("failed") ? .failed : words.take("unsent") ? .unsent : .succeeded))
        case "drain": return step(.drain)
        case "halt": return step(.halt)
        case "tick": return step(.tick)
        default: throw Scenario.Fault(description: "unknown command '\(line)'")
        }
    }

    private mutating func step(_ input: Input) -> [String] {
        let outputs = engine.step(input, now: now)
        for case .wake(let at) in outputs { wake = wake.map { Swift.min($0, at) } ?? at }
        return outputs.map { "  \($0)" }
    }

    private mutating func advance(to target: Instant) -> [String] {
        var lines: [String] = []
        while let at = wake, at <= target {
            now = Swift.max(now, at)
            wake = nil
            lines += ["\(now.short) tick"] + step(.tick)
        }
        now = target
        return lines
    }

    private mutating func node(_ words: inout Words) throws -> [String] {
        var settings = EngineSettings(capacity: Resources(millicores: 1000, memoryBytes: 1 << 30))
        while let key = words.nextIfAny() {
            switch key {
            case "cpu": settings.capacity.millicores = try Resources.millicores(parsing: try words.next("cpu"))
            case "memory": settings.capacity.memoryBytes = try Resources.bytes(parsing: try words.next("memory"))
            case "queue": settings.queueLimitPerFunction = try words.number()
            case "node-queue": settings.queueLimit = try words.number()
            case "async-queue": settings.asynchronousLimitPerFunction = try words.number()
            case "starts": settings.concurrentStarts = try words.number()
            case "unsent-retries": settings.unsentRetries = try words.number()
            default: throw Scenario.Fault(description: "unknown setting '\(key)'")
            }
        }
        engine = Engine(settings: settings)
        wake = nil
        return ["  a new node at \(now.short)"]
    }

    private func policy(_ words: inout Words) throws -> FunctionPolicy {
        var policy = FunctionPolicy(requests: Resources(millicores: 100, memoryBytes: 64 << 20))
        while let key = words.nextIfAny() {
            switch key {
            case "cpu": policy.requests.millicores = try Resources.millicores(parsing: try words.next("cpu"))
            case "memory": policy.requests.memoryBytes = try Resources.bytes(parsing: try words.next("memory"))
            case "concurrency": policy.concurrency = try words.number()
            case "min": policy.scale.min = try words.number()
            case "max": policy.scale.max = try words.number()
            case "keep-alive": policy.scale.keepAlive = try words.duration()
            case "timeout": policy.timeout = try words.duration()
            case "prewarm": policy.prewarm = true
            default: throw Scenario.Fault(description: "unknown policy '\(key)'")
            }
        }
        return policy
    }

    private func view(_ words: inout Words) throws -> [String] {
        let view = engine.view
        var lines = [
            "  node: \(view.reserved.millicores)m of \(view.capacity.millicores)m reserved, "
                + "replicas \(view.replicas), starting \(view.starting), "
                + "running \(view.runningCalls), queued \(view.queuedCalls), asynchronous \(view.asynchronousCalls)"
        ]
        while let name = words.nextIfAny() {
            let handle = FunctionHandle(Int(name.dropFirst()) ?? -1)
            guard let function = engine.view(of: handle) else {
                lines.append("  \(name): not deployed")
                continue
            }
            lines.append(
                "  \(name): replicas \(function.replicas), ready \(function.ready), invocations \(function.invocations), "
                    + "queued \(function.queued), running \(function.running)"
                    + (function.problem.isEmpty ? "" : ", problem: \(function.problem)"))
        }
        return lines
    }
}

/// The words of one command.
private struct Words {
    private let line: String
    private var rest: ArraySlice<Substring>

    init(_ line: String) {
        self.line = line
        rest = line.split(separator: " ")[...]
    }

    mutating func nextIfAny() -> String? { rest.popFirst().map(String.init) }

    mutating func next(_ what: String) throws -> String {
        guard let word = nextIfAny() else { throw Scenario.Fault(description: "'\(line)' lacks \(what)") }
        return word
    }

    mutating func take(_ word: String) -> Bool {
        guard rest.first == word[...] else { return false }
        rest.removeFirst()
        return true
    }

    mutating func number() throws -> Int {
        guard let number = Int(try next("a number")) else { throw Scenario.Fault(description: "'\(line)' needs a number") }
        return number
    }

    mutating func duration() throws -> Duration { try Duration(parsing: try next("a duration")) }
    mutating func function() throws -> FunctionHandle { FunctionHandle(Int(try numbered("f"))) }
    mutating func call() throws -> CallID { CallID(try numbered("c")) }
    mutating func replica() throws -> ReplicaID { ReplicaID(try numbered("r")) }

    private mutating func numbered(_ prefix: String) throws -> UInt64 {
        let word = try next("\(prefix)N")
        guard word.hasPrefix(prefix), let number = UInt64(word.dropFirst()) else {
            throw Scenario.Fault(description: "'\(line)': '\(word)' is not \(prefix)N")
        }
        return number
    }
}
