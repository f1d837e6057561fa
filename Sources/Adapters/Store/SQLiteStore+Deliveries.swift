// SPDX-License-Identifier: Apache-2.0
package import BrumeModel
import FoundationEssentials
import GRDB
import Logging
package import NIOCore
import Synchronization

extension SQLiteStore {
    /// Dropped deliveries between two warnings: a receiver that is down for long must not fill the log.
    private static let dropsPerWarning = 100

    package func deliveries() async throws -> [StoredDelivery<ByteBuffer>] {
        try await read { try DeliveryTable.fetch($0) }
    }

    package func delivered(_ id: CallID, accepted: Instant) async throws {
        try await committer.commit { db in
            try db.cachedStatement(sql: "DELETE FROM deliveries WHERE call = ? AND accepted = ?")
                .execute(arguments: [QueueTable.key(id), accepted.nanoseconds])
        }
    }

    package func deliveryFailed(_ id: CallID, accepted: Instant, failedAttempts: Int) async throws {
        try await committer.commit { db in
            try db.cachedStatement(sql: "UPDATE deliveries SET failed_attempts = ? WHERE call = ? AND accepted = ?")
                .execute(arguments: [failedAttempts, QueueTable.key(id), accepted.nanoseconds])
        }
    }

    /// Counts deliveries that had to go; the log tells of the first and of every hundredth.
    func noteDroppedDeliveries(_ count: Int) {
        guard count > 0 else { return }
        let (before, total) = droppedDeliveries.add(count, ordering: .relaxed)
        guard before == 0 || before / Self.dropsPerWarning < total / Self.dropsPerWarning else { return }
        logger.warning(
            "Results that no callback URL took were dropped, the oldest first; see that the receivers answer.",
            metadata: ["dropped": "\(total)", "kept": "\(settings.deliveriesMax)"])
    }
}

/// Rows of results that wait for their receivers.
enum DeliveryTable {
    private static let columns = "call, accepted, failed_attempts, function, url, headers, body"

    static func arguments(_ delivery: StoredDelivery<ByteBuffer>) -> StatementArguments {
        [
            QueueTable.key(delivery.call), delivery.accepted.nanoseconds, delivery.failedAttempts, delivery.function.description,
            delivery.url, EscapedLines.join(delivery.headers.flatMap { [$0.name, $0.value] }), Data(delivery.body.readableBytesView),
        ]
    }

    /// Adds a row at the end and makes room for it; returns how many old rows had to go.
    static func insert(_ row: StatementArguments, keeping count: Int, _ db: Database) throws -> Int {
        try db.cachedStatement(sql: "INSERT OR REPLACE INTO deliveries (\(columns)) VALUES (?, ?, ?, ?, ?, ?, ?)")
            .execute(arguments: row)
        let excess = (try Int.fetchOne(db.cachedStatement(sql: "SELECT COUNT(*) FROM deliveries")) ?? 0) - count
        guard excess > 0 else { return 0 }
        try db.cachedStatement(
            sql: "DELETE FROM deliveries WHERE position IN (SELECT position FROM deliveries ORDER BY position LIMIT ?)"
        ).execute(arguments: [excess])
        return excess
    }

    static func fetch(_ db: Database) throws -> [StoredDelivery<ByteBuffer>] {
        var deliveries: [StoredDelivery<ByteBuffer>] = []
        let rows = try Row.fetchCursor(try db.cachedStatement(sql: "SELECT \(columns) FROM deliveries ORDER BY position"))
        while let row = try rows.next() {
            let fields = EscapedLines.split(row[5])
            deliveries.append(
                StoredDelivery(
                    call: CallID(UInt64(bitPattern: row[0])), function: try FunctionID(parsing: row[3]), url: row[4],
                    headers: stride(from: 0, to: fields.count - 1, by: 2).map { HeaderField(fields[$0], fields[$0 + 1]) },
                    body: ByteBuffer(bytes: row[6] as Data), accepted: Instant(nanoseconds: row[1]), failedAttempts: row[2]))
        }
        return deliveries
    }
}
