// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Dispatch
import GRDB
import Synchronization

/// The one writer of a log of state: every record that arrives while a commit is being synced shares the next one.
///
/// Records are written in their order. While the disk refuses, they wait in memory, and the oldest is tried again and again.
final class StateLogWriter: Sendable {
    private struct Entry: Sendable {
        let position: UInt64
        let body: [UInt8]
        let settled: @Sendable (StateLogSettled) -> Void
        let appended: ContinuousClock.Instant
        var isDelayed = false
    }

    private struct Operation: Sendable {
        /// Runs outside a transaction, and returns what to do when it is done.
        let perform: @Sendable (Database) throws -> @Sendable () -> Void
        let fail: @Sendable (BrumeError) -> Void
        /// It comes after every record, and nothing comes after it.
        var isLast = false
        /// It comes after the records up to here, or not at all.
        var after: UInt64 = 0
    }

    private struct State: Sendable {
        var pending: [Entry] = []
        var operations: [Operation] = []
        var nextPosition: UInt64 = 1
        var isUrgent = false
        var isWriting = false
        var isTimerArmed = false
        var isClosed = false
        /// The newest record that was given up, until a truncation has passed it.
        var lostPosition: UInt64?
        var figures = StateLogFigures()
    }

    private let queue: DatabaseQueue
    private let path: String
    private let settings: StateLogSettings
    private let timers = DispatchQueue(label: "brume.state-log.timer")
    private let state = Mutex(State())

    init(queue: DatabaseQueue, path: String, settings: StateLogSettings) {
        self.queue = queue
        self.path = path
        self.settings = settings
    }

    var figures: StateLogFigures {
        state.withLock { state in
            var figures = state.figures
            figures.isIncomplete = state.lostPosition != nil
            return figures
        }
    }

    /// Tells what was found on disk, before anything is appended.
    func begin(nextPosition: UInt64, recordBytes: Int, partBytes: Int) {
        state.withLock { state in
            state.nextPosition = nextPosition
            state.figures.recordBytes = recordBytes
            state.figures.partBytes = partBytes
        }
    }

    /// Counts what an operation changed on disk.
    func count(recordBytes: Int = 0, partBytes: Int = 0) {
        state.withLock { state in
            state.figures.recordBytes += recordBytes
            state.figures.partBytes += partBytes
        }
    }

    /// A snapshot holds what the records up to here said, those that were given up included.
    func forget(through position: UInt64) {
        state.withLock { state in
            if let lost = state.lostPosition, lost <= position { state.lostPosition = nil }
        }
    }

    // MARK: - Asking

    private enum Wake { case nothing, now, later(Duration) }

    func append(_ body: [UInt8], urgency: StateLogUrgency, settled: @escaping @Sendable (StateLogSettled) -> Void) -> UInt64 {
        let (position, refusal, wake): (UInt64, BrumeError?, Wake) = state.withLock { state in
            let position = state.nextPosition
            state.nextPosition += 1
            if let refusal = self.refusal(of: body.count, state) {
                state.lostPosition = position
                return (position, refusal, .nothing)
            }
            state.pending.append(Entry(position: position, body: body, settled: settled, appended: .now))
            state.figures.pendingBytes += body.count
            if urgency == .now { state.isUrgent = true }
            return (position, nil, nextWake(&state))
        }
        if let refusal { settled(.lost(refusal)) }
        act(on: wake)
        return position
    }

    private func refusal(of bytes: Int, _ state: State) -> BrumeError? {
        if state.isClosed { return BrumeError(.unavailable, "The log of state at \(path) is closed; start the node again.") }
        guard state.figures.pendingBytes + bytes > settings.pendingBytesMax, !state.pending.isEmpty else { return nil }
        let reason =
            state.figures.trouble ?? "The disk that holds \(path) is too slow for what is written; write less, or use a faster one."
        return BrumeError(.unavailable, reason)
    }

