// SPDX-License-Identifier: Apache-2.0
public import BrumeModel
import Synchronization

/// A store without a disk, for simulations and for tests of a node. It passes the same conformance suite as the real one.
///
/// Everything it holds is bounded like the real one's: history by ``callsMax`` and ``logLinesPerFunctionMax``,
/// results by ``deliveriesMax``, the rest by its caller.
public final class MemoryStore<Payload: Sendable>: Store {
    private struct Entry: Sendable {
        var call: QueuedCall<Payload>
        var position: Int
        var isDead = false
        var lastFailure = ""
    }

    private struct CallKey: Hashable {
        let id: CallID
        let attempt: Int
    }

    private struct Package: Sendable {
        let digest: String
        var put: Instant
    }

    private struct State: Sendable {
        var epoch: UInt64 = 0
        var functions: [StoredFunction] = []
        var packages: [Package] = []
        var secrets: [Secret] = []
        var namespaces: [StoredNamespace] = []
        var calls: [CallRecord] = []
        var callIndex: [CallKey: Int] = [:]
        var logs: [FunctionID: [LogLine]] = [:]
        var queue: [CallID: Entry] = [:]
        /// Order of acceptance; may name entries that are gone until `trim` forgets them.
        var order: [(id: CallID, position: Int)] = []
        var accepted = 0
        var deliveries: [StoredDelivery<Payload>] = []
        var droppedDeliveries = 0
    }

    /// Ended calls kept; the oldest go. A simulated day's tail is enough to look at.
    public let callsMax: Int
    /// Log lines kept for each function; the oldest go.
    public let logLinesPerFunctionMax: Int

    /// Results kept that no receiver has taken; the oldest go and are counted.
    public let deliveriesMax: Int

    private let digest: @Sendable (Payload) -> String
    private let now: @Sendable () -> Instant
    private let state = Mutex(State())

    /// - Parameters:
    ///   - digest: names a package by its bytes; the same bytes must give the same name.
    ///   - now: the clock that packages age by.
    public init(
        callsMax: Int = 100_000, logLinesPerFunctionMax: Int = 10_000, deliveriesMax: Int = 10_000,
        now: @escaping @Sendable () -> Instant = { .zero },
        digest: @escaping @Sendable (Payload) -> String
    ) {
        self.callsMax = callsMax
        self.logLinesPerFunctionMax = logLinesPerFunctionMax
        self.deliveriesMax = deliveriesMax
        self.now = now
        self.digest = digest
    }

    public func beginEpoch() async throws -> UInt64 {
        state.withLock { state in
            state.epoch += 1
            return state.epoch
        }
    }

    // MARK: - Functions, code, secrets, namespaces

    public func putFunction(_ function: StoredFunction) async throws {
        state.withLock { state in
            state.functions.removeAll { $0.spec.id == function.spec.id }
            state.functions.append(function)
            state.functions.sort { $0.spec.id < $1.spec.id }
        }
    }

    public func removeFunction(_ id: FunctionID) async throws {
        state.withLock { $0.functions.removeAll { $0.spec.id == id } }
    }

    public func functions() async throws -> [StoredFunction] { state.withLock { $0.functions } }

    public func putCode(_ archive: Payload) async throws -> String {
        let package = Package(digest: digest(archive), put: now())
        state.withLock { state in
            state.packages.removeAll { $0.digest == package.digest }
            state.packages.append(package)
        }
        return package.digest
    }

    /// A name, not a path: `memory:DIGEST`.
    public func codePath(digest: String) async throws -> String? {
        state.withLock { $0.packages.contains { $0.digest == digest } } ? "memory:\(digest)" : nil
    }

    public func pruneCode(olderThan age: Duration) async throws -> Int {
        let now = now()
        return state.withLock { state in
            let used = state.functions.compactMap { function in
                if case .bundle(let digest) = function.spec.package { digest } else { nil }
            }
            let before = state.packages.count
            state.packages.removeAll { !used.contains($0.digest) && now - $0.put >= age }
            return before - state.packages.count
        }
    }

    public func putSecret(_ secret: Secret) async throws {
        state.withLock { state in
            state.secrets.removeAll { $0.name == secret.name && $0.namespace == secret.namespace }
            state.secrets.append(secret)
            state.secrets.sort { ($0.namespace, $0.name) < ($1.namespace, $1.name) }
        }
    }

