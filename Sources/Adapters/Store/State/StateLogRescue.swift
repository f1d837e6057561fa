// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import GRDB

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Reads what is readable of a damaged database into a new one, and puts that in its place.
///
/// Every step can be repeated, so that a node that is killed in the middle goes on where it was at its next start.
enum StateLogRescue {
    /// Questions to a damaged table at most: each lost page costs some dozens, and a table whose root is lost would cost endless ones.
    private static let questionsMax = 20_000
    /// Rows that are read in one go; as many as are surely held in memory.
    private static let rowsPerQuestion = 256
    /// Damaged files that are kept beside the new one; the oldest go. Enough for a second look at what happened.
    private static let keptMax = 3

    /// What a rescue lost.
    struct Findings: Sendable {
        var opening = StateLogOpening()

        init() { opening.mayContinue = true }
    }

    private static func half(_ path: String) -> String { path + ".rescue" }
    private static func whole(_ path: String) -> String { path + ".rescued" }

    /// Puts a finished rescue in its place, and drops one that was not finished.
    static func finishInterrupted(_ path: String) throws {
        for suffix in ["", "-journal", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: half(path) + suffix) }
        guard FileManager.default.fileExists(atPath: whole(path)) else { return }
        try setAside(path)
        try move(whole(path), path)
    }

    static func run(_ path: String, reason: String) throws -> Findings {
        var findings = Findings()
        let reason = reason.split(whereSeparator: \.isNewline).last.map(String.init) ?? reason
        do {
            try copy(from: path, to: half(path), &findings)
        } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
            throw BrumeError(
                .unavailable, "\(path) is damaged, and the disk has no room to carry over what can be read; free some space.", cause: error)
        }
        try move(half(path), whole(path))
        try setAside(path)
        try move(whole(path), path)
        findings.opening.note(
            damage: "The database \(path) was damaged (\(reason)); what could be read was carried over, the old file is kept beside it.")
        return findings
    }

    /// The write-ahead log goes first: beside another database it would be taken for that one's.
    private static func setAside(_ path: String) throws {
        let manager = FileManager.default
        let names = (1...keptMax).map { "\(path).damaged-\($0)" }
        if names.allSatisfy({ manager.fileExists(atPath: $0) }) {
            for (newer, older) in zip(names.dropFirst(), names) {
                for suffix in ["-wal", ""] where manager.fileExists(atPath: newer + suffix) { try move(newer + suffix, older + suffix) }
            }
        }
        let name = names.first { !manager.fileExists(atPath: $0) } ?? names[keptMax - 1]
        try? manager.removeItem(atPath: path + "-shm")
        for suffix in ["-wal", ""] where manager.fileExists(atPath: path + suffix) { try move(path + suffix, name + suffix) }
    }

    private static func move(_ from: String, _ to: String) throws {
        guard unsafe rename(from, to) == 0 else { throw StoreFailure.system("Renaming", from) }
    }

    // MARK: - Copying

    private static func copy(from path: String, to target: String, _ findings: inout Findings) throws {
        var plain = Configuration()
        plain.label = "brume.state-log.rescue"
        let new = try DatabaseQueue(path: target, configuration: plain)
        try new.writeWithoutTransaction { try $0.execute(sql: "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL") }
        try StateLogSchema.migrator.migrate(new)
        // A file that is no database at all has nothing to give.
        if let old = try? DatabaseQueue(path: path, configuration: StateLogOpener.configuration()) {
            findings = try new.write { target in
                var findings = findings
                try old.writeWithoutTransaction { source in
                    copyMeta(source, target, &findings)
                    for table in ["parts", "slices", "records"] { try copy(table, source, target, &findings) }
                }
                return findings
            }
            try? old.close()
        } else {
            findings.opening.note(damage: "Nothing of \(path) could be read; content comes back from other nodes that have it.")
        }
        try new.close()
    }

    private static func copyMeta(_ source: Database, _ target: Database, _ findings: inout Findings) {
        do {
            for row in try Row.fetchAll(source, sql: "SELECT key, value FROM meta") {
                try target.execute(
                    sql: "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", arguments: [row[0] as String, row[1] as String])
            }
        } catch {
            findings.opening.note(damage: "Who wrote the state last could not be read.")
        }
    }

    /// Copies rows by ranges of their number; a range that cannot be read is halved until the damage is encircled.
    private static func copy(_ table: String, _ source: Database, _ target: Database, _ findings: inout Findings) throws {
        let (key, columns): (String, [String]) =
            switch table {
            case "parts": ("id", ["id", "name", "size", "checksum", "first", "count", "body"])
            case "slices": ("id", ["id", "body"])
            default: ("position", ["position", "checksum", "body"])
            }
        let marks = columns.map { _ in "?" }.joined(separator: ", ")
        let select =
            "SELECT \(columns.joined(separator: ", ")) FROM \(table) NOT INDEXED WHERE \(key) BETWEEN ? AND ? ORDER BY \(key) LIMIT ?"
        let insert = "INSERT OR IGNORE INTO \(table) (\(columns.joined(separator: ", "))) VALUES (\(marks))"
        let last = (try? Int64.fetchOne(source, sql: "SELECT MAX(\(key)) FROM \(table)")) ?? 1 << 40
        var ranges = [0...max(0, last)]
        var questions = 0
        var lostRanges = 0
        while let range = ranges.popLast() {
            questions += 1
            guard questions <= questionsMax else {
                findings.opening.note(damage: "The table of \(table) is so damaged that its rest was given up.")
                break
            }
            do {
                let rows = try Row.fetchAll(source, sql: select, arguments: [range.lowerBound, range.upperBound, rowsPerQuestion])
                for row in rows {
                    try target.execute(sql: insert, arguments: StatementArguments(row.databaseValues))
                }
                if rows.count == rowsPerQuestion, let end: Int64 = rows.last?[0], end < range.upperBound {
                    ranges.append(end + 1...range.upperBound)
                }
            } catch let error as DatabaseError where error.resultCode != .SQLITE_FULL {
                guard range.lowerBound < range.upperBound else {
                    lostRanges += 1
                    continue
                }
                let middle = range.lowerBound + (range.upperBound - range.lowerBound) / 2
                ranges.append(middle + 1...range.upperBound)
                ranges.append(range.lowerBound...middle)
            }
        }
        if lostRanges > 0 { findings.opening.note(damage: "\(lostRanges) rows of the table of \(table) could not be read.") }
    }
}