    /// Runs `perform` between two commits of records, and returns when it is done.
    ///
    /// - Parameter followsRecords: whether it must come after all records that were appended before; it fails where those cannot be written.
    func run<T: Sendable>(
        isLast: Bool = false, followsRecords: Bool = false, _ perform: @escaping @Sendable (Database) throws -> T
    ) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            var operation = Operation(
                perform: { db in
                    let value = try perform(db)
                    return { continuation.resume(returning: value) }
                },
                fail: { continuation.resume(throwing: $0) }, isLast: isLast)
            let isAccepted = state.withLock { state in
                guard !state.isClosed else { return false }
                if followsRecords { operation.after = state.nextPosition - 1 }
                state.operations.append(operation)
                state.isClosed = isLast
                return true
            }
            guard isAccepted else {
                operation.fail(BrumeError(.unavailable, "The log of state at \(path) is closed; start the node again."))
                return
            }
            wake()
        }
    }

    // MARK: - Scheduling

    private func nextWake(_ state: inout State) -> Wake {
        guard !state.isWriting else { return .nothing }
        if !state.operations.isEmpty { return .now }
        guard !state.pending.isEmpty else { return .nothing }
        if state.figures.trouble == nil, state.isUrgent || state.figures.pendingBytes >= settings.intervalBytesMax { return .now }
        guard !state.isTimerArmed else { return .nothing }
        state.isTimerArmed = true
        return .later(state.figures.trouble == nil ? settings.interval : settings.retryDelay)
    }

    private func act(on wake: Wake) {
        switch wake {
        case .nothing: break
        case .now: self.wake()
        case .later(let delay):
            timers.asyncAfter(deadline: .now() + .nanoseconds(Int(delay.wholeNanoseconds))) { [weak self] in
                guard let self else { return }
                state.withLock { $0.isTimerArmed = false }
                self.wake()
            }
        }
    }

    private func wake() {
        let begins = state.withLock { state in
            guard !state.isWriting, !state.operations.isEmpty || !state.pending.isEmpty else { return false }
            state.isWriting = true
            return true
        }
        if begins { queue.asyncWriteWithoutTransaction { self.drain($0) } }
    }

    // MARK: - On the writer's queue

    /// Writes one commit of records and performs one operation, then yields the queue before the next.
    private func drain(_ db: Database) {
        let entries = state.withLock { state in
            var bytes = 0
            let count = state.pending.prefix { entry in
                defer { bytes += entry.body.count }
                return bytes == 0 || bytes + entry.body.count <= settings.commitBytesMax
            }.count
            let entries = Array(state.pending.prefix(count))
            state.pending.removeFirst(count)
            state.isUrgent = false
            return entries
        }
        var isWritten = true
        if !entries.isEmpty {
            do {
                try write(entries, db)
                didWrite(entries)
            } catch {
                isWritten = false
                didNotWrite(entries, StoreFailure.describe(error, path: path))
            }
        }
        perform(after: isWritten, db)
        act(
            on: state.withLock { state in
                state.isWriting = false
                return nextWake(&state)
            })
    }

    private func write(_ entries: [Entry], _ db: Database) throws {
        let statement = try db.cachedStatement(sql: "INSERT OR REPLACE INTO records (position, checksum, body) VALUES (?, ?, ?)")
        try db.inTransaction(.immediate) {
            for entry in entries {
                let checksum = StateLogChecksum.of(record: entry.body, position: entry.position)
                try statement.execute(arguments: [Int64(bitPattern: entry.position), checksum, entry.body.blob])
            }
            return .commit
        }
    }

    private func didWrite(_ entries: [Entry]) {
        let took = entries.first.map { ContinuousClock.now - $0.appended } ?? .zero
        let bytes = entries.reduce(0) { $0 + $1.body.count }
        state.withLock { state in
            state.figures.commits += 1
            state.figures.records += entries.count
            state.figures.lastCommit = took
            state.figures.recordBytes += bytes
            state.figures.pendingBytes -= bytes
            state.figures.trouble = nil
        }
        for entry in entries { entry.settled(.durable) }
    }

    private func didNotWrite(_ entries: [Entry], _ error: BrumeError) {
        let delayed = state.withLock { state in
            state.figures.trouble = error.message
            let told = entries.filter { !$0.isDelayed }
            state.pending.insert(
                contentsOf: entries.map { entry in
                    var entry = entry
                    entry.isDelayed = true
                    return entry
                }, at: 0)
            return told
        }
        for entry in delayed { entry.settled(.delayed(error)) }
    }

    /// The last operation waits for every record, unless the disk refuses them: a node that ends waits for no disk.
    private func perform(after isWritten: Bool, _ db: Database) {
        let (operation, lost, isTooEarly) = state.withLock { state -> (Operation?, [Entry], Bool) in
            guard let first = state.operations.first, !first.isLast || state.pending.isEmpty || !isWritten else { return (nil, [], false) }
            let isTooEarly = !first.isLast && state.pending.first.map { $0.position <= first.after } ?? false
            if isTooEarly, isWritten { return (nil, [], false) }
            state.operations.removeFirst()
            guard first.isLast, let last = state.pending.last else { return (first, [], isTooEarly) }
            state.lostPosition = last.position
            let lost = state.pending
            state.pending = []
            state.figures.pendingBytes = 0
            return (first, lost, false)
        }
        let reason = BrumeError(.unavailable, "The node ended before the log of state at \(path) could be written; free some space.")
        for entry in lost { entry.settled(.lost(reason)) }
        guard let operation else { return }
        if isTooEarly {
            let reason = state.withLock { $0.figures.trouble } ?? "The records before it could not be written."
            return operation.fail(BrumeError(.unavailable, reason))
        }
        do {
            let finish = try operation.perform(db)
            finish()
        } catch {
            operation.fail(StoreFailure.describe(error, path: path))
        }
    }
}
