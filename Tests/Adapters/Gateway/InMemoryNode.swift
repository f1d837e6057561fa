// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import Synchronization

/// A node that keeps everything in memory and whose functions behave as their names say.
///
/// `echo` answers with what it was sent; the other names are listed in `behave`.
final class InMemoryNode: NodeOperations {
    typealias Payload = ByteBuffer

    struct State {
        var functions: [FunctionID: FunctionStatus] = [:]
        var secrets: [String: [String: [UInt8]]] = [:]
        var namespaces: [String: StoredNamespace] = [FunctionID.defaultNamespace: StoredNamespace(name: FunctionID.defaultNamespace)]
        var packages: [[UInt8]] = []
        var requests: [CallRequest<ByteBuffer>] = []
        var calls: [Task<Void, Never>] = []
        var queued: [(request: CallRequest<ByteBuffer>, callback: String?)] = []
        var dead: [DeadLetter] = []
        var records: [CallRecord] = []
        var lines: [LogLine] = []
        var logQueries: [(query: LogQuery, follow: Bool)] = []
        var callQueries: [CallQuery] = []
        /// Nil where the node lends nothing.
        var harvest: HarvestReport?
        var ledger = HarvestLedgerReport(seconds: 1)
        var profiles: [FunctionID: HarvestProfileReport] = [:]
    }

    let state = Mutex(State())
    /// Yields the label of each call that was abandoned, and of each log stream that was left.
    let abandoned: AsyncStream<String>
    private let abandonedSource: AsyncStream<String>.Continuation
    /// Yields the label of each call that began to wait.
    let waiting: AsyncStream<String>
    private let waitingSource: AsyncStream<String>.Continuation
    /// Lets the function `slow` answer.
    let gate: AsyncStream<Void>
    let gateSource: AsyncStream<Void>.Continuation

    init(functions: [String] = ["echo"]) throws {
        (abandoned, abandonedSource) = AsyncStream.makeStream()
        (waiting, waitingSource) = AsyncStream.makeStream()
        (gate, gateSource) = AsyncStream.makeStream()
        for name in functions {
            let spec = FunctionSpec(id: try FunctionID(parsing: name), contract: .fork(command: ["cat"]), imageLabel: "brume:none")
            state.withLock {
                $0.functions[spec.id] = FunctionStatus(spec: spec, created: Instant(nanoseconds: 1_700_000_000_000_000_000), revision: 1)
            }
        }
    }

    // MARK: Calls

    func call(_ request: CallRequest<ByteBuffer>, reply: @escaping @Sendable (CallReply<ByteBuffer>) -> Void) -> CallID {
        let task = Task { reply(await answer(request)) }
        return state.withLock { state in
            state.calls.append(task)
            return CallID(UInt64(state.calls.count - 1))
        }
    }

    func abandon(_ call: CallID) { state.withLock { $0.calls[Int(call.number)] }.cancel() }

    private func answer(_ request: CallRequest<ByteBuffer>) async -> CallReply<ByteBuffer> {
        let isKnown = state.withLock { state in
            state.requests.append(request)
            state.functions[request.function]?.invocations += 1
            return state.functions[request.function] != nil
        }
        guard isKnown else { return CallReply(result: .refused(.unknownFunction)) }
        let timing = CallTiming(queued: .microseconds(12), starting: .zero, running: .microseconds(345))
        return CallReply(result: await behave(request), timing: timing, cold: false, replica: ReplicaID(7))
    }

