// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import GRDB
import Synchronization

/// The tables of ended calls and log lines: inserts, queries, and the bounds.
///
/// New and old are told apart by the order of writing, never by times: a clock that was corrected between two starts must not make new
/// rows look older than old ones.
final class HistoryTable: Sendable {
    /// Rows that may exceed a bound before the oldest are removed: removing a thousand at once is cheap per row and takes some 10 ms.
    static let pruneSlack = 1_000

    /// All lines together may exceed their bound by a tenth: finding the oldest one to keep walks the whole table, some 100 ms.
    private static let allLinesSlackShare = 10

    private struct SincePrune: Sendable {
        var calls = 0
        var lines: [String: Int] = [:]
        var allLines = 0
    }

    private let settings: StoreSettings
    /// Rows inserted since the last removal. Only the writer's queue touches it; the lock is there for the compiler.
    private let sincePrune = Mutex(SincePrune())

    init(settings: StoreSettings) { self.settings = settings }

    // MARK: - Writing

    func insert(calls: [CallRecord], lines: [LogLine], _ db: Database) throws {
        if !calls.isEmpty { try insert(calls, db) }
        if !lines.isEmpty { try insert(lines, db) }
    }

    private func insert(_ calls: [CallRecord], _ db: Database) throws {
        let statement = try db.cachedStatement(sql: Self.insertCall)
        for call in calls { try statement.execute(arguments: try Self.arguments(call)) }
        let isDue = sincePrune.withLock { since in
            since.calls += calls.count
            return since.calls >= Self.pruneSlack
        }
        if isDue { try pruneCalls(db) }
    }

