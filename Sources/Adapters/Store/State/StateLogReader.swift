// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import GRDB

/// Reads a whole database back, and notes what cannot be.
struct StateLogReader {
    /// Where the numbers of a log go on, and how much lies in it.
    struct Ends: Sendable {
        var position: UInt64 = 0
        var slice: Int64 = 0
        var recordBytes = 0
        var partBytes = 0
    }

    var opening: StateLogOpening
    private(set) var ends = Ends()

    init(opening: StateLogOpening) { self.opening = opening }

    mutating func read(_ db: Database, _ visit: (StateLogPiece) -> Bool) throws {
        let (incarnation, isClean) = try StateLogMeta.read(db)
        opening.incarnation = incarnation
        opening.mayContinue = isClean && opening.damagedPieces == 0
        try readParts(db, visit)
        try readRecords(db, visit)
    }

    private mutating func readParts(_ db: Database, _ visit: (StateLogPiece) -> Bool) throws {
        let rows = try Row.fetchCursor(db, sql: "SELECT id, name, size, checksum, first, count, body FROM parts")
        var beyondRepair: [Int64] = []
        var used: [(first: Int64, end: Int64)] = []
        while let row = try rows.next() {
            let name = [UInt8](row[1] as Data)
            var body = [UInt8](row[6] as Data)
            let (first, count) = (row[4] as Int64, row[5] as Int64)
            if count > 0 {
                used.append((first, first + count))
                body = try Self.slices(first, count, size: row[2], db)
            }
            guard StateLogChecksum.of(body, name: name) == row[3] as Int64 else {
                beyondRepair.append(row[0])
                opening.note(damage: "The part \(Self.text(name)) of the snapshot of state is damaged; what it held is lost here.")
                continue
            }
            opening.parts += 1
            opening.bytes += body.count
            ends.partBytes += body.count
            if !visit(.part(StateLogPart(name: name, body: body))) {
                opening.note(damage: "The part \(Self.text(name)) of the snapshot of state was not understood; it is kept and left out.")
            }
        }
        try db.inTransaction(.immediate) {
            for id in beyondRepair { try db.execute(sql: "DELETE FROM parts WHERE id = ?", arguments: [id]) }
            try Self.removeSlices(outside: used, db)
            return .commit
        }
        ends.slice = try Int64.fetchOne(db, sql: "SELECT MAX(id) FROM slices") ?? 0
    }

    private static func slices(_ first: Int64, _ count: Int64, size: Int, _ db: Database) throws -> [UInt8] {
        var body: [UInt8] = []
        let rows = try Row.fetchCursor(
            db, sql: "SELECT body FROM slices WHERE id >= ? AND id < ? ORDER BY id", arguments: [first, first + count])
        while let row = try rows.next() { body.append(contentsOf: row[0] as Data) }
        return body
    }

    /// Slices that no part names: their writer was killed before the part's row changed.
    private static func removeSlices(outside used: [(first: Int64, end: Int64)], _ db: Database) throws {
        var from: Int64 = 0
        for range in used.sorted(by: { $0.first < $1.first }) {
            try db.execute(sql: "DELETE FROM slices WHERE id >= ? AND id < ?", arguments: [from, range.first])
            from = range.end
        }
        try db.execute(sql: "DELETE FROM slices WHERE id >= ?", arguments: [from])
    }

    private mutating func readRecords(_ db: Database, _ visit: (StateLogPiece) -> Bool) throws {
        let rows = try Row.fetchCursor(db, sql: "SELECT position, checksum, body FROM records ORDER BY position")
        var beyondRepair: [Int64] = []
        while let row = try rows.next() {
            let position = UInt64(bitPattern: row[0] as Int64)
            let body = [UInt8](row[2] as Data)
            ends.position = max(ends.position, position)
            guard StateLogChecksum.of(record: body, position: position) == row[1] as Int64 else {
                beyondRepair.append(row[0])
                opening.note(damage: "Record \(position) of the log of state is damaged; what it said is lost here.")
                continue
            }
            opening.records += 1
            opening.bytes += body.count
            ends.recordBytes += body.count
            if !visit(.record(body, position: position)) {
                opening.note(damage: "Record \(position) of the log of state was not understood; it is kept and left out.")
            }
        }
        for position in beyondRepair { try db.execute(sql: "DELETE FROM records WHERE position = ?", arguments: [position]) }
    }

    /// A name as a person may read it: text where it is text, else hexadecimal.
    static func text(_ name: [UInt8]) -> String {
        let isText = name.allSatisfy { (0x20..<0x7F).contains($0) }
        if isText { return "'\(String(decoding: name.prefix(64), as: UTF8.self))'" }
        return "0x" + name.prefix(32).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
