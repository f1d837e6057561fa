// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import BrumeSimulator
import BrumeWorkload
import Testing

/// Traces whose calls have demand, in virtual time: hand-computed cases, and promises over many seeds.
@Suite("Replays of traces with demand")
struct ReplayTests {
    static let mebibyte = 1 << 20

    static func work(_ phases: [(cores: Double, amount: Double)], memory: Int = 64 * mebibyte) -> VirtualWork {
        VirtualWork(
            phases: phases.map { VirtualPhase(cores: $0.cores, amount: $0.amount, memoryBytes: memory) }, baseMemoryBytes: 32 * mebibyte,
            features: CallFeatures(inputBytes: 10, parameters: [1]))
    }

    static func plan(_ calls: [(at: Double, function: Int, work: VirtualWork)], cores: [Int], node: Int) -> ReplayPlan {
        let functions = cores.enumerated().map { index, count in
            VirtualFunction("f\(index)", allocation: Resources(millicores: count * 1000, memoryBytes: 128 * mebibyte))
        }
        var plan = ReplayPlan(
            functions: functions,
            calls: calls.map { VirtualCall(offset: .nanoseconds(Int64($0.at * 1e9)), function: $0.function, work: $0.work) },
            capacity: Resources(millicores: node * 1000, memoryBytes: 4096 * mebibyte))
        plan.start = .milliseconds(500)...Duration.milliseconds(500)
        plan.keepAlive = .zero
        return plan
    }

    private static func seconds(_ run: PolicyRun) -> [Double] { run.records.map { $0.completion?.inSeconds ?? -1 } }

    /// Start 0.5 s, then: wait 0.2 s, one core-second alone, eight core-seconds by four.
    private static let mixed = work([(0, 0.2), (1, 1), (4, 8)])

    /// Its limit of two cores allows 40 ms of CPU in 20 ms: the last phase has four cores for so long, and is done 20 ms earlier by it.
    @Test("a call with its own limit takes the time of its phases, less what it finds of a budget")
    func alone() {
        var replay = Replay(Self.plan([(0, 0, Self.mixed)], cores: [2], node: 8), .fixed, seed: 1)
        let run = replay.run()
        #expect(abs(Self.seconds(run)[0] - (0.5 + 0.2 + 1 + 3.98)) < 1e-6)
        #expect(abs(replay.outcome.usedCoreSeconds - 9) < 1e-6)
        #expect(run.records[0].resources.peakMillicores == 3000, "20 ms at four cores and 20 ms at two")
        #expect(run.records[0].isCold == true)
        #expect(abs((run.records[0].running?.inSeconds ?? 0) - 5.18) < 1e-6)
        #expect(replay.outcome.violations.isEmpty)
    }

    @Test("with static limits the second of two calls waits for what the first has reserved")
    func queueing() {
        let calls = [(0.0, 0, Self.work([(4, 8)])), (1.0, 0, Self.work([(4, 4)]))]
        var replay = Replay(Self.plan(calls, cores: [4], node: 6), .fixed, seed: 1)
        let times = Self.seconds(replay.run())
        // 0.5 start + 2; the other's replica starts when the first's has gone, 2 ms later.
        #expect(abs(times[0] - 2.5) < 1e-6)
        #expect(abs(times[1] - (2.5 - 1 + 0.002 + 0.5 + 1)) < 1e-6)
    }

    @Test("by weights, calls share what there is in proportion, and one alone has all it can use")
    func weights() {
        let calls = [(0.0, 0, Self.work([(8, 8)])), (0.0, 1, Self.work([(8, 8)]))]
        var replay = Replay(Self.plan(calls, cores: [1, 3], node: 4), .weights, seed: 1)
        let times = Self.seconds(replay.run())
        // 3 of 4 cores for 8/3 s; the other has done 8/3 core-seconds then and has 4 cores for the rest.
        #expect(abs(times[1] - (0.5 + 8.0 / 3)) < 1e-6)
        #expect(abs(times[0] - (0.5 + 8.0 / 3 + (8 - 8.0 / 3) / 4)) < 1e-6)
    }

    @Test("what nobody has reserved is lent to a call that shows it can use it")
    func lending() {
        var replay = Replay(Self.plan([(0, 0, Self.work([(4, 8)]))], cores: [1], node: 8), .harvest, seed: 1)
        let run = replay.run()
        #expect(abs(Self.seconds(run)[0] - 2.5) < 1e-6)
        #expect(replay.outcome.violations.isEmpty, "\(replay.outcome.violations)")
    }

    @Test("the same seed gives the same digest, another one another", arguments: [ReplayPolicy.harvest, .shared, .libra].map(\.name))
    func digests(name: String) throws {
        let policy = try #require([ReplayPolicy.harvest, .shared, .libra].first { $0.name == name })
        func digest(_ seed: UInt64) -> UInt64 {
            var replay = Replay(Self.drawn(seed: seed, calls: 60), policy, seed: seed)
            _ = replay.run()
            return replay.outcome.digest
        }
        #expect(digest(3) == digest(3))
        #expect(digest(3) != digest(4))
    }

    // MARK: Memory that jumps

