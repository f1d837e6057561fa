// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Dispatch
import GRDB
import Logging
import Synchronization

/// The one writer: everything that arrives while a transaction is being synced shares the next one.
///
/// Operations are on disk when ``commit(afterHistory:_:)`` returns. History (ended calls, log lines) rides along with them,
/// or goes by itself after ``historyDelay``.
final class GroupCommitter: Sendable {
    /// Longest time that history stays in memory while the disk works: well within the second that the port promises.
    static let historyDelay = DispatchTimeInterval.milliseconds(200)
    /// After a failed write (a full disk) history waits so long before it is tried again.
    static let retryDelay = DispatchTimeInterval.seconds(1)
    /// Operations that share one transaction at most: more would not make a sync cheaper, but every caller wait longer.
    static let operationsPerTransactionMax = 512

    private struct Operation: Sendable {
        /// Whether all history that was there before must be written with it.
        let afterHistory: Bool
        /// Changes the database and returns what to do when the change is on disk. May run twice if a neighbour in its group fails.
        let perform: @Sendable (Database) throws -> @Sendable () -> Void
        let fail: @Sendable (BrumeError) -> Void
    }

    private struct State: Sendable {
        var operations: [Operation] = []
        var history: HistoryBuffer
        var isDraining = false
        var isTimerArmed = false
        var isClosed = false
        /// Whether the last write of history failed: the log tells of the first failure and of the recovery, not of each try.
        var isHistoryFailing = false
    }

    private let pool: DatabasePool
    private let path: String
    private let historyTable: HistoryTable
    private let logger: Logger
    private let timers = DispatchQueue(label: "brume.store.timer")
    private let state: Mutex<State>

    init(pool: DatabasePool, path: String, settings: StoreSettings, historyTable: HistoryTable, logger: Logger) {
        self.pool = pool
        self.path = path
        self.historyTable = historyTable
        self.logger = logger
        state = Mutex(State(history: HistoryBuffer(settings: settings)))
    }

