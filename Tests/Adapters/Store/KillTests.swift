// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeStore
import Foundation
import NIOCore
import Testing

/// A real process is killed in the middle of writes, many times over the same directory.
@Suite("kill -9 of the writer")
struct KillTests {
    private static let rounds = 32
    /// Reports after which the process is killed at the latest.
    private static let reportsMax = 150

    @Test("Whatever was acknowledged is there, nothing that ended comes back, and the database is whole", .timeLimit(.minutes(5)))
    func kill() async throws {
        let seed = ProcessInfo.processInfo.environment["BRUME_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
        print("kill -9 of the store: BRUME_SEED=\(seed), \(Self.rounds) kills")
        var generator = SeededGenerator(seed: seed)
        var promises = Promises()
        try await withDirectory { parent in
            let directory = parent + "/data"
            for round in 0..<Self.rounds {
                let pipe = parent + "/reports-\(round)"
                try #require(unsafe mkfifo(pipe, 0o600) == 0)
                // One round in eight dies while it opens the store.
                let patience = round % 8 == 7 ? 0 : generator.draw(1...Self.reportsMax)
                let delay = Duration.microseconds(generator.draw(0...3_000))
                let childSeed = generator.next()
                let killer = WriterKiller(pipe: pipe)
                async let reports = killer.run(patience: patience, delay: delay)
                await #expect(processExitsWith: .signal(SIGKILL)) {
                    [directory = directory as String, pipe = pipe as String, childSeed = childSeed as UInt64] in
                    try await Writer(directory: directory, pipe: pipe, seed: childSeed).run()
                }
                try promises.note(await reports)
                try await promises.check(directory: directory, round: round)
            }
        }
        let counts = promises.counts
        print("kill -9 of the store: \(counts)")
        #expect(promises.acknowledgedEnqueues > Self.rounds * 5, "the rounds must have done some work: \(counts)")
        #expect(promises.acknowledgedDeliveries > 0, "the rounds must have done some work: \(counts)")
        #expect(promises.acknowledgedCompletions > Self.rounds, "the rounds must have done some work: \(counts)")
    }
}

// MARK: - The process that is killed

/// Uses the store as fast as it can, and says through a pipe what it is about to do and what was acknowledged, until it is killed.
///
/// Lower-case reports are intents, upper-case ones acknowledgements.
private struct Writer: Sendable {
    let directory: String
    let pipe: String
    let seed: UInt64

    static func body(_ id: UInt64) -> [UInt8] { (0..<Int(id % 5_000)).map { UInt8(truncatingIfNeeded: UInt64($0) &+ id) } }
    static func code(_ number: UInt64) -> ByteBuffer { ByteBuffer(string: "package \(number)") }

