// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Foundation
import GRDB
import Glibc
import Synchronization
import Testing

@testable import BrumeStore

/// What torn files, flipped bits, foreign files and full disks cost: what they hit, and a clear sentence.
@Suite("The log of state on a bad disk")
struct StateLogDamageTests {
    /// Makes a log with parts 0..<parts and records 0..<records, and leaves its files as a killed process would.
    private static func fill(_ directory: String, parts: Int, records: Int, checkpoint: Bool) async throws {
        let log = try SQLiteStateLog(directory: directory)
        _ = try await log.contents()
        try await log.begin(incarnation: 77)
        for number in 0..<parts {
            try await log.replace([StateLogPart(name: withUnsafeBytesOf(UInt64(number)), body: recordBody(UInt64(number), count: 900))])
        }
        for number in 0..<records { try await log.store(recordBody(UInt64(number), count: 300)) }
        if checkpoint { try log.execute("PRAGMA wal_checkpoint(TRUNCATE)") }
        for name in ["state.sqlite", "state.sqlite-wal"] where FileManager.default.fileExists(atPath: directory + "/" + name) {
            try FileManager.default.createDirectory(atPath: directory + "/copy", withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: directory + "/" + name, toPath: directory + "/copy/" + name)
        }
        try await log.end(clean: true)
    }

    @Test("A tail torn at any byte costs the commits that were not whole, and nothing before them")
    func tornTail() async throws {
        try await withStateDirectory { directory in
            try await Self.fill(directory, parts: 0, records: 60, checkpoint: false)
            let wal = try Data(contentsOf: URL(filePath: directory + "/copy/state.sqlite-wal"))
            let main = try Data(contentsOf: URL(filePath: directory + "/copy/state.sqlite"))
            var generator = SeededGenerator(seed: 4)
            var previous = 0
            let cuts = (0..<120).map { _ in generator.below(wal.count) }.sorted() + [wal.count]
            for cut in cuts {
                let torn = directory + "/torn"
                try? FileManager.default.removeItem(atPath: torn)
                try FileManager.default.createDirectory(atPath: torn, withIntermediateDirectories: true)
                try main.write(to: URL(filePath: torn + "/state.sqlite"))
                var tail = wal.prefix(cut)
                // Half of the tails end in garbage instead of nothing.
                if cut < wal.count, generator.below(2) == 0 { tail.append(Data((0..<3_000).map { _ in UInt8(generator.below(256)) })) }
                try Data(tail).write(to: URL(filePath: torn + "/state.sqlite-wal"))
                let kept = try await SQLiteStateLog.reopened(torn)
                let numbers = kept.bodies.map(numberOf)
                #expect(numbers == (0..<numbers.count).map { UInt64($0) }, "a prefix, cut at \(cut)")
                #expect(numbers.count >= previous, "a longer tail holds no less, cut at \(cut)")
                #expect(kept.opening.damage.isEmpty && !kept.opening.mayContinue)
                previous = numbers.count
            }
            #expect(previous == 60)
        }
    }

    @Test("Overwritten pages cost what lay on them; the rest is carried over, and the old file is kept", arguments: [1, 4, 16])
    func damagedPages(_ pages: Int) async throws {
        try await withStateDirectory { directory in
            try await Self.fill(directory, parts: 400, records: 400, checkpoint: true)
            let damaged = directory + "/copy"
            var file = try Data(contentsOf: URL(filePath: damaged + "/state.sqlite"))
            var generator = SeededGenerator(seed: UInt64(pages))
            // Not the first pages, which hold the schema: that is another test.
            let victims = (0..<pages).map { _ in 10 + generator.below(file.count / 4_096 - 10) }
            for page in victims { for index in 0..<4_096 { file[page * 4_096 + index] = UInt8(generator.below(256)) } }
            try file.write(to: URL(filePath: damaged + "/state.sqlite"))

            let kept = try await SQLiteStateLog.reopened(damaged)
            #expect(kept.parts.allSatisfy { $0.value == recordBody(numberOf($0.key), count: 900) })
            #expect(kept.bodies.allSatisfy { $0 == recordBody(numberOf($0), count: 300) })
            #expect(kept.bodies.map(numberOf) == kept.bodies.map(numberOf).sorted())
            // A leaf page holds some ten pieces; an inner one may cost more.
            #expect(kept.parts.count + kept.records.count < 800, "something must have been hit")
            #expect(kept.parts.count + kept.records.count >= 800 - 60 * pages)
            #expect(!kept.opening.mayContinue)
            #expect(kept.opening.damage.contains { $0.contains("was damaged") && $0.contains("kept beside") })
            #expect(FileManager.default.fileExists(atPath: damaged + "/state.sqlite.damaged-1"))
            // The next start finds a whole database.
            let again = try await SQLiteStateLog.reopened(damaged)
            #expect(again.opening.damage.isEmpty)
            #expect(again.parts == kept.parts && again.bodies == kept.bodies)
        }
    }

