// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Foundation
import Synchronization
import Testing

@testable import BrumeStore

/// A real process that writes a log of state is killed hundreds of times, in the middle of whatever it does.
@Suite("kill -9 of the writer of state")
struct StateLogKillTests {
    /// Logs that are killed side by side: a process takes most of its life to start.
    private static let lanes = 4
    private static let rounds = 60

    @Test("Nothing that was acknowledged is lost, in more than two hundred kills at any point", .timeLimit(.minutes(4)))
    func kill() async throws {
        let seed = ProcessInfo.processInfo.environment["BRUME_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
        print("kill -9 of the log of state: BRUME_SEED=\(seed), \(Self.lanes * Self.rounds) rounds")
        var generator = SeededGenerator(seed: seed)
        var totals = LanePromises()
        try await withThrowingTaskGroup(of: LanePromises.self) { group in
            for _ in 0..<Self.lanes {
                let own = generator.fork()
                group.addTask { try await runLane(own, rounds: Self.rounds) }
            }
            for try await lane in group { totals.add(lane) }
        }
        print("kill -9 of the log of state: \(totals.counts)")
        #expect(totals.acknowledgements > Self.lanes * Self.rounds * 10, "the rounds must have done some work: \(totals.counts)")
        #expect(totals.snapshots > Self.lanes * Self.rounds / 2, "the rounds must have done some work: \(totals.counts)")
        #expect(totals.continued > 0, "some ends must have been clean: \(totals.counts)")
    }

}

private func runLane(_ generator: SeededGenerator, rounds: Int) async throws -> LanePromises {
    var generator = generator
    var promises = LanePromises()
    try await withStateDirectory { parent in
        let directory = parent + "/data"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for round in 0..<rounds {
            let pipe = parent + "/reports-\(round)"
            try #require(unsafe mkfifo(pipe, 0o600) == 0)
            // One round in eight dies while it opens the log, one in eight ends by itself and well.
            let endsWell = round % 8 == 3
            let patience = round % 8 == 7 ? 0 : generator.draw(1...120)
            let killer = WriterKiller(pipe: pipe)
            let delay = Duration.microseconds(generator.draw(0...4_000))
            let childSeed = generator.next()
            async let reports = killer.run(patience: endsWell ? .max : patience, delay: delay)
            if endsWell {
                await #expect(processExitsWith: .success) {
                    [directory = directory as String, pipe = pipe as String, childSeed = childSeed as UInt64] in
                    try await StateLogScribe(directory: directory, pipe: pipe, seed: childSeed, steps: 40).run()
                }
            } else {
                await #expect(processExitsWith: .signal(SIGKILL)) {
                    [directory = directory as String, pipe = pipe as String, childSeed = childSeed as UInt64] in
                    try await StateLogScribe(directory: directory, pipe: pipe, seed: childSeed, steps: .max).run()
                }
            }
            try promises.note(await reports)
            try await promises.check(directory: directory, endsWell: endsWell, round: round)
        }
    }
    return promises
}

// MARK: - The process that is killed

/// Writes records and snapshots as fast as it can, and says through a pipe what was acknowledged, until it is killed.
///
/// Each of its workers counts; a record says `worker, number`, a part how far its worker had come.
private struct StateLogScribe: Sendable {
    static let workers = UInt64(3)
    let directory: String
    let pipe: String
    let seed: UInt64
    let steps: Int

    func run() async throws {
        let descriptor = unsafe open(pipe, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BrumeError(.failed, "The pipe cannot be opened.") }
        let report: @Sendable (String) -> Void = { line in
            _ = unsafe write(descriptor, line + "\n", line.utf8.count + 1)
        }
        report("pid \(getpid())")
        var settings = StateLogSettings()
        settings.sliceBytes = 4_000
        let log = try SQLiteStateLog(directory: directory, settings: settings)
        let kept = try await log.contents()
        let incarnation = kept.opening.mayContinue ? kept.opening.incarnation ?? 0 : (seed | 1)
        try await log.begin(incarnation: incarnation)
        report("\(kept.opening.mayContinue ? "J" : "I") \(incarnation)")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<Self.workers {
                let reached = Reached(kept, worker: worker)
                group.addTask { try await work(log, worker, from: reached.number, report) }
            }
            try await group.waitForAll()
        }
        try await log.end(clean: true)
    }

    private func work(_ log: SQLiteStateLog, _ worker: UInt64, from start: UInt64, _ report: @Sendable (String) -> Void) async throws {
        var generator = SeededGenerator(seed: seed &+ worker)
        var number = start
        for _ in 0..<steps {
            switch generator.below(8) {
            case 0...4:
                number += 1
                try await log.store(Self.body(worker, number, count: generator.below(3_000)))
                report("A \(worker) \(number)")
            case 5, 6:
                // Several of one worker share a commit with the last.
                for _ in 0..<generator.below(6) {
                    number += 1
                    _ = log.append(Self.body(worker, number, count: generator.below(500)), urgency: .interval) { _ in }
                }
                number += 1
                try await log.store(Self.body(worker, number, count: 10))
                report("A \(worker) \(number)")
            default:
                // A snapshot of this worker alone; the records of the others must stay.
                let part = StateLogPart(name: [UInt8(worker)], body: Self.body(worker, number, count: generator.below(30_000)))
                try await log.replace([part])
                report("S \(worker) \(number)")
                if worker == 0, Self.workers == 1 || generator.below(2) == 0 { try await snapshotAll(log, report) }
            }
        }
    }

    /// Replaces every part by what the log says, then truncates it.
    private func snapshotAll(_ log: SQLiteStateLog, _ report: @Sendable (String) -> Void) async throws {
        // What all workers had on disk at one position: asked of the log itself, as the parts are of a replica.
        let position = try await log.store(Self.body(.max, 0, count: 0))
        let reached = try log.reachedOnDisk(through: position)
        for (worker, number) in reached {
            let part = StateLogPart(name: [UInt8(worker), 1], body: Self.body(worker, number, count: 9_000))
            try await log.replace([part])
        }
        try await log.truncate(through: position)
        report("T \(position)")
    }

    static func body(_ worker: UInt64, _ number: UInt64, count: Int) -> [UInt8] {
        withUnsafeBytesOf(worker) + recordBody(number, count: count)
    }
}

