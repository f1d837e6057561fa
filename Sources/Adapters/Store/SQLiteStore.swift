// SPDX-License-Identifier: Apache-2.0
package import BrumeModel
import FoundationEssentials
import GRDB
package import Logging
package import NIOCore
import Synchronization

/// What a store gave up: ended calls and log lines that the disk was too slow for, results that nobody took.
package struct DroppedRecords: Sendable {
    package var calls: Int
    package var lines: Int
    package var results: Int
}

/// A node's memory in `DIR/brume.sqlite` and `DIR/code`, held by one process at a time.
///
/// Durable operations are synced when they return and share syncs under load; readers never wait for the writer.
package final class SQLiteStore: Store {
    package typealias Payload = ByteBuffer

    let settings: StoreSettings
    let databasePath: String
    let pool: DatabasePool
    let committer: GroupCommitter
    let historyTable: HistoryTable
    let codeStore: CodeStore
    /// Calls in the queue that are not dead; dead letters buried since the last look at their bound.
    let queuedCount: Atomic<Int>
    let buriedSincePrune = Atomic<Int>(0)
    /// Deliveries that were dropped because nobody took them and newer ones needed their place.
    let droppedDeliveries = Atomic<Int>(0)
    let logger: Logger
    private let directory: DataDirectory

    /// Opens a data directory, making it where it is missing.
    ///
    /// - Throws: `BrumeError`: `conflict` if another node holds it or a newer version wrote it, `corrupt` if the database is damaged
    ///   (nothing is changed then), `invalid` or `permission` if the path cannot be a directory of ours.
    package init(directory path: String, settings: StoreSettings, logger: Logger = Logger(label: "brume.store")) throws {
        self.settings = settings
        self.logger = logger
        directory = try DataDirectory(path: path)
        databasePath = directory.databasePath
        do {
            pool = try DatabaseOpening.open(directory, settings: settings)
            queuedCount = Atomic(try pool.read { try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM queue WHERE dead = 0") } ?? 0)
        } catch {
            throw StoreFailure.describe(error, path: databasePath)
        }
        codeStore = try CodeStore(path: directory.codePath)
        historyTable = HistoryTable(settings: settings)
        committer = GroupCommitter(
            pool: pool, path: databasePath, settings: settings, historyTable: historyTable, logger: logger)
    }

    /// Writes what is pending and closes the files. Operations fail with `unavailable` afterwards.
    package func close() async throws {
        try await committer.close()
        do { try pool.close() } catch { throw StoreFailure.describe(error, path: databasePath) }
        directory.release()
    }

    /// What was given up since the start, each for a bound of ``StoreSettings``.
    package var dropped: DroppedRecords {
        let history = committer.dropped
        return DroppedRecords(calls: history.calls, lines: history.lines, results: droppedDeliveries.load(ordering: .relaxed))
    }

    func read<T: Sendable>(_ body: @Sendable (Database) throws -> T) async throws -> T {
        do { return try await pool.read(body) } catch { throw StoreFailure.describe(error, path: databasePath) }
    }

    // MARK: - Epoch

    package func beginEpoch() async throws -> UInt64 {
        try await committer.commit { db in
            try db.execute(
                sql: """
                    INSERT INTO meta (key, value) VALUES ('epoch', '1')
                    ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)
                    """)
            return UInt64(try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'epoch'") ?? "") ?? 1
        }
    }

    // MARK: - Functions

    package func putFunction(_ function: StoredFunction) async throws {
        let spec = try StoredText.encode(function.spec)
        var digest: String?
        if case .bundle(let bundle) = function.spec.package { digest = bundle }
        try await committer.commit { [digest] db in
            let statement = try db.cachedStatement(
                sql: """
                    INSERT OR REPLACE INTO functions (function, created, revision, pinned, digest, spec) VALUES (?, ?, ?, ?, ?, ?)
                    """)
            try statement.execute(arguments: [
                function.spec.id.description, function.created.nanoseconds, function.revision, function.pinnedReplicas, digest, spec,
            ])
        }
    }

    package func removeFunction(_ id: FunctionID) async throws {
        try await committer.commit { db in
            try db.cachedStatement(sql: "DELETE FROM functions WHERE function = ?").execute(arguments: [id.description])
        }
    }

    package func functions() async throws -> [StoredFunction] {
        let functions = try await read { db in
            try Row.fetchAll(db, sql: "SELECT spec, created, revision, pinned FROM functions").map { row in
                StoredFunction(
                    spec: try StoredText.decode(FunctionSpec.self, row[0]), created: Instant(nanoseconds: row[1]), revision: row[2],
                    pinnedReplicas: row[3])
            }
        }
        return functions.sorted { $0.spec.id < $1.spec.id }
    }

    // MARK: - Code

    package func putCode(_ archive: ByteBuffer) async throws -> String { try await codeStore.put(archive) }

    package func codePath(digest: String) async throws -> String? { try await codeStore.path(of: digest) }

    package func pruneCode(olderThan age: Duration) async throws -> Int {
        // In the writer's turn: no function can come to name a package between the look and the removal.
        try await committer.commit { [codeStore] db in
            let used = try String.fetchSet(db, sql: "SELECT digest FROM functions WHERE digest IS NOT NULL")
            return codeStore.prune(used: used, olderThan: age)
        }
    }

    // MARK: - Secrets

    package func putSecret(_ secret: Secret) async throws {
        try await committer.commit { db in
            try db.cachedStatement(sql: "INSERT OR REPLACE INTO secrets (namespace, name, value) VALUES (?, ?, ?)")
                .execute(arguments: [secret.namespace, secret.name, Data(secret.value)])
        }
    }

    package func removeSecret(name: String, namespace: String) async throws -> Bool {
        try await committer.commit { db in
            try db.cachedStatement(sql: "DELETE FROM secrets WHERE namespace = ? AND name = ?").execute(arguments: [namespace, name])
            return db.changesCount > 0
        }
    }

    package func secrets(namespace: String) async throws -> [Secret] {
        try await read { db in
            try Row.fetchAll(db, sql: "SELECT name, value FROM secrets WHERE namespace = ? ORDER BY name", arguments: [namespace])
                .map { Secret(name: $0[0], namespace: namespace, value: Array($0[1] as Data)) }
        }
    }

    // MARK: - Namespaces

    package func putNamespace(_ namespace: StoredNamespace) async throws {
        let labels = try StoredText.encode(namespace.labels)
        let annotations = try StoredText.encode(namespace.annotations)
        try await committer.commit { db in
            try db.cachedStatement(sql: "INSERT OR REPLACE INTO namespaces (name, labels, annotations) VALUES (?, ?, ?)")
                .execute(arguments: [namespace.name, labels, annotations])
        }
    }

    package func removeNamespace(_ name: String) async throws -> Bool {
        try await committer.commit { db in
            try db.cachedStatement(sql: "DELETE FROM namespaces WHERE name = ?").execute(arguments: [name])
            return db.changesCount > 0
        }
    }

    package func namespaces() async throws -> [StoredNamespace] {
        try await read { db in
            try Row.fetchAll(db, sql: "SELECT name, labels, annotations FROM namespaces ORDER BY name").map { row in
                StoredNamespace(
                    name: row[0], labels: try StoredText.decode([String: String].self, row[1]),
                    annotations: try StoredText.decode([String: String].self, row[2]))
            }
        }
    }

    // MARK: - History

    package func record(_ call: CallRecord) { committer.record(call) }

    package func append(_ lines: [LogLine]) { committer.append(lines) }

    package func flush() async throws { try await committer.commit(afterHistory: true) { _ in } }

    package func calls(_ query: CallQuery) async throws -> [CallRecord] {
        if committer.hasHistory { try await flush() }
        return try await read { [historyTable] in try historyTable.calls(query, $0) }
    }

    package func logs(_ query: LogQuery) async throws -> [LogLine] {
        if committer.hasHistory { try await flush() }
        return try await read { [historyTable] in try historyTable.lines(query, $0) }
    }

    package func prune() async throws {
        try await committer.commit(afterHistory: true) { [historyTable, settings] db in
            try historyTable.prune(db)
            try QueueTable.pruneDeadLetters(keeping: settings.deadLettersMax, db)
        }
    }
}
