// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeStore
import NIOCore
import Testing

/// Measures the store on this machine's disk and prints the numbers. The expectations are floors far below any sound disk,
/// in a debug build: they catch a sync for each call of a group, or a query that reads the whole table.
@Suite("Speed of the store", .serialized)
struct SpeedTests {
    private static func with(_ body: (SQLiteStore) async throws -> Void) async throws {
        try await withDirectory { directory in
            let store = try SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0"))
            try await body(store)
            try await store.close()
        }
    }

    private static func perSecond(_ count: Int, _ elapsed: Duration) -> Int { Int(Double(count) / elapsed.inSeconds) }

    /// Enqueues `count` calls of 1 KiB from each of `tasks` tasks; returns calls per second.
    private static func enqueue(_ store: SQLiteStore, tasks: Int, count: Int) async throws -> Int {
        let body = [UInt8](repeating: 1, count: 1_024)
        let elapsed = try await ContinuousClock().measure {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<tasks {
                    group.addTask {
                        for index in 0..<count { try await store.enqueue(try Sample.queued(UInt64(task * 100_000 + index), body: body)) }
                    }
                }
                try await group.waitForAll()
            }
        }
        return perSecond(tasks * count, elapsed)
    }

    @Test("Concurrent enqueues share syncs")
    func enqueues() async throws {
        var one = 0
        var many = 0
        try await Self.with { one = try await Self.enqueue($0, tasks: 1, count: 200) }
        try await Self.with { many = try await Self.enqueue($0, tasks: 64, count: 50) }
        print("store: enqueues/s \(one) from one task, \(many) from 64")
        #expect(many > one, "64 tasks must share syncs")
    }

    @Test("A hundred thousand calls are recorded in seconds and found in milliseconds")
    func history() async throws {
        try await Self.with { store in
            let clock = ContinuousClock()
            let count = 100_000
            let recording = try await clock.measure {
                for chunk in 0..<(count / 10_000) {
                    for index in 0..<10_000 {
                        let number = chunk * 10_000 + index
                        store.record(
                            try Sample.call(
                                UInt64(number), function: "f\(number % 50)", outcome: number % 1_000 == 0 ? .failed : .succeeded))
                    }
                    try await store.flush()
                }
            }
            print("store: records/s \(Self.perSecond(count, recording))")
            #expect(store.dropped.calls == 0)
            let queries: [(String, CallQuery)] = [
                ("newest 50", CallQuery()), ("of a function", CallQuery(function: try Sample.function("f7"))),
                ("failed", CallQuery(outcome: .failed)), ("by label", CallQuery(label: "label-50000")),
                ("failed of a function", CallQuery(function: try Sample.function("f0"), outcome: .failed)),
            ]
            for (name, query) in queries {
                var found = 0
                let rounds = 10
                let elapsed = try await clock.measure {
                    for _ in 0..<rounds { found = try await store.calls(query).count }
                }
                print("store: query '\(name)' \((elapsed / rounds).inMilliseconds) ms for \(found) calls among \(count)")
                #expect(found > 0)
                #expect(elapsed / rounds < .milliseconds(250), "\(name)")
            }
            var findings: [String] = []
            let checking = try clock.measure { findings = try store.integrity(quick: true) }
            #expect(findings == ["ok"])
            print("store: the check at opening \(checking.inMilliseconds) ms")
            let pruning = try await clock.measure { try await store.prune() }
            print("store: prune \(pruning.inMilliseconds) ms")
        }
    }

    @Test("Handing over a record or a line costs microseconds, whatever the disk does")
    func handover() async throws {
        try await Self.with { store in
            let call = try Sample.call(1)
            let rounds = 10_000
            try store.whileWriterIsBusy {
                let elapsed = ContinuousClock().measure { for _ in 0..<rounds { store.record(call) } } / rounds
                print("store: handing over a record \(elapsed)")
                #expect(elapsed < .microseconds(50))
            }
        }
    }
}
