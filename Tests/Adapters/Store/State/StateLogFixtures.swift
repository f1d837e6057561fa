// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Foundation
import GRDB
import Synchronization

@testable import BrumeStore

/// A directory of its own for a log, removed at the end.
func withStateDirectory(_ body: (String) async throws -> Void) async throws {
    let path = FileManager.default.temporaryDirectory.path + "/brume-state-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await body(path)
}

/// Everything that a log read back.
struct StateLogContents: Sendable {
    var opening = StateLogOpening()
    var parts: [[UInt8]: [UInt8]] = [:]
    var records: [(position: UInt64, body: [UInt8])] = []

    var bodies: [[UInt8]] { records.map(\.body) }
}

extension SQLiteStateLog {
    /// Loads, collecting every piece.
    func contents() async throws -> StateLogContents {
        let box = ContentsBox()
        let opening = try await load { piece in
            box.contents.withLock { contents in
                switch piece {
                case .part(let part): contents.parts[part.name] = part.body
                case .record(let body, let position): contents.records.append((position, body))
                }
            }
            return true
        }
        return box.contents.withLock { contents in
            contents.opening = opening
            return contents
        }
    }

    /// Appends, and waits until the record is on disk.
    @discardableResult
    func store(_ body: [UInt8], urgency: StateLogUrgency = .now) async throws -> UInt64 {
        try await withCheckedThrowingContinuation { continuation in
            let position = PositionBox()
            position.number.withLock { number in
                number = append(body, urgency: urgency) { settled in
                    switch settled {
                    case .durable: continuation.resume(returning: position.number.withLock { $0 })
                    case .delayed: break
                    case .lost(let error): continuation.resume(throwing: error)
                    }
                }
            }
        }
    }

    /// Reads a directory's log as the next start would, and closes it again.
    static func reopened(_ directory: String) async throws -> StateLogContents {
        let log = try SQLiteStateLog(directory: directory)
        let contents = try await log.contents()
        try await log.end(clean: false)
        return contents
    }
}

private final class ContentsBox: Sendable {
    let contents = Mutex(StateLogContents())
}

private final class PositionBox: Sendable {
    let number = Mutex<UInt64>(0)
}

/// What became of records, in the order in which it was told.
final class Settlements: Sendable {
    let seen = Mutex<[String]>([])

    func note(_ settled: StateLogSettled) {
        seen.withLock { seen in
            switch settled {
            case .durable: seen.append("durable")
            case .delayed(let error): seen.append("delayed \(error.code)")
            case .lost(let error): seen.append("lost \(error.code)")
            }
        }
    }
}

/// Bytes that tell which record they are.
func recordBody(_ number: UInt64, count: Int) -> [UInt8] {
    withUnsafeBytesOf(number) + (0..<count).map { UInt8(truncatingIfNeeded: UInt64($0) &* 31 &+ number) }
}

func withUnsafeBytesOf(_ number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }

func numberOf(_ body: [UInt8]) -> UInt64 { body.prefix(8).enumerated().reduce(0) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) } }

extension SQLiteStateLog {
    func execute(_ sql: String) throws { try queue.writeWithoutTransaction { try $0.execute(sql: sql) } }

    func scalar(_ sql: String) throws -> Int { try queue.writeWithoutTransaction { try Int.fetchOne($0, sql: sql) ?? 0 } }

    /// Makes the database refuse to grow, as a full disk would.
    func fillDisk(_ isFull: Bool) throws {
        let pages = try scalar("PRAGMA page_count")
        _ = try scalar("PRAGMA max_page_count = \(isFull ? pages : 1_000_000)")
    }
}

extension SQLiteStateLog {
    /// The records up to a position, asked of the database beside the writer.
    func bodiesOnDisk(through position: UInt64) throws -> [[UInt8]] {
        try queue.writeWithoutTransaction { db in
            try Data.fetchAll(db, sql: "SELECT body FROM records WHERE position <= ?", arguments: [Int64(clamping: position)]).map {
                [UInt8]($0)
            }
        }
    }
}