/// How far a worker came, by what a log read back.
private struct Reached {
    var number: UInt64 = 0

    init(_ contents: StateLogContents, worker: UInt64) {
        let bodies = Array(contents.parts.values) + contents.bodies
        number = bodies.filter { numberOf($0) == worker }.map { numberOf(Array($0.dropFirst(8))) }.max() ?? 0
    }
}

extension SQLiteStateLog {
    /// How far each worker came by the records up to a position.
    fileprivate func reachedOnDisk(through position: UInt64) throws -> [(UInt64, UInt64)] {
        let bodies = try bodiesOnDisk(through: position)
        return (0..<StateLogScribe.workers).compactMap { worker in
            bodies.filter { numberOf($0) == worker }.map { numberOf(Array($0.dropFirst(8))) }.max().map { (worker, $0) }
        }
    }
}

// MARK: - What was promised

/// Everything the scribes of one lane were told, over its rounds.
private struct LanePromises: Sendable {
    private var reached: [UInt64: UInt64] = [:]
    private var incarnations: Set<UInt64> = []
    private var last: UInt64?
    private var isLastClean = false
    private(set) var acknowledgements = 0
    private(set) var snapshots = 0
    private(set) var truncations = 0
    private(set) var continued = 0

    var counts: String {
        "\(acknowledgements) writes, \(snapshots) parts and \(truncations) truncations acknowledged, \(continued) incarnations continued"
    }

    mutating func add(_ other: LanePromises) {
        acknowledgements += other.acknowledgements
        snapshots += other.snapshots
        truncations += other.truncations
        continued += other.continued
    }

    mutating func note(_ reports: [String]) throws {
        for report in reports {
            let words = report.split(separator: " ")
            let numbers = words.dropFirst().compactMap { UInt64($0) }
            switch (words.first, numbers.count) {
            case ("pid", _): break
            case ("I", 1):
                #expect(!incarnations.contains(numbers[0]), "an incarnation was used again")
                incarnations.insert(numbers[0])
                last = numbers[0]
            case ("J", 1):
                #expect(isLastClean && numbers[0] == last, "an incarnation went on after an unclean end")
                continued += 1
            case ("A", 2):
                acknowledgements += 1
                reached[numbers[0]] = max(reached[numbers[0]] ?? 0, numbers[1])
            case ("S", 2): snapshots += 1
            case ("T", 1): truncations += 1
            default: Issue.record("unreadable report '\(report)'")
            }
        }
    }

    mutating func check(directory: String, endsWell: Bool, round: Int) async throws {
        let kept = try await SQLiteStateLog.reopened(directory)
        #expect(kept.opening.damage.isEmpty, "round \(round)")
        #expect(kept.opening.mayContinue == endsWell, "round \(round)")
        isLastClean = kept.opening.mayContinue
        for (worker, number) in reached {
            let found = Reached(kept, worker: worker).number
            #expect(found >= number, "worker \(worker) was told \(number) and \(found) is left in round \(round)")
            // Nothing is missing in between: each number lies below a part's or in a record.
            let floor = kept.parts.values.filter { numberOf($0) == worker }.map { numberOf(Array($0.dropFirst(8))) }.max() ?? 0
            let numbers = Set(kept.bodies.filter { numberOf($0) == worker }.map { numberOf(Array($0.dropFirst(8))) })
            let missing = (floor..<max(floor, found)).map { $0 + 1 }.filter { !numbers.contains($0) }
            #expect(missing.isEmpty, "worker \(worker) lost \(missing.prefix(5)) in round \(round)")
        }
        for body in Array(kept.parts.values) + kept.bodies where numberOf(body) != .max {
            let number = numberOf(Array(body.dropFirst(8)))
            let isWhole = body == StateLogScribe.body(numberOf(body), number, count: body.count - 16)
            #expect(isWhole, "a body changed in round \(round)")
        }
    }
}
