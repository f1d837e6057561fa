// SPDX-License-Identifier: Apache-2.0
package import BrumeModel
import FoundationEssentials
import GRDB
package import NIOCore
import Synchronization

extension SQLiteStore {
    /// Buried calls after which the bound on dead letters is looked at again.
    private static let buriesPerPrune = 256

    package func enqueue(_ call: QueuedCall<ByteBuffer>) async throws {
        guard case .whole(let body) = call.request.body else {
            throw BrumeError(.invalid, "A call with a streamed body cannot be queued; read the body first.")
        }
        // The place is taken first, so that many callers at once cannot pass the bound together.
        guard queuedCount.add(1, ordering: .relaxed).newValue <= settings.queuedMax else {
            queuedCount.subtract(1, ordering: .relaxed)
            throw BrumeError(.unavailable, "The queue is full (\(settings.queuedMax) calls); try again later.")
        }
        do {
            let row = QueueTable.arguments(call, body: Data(body.readableBytesView))
            let isNew = try await committer.commit { try QueueTable.insert(row, $0) }
            guard isNew else { throw BrumeError(.exists, "The call \(call.id) is in the queue already.") }
        } catch {
            queuedCount.subtract(1, ordering: .relaxed)
            throw error
        }
    }

    package func queued() async throws -> [QueuedCall<ByteBuffer>] {
        try await read { db in
            try QueueTable.fetch("WHERE dead = 0 ORDER BY position", [], db)
        }
    }

    package func queued(_ id: CallID) async throws -> QueuedCall<ByteBuffer>? {
        try await read { db in
            try QueueTable.fetch("WHERE id = ? AND dead = 0", [QueueTable.key(id)], db).first
        }
    }

    package func complete(_ id: CallID, delivery: StoredDelivery<ByteBuffer>?) async throws {
        let row = delivery.map { DeliveryTable.arguments($0) }
        let (removed, dropped) = try await committer.commit(afterHistory: true) { [settings] db in
            try db.cachedStatement(sql: "DELETE FROM queue WHERE id = ? AND dead = 0").execute(arguments: [QueueTable.key(id)])
            let removed = db.changesCount
            guard removed == 1, let row else { return (removed, 0) }
            return (removed, try DeliveryTable.insert(row, keeping: settings.deliveriesMax, db))
        }
        queuedCount.subtract(removed, ordering: .relaxed)
        noteDroppedDeliveries(dropped)
    }

    package func reschedule(_ id: CallID, attempt: Int, notBefore: Instant, lastFailure: String) async throws {
        let changed = try await committer.commit { db in
            try db.cachedStatement(
                sql: "UPDATE queue SET attempts = ?, not_before = ?, last_failure = ? WHERE id = ? AND dead = 0"
            ).execute(arguments: [attempt, notBefore.nanoseconds, StoredText.column(lastFailure), QueueTable.key(id)])
            return db.changesCount
        }
        guard changed == 1 else { throw Self.notQueued(id) }
    }

    package func bury(_ id: CallID, attempt: Int, lastFailure: String, delivery: StoredDelivery<ByteBuffer>?) async throws {
        let row = delivery.map { DeliveryTable.arguments($0) }
        let isPruneDue = buriedSincePrune.add(1, ordering: .relaxed).newValue % Self.buriesPerPrune == 0
        let (changed, dropped) = try await committer.commit { [settings] db in
            try db.cachedStatement(sql: "UPDATE queue SET dead = 1, attempts = ?, last_failure = ? WHERE id = ? AND dead = 0")
                .execute(arguments: [attempt, StoredText.column(lastFailure), QueueTable.key(id)])
            let changed = db.changesCount
            if isPruneDue { try QueueTable.pruneDeadLetters(keeping: settings.deadLettersMax, db) }
            guard changed == 1, let row else { return (changed, 0) }
            return (changed, try DeliveryTable.insert(row, keeping: settings.deliveriesMax, db))
        }
        guard changed == 1 else { throw Self.notQueued(id) }
        queuedCount.subtract(1, ordering: .relaxed)
        noteDroppedDeliveries(dropped)
    }