    private func behave(_ request: CallRequest<ByteBuffer>) async -> CallReply<ByteBuffer>.Result {
        switch request.function.name {
        case "full": return .refused(.queueFull(retryAfter: .milliseconds(2500)))
        case "huge": return .refused(.neverFits("The function needs 64Gi of memory and this node has 2Gi; lower its limits."))
        case "broken": return .refused(.broken("No replica starts: the program is not there; look at the logs."))
        case "draining": return .refused(.draining)
        case "timeout": return .failed(CallFailure(.timedOut, "The call took longer than 60s."))
        case "oom": return .failed(CallFailure(.outOfMemory, "The function used more than its 128Mi of memory."))
        case "lambda":
            return .answered(CallResponse(status: 500, body: .whole(ByteBuffer(string: "{}")), failure: CallFailure(.handlerError, "x")))
        case "headers":
            return .answered(
                CallResponse(
                    status: 201,
                    headers: [
                        HeaderField("Content-Type", "text/x-test"), HeaderField("Set-Cookie", "a=1"), HeaderField("Set-Cookie", "b=2"),
                        HeaderField("Connection", "x-private"), HeaderField("X-Private", "1"), HeaderField("Keep-Alive", "timeout=5"),
                        HeaderField("Transfer-Encoding", "chunked"), HeaderField("X-Call-Id", "forged"),
                        HeaderField("X-Brume-Start", "forged"),
                        HeaderField("X-Split", "a\r\nX-Injected: 1"),
                    ], body: .whole(ByteBuffer(string: "ok"))))
        case "empty": return .answered(CallResponse(status: 204, body: .whole(ByteBuffer())))
        case "slow":
            waitingSource.yield(request.label)
            for await _ in gate { break }
            return .answered(CallResponse(status: 200, body: .whole(ByteBuffer(string: "done"))))
        case "hang": return await hang(request)
        case "liar":
            let (chunks, source) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
            source.yield(ByteBuffer(string: "four"))
            source.finish()
            return .answered(
                CallResponse(
                    status: 200, headers: [HeaderField("Content-Length", request.path == "/more" ? "3" : "5")], body: .stream(chunks)))
        case "file":
            let (chunks, source) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
            for _ in 0..<4 { source.yield(ByteBuffer(string: "1234")) }
            source.finish()
            return .answered(CallResponse(status: 200, headers: [HeaderField("Content-Length", "16")], body: .stream(chunks)))
        case "cut":
            let (chunks, source) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
            source.yield(ByteBuffer(string: "half"))
            source.finish(throwing: CallFailure(.crashed, "gone"))
            return .answered(CallResponse(status: 200, body: .stream(chunks)))
        case "stream":
            let (chunks, source) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
            for number in 0..<3 { source.yield(ByteBuffer(string: "part\(number);")) }
            source.finish()
            return .answered(CallResponse(status: 200, body: .stream(chunks)))
        default: return await echo(request)
        }
    }

    /// Answers with the body as it comes, and says in `X-Body` whether it came whole.
    private func echo(_ request: CallRequest<ByteBuffer>) async -> CallReply<ByteBuffer>.Result {
        let fields = [
            HeaderField("Content-Type", "application/octet-stream"), HeaderField("X-Path", request.path),
            HeaderField("X-Query", request.query),
        ]
        switch request.body {
        case .whole: return .answered(CallResponse(status: 200, headers: fields + [HeaderField("X-Body", "whole")], body: request.body))
        case .stream: return .answered(CallResponse(status: 200, headers: fields + [HeaderField("X-Body", "stream")], body: request.body))
        }
    }

    /// Waits until the caller goes away.
    private func hang(_ request: CallRequest<ByteBuffer>) async -> CallReply<ByteBuffer>.Result {
        let (never, source) = AsyncStream<Void>.makeStream()
        waitingSource.yield(request.label)
        for await _ in never {}
        source.finish()
        abandonedSource.yield(request.label)
        return .failed(CallFailure(.abandoned, "The caller went away."))
    }

    func enqueue(_ request: CallRequest<ByteBuffer>, callbackURL: String?) async throws -> Refusal? {
        state.withLock { state in
            guard state.functions[request.function] != nil else { return .unknownFunction }
            if request.function.name == "full" { return .queueFull(retryAfter: .seconds(3)) }
            state.queued.append((request, callbackURL))
            return nil
        }
    }

    // MARK: Functions

    func deploy(_ spec: FunctionSpec, mode: DeployMode) async throws {
        try state.withLock { state in
            guard state.namespaces[spec.id.namespace] != nil else {
                throw BrumeError(.invalid, "There is no namespace '\(spec.id.namespace)'; create it first.")
            }
            let known = state.functions[spec.id]
            if mode == .update && known == nil { throw BrumeError(.notFound, "There is no function '\(spec.id.name)'; create it first.") }
            state.functions[spec.id] = FunctionStatus(
                spec: spec, created: known?.created ?? Instant(nanoseconds: 1_700_000_000_000_000_000), revision: (known?.revision ?? 0) + 1
            )
        }
    }

    func remove(_ id: FunctionID) async throws {
        try state.withLock { state in
            guard state.functions.removeValue(forKey: id) != nil else { throw BrumeError(.notFound, "There is no function '\(id.name)'.") }
        }
    }

    func scale(_ id: FunctionID, to replicas: Int) async throws {
        try state.withLock { state in
            guard state.functions[id] != nil else { throw BrumeError(.notFound, "There is no function '\(id.name)'.") }
            state.functions[id]?.replicas = replicas
            state.functions[id]?.availableReplicas = replicas
        }
    }

    func functions(namespace: String?) async -> [FunctionStatus] {
        state.withLock { state in
            state.functions.values.filter { namespace == nil || $0.spec.id.namespace == namespace }.sorted { $0.spec.id < $1.spec.id }
        }
    }

    func function(_ id: FunctionID) async -> FunctionStatus? { state.withLock { $0.functions[id] } }

    func putCode(_ archive: ByteBuffer) async throws -> String {
        state.withLock { $0.packages.append(Array(archive.readableBytesView)) }
        return String(repeating: "ab", count: 32)
    }