    private func insert(_ lines: [LogLine], _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: "INSERT INTO logs (function, time, instance, stream, text) VALUES (?, ?, ?, ?, ?)")
        var counts: [String: Int] = [:]
        for line in lines {
            let function = line.function.description
            try statement.execute(arguments: [
                function, line.time.nanoseconds, line.instance, line.stream.rawValue, StoredText.column(line.text),
            ])
            counts[function, default: 0] += 1
        }
        let (due, isTotalDue) = sincePrune.withLock { [counts] since in
            since.allLines += lines.count
            var due: [String] = []
            for (function, count) in counts {
                since.lines[function, default: 0] += count
                if since.lines[function, default: 0] >= Self.pruneSlack { due.append(function) }
            }
            return (due, since.allLines >= settings.logLinesMax / Self.allLinesSlackShare)
        }
        for function in due { try pruneLines(of: function, db) }
        if isTotalDue { try pruneAllLines(db) }
    }

    /// Removes everything beyond the bounds.
    func prune(_ db: Database) throws {
        try pruneCalls(db)
        let functions = try String.fetchAll(
            db, sql: "SELECT function FROM logs GROUP BY function HAVING COUNT(*) > ?", arguments: [settings.logLinesPerFunctionMax])
        for function in functions { try pruneLines(of: function, db) }
        try pruneAllLines(db)
    }

    private func pruneCalls(_ db: Database) throws {
        sincePrune.withLock { $0.calls = 0 }
        let statement = try db.cachedStatement(
            sql: """
                DELETE FROM calls WHERE rowid IN (
                    SELECT rowid FROM calls ORDER BY rowid LIMIT max(0, (SELECT COUNT(*) FROM calls) - ?))
                """)
        try statement.execute(arguments: [settings.callsMax])
    }

    private func pruneLines(of function: String, _ db: Database) throws {
        sincePrune.withLock { $0.lines[function] = nil }
        let statement = try db.cachedStatement(
            sql: """
                DELETE FROM logs WHERE id IN (
                    SELECT id FROM logs WHERE function = ? ORDER BY id DESC LIMIT -1 OFFSET ?)
                """)
        try statement.execute(arguments: [function, settings.logLinesPerFunctionMax])
    }

    private func pruneAllLines(_ db: Database) throws {
        sincePrune.withLock {
            $0.allLines = 0
            // Functions come and go; forgetting their counts here keeps the table of counts bounded.
            $0.lines.removeAll(keepingCapacity: true)
        }
        // Ids only grow: where they span no more than the bound, there is nothing to walk for.
        let span = try Int.fetchOne(db, sql: "SELECT (SELECT max(id) FROM logs) - (SELECT min(id) FROM logs)") ?? 0
        guard span >= settings.logLinesMax else { return }
        let statement = try db.cachedStatement(
            sql: "DELETE FROM logs WHERE id <= (SELECT id FROM logs ORDER BY id DESC LIMIT 1 OFFSET ?)")
        try statement.execute(arguments: [settings.logLinesMax])
    }

    // MARK: - Reading

    func calls(_ query: CallQuery, _ db: Database) throws -> [CallRecord] {
        var conditions: [String] = []
        var arguments: StatementArguments = []
        if let function = query.function {
            conditions.append("function = ?")
            arguments += [function.description]
        }
        if let label = query.label {
            conditions.append("label = ?")
            arguments += [label]
        }
        if let outcome = query.outcome {
            conditions.append("outcome = ?")
            arguments += [outcome.rawValue]
        }
        if let since = query.since {
            conditions.append("arrived >= ?")
            arguments += [since.nanoseconds]
        }
        arguments += [max(0, query.limit)]
        let filter = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        let statement = try db.cachedStatement(
            sql: "SELECT \(Self.callColumns) FROM calls \(filter) ORDER BY rowid DESC LIMIT ?")
        return try Self.fetch(statement, arguments, Self.call)
    }

    func lines(_ query: LogQuery, _ db: Database) throws -> [LogLine] {
        var conditions = ["function = ?"]
        var arguments: StatementArguments = [query.function.description]
        if let instance = query.instance {
            conditions.append("instance = ?")
            arguments += [instance]
        }
        if let since = query.since {
            conditions.append("time >= ?")
            arguments += [since.nanoseconds]
        }
        arguments += [max(0, query.tail ?? settings.logLinesPerFunctionMax + Self.pruneSlack)]
        let statement = try db.cachedStatement(
            sql: """
                SELECT time, instance, stream, text FROM logs WHERE \(conditions.joined(separator: " AND "))
                ORDER BY id DESC LIMIT ?
                """)
        let newestFirst = try Self.fetch(statement, arguments) { row in
            LogLine(
                function: query.function, instance: row[1], time: Instant(nanoseconds: row[0]),
                stream: LogLine.Stream(rawValue: row[2]) ?? .platform, text: StoredText.text(row[3]))
        }
        return newestFirst.reversed()
    }

    private static func fetch<T>(
        _ statement: Statement, _ arguments: StatementArguments, _ make: (Row) throws -> T
    ) throws -> [T] {
        var values: [T] = []
        let rows = try Row.fetchCursor(statement, arguments: arguments)
        while let row = try rows.next() { values.append(try make(row)) }
        return values
    }

    // MARK: - Rows

    private static let callColumns = """
        id, attempt, label, function, node, arrived, queued, starting, running, outcome, status, cold, replica, asynchronous, failure, \
        message, decisions, harvest
        """

    /// The last word on an attempt wins: a call is first kept as `running`, then as ended.
    private static let insertCall = """
        INSERT OR REPLACE INTO calls (\(callColumns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """

    private static func arguments(_ call: CallRecord) throws -> StatementArguments {
        [
            Int64(bitPattern: call.id.number), call.attempt, call.label, call.function.description, call.node,
            call.arrived.nanoseconds, call.timing.queued.wholeNanoseconds, call.timing.starting.wholeNanoseconds,
            call.timing.running.wholeNanoseconds, call.outcome.rawValue, call.status, call.cold,
            call.replica.map { Int64(bitPattern: $0.number) }, call.asynchronous, call.failureKind,
            StoredText.column(call.message), EscapedLines.join(call.decisions), try call.harvest.map { try StoredText.encode($0) },
        ]
    }

    private static func call(_ row: Row) throws -> CallRecord {
        let outcome: String = row[9]
        var record = CallRecord(
            id: CallID(UInt64(bitPattern: row[0])), label: row[2], function: try FunctionID(parsing: row[3]), node: row[4],
            arrived: Instant(nanoseconds: row[5]),
            timing: CallTiming(queued: .nanoseconds(row[6]), starting: .nanoseconds(row[7]), running: .nanoseconds(row[8])),
            outcome: CallRecord.Outcome(rawValue: outcome) ?? .failed, status: row[10], cold: row[11],
            replica: (row[12] as Int64?).map { ReplicaID(UInt64(bitPattern: $0)) }, asynchronous: row[13], attempt: row[1],
            failureKind: row[14], message: StoredText.text(row[15]), decisions: EscapedLines.split(row[16]))
        // What an older program cannot read any more is told as not known.
        record.harvest = (row[17] as String?).flatMap { try? StoredText.decode(CallHarvest.self, $0) }
        return record
    }
}
