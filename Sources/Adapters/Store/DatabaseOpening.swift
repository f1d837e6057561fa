// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import GRDB

/// Opens a database only after it was found whole and of a known version.
enum DatabaseOpening {
    /// Readers at the same time: more than the machine's cores would not read faster.
    private static let readersMax = 4
    /// Only a checkpoint or a shell that somebody opened beside the node can hold the file; both are brief.
    private static let busyTimeoutSeconds = 5.0
    /// The write-ahead log is cut back to this after a checkpoint, so that one burst does not leave a large file for ever.
    private static let walBytesMax = 64 << 20

    static func open(_ directory: DataDirectory, settings: StoreSettings) throws -> DatabasePool {
        let path = directory.databasePath
        if let size = directory.databaseSize {
            // SQLite takes an empty file for a new database, which would silently forget everything.
            guard size > 0 || !directory.wasUsed else { throw StoreFailure.corrupt(path: path, finding: "it is empty") }
            if size > 0 { try check(path: path, directory: directory.path, settings: settings) }
        }
        try directory.prepareDatabaseFile()
        var configuration = Configuration()
        configuration.label = "brume.store"
        configuration.maximumReaderCount = readersMax
        configuration.busyMode = .timeout(busyTimeoutSeconds)
        let pool = try DatabasePool(path: path, configuration: configuration)
        try pool.writeWithoutTransaction { db in
            // GRDB leaves WAL databases at NORMAL, where a power cut may undo commits that were acknowledged.
            try db.execute(sql: "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = \(walBytesMax)")
        }
        try Schema.migrator.migrate(pool)
        try pool.write { db in
            try db.execute(sql: "INSERT OR REPLACE INTO meta (key, value) VALUES ('version', ?)", arguments: [settings.version])
        }
        return pool
    }

    /// Looks at an existing database without the right to change it.
    private static func check(path: String, directory: String, settings: StoreSettings) throws {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(busyTimeoutSeconds)
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.inDatabase { db in
            let finding = try String.fetchOne(db, sql: "PRAGMA quick_check(1)") ?? "no answer"
            guard finding == "ok" else { throw StoreFailure.corrupt(path: path, finding: finding) }
            guard try Schema.migrator.hasBeenSuperseded(db) else { return }
            let writer = try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'version'") ?? "a newer version"
            throw BrumeError(
                .conflict,
                """
                The data in \(directory) was written by Brume \(writer), which is newer than this Brume \(settings.version). \
                Start Brume \(writer) or newer on it, or give this node another data directory.
                """)
        }
        try queue.close()
    }
}
