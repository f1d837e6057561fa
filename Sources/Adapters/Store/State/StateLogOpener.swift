// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import GRDB

/// Opens `state.sqlite`, carrying what can be read of a damaged one over into a new one.
enum StateLogOpener {
    /// Only a node that ends can hold the file at this moment, and it ends soon.
    private static let busyTimeoutSeconds = 2.0
    /// The write-ahead log is cut back to this after a checkpoint, so that one burst does not leave a large file for ever.
    private static let walBytesMax = 16 << 20
    /// Pages of 4 KiB between two checkpoints of SQLite's own: 16 MB, so that a burst of commits pays for few of them.
    private static let walPages = 4_096

    static func open(_ path: String) throws -> (DatabaseQueue, StateLogRescue.Findings) {
        try StateLogRescue.finishInterrupted(path)
        do {
            return (try openWhole(path), StateLogRescue.Findings())
        } catch let error as DatabaseError where [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode) {
            let findings = try StateLogRescue.run(path, reason: error.message ?? "it is not a database")
            return (try openWhole(path), findings)
        }
    }

    /// - Throws: `DatabaseError` with `SQLITE_CORRUPT` or `SQLITE_NOTADB` for a damaged file.
    private static func openWhole(_ path: String) throws -> DatabaseQueue {
        try prepare(path)
        let queue = try DatabaseQueue(path: path, configuration: configuration())
        do {
            try queue.writeWithoutTransaction { db in
                let finding = try String.fetchOne(db, sql: "PRAGMA quick_check(1)") ?? "no answer"
                guard finding == "ok" else { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: finding) }
                // FULL: a power cut must not undo a commit that was acknowledged.
                try db.execute(
                    sql: """
                        PRAGMA synchronous = FULL; PRAGMA journal_size_limit = \(walBytesMax); PRAGMA wal_autocheckpoint = \(walPages)
                        """)
                guard try !StateLogSchema.migrator.hasBeenSuperseded(db) else {
                    throw BrumeError(
                        .conflict, "The state in \(path) was written by a newer Brume; start that one, or give this node another directory."
                    )
                }
            }
            try StateLogSchema.migrator.migrate(queue)
        } catch {
            try? queue.close()
            throw error
        }
        return queue
    }

    /// A connection that holds the file for itself: no second node writes it, and no other program's lock delays a commit.
    static func configuration() -> Configuration {
        var configuration = Configuration()
        configuration.label = "brume.state-log"
        configuration.busyMode = .timeout(busyTimeoutSeconds)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL")
        }
        return configuration
    }

    /// Makes an empty file that only its owner reads. An existing empty one is SQLite's word for a new database.
    private static func prepare(_ path: String) throws {
        guard !FileManager.default.fileExists(atPath: path) else { return }
        guard FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]) else {
            throw StoreFailure.system("Making", path)
        }
    }
}
