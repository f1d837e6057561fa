// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Foundation
import Synchronization
import Testing

@testable import BrumeStore

/// What a log of state promises while nothing breaks.
@Suite("The log of state")
struct StateLogTests {
    @Test("Records come back in their order, parts by their names, and both at once")
    func roundTrip() async throws {
        try await withStateDirectory { directory in
            let log = try SQLiteStateLog(directory: directory)
            let empty = try await log.contents()
            #expect(empty.opening.incarnation == nil && !empty.opening.mayContinue && empty.parts.isEmpty && empty.records.isEmpty)
            try await log.begin(incarnation: 0xFFFF_FFFF_0000_0001)
            for number in UInt64(0)..<100 { try await log.store(recordBody(number, count: Int(number) * 7)) }
            try await log.replace([StateLogPart(name: [1], body: [1, 2, 3]), StateLogPart(name: [2], body: [0])])
            try await log.replace([StateLogPart(name: [2], body: [9, 9]), StateLogPart(name: [7, 0], body: [])])
            try await log.end(clean: true)

            let kept = try await SQLiteStateLog.reopened(directory)
            #expect(kept.opening.incarnation == 0xFFFF_FFFF_0000_0001)
            #expect(kept.opening.mayContinue)
            #expect(kept.bodies == (UInt64(0)..<100).map { recordBody($0, count: Int($0) * 7) })
            #expect(kept.parts == [[1]: [1, 2, 3], [2]: [9, 9]])
            #expect(kept.opening.parts == 2 && kept.opening.records == 100 && kept.opening.damage.isEmpty)
        }
    }

    @Test("An incarnation goes on only after a clean end, and only once")
    func incarnations() async throws {
        try await withStateDirectory { directory in
            for (incarnation, isClean) in [(UInt64(5), true), (6, false), (7, true), (7, false)] {
                let log = try SQLiteStateLog(directory: directory)
                _ = try await log.contents()
                try await log.begin(incarnation: incarnation)
                try await log.end(clean: isClean)
                let next = try SQLiteStateLog(directory: directory)
                let found = try await next.contents().opening
                #expect(found.incarnation == incarnation)
                #expect(found.mayContinue == isClean)
                // The start that may go on takes the mark away before it does anything: a second one after a crash may not.
                try await next.begin(incarnation: incarnation)
                try await next.end(clean: false)
                #expect(try await SQLiteStateLog.reopened(directory).opening.mayContinue == false)
            }
        }
    }

    @Test("Truncation forgets what lies before a position, and nothing else")
    func truncation() async throws {
        try await withStateDirectory { directory in
            let log = try SQLiteStateLog(directory: directory)
            _ = try await log.contents()
            var positions: [UInt64] = []
            for number in UInt64(0)..<20 { positions.append(try await log.store(recordBody(number, count: 10))) }
            #expect(positions == positions.sorted() && Set(positions).count == 20)
            try await log.truncate(through: positions[11])
            #expect(log.figures.recordBytes == 8 * 18)
            try await log.store(recordBody(20, count: 10))
            try await log.end(clean: true)
            let kept = try await SQLiteStateLog.reopened(directory)
            #expect(kept.bodies.map(numberOf) == Array(12...20))
            // Ten thousand records go in portions.
            let more = try SQLiteStateLog(directory: directory)
            _ = try await more.contents()
            var last: UInt64 = 0
            for number in UInt64(0)..<10_000 { last = more.append(recordBody(number, count: 0), urgency: .interval) { _ in } }
            try await more.store([1])
            try await more.truncate(through: last)
            #expect(more.figures.recordBytes == 1)
            try await more.end(clean: true)
            #expect(try await SQLiteStateLog.reopened(directory).bodies == [[1]])
        }
    }

    @Test("A long part is cut into slices, and is replaced whole")
    func slices() async throws {
        try await withStateDirectory { directory in
            var settings = StateLogSettings()
            settings.sliceBytes = 1_000
            let log = try SQLiteStateLog(directory: directory, settings: settings)
            _ = try await log.contents()
            for (name, count) in [([UInt8](arrayLiteral: 1), 25_000), ([2], 1_000), ([3], 1_001), ([1], 3_500), ([3], 10)] {
                try await log.replace([StateLogPart(name: name, body: recordBody(UInt64(count), count: count))])
            }
            #expect(log.figures.partBytes == 3_508 + 1_008 + 18)
            try await log.end(clean: true)
            let next = try SQLiteStateLog(directory: directory, settings: settings)
            let kept = try await next.contents()
            #expect(
                kept.parts == [[1]: recordBody(3_500, count: 3_500), [2]: recordBody(1_000, count: 1_000), [3]: recordBody(10, count: 10)])
            #expect(try next.slicesOnDisk() == 4 + 2)
            try await next.end(clean: true)
        }
    }

    @Test("Slices whose part was never finished are swept away at the next start")
    func orphanedSlices() async throws {
        try await withStateDirectory { directory in
            var settings = StateLogSettings()
            settings.sliceBytes = 100
            let log = try SQLiteStateLog(directory: directory, settings: settings)
            _ = try await log.contents()
            try await log.replace([StateLogPart(name: [1], body: recordBody(1, count: 1_000))])
            try log.execute("INSERT INTO slices (id, body) VALUES (0, x'00'), (500, x'00'), (501, x'00')")
            try await log.end(clean: true)
            let next = try SQLiteStateLog(directory: directory, settings: settings)
            #expect(try await next.contents().parts == [[1]: recordBody(1, count: 1_000)])
            #expect(try next.slicesOnDisk() == 11)
            try await next.end(clean: true)
        }
    }

    @Test("What nobody waits for is written within the interval, and a waiter takes it along")
    func intervals() async throws {
        try await withStateDirectory { directory in
            var settings = StateLogSettings()
            settings.interval = .milliseconds(30)
            let log = try SQLiteStateLog(directory: directory, settings: settings)
            _ = try await log.contents()
            for number in UInt64(0)..<50 { try await log.store(recordBody(number, count: 3), urgency: number < 3 ? .interval : .now) }
            let settlements = Settlements()
            for number in UInt64(50)..<500 { _ = log.append(recordBody(number, count: 3), urgency: .interval, settled: settlements.note) }
            let before = log.figures.commits
            try await log.store(recordBody(500, count: 3))
            #expect(settlements.seen.withLock { $0 } == Array(repeating: "durable", count: 450))
            #expect(log.figures.commits - before <= 2, "450 records must share a commit with the one that was waited for")
            try await log.end(clean: true)
            #expect(try await SQLiteStateLog.reopened(directory).bodies.map(numberOf) == Array(0...500))
        }
    }

    @Test("A second node is refused while the first holds the log; after its end the log is closed")
    func oneHolder() async throws {
        try await withStateDirectory { directory in
            let log = try SQLiteStateLog(directory: directory)
            _ = try await log.contents()
            await #expect(processExitsWith: .success) { [directory = directory as String] in
                do {
                    _ = try SQLiteStateLog(directory: directory)
                    exit(1)
                } catch let error as BrumeError {
                    exit(error.code == .unavailable && error.message.contains("locked") ? 0 : 2)
                }
            }
            try await log.end(clean: true)
            await #expect(throws: BrumeError.self) { try await log.store([1]) }
            await #expect(throws: BrumeError.self) { try await log.replace([StateLogPart(name: [1], body: [1])]) }
        }
    }
}

extension SQLiteStateLog {
    func slicesOnDisk() throws -> Int { try scalar("SELECT COUNT(*) FROM slices") }
}