    /// Calls that need little for a while and then, at a random moment, nearly all of their allocation.
    private static func jumping(seed: UInt64) -> ReplayPlan {
        var chance = SeededGenerator(seed: seed)
        let jumps = (0..<60).map { number -> (at: Double, function: Int, work: VirtualWork) in
            let quiet = 0.2 + chance.unit()
            // The first ones stay small, so that the profiler believes the function to be.
            let jumpsNow = number >= 20 && chance.chance(1, in: 3)
            var work = Self.work([(1, quiet), (1, 0.03), (1, 0.5)], memory: 40 * mebibyte)
            // At 3 GB/s.
            if jumpsNow {
                work.phases[1].memoryBytes = 120 * mebibyte
                work.phases[2].memoryBytes = 120 * mebibyte
            }
            return (Double(number) * 0.4, 0, work)
        }
        var plan = Self.plan(jumps, cores: [1], node: 4)
        plan.functions[0].allocation.memoryBytes = 256 * mebibyte
        plan.keepAlive = .seconds(600)
        for index in plan.calls.indices where plan.calls[index].work.peakMemoryBytes > 100 * mebibyte {
            for phase in 1...2 { plan.calls[index].work.phases[phase].memoryBytes = 240 * mebibyte }
        }
        return plan
    }

    @Test("memory that jumps kills no call while the safeguard watches, and kills some when it does not")
    func outOfMemory() {
        var killed = 0
        for seed in UInt64(1)...8 {
            var guarded = Replay(Self.jumping(seed: seed), .harvest, seed: seed)
            let run = guarded.run()
            #expect(run.outOfMemoryKills == 0 && guarded.outcome.killsByHarvesting == 0, "seed \(seed)")
            #expect(run.records.allSatisfy { $0.succeeded }, "seed \(seed)")
            #expect(guarded.outcome.violations.isEmpty, "seed \(seed): \(guarded.outcome.violations)")
            var open = Replay(Self.jumping(seed: seed), .withoutSafeguard, seed: seed)
            _ = open.run()
            killed += open.outcome.killsByHarvesting
            #expect(open.outcome.violations.isEmpty, "seed \(seed): \(open.outcome.violations)")
        }
        #expect(killed > 0, "without the safeguard nothing was killed in 8 seeds")
    }

    // MARK: Promises

    /// A small crowd of functions that want more or less than their users ask for.
    private static func drawn(seed: UInt64, calls count: Int) -> ReplayPlan {
        var chance = SeededGenerator(seed: seed)
        let functions = (0..<4).map { index in
            VirtualFunction(
                "f\(index)",
                allocation: Resources(millicores: chance.draw(1...8) * 500, memoryBytes: chance.draw(2...8) * 64 * mebibyte))
        }
        let calls = (0..<count).map { number -> VirtualCall in
            let function = chance.below(functions.count)
            let memory = min(functions[function].allocation.memoryBytes - mebibyte, chance.draw(33...256) * mebibyte)
            let size = Double(chance.draw(1...20))
            var work = Self.work(
                [(0, 0.05), (1, 0.05 * size), (0.5 + chance.unit() * 6, 0.3 * size), (1, 0.02 * size)], memory: memory)
            work.features = CallFeatures(inputBytes: Int(size), parameters: [size])
            return VirtualCall(offset: .milliseconds(chance.below(20_000)), function: function, work: work)
        }
        var plan = ReplayPlan(
            functions: functions, calls: calls.sorted { $0.offset < $1.offset },
            capacity: Resources(millicores: 8000, memoryBytes: 1500 * mebibyte))
        plan.keepAlive = chance.chance(1, in: 2) ? .zero : .seconds(5)
        return plan
    }

    @Test(
        "limits never add up to more than there is, every call ends, and the books balance",
        arguments: (ReplayPolicy.brume + [.libra, .libraWithoutBoth]).map(\.name))
    func promises(name: String) throws {
        let policy = try #require((ReplayPolicy.brume + [.libra, .libraWithoutBoth]).first { $0.name == name })
        for seed in UInt64(1)...5 {
            let plan = Self.drawn(seed: seed, calls: 50)
            var replay = Replay(plan, policy, seed: seed)
            let run = replay.run()
            #expect(replay.outcome.violations.isEmpty, "\(name), seed \(seed): \(replay.outcome.violations.prefix(3))")
            #expect(run.records.allSatisfy { $0.completion != nil }, "\(name), seed \(seed)")
            let work = plan.calls.reduce(0) { $0 + $1.work.coreSeconds }
            if run.outOfMemoryKills == 0 {
                #expect(abs(replay.outcome.usedCoreSeconds - work) < 1e-3 * work, "\(name), seed \(seed): work was lost or made up")
            }
            let metered = run.utilisation.reduce(0) { $0 + Double($1.usedMillicores) } / 10_000
            #expect(abs(metered - replay.outcome.usedCoreSeconds) < 0.02 * work + 0.5, "\(name), seed \(seed): \(metered)")
        }
    }

    @Test("every scheduler places every call on some node, and nothing is left behind")
    func placements() {
        for (index, placement) in PlacementPolicy.all.enumerated() {
            for schedulers in [1, 3] {
                var plan = Self.drawn(seed: UInt64(index + 10), calls: 50)
                plan.nodes = 3
                plan.schedulers = schedulers
                plan.placement = placement
                var replay = Replay(plan, .harvest, seed: 5)
                let run = replay.run()
                #expect(replay.outcome.violations.isEmpty, "\(placement): \(replay.outcome.violations.prefix(3))")
                #expect(run.records.allSatisfy { $0.succeeded }, "\(placement)")
                #expect(run.capacity.millicores == 24_000)
            }
        }
    }
}