    // MARK: Secrets and namespaces

    func putSecret(_ secret: Secret, mustExist: Bool?) async throws {
        try state.withLock { state in
            let exists = state.secrets[secret.namespace]?[secret.name] != nil
            if mustExist == true && !exists { throw BrumeError(.notFound, "There is no secret '\(secret.name)'; create it first.") }
            if mustExist == false && exists { throw BrumeError(.exists, "The secret '\(secret.name)' is there already; update it.") }
            state.secrets[secret.namespace, default: [:]][secret.name] = secret.value
        }
    }

    func removeSecret(name: String, namespace: String) async throws {
        try state.withLock { state in
            guard state.secrets[namespace]?.removeValue(forKey: name) != nil else {
                throw BrumeError(.notFound, "There is no secret '\(name)'.")
            }
        }
    }

    func secretNames(namespace: String) async throws -> [String] { state.withLock { ($0.secrets[namespace] ?? [:]).keys.sorted() } }

    func namespaces() async throws -> [StoredNamespace] { state.withLock { $0.namespaces.values.sorted { $0.name < $1.name } } }

    func putNamespace(_ namespace: StoredNamespace, mustExist: Bool) async throws {
        try state.withLock { state in
            let exists = state.namespaces[namespace.name] != nil
            if mustExist && !exists { throw BrumeError(.notFound, "There is no namespace '\(namespace.name)'; create it first.") }
            if !mustExist && exists { throw BrumeError(.exists, "The namespace '\(namespace.name)' is there already; update it.") }
            state.namespaces[namespace.name] = namespace
        }
    }

    func removeNamespace(_ name: String) async throws {
        try state.withLock { state in
            guard state.namespaces.removeValue(forKey: name) != nil else { throw BrumeError(.notFound, "There is no namespace '\(name)'.") }
        }
    }

    // MARK: Records

    func logs(_ query: LogQuery, follow: Bool) async throws -> AsyncThrowingStream<LogLine, any Error> {
        let (lines, source) = AsyncThrowingStream<LogLine, any Error>.makeStream()
        let known = state.withLock { state in
            state.logQueries.append((query, follow))
            return state.lines.filter { $0.function == query.function }
        }
        for line in known.suffix(query.tail ?? known.count) { source.yield(line) }
        if follow {
            let abandoned = abandonedSource
            source.onTermination = { _ in abandoned.yield("logs") }
            waitingSource.yield("logs")
        } else {
            source.finish()
        }
        return lines
    }

    func calls(_ query: CallQuery) async throws -> [CallRecord] {
        state.withLock { state in
            state.callQueries.append(query)
            let found = state.records.filter { record in
                (query.label == nil || record.label == query.label) && (query.function == nil || record.function == query.function)
                    && (query.outcome == nil || record.outcome == query.outcome)
            }
            return Array(found.prefix(query.limit))
        }
    }

    func queueStatus() async throws -> QueueStatus {
        state.withLock { QueueStatus(waiting: $0.queued.count, running: 1, dead: $0.dead.count) }
    }

    func deadLetters(limit: Int) async throws -> [DeadLetter] { state.withLock { Array($0.dead.prefix(limit)) } }

    func redrive(_ ids: [CallID]?) async throws -> Int { take(ids) }

    func discardDeadLetters(_ ids: [CallID]?) async throws -> Int { take(ids) }

    private func take(_ ids: [CallID]?) -> Int {
        state.withLock { state in
            let before = state.dead.count
            state.dead.removeAll { letter in ids?.contains(letter.id) ?? true }
            return before - state.dead.count
        }
    }

    // MARK: Harvesting

    func harvest() async throws -> HarvestReport {
        guard let report = state.withLock({ $0.harvest }) else { throw BrumeError(.conflict, "This node lends nothing between calls.") }
        return report
    }

    func harvestLedger() async throws -> HarvestLedgerReport {
        _ = try await harvest()
        return state.withLock { $0.ledger }
    }

    func harvestProfile(_ id: FunctionID) async throws -> HarvestProfileReport {
        _ = try await harvest()
        guard let profile = state.withLock({ $0.profiles[id] }) else {
            throw BrumeError(.notFound, "There is no function '\(id)'.")
        }
        return profile
    }

    func status() async -> NodeStatus {
        NodeStatus(
            node: "test", version: "1", started: Instant(nanoseconds: 1_700_000_000_000_000_000),
            now: Instant(nanoseconds: 1_700_000_090_000_000_000), capacity: Resources(millicores: 2000, memoryBytes: 2 << 30),
            reserved: Resources(millicores: 50, memoryBytes: 128 << 20), replicas: 1, functions: state.withLock { $0.functions.count },
            isolation: "none", residentBytes: 1 << 20)
    }
}
