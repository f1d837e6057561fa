// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Testing

@testable import BrumeStore

/// Measures the log on this machine's disk and prints the numbers; the expectations are floors far below any sound disk.
@Suite("Speed of the log of state", .serialized)
struct StateLogSpeedTests {
    /// Appends from some tasks, each waiting for its record; returns records and commits per second.
    private static func append(tasks: Int, count: Int, bytes: Int) async throws -> (records: Int, commits: Int) {
        var result = (records: 0, commits: 0)
        try await withStateDirectory { directory in
            let log = try SQLiteStateLog(directory: directory)
            _ = try await log.contents()
            let elapsed = try await ContinuousClock().measure {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for task in 0..<tasks {
                        group.addTask {
                            for index in 0..<count { try await log.store(recordBody(UInt64(task * count + index), count: bytes)) }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            let figures = log.figures
            result = (Int(Double(figures.records) / elapsed.inSeconds), Int(Double(figures.commits) / elapsed.inSeconds))
            try await log.end(clean: true)
        }
        return result
    }

    @Test("Waiting writers share commits: 64 of them write many more records than commits")
    func groupCommit() async throws {
        let one = try await Self.append(tasks: 1, count: 300, bytes: 100)
        let many = try await Self.append(tasks: 64, count: 100, bytes: 100)
        print("state log: one writer \(one.records) writes/s; 64 writers \(many.records) writes/s in \(many.commits) commits/s")
        #expect(many.records > many.commits * 8)
        #expect(many.records > one.records)
    }

    @Test("A snapshot does not stop those who wait for a sync")
    func snapshotBesideWrites() async throws {
        try await withStateDirectory { directory in
            let log = try SQLiteStateLog(directory: directory)
            _ = try await log.contents()
            let large = recordBody(1, count: 32 << 20)
            async let snapshot: Void = log.replace([StateLogPart(name: [1], body: large)])
            var longest = Duration.zero
            var writes = 0
            let elapsed = try await ContinuousClock().measure {
                for number in UInt64(0)..<60 {
                    let took = try await ContinuousClock().measure { try await log.store(recordBody(number, count: 100)) }
                    longest = max(longest, took)
                    writes += 1
                }
            }
            try await snapshot
            print("state log: \(writes) writes beside a part of 32 MB in \(elapsed), the slowest in \(longest)")
            #expect(longest < .seconds(2), "a write waits for slices, not for the whole part")
            try await log.end(clean: true)
            #expect(try await SQLiteStateLog.reopened(directory).parts[[1]] == large)
        }
    }

    @Test("A log of a hundred thousand records is read in seconds")
    func loading() async throws {
        try await withStateDirectory { directory in
            let log = try SQLiteStateLog(directory: directory)
            _ = try await log.contents()
            let count = 100_000
            for number in 0..<count { _ = log.append(recordBody(UInt64(number), count: 100), urgency: .interval) { _ in } }
            try await log.store([1])
            try await log.end(clean: true)
            let next = try SQLiteStateLog(directory: directory)
            let elapsed = try await ContinuousClock().measure { _ = try await next.load { _ in true } }
            print("state log: \(count) records of 108 bytes read in \(elapsed)")
            #expect(next.figures.recordBytes == count * 108 + 1)
            #expect(elapsed < .seconds(20))
            try await next.end(clean: true)
        }
    }
}
