// SPDX-License-Identifier: Apache-2.0
import GRDB

/// The tables. A migration that has been released is never edited; changes are new migrations.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1-base") { db in try db.execute(sql: base) }
        migrator.registerMigration("2-deliveries") { db in try db.execute(sql: deliveries) }
        migrator.registerMigration("3-order-of-writing") { db in try db.execute(sql: orderOfWriting) }
        migrator.registerMigration("4-harvest") { db in try db.execute(sql: harvest) }
        return migrator
    }

    /// Instants and durations are nanoseconds; call ids are the bits of their `UInt64`; `function` is `name.namespace`.
    /// The queue's body comes last so that listing dead letters does not read bodies.
    private static let base = """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

        CREATE TABLE functions (
            function TEXT PRIMARY KEY, created INTEGER NOT NULL, revision INTEGER NOT NULL, pinned INTEGER, digest TEXT,
            spec TEXT NOT NULL
        );

        CREATE TABLE secrets (
            namespace TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (namespace, name)
        );

        CREATE TABLE namespaces (name TEXT PRIMARY KEY, labels TEXT NOT NULL, annotations TEXT NOT NULL) WITHOUT ROWID;

        CREATE TABLE calls (
            id INTEGER NOT NULL, attempt INTEGER NOT NULL, label TEXT NOT NULL, function TEXT NOT NULL, node TEXT NOT NULL,
            arrived INTEGER NOT NULL, queued INTEGER NOT NULL, starting INTEGER NOT NULL, running INTEGER NOT NULL,
            outcome TEXT NOT NULL, status INTEGER NOT NULL, cold INTEGER NOT NULL, replica INTEGER, asynchronous INTEGER NOT NULL,
            failure TEXT NOT NULL, message TEXT NOT NULL, decisions TEXT,
            UNIQUE (id, attempt)
        );
        CREATE INDEX calls_by_time ON calls (arrived, id);
        CREATE INDEX calls_by_function ON calls (function, arrived, id);
        CREATE INDEX calls_by_outcome ON calls (outcome, arrived, id);
        CREATE INDEX calls_by_label ON calls (label);

        CREATE TABLE logs (
            id INTEGER PRIMARY KEY, function TEXT NOT NULL, time INTEGER NOT NULL, instance TEXT NOT NULL, stream TEXT NOT NULL,
            text TEXT NOT NULL
        );
        CREATE INDEX logs_by_function ON logs (function, time, id);

        CREATE TABLE queue (
            position INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL UNIQUE, dead INTEGER NOT NULL DEFAULT 0,
            attempts INTEGER NOT NULL, not_before INTEGER NOT NULL, last_failure TEXT NOT NULL DEFAULT '',
            accepted INTEGER NOT NULL, label TEXT NOT NULL, function TEXT NOT NULL, callback TEXT, timeout INTEGER,
            method TEXT NOT NULL, path TEXT NOT NULL, query TEXT NOT NULL, headers TEXT, body BLOB NOT NULL
        );
        CREATE INDEX queue_by_state ON queue (dead, position);
        """

    /// Results of ended calls until their callers' URLs have taken them. The index on `call` is also what they are counted by.
    private static let deliveries = """
        CREATE TABLE deliveries (
            position INTEGER PRIMARY KEY AUTOINCREMENT, call INTEGER NOT NULL UNIQUE, accepted INTEGER NOT NULL,
            failed_attempts INTEGER NOT NULL, function TEXT NOT NULL, url TEXT NOT NULL, headers TEXT, body BLOB NOT NULL
        );
        """

    /// What harvesting did to a call, as JSON; NULL on nodes that do not harvest.
    private static let harvest = "ALTER TABLE calls ADD COLUMN harvest TEXT"

    /// Rows are read and dropped in the order in which they were written, which every index holds anyway: times are only compared with.
    private static let orderOfWriting = """
        DROP INDEX calls_by_time;
        DROP INDEX calls_by_function;
        DROP INDEX calls_by_outcome;
        DROP INDEX logs_by_function;
        CREATE INDEX calls_by_function ON calls (function);
        CREATE INDEX calls_by_outcome ON calls (outcome);
        CREATE INDEX logs_by_function ON logs (function);
        """
}
