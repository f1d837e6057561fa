// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A function's objects, which live on its node and converge with those on other nodes.
///
///     let state = try await State.connect()
///     let visits = try await state.counter("visits").add(1)
///
/// Every object is readable and writable on every node, also while nodes cannot reach each other. One connection serves all tasks.
public final class State: Objects {
    private let address: StateAddress
    private let wire: Wire

    private init(address: StateAddress, wire: Wire) {
        self.address = address
        self.wire = wire
    }

    /// Connects to the state of this function, or to the one at `url` (`unix://PATH` or `redis://HOST:PORT`).
    ///
    /// - Parameter token: of the session to go on with; see ``resume(_:)``.
    /// - Throws: `StateFailure` (`NOSTATE`) where there is none.
    public static func connect(url: String? = nil, token: String? = nil) async throws -> State {
        let address = try StateAddress(url ?? offered())
        let state = State(address: address, wire: try await Wire.open(address))
        if let token { try await state.resume(token) }
        return state
    }

    /// What the node says in the environment of its functions.
    private static func offered() throws(StateFailure) -> String {
        if let path = variable("BRUME_STATE_SOCKET") { return "unix://\(path)" }
        if let url = variable("REDIS_URL") { return url }
        throw StateFailure(code: "NOSTATE", "There is no state here: neither BRUME_STATE_SOCKET nor REDIS_URL is set.")
    }

    private static func variable(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }

    /// Ends the connection; whoever still waits gets `CLOSED`.
    public func close() { wire.close() }

    /// Runs Redis commands in one round trip.
    ///
    /// Commands are never sent twice: after `CLOSED` it is not known whether they took effect.
    ///
    /// - Throws: `StateFailure`: the first refusal among them.
    @discardableResult
    public func run(_ commands: [[any StateWord]]) async throws(StateFailure) -> [Reply] { try await wire.run(commands) }

    public func perform(_ command: [any StateWord]) async throws(StateFailure) -> Reply {
        try await wire.run([command]).first ?? .nothing
    }

    // MARK: Sessions

    /// What this session has seen and written, as text that travels in a header.
    ///
    /// Give it to the next call of the same user: that call resumes it and sees at least as much, on whatever node it runs.
    public func token() async throws(StateFailure) -> String { try await perform(["BRUME.SESSION"]).text ?? "" }

    /// Goes on where another call left off: from now on reads see at least what `token` stands for.
    public func resume(_ token: String) async throws(StateFailure) { _ = try await perform(["BRUME.SESSION", token]) }

    /// How the next commands of this connection behave.
    public enum Consistency: Sendable, Equatable {
        /// At once, on this node.
        case local
        /// Reads see at least what the session saw and wrote, on whatever node.
        case session
        /// Reads join, and writes reach, so many nodes, this one included.
        case quorum(Int)
        /// One owner at a time; refused where the majority cannot be reached.
        case exclusive
    }

    public func setConsistency(_ level: Consistency) async throws(StateFailure) {
        let words: [any StateWord] =
            switch level {
            case .local: ["local"]
            case .session: ["session"]
            case .quorum(let nodes): ["quorum", nodes]
            case .exclusive: ["exclusive"]
            }
        _ = try await perform(["BRUME.CONSISTENCY"] + words)
    }

    // MARK: Several objects

    /// Collects operations and runs them together: others see all of them or none.
    ///
    /// - Returns: the reply to each operation, in order.
    @discardableResult
    public func atomically(_ body: (Batch) throws -> Void) async throws -> [Reply] {
        let batch = Batch()
        try body(batch)
        let commands = batch.commands
        guard !commands.isEmpty else { return [] }
        let replies = try await run([["MULTI"]] + commands + [["EXEC"]])
        let results = replies.last?.elements ?? []
        for case .refused(let failure) in results { throw failure }
        return results
    }

    /// How many of these objects were there.
    @discardableResult
    public func delete(_ names: String...) async throws(StateFailure) -> Int {
        Int(try await perform(["DEL"] + names).integer ?? 0)
    }

    public func exists(_ name: String) async throws(StateFailure) -> Bool { try await perform(["EXISTS", name]).integer == 1 }

    /// Lets an object end after some time; false if there is none.
    @discardableResult
    public func expire(_ name: String, after time: Duration) async throws(StateFailure) -> Bool {
        let (seconds, attoseconds) = time.components
        return try await perform(["PEXPIRE", name, seconds * 1000 + attoseconds / 1_000_000_000_000_000]).integer == 1
    }

    /// One change of an object, made here or on another node.
    public struct Change: Sendable, Equatable {
        /// What happened, as a kind of command: `set`, `hset`, `sadd`, `zadd`, `rpush`, `pfadd`, or `del` where the object ceased to exist.
        public let event: String
        public let name: String
    }

    /// Changes of the objects whose names match a glob pattern, on a connection of its own, until the task that listens is cancelled.
    public func changes(_ pattern: String = "*") async throws -> AsyncThrowingStream<Change, any Error> {
        let prefix = "__keyspace@\(address.database)__:"
        let (stream, continuation) = AsyncThrowingStream.makeStream(of: Change.self, bufferingPolicy: .bufferingNewest(Self.changesMax))
        let wire = try await Wire.open(address) { push in
            switch push {
            case .refused(let failure): continuation.finish(throwing: failure)
            case .array(let words):
                guard words.count >= 2, let channel = words[words.count - 2].text, let event = words[words.count - 1].text,
                    channel.hasPrefix(prefix)
                else { return }
                continuation.yield(Change(event: event, name: String(channel.dropFirst(prefix.count))))
            default: break
            }
        }
        continuation.onTermination = { _ in wire.close() }
        _ = try await wire.run([["PSUBSCRIBE", prefix + pattern]])
        return stream
    }

    /// Changes that wait for a listener that is slower than they come; past it the oldest are forgotten.
    private static let changesMax = 10_000
}

/// Operations that are to happen together; see ``State/atomically(_:)``.
public final class Batch: Sendable {
    private let collected = Mutex<[[any StateWord]]>([])

    var commands: [[any StateWord]] { collected.withLock { $0 } }

    /// Adds any Redis command.
    public func add(_ command: [any StateWord]) { collected.withLock { $0.append(command) } }

    public func increment(_ counter: String, by amount: Int = 1) { add(["INCRBY", counter, amount]) }
    public func insert(_ element: some StateWord, into set: String) { add(["SADD", set, element]) }
    public func remove(_ element: some StateWord, from set: String) { add(["SREM", set, element]) }
    public func set(_ field: String, of map: String, to value: some StateWord) { add(["HSET", map, field, value]) }
    public func append(_ value: some StateWord, to list: String) { add(["RPUSH", list, value]) }
    public func delete(_ name: String) { add(["DEL", name]) }
}