    public func removeSecret(name: String, namespace: String) async throws -> Bool {
        state.withLock { state in
            let before = state.secrets.count
            state.secrets.removeAll { $0.name == name && $0.namespace == namespace }
            return state.secrets.count < before
        }
    }

    public func secrets(namespace: String) async throws -> [Secret] {
        state.withLock { $0.secrets.filter { $0.namespace == namespace } }
    }

    public func putNamespace(_ namespace: StoredNamespace) async throws {
        state.withLock { state in
            state.namespaces.removeAll { $0.name == namespace.name }
            state.namespaces.append(namespace)
            state.namespaces.sort { $0.name < $1.name }
        }
    }

    public func removeNamespace(_ name: String) async throws -> Bool {
        state.withLock { state in
            let before = state.namespaces.count
            state.namespaces.removeAll { $0.name == name }
            return state.namespaces.count < before
        }
    }

    public func namespaces() async throws -> [StoredNamespace] { state.withLock { $0.namespaces } }

    // MARK: - History

    public func record(_ call: CallRecord) {
        state.withLock { state in
            let key = CallKey(id: call.id, attempt: call.attempt)
            if let index = state.callIndex[key] {
                // The last word counts as the newest; it comes seldom.
                state.calls.remove(at: index)
                reindex(&state)
            }
            state.callIndex[key] = state.calls.count
            state.calls.append(call)
            // A tenth above the bound, so that moving all is rare.
            if state.calls.count > callsMax + callsMax / 10 { pruneCalls(&state) }
        }
    }

    public func append(_ lines: [LogLine]) {
        state.withLock { state in
            for line in lines {
                var kept = state.logs.removeValue(forKey: line.function) ?? []
                kept.append(line)
                if kept.count > logLinesPerFunctionMax + logLinesPerFunctionMax / 10 {
                    kept.removeFirst(kept.count - logLinesPerFunctionMax)
                }
                state.logs[line.function] = kept
            }
        }
    }

    public func flush() async throws {}

    public func calls(_ query: CallQuery) async throws -> [CallRecord] {
        let matching = state.withLock { state in
            state.calls.filter { call in
                (query.function == nil || call.function == query.function) && (query.label == nil || call.label == query.label)
                    && (query.outcome == nil || call.outcome == query.outcome) && (query.since.map { call.arrived >= $0 } ?? true)
            }
        }
        return Array(matching.reversed().prefix(max(0, query.limit)))
    }

    public func logs(_ query: LogQuery) async throws -> [LogLine] {
        let lines = state.withLock { $0.logs[query.function] ?? [] }
        let matching = lines.filter { line in
            (query.instance == nil || line.instance == query.instance) && (query.since.map { line.time >= $0 } ?? true)
        }
        return Array(matching.suffix(max(0, query.tail ?? .max)))
    }

    public func prune() async throws {
        state.withLock { state in
            pruneCalls(&state)
            for index in state.functions.indices {
                let function = state.functions[index].spec.id
                guard let lines = state.logs[function], lines.count > logLinesPerFunctionMax else { continue }
                state.logs[function] = Array(lines.suffix(logLinesPerFunctionMax))
            }
        }
    }

    private func pruneCalls(_ state: inout State) {
        guard state.calls.count > callsMax else { return }
        state.calls.removeFirst(state.calls.count - callsMax)
        reindex(&state)
    }

    private func reindex(_ state: inout State) {
        state.callIndex.removeAll(keepingCapacity: true)
        for (index, call) in state.calls.enumerated() { state.callIndex[CallKey(id: call.id, attempt: call.attempt)] = index }
    }

    // MARK: - Queue

    public func enqueue(_ call: QueuedCall<Payload>) async throws {
        guard case .whole = call.request.body else {
            throw BrumeError(.invalid, "A call with a streamed body cannot be queued; read the body first.")
        }
        let isNew = state.withLock { state in
            guard state.queue[call.id] == nil else { return false }
            state.accepted += 1
            state.queue[call.id] = Entry(call: call, position: state.accepted)
            state.order.append((call.id, state.accepted))
            if state.order.count > 2 * state.queue.count + 64 { Self.trim(&state) }
            return true
        }
        guard isNew else { throw BrumeError(.exists, "The call \(call.id) is in the queue already.") }
    }

    public func queued() async throws -> [QueuedCall<Payload>] {
        state.withLock { state in Self.entries(&state) { !$0.isDead }.map(\.call) }
    }