    @Test("A flipped bit in a row is noticed by its checksum, named, and costs that row alone")
    func flippedBits() async throws {
        try await withStateDirectory { directory in
            let log = try SQLiteStateLog(directory: directory)
            _ = try await log.contents()
            for number in UInt64(0)..<10 {
                try await log.store(recordBody(number, count: 50))
                try await log.replace([StateLogPart(name: Array("part-\(number)".utf8), body: recordBody(number, count: 50))])
            }
            try log.execute("UPDATE records SET body = x'00112233' WHERE position = 4")
            try log.execute(
                "UPDATE parts SET body = (SELECT body FROM parts WHERE name = CAST('part-2' AS BLOB)) WHERE name = CAST('part-7' AS BLOB)")
            try await log.end(clean: true)
            let kept = try await SQLiteStateLog.reopened(directory)
            #expect(kept.records.map(\.position) == [1, 2, 3, 5, 6, 7, 8, 9, 10])
            #expect(
                Set(kept.parts.keys.map { String(decoding: $0, as: UTF8.self) }) == Set((0..<10).filter { $0 != 7 }.map { "part-\($0)" }))
            #expect(!kept.opening.mayContinue, "a log that lost something ends its incarnation")
            #expect(kept.opening.damage.count == 2)
            #expect(kept.opening.damage.contains { $0.contains("'part-7'") } && kept.opening.damage.contains { $0.contains("Record 4") })
            #expect(try await SQLiteStateLog.reopened(directory).opening.damage.isEmpty)
        }
    }

    @Test("A file that is no database is set aside, and the node starts with an empty log", arguments: ["text", "head", "empty"])
    func foreignFile(_ kind: String) async throws {
        try await withStateDirectory { directory in
            try await Self.fill(directory, parts: 3, records: 3, checkpoint: true)
            let path = directory + "/copy/state.sqlite"
            var file = try Data(contentsOf: URL(filePath: path))
            switch kind {
            case "text": file = Data(String(repeating: "This is no database.\n", count: 500).utf8)
            case "head": file.replaceSubrange(0..<100, with: Data(repeating: 0x55, count: 100))
            default: file = Data()
            }
            try file.write(to: URL(filePath: path))
            let kept = try await SQLiteStateLog.reopened(directory + "/copy")
            #expect(kept.parts.isEmpty && kept.records.isEmpty && !kept.opening.mayContinue)
            #expect(kept.opening.damage.isEmpty == (kind == "empty"))
            #expect(FileManager.default.fileExists(atPath: path + ".damaged-1") == (kind != "empty"))
        }
    }

    @Test("A rescue that was killed between its renames is finished at the next start")
    func interruptedRescue() async throws {
        try await withStateDirectory { directory in
            try await Self.fill(directory, parts: 2, records: 5, checkpoint: true)
            let good = try Data(contentsOf: URL(filePath: directory + "/copy/state.sqlite"))
            for step in 0..<3 {
                let place = directory + "/step-\(step)"
                try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
                try good.write(to: URL(filePath: place + "/state.sqlite.rescued"))
                try Data("half".utf8).write(to: URL(filePath: place + "/state.sqlite.rescue"))
                if step < 2 { try Data("bad".utf8).write(to: URL(filePath: place + "/state.sqlite")) }
                if step < 1 { try Data("bad".utf8).write(to: URL(filePath: place + "/state.sqlite-wal")) }
                let kept = try await SQLiteStateLog.reopened(place)
                #expect(kept.records.count == 5 && kept.parts.count == 2, "step \(step)")
                #expect(!FileManager.default.fileExists(atPath: place + "/state.sqlite.rescued"))
                #expect(!FileManager.default.fileExists(atPath: place + "/state.sqlite.rescue"))
            }
        }
    }

    /// Gives a directory on a small disk of its own.
    private static func withSmallDisk(_ body: (String) async throws -> Void) async throws {
        try await withStateDirectory { directory in
            let mounted = unsafe mount("tmpfs", directory, "tmpfs", 0, "size=1m")
            try #require(mounted == 0, "mounting failed: \(errno)")
            defer { unsafe umount2(directory, Int32(MNT_DETACH)) }
            try await body(directory)
        }
    }

    @Test("A full disk delays records, tells why, and loses none once there is room again", .enabled(if: geteuid() == 0))
    func fullDisk() async throws {
        try await Self.withSmallDisk { directory in
            var settings = StateLogSettings()
            settings.retryDelay = .milliseconds(20)
            let log = try SQLiteStateLog(directory: directory, settings: settings)
            _ = try await log.contents()
            try await log.begin(incarnation: 3)
            try await log.store(recordBody(0, count: 100))
            try Data(repeating: 1, count: 700_000).write(to: URL(filePath: directory + "/ballast"))
            let settlements = Settlements()
            for number in UInt64(1)...20 { _ = log.append(recordBody(number, count: 50_000), urgency: .now, settled: settlements.note) }
            let error = await #expect(throws: BrumeError.self) {
                try await log.replace([StateLogPart(name: [1], body: recordBody(1, count: 200_000))])
            }
            #expect(error?.code == .unavailable)
            #expect(log.figures.trouble?.contains("is full; free some space") == true)
            #expect(settlements.seen.withLock { $0 }.contains("delayed unavailable"))
            #expect(log.figures.pendingBytes > 0 && !log.figures.isIncomplete)

            let grown = unsafe mount("tmpfs", directory, "tmpfs", UInt(MS_REMOUNT), "size=16m")
            try #require(grown == 0)
            try await log.store(recordBody(21, count: 10))
            #expect(settlements.seen.withLock { $0.count { $0 == "durable" } } == 20)
            #expect(log.figures.trouble == nil && log.figures.pendingBytes == 0)
            try await log.end(clean: true)
            let kept = try await SQLiteStateLog.reopened(directory)
            #expect(kept.bodies.map(numberOf) == Array(0...21))
            #expect(kept.opening.mayContinue)
        }
    }

    @Test("What does not even fit in memory is given up, said so, and ends the incarnation unless a snapshot makes up for it")
    func overflow() async throws {
        for makesUp in [false, true] {
            try await withStateDirectory { directory in
                var settings = StateLogSettings()
                settings.pendingBytesMax = 10_000
                settings.retryDelay = .milliseconds(20)
                let log = try SQLiteStateLog(directory: directory, settings: settings)
                _ = try await log.contents()
                try await log.begin(incarnation: 3)
                try log.fillDisk(true)
                let settlements = Settlements()
                var last: UInt64 = 0
                for number in UInt64(0)..<5 {
                    last = log.append(recordBody(number, count: 4_000), urgency: .now, settled: settlements.note)
                }
                // Two fit; a third does if the writer has taken the first one in hand by then.
                let lost = settlements.seen.withLock { $0.count { $0.hasPrefix("lost") } }
                #expect(lost == 2 || lost == 3)
                #expect(log.figures.isIncomplete)
                try log.fillDisk(false)
                try await log.store(recordBody(9, count: 10))
                if makesUp {
                    try await log.replace([StateLogPart(name: [1], body: [1])])
                    try await log.truncate(through: last)
                    #expect(!log.figures.isIncomplete)
                }
                try await log.end(clean: true)
                let kept = try await SQLiteStateLog.reopened(directory)
                let numbers = kept.bodies.map(numberOf)
                #expect(numbers.last == 9 && numbers == numbers.sorted())
                #expect(numbers.count == (makesUp ? 1 : 5 - lost + 1))
                #expect(kept.opening.mayContinue == makesUp)
            }
        }
    }

    @Test("An end on a full disk does not wait, gives up what is pending, and is not clean")
    func endOnFullDisk() async throws {
        try await withStateDirectory { directory in
            let log = try SQLiteStateLog(directory: directory)
            _ = try await log.contents()
            try await log.begin(incarnation: 3)
            try await log.store(recordBody(0, count: 10))
            try log.fillDisk(true)
            let settlements = Settlements()
            _ = log.append(recordBody(1, count: 400_000), urgency: .now, settled: settlements.note)
            try await log.end(clean: true)
            #expect(settlements.seen.withLock { $0 } == ["delayed unavailable", "lost unavailable"])
            let kept = try await SQLiteStateLog.reopened(directory)
            #expect(kept.bodies.map(numberOf) == [0])
            #expect(!kept.opening.mayContinue)
        }
    }
}
