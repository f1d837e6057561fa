// SPDX-License-Identifier: Apache-2.0
import Crypto
import GRDB

/// The tables of `state.sqlite`. A migration that has been released is never edited; changes are new migrations.
enum StateLogSchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1-base") { db in try db.execute(sql: base) }
        return migrator
    }

    /// Every table has a number as its key, so that what a damaged page took can be gone round by halving ranges of numbers.
    /// A short part lies in its row; a longer one in the slices `first` and following.
    private static let base = """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE records (position INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, body BLOB NOT NULL);
        CREATE TABLE parts (
            id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, checksum INTEGER NOT NULL,
            first INTEGER NOT NULL, count INTEGER NOT NULL, body BLOB NOT NULL
        );
        CREATE TABLE slices (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
        """
}

/// 64 bits of SHA-256 over what a row says and what it is called, so that neither a flipped bit nor a row in another's place is believed.
enum StateLogChecksum {
    static func of(record: [UInt8], position: UInt64) -> Int64 {
        var hash = SHA256()
        unsafe withUnsafeBytes(of: position.littleEndian) { unsafe hash.update(bufferPointer: $0) }
        unsafe record.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
        return finish(hash)
    }

    static func of(_ part: [UInt8], name: [UInt8]) -> Int64 {
        var hash = SHA256()
        unsafe withUnsafeBytes(of: UInt64(name.count).littleEndian) { unsafe hash.update(bufferPointer: $0) }
        unsafe name.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
        unsafe part.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
        return finish(hash)
    }

    private static func finish(_ hash: SHA256) -> Int64 {
        var value: UInt64 = 0
        for byte in hash.finalize().prefix(8) { value = value << 8 | UInt64(byte) }
        return Int64(bitPattern: value)
    }
}