    public func queued(_ id: CallID) async throws -> QueuedCall<Payload>? {
        state.withLock { state in
            guard let entry = state.queue[id], !entry.isDead else { return nil }
            return entry.call
        }
    }

    public func complete(_ id: CallID, delivery: StoredDelivery<Payload>?) async throws {
        state.withLock { state in
            guard state.queue[id]?.isDead == false else { return }
            state.queue[id] = nil
            if let delivery { add(delivery, &state) }
        }
    }

    public func reschedule(_ id: CallID, attempt: Int, notBefore: Instant, lastFailure: String) async throws {
        try change(id) { entry, _ in
            entry.call.attempts = attempt
            entry.call.notBefore = notBefore
            entry.lastFailure = lastFailure
        }
    }

    public func bury(_ id: CallID, attempt: Int, lastFailure: String, delivery: StoredDelivery<Payload>?) async throws {
        try change(id) { entry, state in
            entry.call.attempts = attempt
            entry.lastFailure = lastFailure
            entry.isDead = true
            if let delivery { add(delivery, &state) }
        }
    }

    public func deadLetters(limit: Int) async throws -> [DeadLetter] {
        let dead = state.withLock { state in Self.entries(&state) { $0.isDead } }
        return dead.reversed().prefix(max(0, limit)).map { entry in
            DeadLetter(
                id: entry.call.id, label: entry.call.request.label, function: entry.call.request.function,
                accepted: entry.call.accepted, attempts: entry.call.attempts, lastFailure: entry.lastFailure)
        }
    }

    public func redrive(_ ids: [CallID]?) async throws -> [QueuedCall<Payload>] {
        state.withLock { state in
            Self.entries(&state) { entry in entry.isDead && (ids?.contains(entry.call.id) ?? true) }.map { entry in
                var revived = Entry(call: entry.call, position: entry.position)
                revived.call.attempts = 0
                revived.call.notBefore = .zero
                state.queue[entry.call.id] = revived
                return revived.call
            }
        }
    }

    public func discardDeadLetters(_ ids: [CallID]?) async throws -> Int {
        state.withLock { state in
            let dead = Self.entries(&state) { entry in entry.isDead && (ids?.contains(entry.call.id) ?? true) }
            for entry in dead { state.queue[entry.call.id] = nil }
            return dead.count
        }
    }

    // MARK: - Deliveries

    public func deliveries() async throws -> [StoredDelivery<Payload>] { state.withLock { $0.deliveries } }

    public func delivered(_ id: CallID, accepted: Instant) async throws {
        state.withLock { $0.deliveries.removeAll { $0.call == id && $0.accepted == accepted } }
    }

    public func deliveryFailed(_ id: CallID, accepted: Instant, failedAttempts: Int) async throws {
        state.withLock { state in
            guard let index = state.deliveries.firstIndex(where: { $0.call == id && $0.accepted == accepted }) else { return }
            state.deliveries[index].failedAttempts = failedAttempts
        }
    }

    /// Deliveries that had to make room for newer ones.
    public var droppedDeliveries: Int { state.withLock { $0.droppedDeliveries } }

    private func add(_ delivery: StoredDelivery<Payload>, _ state: inout State) {
        state.deliveries.removeAll { $0.call == delivery.call }
        state.deliveries.append(delivery)
        let excess = max(0, state.deliveries.count - deliveriesMax)
        state.deliveries.removeFirst(excess)
        state.droppedDeliveries += excess
    }

    private func change(_ id: CallID, _ body: (inout Entry, inout State) -> Void) throws(BrumeError) {
        let isThere = state.withLock { state in
            guard var entry = state.queue[id], !entry.isDead else { return false }
            body(&entry, &state)
            state.queue[id] = entry
            return true
        }
        guard isThere else { throw BrumeError(.notFound, "The call \(id) is not in the queue; it has ended or was discarded.") }
    }

    /// Entries in order of acceptance.
    private static func entries(_ state: inout State, where matches: (Entry) -> Bool) -> [Entry] {
        trim(&state)
        return state.order.compactMap { state.queue[$0.id] }.filter(matches)
    }

    /// Forgets places in the order whose call has ended, or was accepted anew at a later place.
    private static func trim(_ state: inout State) {
        let queue = state.queue
        state.order.removeAll { queue[$0.id]?.position != $0.position }
    }
}