    func run() async throws {
        let descriptor = unsafe open(pipe, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BrumeError(.failed, "The pipe cannot be opened.") }
        func report(_ line: String) { _ = unsafe write(descriptor, line + "\n", line.utf8.count + 1) }
        report("pid \(getpid())")
        let store = try SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0"))
        let epoch = try await store.beginEpoch()
        report("E \(epoch)")
        var generator = SeededGenerator(seed: seed)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in UInt64(0)..<4 {
                let own = generator.fork()
                group.addTask {
                    try await work(store, epoch: epoch, worker: worker, generator: own) { line in
                        _ = unsafe write(descriptor, line + "\n", line.utf8.count + 1)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func work(
        _ store: SQLiteStore, epoch: UInt64, worker: UInt64, generator: SeededGenerator, report: @Sendable (String) -> Void
    ) async throws {
        var generator = generator
        var open: [UInt64] = []
        var ended: [UInt64] = []
        var number = epoch << 32 | worker << 24
        while true {
            number += 1
            switch generator.below(11) {
            case 0...4:
                report("q \(number)")
                try await store.enqueue(try Sample.queued(number, body: Self.body(number)))
                report("Q \(number)")
                open.append(number)
            case 5, 6:
                guard !open.isEmpty else { continue }
                let id = open.remove(at: generator.below(open.count))
                report("c \(id)")
                try await store.complete(CallID(id), delivery: try Sample.delivery(id, body: Self.body(id)))
                report("C \(id)")
                ended.append(id)
            case 7:
                guard !open.isEmpty else { continue }
                let id = open.remove(at: generator.below(open.count))
                report("b \(id)")
                try await store.bury(CallID(id), attempt: 3, lastFailure: "no", delivery: try Sample.delivery(id, body: Self.body(id)))
                report("B \(id)")
                ended.append(id)
            case 8:
                let function = try Sample.stored("f\(worker)", revision: Int(number))
                try await store.putFunction(function)
                report("F \(worker) \(number)")
            case 9:
                guard !ended.isEmpty else { continue }
                let id = ended.remove(at: generator.below(ended.count))
                report("d \(id)")
                try await store.delivered(CallID(id), accepted: try Sample.delivery(id).accepted)
                report("D \(id)")
            default:
                let digest = try await store.putCode(Self.code(number))
                report("P \(digest)")
                store.record(try Sample.call(number))
                try await store.flush()
                report("R \(number)")
            }
        }
    }
}

// MARK: - What was promised

/// Everything the writers were told, over all rounds.
private struct Promises {
    private var epoch: UInt64 = 0
    private var begunEnqueues: Set<UInt64> = []
    private var enqueued: Set<UInt64> = []
    private var begunCompletions: Set<UInt64> = []
    private var completed: Set<UInt64> = []
    private var begunBurials: Set<UInt64> = []
    private var buried: Set<UInt64> = []
    private var begunDeliveries: Set<UInt64> = []
    private var delivered: Set<UInt64> = []
    private var revisions: [String: UInt64] = [:]
    private var digests: Set<String> = []
    private var recorded: Set<UInt64> = []

    var acknowledgedEnqueues: Int { enqueued.count }
    var acknowledgedCompletions: Int { completed.count }
    var acknowledgedDeliveries: Int { delivered.count }
    var counts: String {
        "\(enqueued.count) of \(begunEnqueues.count) enqueues, \(completed.count) of \(begunCompletions.count) completions, "
            + "\(buried.count) burials, \(delivered.count) of \(begunDeliveries.count) deliveries, "
            + "\(digests.count) packages, \(recorded.count) records acknowledged, \(epoch) starts"
    }

    mutating func note(_ reports: [String]) throws {
        for report in reports {
            let words = report.split(separator: " ")
            let number = UInt64(words.last ?? "")
            switch (words.first, number) {
            case ("pid", _): break
            case ("E", let number?):
                #expect(number > epoch)
                epoch = number
            case ("q", let number?): begunEnqueues.insert(number)
            case ("Q", let number?): enqueued.insert(number)
            case ("c", let number?): begunCompletions.insert(number)
            case ("C", let number?): completed.insert(number)
            case ("b", let number?): begunBurials.insert(number)
            case ("B", let number?): buried.insert(number)
            case ("d", let number?): begunDeliveries.insert(number)
            case ("D", let number?): delivered.insert(number)
            case ("F", let number?): revisions["f\(words[1])"] = number
            case ("P", _): digests.insert(String(words[1]))
            case ("R", let number?): recorded.insert(number)
            default: Issue.record("unreadable report '\(report)'")
            }
        }
    }

    func check(directory: String, round: Int) async throws {
        let store = try SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0"))
        #expect(try store.integrity() == ["ok"], "round \(round)")
        let queued = try await store.queued()
        let waiting = Set(queued.map(\.id.number))
        let dead = Set(try await store.deadLetters(limit: .max).map(\.id.number))
        #expect(waiting.count == queued.count, "a call is queued twice in round \(round)")
        let kept = waiting.union(dead)
        let begun = enqueued.subtracting(begunCompletions)
        let deliveries = try await store.deliveries()
        let undelivered = Set(deliveries.map(\.call.number))
        #expect(undelivered.count == deliveries.count, "a result is kept twice in round \(round)")
        let ended = completed.union(buried)
        // A call that neither waits nor lies dead was completed, acknowledged or not.
        let gone = enqueued.subtracting(kept)
        // Each set must be empty; what is in it is what went wrong.
        let wrong: [(String, Set<UInt64>)] = [
            ("waiting and dead at once", waiting.intersection(dead)),
            ("queued, but nobody made it", kept.subtracting(begunEnqueues)),
            ("completed, but it came back", kept.intersection(completed)),
            ("buried, but it came back", waiting.intersection(buried)),
            ("buried and lost", buried.subtracting(dead)),
            ("ended, but its result is lost", ended.subtracting(begunDeliveries).subtracting(undelivered)),
            ("ended without a word, but its result is lost", gone.union(dead).subtracting(begunDeliveries).subtracting(undelivered)),
            ("delivered, but it came back", delivered.intersection(undelivered)),
            ("to be delivered, but it still waits", undelivered.intersection(waiting)),
            ("enqueued and lost", begun.subtracting(kept)),
            ("enqueued, but it no longer waits", begun.subtracting(begunBurials).subtracting(waiting)),
        ]
        for (what, calls) in wrong { #expect(calls.isEmpty, "\(what) in round \(round)") }
        let damaged = queued.filter { call in QueuedFacts(call).body != Writer.body(call.id.number) }
        #expect(damaged.isEmpty, "bodies changed in round \(round)")
        let damagedResults = deliveries.filter { Array($0.body.readableBytesView) != Writer.body($0.call.number) }
        #expect(damagedResults.isEmpty, "results changed in round \(round)")

        let functions = try await store.functions()
        for (name, revision) in revisions {
            let kept = functions.first { $0.spec.id.name == name }
            #expect(kept.map { UInt64($0.revision) >= revision } == true, "function \(name) in round \(round)")
        }
        for digest in digests { #expect(try await store.codePath(digest: digest) != nil, "package \(digest) in round \(round)") }
        let calls = Set(try await store.calls(CallQuery(limit: .max)).map(\.id.number))
        let lost = recorded.subtracting(calls)
        #expect(lost.isEmpty, "flushed calls are lost in round \(round)")
        try await store.close()
    }
}