    /// Performs `body` in a transaction that it shares with others, and returns when that is on disk.
    ///
    /// A refusal that changed nothing should be a result: an error makes the whole group run again one by one.
    func commit<T: Sendable>(
        afterHistory: Bool = false, closing: Bool = false, _ body: @escaping @Sendable (Database) throws -> T
    ) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            let operation = Operation(
                afterHistory: afterHistory,
                perform: { db in
                    let value = try body(db)
                    return { continuation.resume(returning: value) }
                },
                fail: { continuation.resume(throwing: $0) })
            submit(operation, closing: closing)
        }
    }

    func record(_ call: CallRecord) {
        appendHistory { $0.append(call) }
    }

    func append(_ lines: [LogLine]) {
        appendHistory { $0.append(lines) }
    }

    /// Whether a reader might miss rows: they are still in memory, or taken from there and not yet committed.
    var hasHistory: Bool { state.withLock { !$0.history.isEmpty || $0.isDraining } }

    /// Calls and lines that never reached the disk because the buffer was full.
    var dropped: (calls: Int, lines: Int) { state.withLock { ($0.history.droppedCalls, $0.history.droppedLines) } }

    /// Writes what is pending and refuses everything after.
    func close() async throws {
        try await commit(afterHistory: true, closing: true) { _ in }
    }

    // MARK: - Scheduling

    private enum Wake { case nothing, now, later }

    private func submit(_ operation: Operation, closing: Bool) {
        let isAccepted = state.withLock { state in
            guard !state.isClosed else { return false }
            state.operations.append(operation)
            state.isClosed = closing
            return true
        }
        guard isAccepted else {
            operation.fail(BrumeError(.unavailable, "The store at \(path) is closed; start the node again."))
            return
        }
        wake()
    }

    private func appendHistory(_ change: (inout HistoryBuffer) -> Void) {
        let next: Wake = state.withLock { state in
            guard !state.isClosed else { return .nothing }
            change(&state.history)
            if state.isDraining { return .nothing }
            if state.history.isWorthWriting { return .now }
            guard !state.isTimerArmed else { return .nothing }
            state.isTimerArmed = true
            return .later
        }
        switch next {
        case .nothing: break
        case .now: wake()
        case .later: wake(after: Self.historyDelay)
        }
    }

    private func wake(after delay: DispatchTimeInterval) {
        timers.asyncAfter(deadline: .now() + delay) { [weak self] in
            guard let self else { return }
            state.withLock { $0.isTimerArmed = false }
            wake()
        }
    }

    private func wake() {
        let begins = state.withLock { state in
            guard !state.isDraining, !state.operations.isEmpty || (!state.history.isEmpty && !state.isClosed) else { return false }
            state.isDraining = true
            return true
        }
        if begins { pool.asyncWriteWithoutTransaction { self.drain($0) } }
    }

    // MARK: - On the writer's queue

    private struct Batch {
        var operations: [Operation]
        var calls: [CallRecord]
        var lines: [LogLine]
    }

    /// Writes one batch, then yields the writer's queue before the next.
    private func drain(_ db: Database) {
        let batch = state.withLock { state in
            let operations = Array(state.operations.prefix(Self.operationsPerTransactionMax))
            state.operations.removeFirst(operations.count)
            let (calls, lines) = state.history.take(all: operations.contains { $0.afterHistory })
            return Batch(operations: operations, calls: calls, lines: lines)
        }
        var historyFailed = false
        do {
            try writeTogether(batch, db)
        } catch {
            historyFailed = writeOneByOne(batch, db)
        }
        finishDrain(historyFailed: historyFailed)
    }

    private func writeTogether(_ batch: Batch, _ db: Database) throws {
        var finished: [@Sendable () -> Void] = []
        finished.reserveCapacity(batch.operations.count)
        try db.inTransaction(.immediate) {
            try historyTable.insert(calls: batch.calls, lines: batch.lines, db)
            for operation in batch.operations { finished.append(try operation.perform(db)) }
            return .commit
        }
        for finish in finished { finish() }
    }

    /// Something in the batch failed: gives each its own transaction, so that only the failing ones fail. True if history failed.
    private func writeOneByOne(_ batch: Batch, _ db: Database) -> Bool {
        var historyError: BrumeError?
        do {
            try db.inTransaction(.immediate) {
                try historyTable.insert(calls: batch.calls, lines: batch.lines, db)
                return .commit
            }
        } catch {
            let error = StoreFailure.describe(error, path: path)
            historyError = error
            let isFirst = state.withLock { state in
                state.history.giveBack(calls: batch.calls, lines: batch.lines)
                defer { state.isHistoryFailing = true }
                return !state.isHistoryFailing
            }
            if isFirst { logger.error("Calls and log lines cannot be written; trying again.", metadata: ["error": "\(error)"]) }
        }
        for operation in batch.operations {
            if operation.afterHistory, let historyError {
                operation.fail(historyError)
                continue
            }
            do {
                var finish: (@Sendable () -> Void)?
                try db.inTransaction(.immediate) {
                    finish = try operation.perform(db)
                    return .commit
                }
                finish?()
            } catch {
                operation.fail(StoreFailure.describe(error, path: path))
            }
        }
        return historyError != nil
    }

    private func finishDrain(historyFailed: Bool) {
        let (next, hasRecovered): (Wake, Bool) = state.withLock { state in
            state.isDraining = false
            let hasRecovered = state.isHistoryFailing && !historyFailed
            if hasRecovered { state.isHistoryFailing = false }
            return (nextWake(&state, historyFailed: historyFailed), hasRecovered)
        }
        if hasRecovered {
            let (calls, lines) = dropped
            logger.notice(
                "Calls and log lines are written again.", metadata: ["dropped-calls": "\(calls)", "dropped-lines": "\(lines)"])
        }
        switch next {
        case .nothing: break
        case .now: wake()
        case .later: wake(after: historyFailed ? Self.retryDelay : Self.historyDelay)
        }
    }

    private func nextWake(_ state: inout State, historyFailed: Bool) -> Wake {
        if !state.operations.isEmpty { return .now }
        guard !state.history.isEmpty, !state.isClosed else { return .nothing }
        if state.history.isWorthWriting && !historyFailed { return .now }
        guard !state.isTimerArmed else { return .nothing }
        state.isTimerArmed = true
        return .later
    }
}