    package func deadLetters(limit: Int) async throws -> [DeadLetter] {
        try await read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT id, label, function, accepted, attempts, last_failure FROM queue WHERE dead = 1 ORDER BY position DESC LIMIT ?
                    """, arguments: [max(0, limit)]
            ).map { row in
                DeadLetter(
                    id: CallID(UInt64(bitPattern: row[0])), label: row[1], function: try FunctionID(parsing: row[2]),
                    accepted: Instant(nanoseconds: row[3]), attempts: row[4], lastFailure: StoredText.text(row[5]))
            }
        }
    }

    package func redrive(_ ids: [CallID]?) async throws -> [QueuedCall<ByteBuffer>] {
        let calls = try await committer.commit { db in
            let positions = try QueueTable.deadPositions(ids, db)
            let update = try db.cachedStatement(
                sql: "UPDATE queue SET dead = 0, attempts = 0, not_before = 0, last_failure = '' WHERE position = ?")
            return try positions.flatMap { position in
                try update.execute(arguments: [position])
                return try QueueTable.fetch("WHERE position = ?", [position], db)
            }
        }
        queuedCount.add(calls.count, ordering: .relaxed)
        return calls
    }

    package func discardDeadLetters(_ ids: [CallID]?) async throws -> Int {
        try await committer.commit { db in
            let positions = try QueueTable.deadPositions(ids, db)
            let delete = try db.cachedStatement(sql: "DELETE FROM queue WHERE position = ?")
            for position in positions { try delete.execute(arguments: [position]) }
            return positions.count
        }
    }

    private static func notQueued(_ id: CallID) -> BrumeError {
        BrumeError(.notFound, "The call \(id) is not in the queue; it has ended or was discarded.")
    }
}

/// Rows of the durable queue.
enum QueueTable {
    private static let columns = """
        id, attempts, not_before, accepted, label, function, callback, timeout, method, path, query, headers, body
        """

    static func key(_ id: CallID) -> Int64 { Int64(bitPattern: id.number) }

    static func arguments(_ call: QueuedCall<ByteBuffer>, body: Data) -> StatementArguments {
        let request = call.request
        return [
            key(call.id), call.attempts, call.notBefore.nanoseconds, call.accepted.nanoseconds, request.label,
            request.function.description, call.callbackURL, request.timeout?.wholeNanoseconds, request.method, request.path, request.query,
            EscapedLines.join(request.headers.flatMap { [$0.name, $0.value] }), body,
        ]
    }

    /// False if the id is taken.
    static func insert(_ row: StatementArguments, _ db: Database) throws -> Bool {
        try db.cachedStatement(
            sql: "INSERT INTO queue (\(columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
        ).execute(arguments: row)
        return db.changesCount == 1
    }

    static func fetch(_ filter: String, _ arguments: StatementArguments, _ db: Database) throws -> [QueuedCall<ByteBuffer>] {
        let statement = try db.cachedStatement(sql: "SELECT \(columns) FROM queue \(filter)")
        var calls: [QueuedCall<ByteBuffer>] = []
        let rows = try Row.fetchCursor(statement, arguments: arguments)
        while let row = try rows.next() { calls.append(try call(row)) }
        return calls
    }

    /// Positions of dead letters in order of acceptance: all, or those named.
    static func deadPositions(_ ids: [CallID]?, _ db: Database) throws -> [Int64] {
        guard let ids else { return try Int64.fetchAll(db, sql: "SELECT position FROM queue WHERE dead = 1 ORDER BY position") }
        let statement = try db.cachedStatement(sql: "SELECT position FROM queue WHERE id = ? AND dead = 1")
        return try Set(ids).compactMap { try Int64.fetchOne(statement, arguments: [key($0)]) }.sorted()
    }

    static func pruneDeadLetters(keeping count: Int, _ db: Database) throws {
        try db.cachedStatement(
            sql: """
                DELETE FROM queue WHERE dead = 1 AND position <= (
                    SELECT position FROM queue WHERE dead = 1 ORDER BY position DESC LIMIT 1 OFFSET ?)
                """
        ).execute(arguments: [count])
    }

    private static func call(_ row: Row) throws -> QueuedCall<ByteBuffer> {
        let fields = EscapedLines.split(row[11])
        let headers = stride(from: 0, to: fields.count - 1, by: 2).map { HeaderField(fields[$0], fields[$0 + 1]) }
        let request = CallRequest(
            function: try FunctionID(parsing: row[5]), method: row[8], path: row[9], query: row[10], headers: headers,
            body: .whole(ByteBuffer(bytes: row[12] as Data)), label: row[4], timeout: (row[7] as Int64?).map { .nanoseconds($0) })
        return QueuedCall(
            id: CallID(UInt64(bitPattern: row[0])), request: request, callbackURL: row[6], accepted: Instant(nanoseconds: row[3]),
            attempts: row[1], notBefore: Instant(nanoseconds: row[2]))
    }
}
