// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import GRDB

extension [UInt8] {
    /// The bytes as the database takes them.
    var blob: Data { Data(self) }
}

/// A part of the snapshot on its way to its row.
struct StateLogRow: Sendable {
    /// Longest name of a part, in bytes: an index entry stays within a page.
    static let nameBytesMax = 1_024

    let part: StateLogPart
    /// Its slices, which are written already; none where the body lies in the row.
    var first: Int64 = 0
    var count: Int64 = 0

    init(_ part: StateLogPart) { self.part = part }

    /// Puts the row in the place of the one that has its name, and returns by how many bytes the snapshot grew.
    func write(_ db: Database) throws -> Int {
        let name = part.name.blob
        let old = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT id, size, first, count FROM parts WHERE name = ?"), arguments: [name])
        if let old, old[3] as Int64 > 0 {
            let first: Int64 = old[2]
            let end: Int64 = first + (old[3] as Int64)
            try db.cachedStatement(sql: "DELETE FROM slices WHERE id >= ? AND id < ?").execute(arguments: [first, end])
        }
        let oldSize = old.map { $0[1] as Int } ?? 0
        guard !part.body.isEmpty else {
            if let old { try db.cachedStatement(sql: "DELETE FROM parts WHERE id = ?").execute(arguments: [old[0] as Int64]) }
            return -oldSize
        }
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO parts (name, size, checksum, first, count, body) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET size = excluded.size, checksum = excluded.checksum, first = excluded.first,
                    count = excluded.count, body = excluded.body
                """)
        try statement.execute(arguments: [
            name, part.body.count, StateLogChecksum.of(part.body, name: part.name), first, count,
            count > 0 ? Data() : part.body.blob,
        ])
        return part.body.count - oldSize
    }
}

/// Who wrote the log, and whether it ended well.
enum StateLogMeta {
    static func read(_ db: Database) throws -> (incarnation: UInt64?, isClean: Bool) {
        let incarnation = try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'incarnation'")
        let clean = try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'clean'")
        let number = incarnation.flatMap { UInt64($0, radix: 16) }
        // The mark names whom it is about, so that no slip between the two rows continues the wrong one.
        return (number, number != nil && clean == incarnation)
    }

    static func write(incarnation: UInt64, isClean: Bool, _ db: Database) throws {
        let text = String(incarnation, radix: 16)
        try db.execute(sql: "INSERT OR REPLACE INTO meta (key, value) VALUES ('incarnation', ?)", arguments: [text])
        try db.execute(sql: "DELETE FROM meta WHERE key = 'clean'")
        if isClean { try markClean(db) }
    }

    static func markClean(_ db: Database) throws {
        try db.execute(sql: "INSERT OR REPLACE INTO meta (key, value) SELECT 'clean', value FROM meta WHERE key = 'incarnation'")
    }
}
