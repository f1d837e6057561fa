// SPDX-License-Identifier: Apache-2.0
package import BrumeModel
import FoundationEssentials
import GRDB
package import Logging
import Synchronization

/// A log of state in `DIR/state.sqlite`, held by one process at a time.
///
/// A damaged file is contained: what can be read of it is carried over into a new one, and the old one is kept beside it.
package final class SQLiteStateLog: StateLog {
    private struct Slices: Sendable {
        /// The next free number of a slice.
        var next: Int64 = 1
    }

    private let path: String
    private let settings: StateLogSettings
    private let logger: Logger
    let queue: DatabaseQueue
    private let writer: StateLogWriter
    private let slices = Mutex(Slices())
    /// What the opening found before anything was read.
    private let rescue: StateLogRescue.Findings

    /// Opens the log of a data directory, making it where it is missing.
    ///
    /// - Throws: `BrumeError`: `conflict` if a newer version wrote it, `unavailable` if another node holds it or the disk is full,
    ///   `permission` if it cannot be written.
    package init(
        directory: String, settings: StateLogSettings = StateLogSettings(), logger: Logger = Logger(label: "brume.state-log")
    ) throws {
        path = directory + "/state.sqlite"
        self.settings = settings
        self.logger = logger
        do {
            (queue, rescue) = try StateLogOpener.open(path)
        } catch {
            throw StoreFailure.describe(error, path: path)
        }
        writer = StateLogWriter(queue: queue, path: path, settings: settings)
    }

    package var figures: StateLogFigures { writer.figures }

    package func load(_ visit: @escaping @Sendable (StateLogPiece) -> Bool) async throws -> StateLogOpening {
        do {
            let (opening, ends) = try await queue.writeWithoutTransaction { [rescue] db in
                var reader = StateLogReader(opening: rescue.opening)
                try reader.read(db, visit)
                return (reader.opening, reader.ends)
            }
            slices.withLock { $0.next = ends.slice + 1 }
            writer.begin(nextPosition: ends.position + 1, recordBytes: ends.recordBytes, partBytes: ends.partBytes)
            for sentence in opening.damage { logger.error("state was damaged", metadata: ["what": "\(sentence)"]) }
            return opening
        } catch {
            throw StoreFailure.describe(error, path: path)
        }
    }

    package func begin(incarnation: UInt64) async throws {
        try await writer.run { db in
            try db.inTransaction(.immediate) {
                try StateLogMeta.write(incarnation: incarnation, isClean: false, db)
                return .commit
            }
        }
    }

    package func append(
        _ record: [UInt8], urgency: StateLogUrgency, settled: @escaping @Sendable (StateLogSettled) -> Void
    ) -> UInt64 {
        writer.append(record, urgency: urgency, settled: settled)
    }

    /// Longer parts first lie down slice by slice where nobody reads them; their row then changes in one commit with the short parts'.
    package func replace(_ parts: [StateLogPart]) async throws {
        var rows: [StateLogRow] = []
        for part in parts {
            guard part.name.count <= StateLogRow.nameBytesMax else {
                throw BrumeError(.tooLarge, "A part of the snapshot has a name of \(part.name.count) bytes; 1,024 is the most.")
            }
            var row = StateLogRow(part)
            if part.body.count > settings.sliceBytes {
                row.count = Int64((part.body.count + settings.sliceBytes - 1) / settings.sliceBytes)
                row.first = slices.withLock { slices in
                    defer { slices.next += row.count }
                    return slices.next
                }
                try await writeSlices(of: row)
            }
            rows.append(row)
        }
        let growth = try await writer.run(followsRecords: true) { [rows] db in
            var bytes = 0
            try db.inTransaction(.immediate) {
                for row in rows { bytes += try row.write(db) }
                return .commit
            }
            return bytes
        }
        writer.count(partBytes: growth)
    }

    private func writeSlices(of row: StateLogRow) async throws {
        let size = settings.sliceBytes
        for slice in 0..<row.count {
            try await writer.run { db in
                let start = Int(slice) * size
                let bytes = Array(row.part.body[start..<min(start + size, row.part.body.count)])
                try db.inTransaction(.immediate) {
                    try db.cachedStatement(sql: "INSERT OR REPLACE INTO slices (id, body) VALUES (?, ?)")
                        .execute(arguments: [row.first + slice, bytes.blob])
                    return .commit
                }
            }
        }
    }

    package func truncate(through position: UInt64) async throws {
        // By portions, so that those who wait for a sync do not wait for the whole of it.
        let recordsPerCommitMax = 4_096
        let end = Int64(clamping: position)
        var isDone = false
        while !isDone {
            let bytes = try await writer.run { db in
                var bytes = 0
                try db.inTransaction(.immediate) {
                    let last =
                        try Int64.fetchOne(
                            db, sql: "SELECT position FROM records WHERE position <= ? ORDER BY position LIMIT 1 OFFSET ?",
                            arguments: [end, recordsPerCommitMax]) ?? end
                    bytes = try Int.fetchOne(db, sql: "SELECT SUM(LENGTH(body)) FROM records WHERE position <= ?", arguments: [last]) ?? 0
                    try db.execute(sql: "DELETE FROM records WHERE position <= ?", arguments: [last])
                    return .commit
                }
                return bytes
            }
            writer.count(recordBytes: -bytes)
            isDone = bytes == 0
        }
        writer.forget(through: position)
    }

    package func end(clean: Bool) async throws {
        try await writer.run(isLast: true) { [writer] db in
            guard clean, !writer.figures.isIncomplete else { return }
            try db.inTransaction(.immediate) {
                try StateLogMeta.markClean(db)
                return .commit
            }
        }
        do { try queue.close() } catch { throw StoreFailure.describe(error, path: path) }
    }
}
