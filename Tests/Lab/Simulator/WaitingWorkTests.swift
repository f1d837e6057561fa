// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import BrumeSimulator
import BrumeWorkload
import Testing

/// A call has CPU work, which limits slow down, and waits for others, which they do not.
@Suite("Work and waiting in virtual time")
struct WaitingWorkTests {
    /// The run times of calls that come one long after the other, in seconds.
    private static func seconds(of works: [VirtualWork], millicores: Int, _ policy: ReplayPolicy = .fixed) -> [Double] {
        let function = VirtualFunction("f", allocation: Resources(millicores: millicores, memoryBytes: 256 << 20))
        let calls = works.enumerated().map { VirtualCall(offset: .seconds(100 * $0.offset), function: 0, work: $0.element) }
        let plan = ReplayPlan(functions: [function], calls: calls, capacity: Resources(millicores: 4000, memoryBytes: 4 << 30))
        var replay = Replay(plan, policy, seed: 1)
        let run = replay.run()
        #expect(replay.outcome.violations.isEmpty && run.records.allSatisfy { $0.succeeded })
        return run.records.map { $0.running?.inSeconds ?? 0 }
    }

    private static func work(_ phases: [VirtualPhase]) -> VirtualWork { VirtualWork(phases: phases, baseMemoryBytes: 8 << 20) }

    /// Waits and stretches of work of every length in turns.
    private static func mixed(_ generator: inout SeededGenerator) -> VirtualWork {
        work(
            (0..<1 + generator.below(12)).map { _ in
                let waits = generator.below(2) == 0
                return VirtualPhase(
                    cores: waits ? 0 : 0.2 + 3 * generator.unit(), amount: 0.001 + generator.unit(),
                    memoryBytes: (8 + generator.below(64)) << 20)
            })
    }

    @Test("a call that waits takes the time that it waits, whatever its limit", arguments: [50, 250, 1000, 4000])
    func waiting(millicores: Int) {
        let works = [0.004, 0.1, 2.5].map { Self.work([VirtualPhase(cores: 0, amount: $0, memoryBytes: 16 << 20)]) }
        for policy in [ReplayPolicy.fixed, .reserved, .harvest, .density, .weights, .shared] {
            for (took, work) in zip(Self.seconds(of: works, millicores: millicores, policy), works) {
                #expect(abs(took - work.phases[0].amount) < 1e-6, "\(policy.name): \(took)")
            }
        }
    }

    @Test("what a lower limit adds to a call is what it adds to the call's work alone", arguments: 1...4)
    func onlyWork(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let works = (0..<6).map { _ in Self.mixed(&generator) }
        let waited = works.map { $0.phases.filter { $0.cores == 0 }.reduce(0) { $0 + $1.amount } }
        var before = [Double](repeating: .infinity, count: works.count)
        for millicores in [100, 250, 500, 1000, 2000, 4000] {
            let limit = Double(millicores) / 1000
            let took = Self.seconds(of: works, millicores: millicores)
            for index in works.indices {
                // Its work at its limit; whoever has waited may begin with a budget of 20 ms at full speed.
                let slowest = works[index].seconds(cores: limit)
                let bursts = Double(works[index].phases.count) * 0.020
                #expect(took[index] <= slowest + 1e-6 && took[index] >= slowest - bursts - 1e-6, "seed \(seed), \(millicores) m")
                #expect(took[index] >= waited[index] - 1e-6 && took[index] <= before[index] + 1e-6, "seed \(seed), \(millicores) m")
            }
            before = took
        }
    }

    @Test("functions that wait for others do not keep a node's CPU from those that compute, however many of their calls wait")
    func noStanding() throws {
        let own = Resources(millicores: 500, memoryBytes: 128 << 20)
        var functions = [VirtualFunction("waits", allocation: own), VirtualFunction("computes", allocation: own)]
        for index in functions.indices { functions[index].replicasMax = 4 }
        let wait = Self.work([
            VirtualPhase(cores: 0, amount: 4, memoryBytes: 16 << 20), VirtualPhase(cores: 1, amount: 0.02, memoryBytes: 16 << 20),
        ])
        let compute = Self.work([VirtualPhase(cores: 1, amount: 0.2, memoryBytes: 16 << 20)])
        // The node has room for four calls, and so many that wait are there before the first that computes.
        let calls =
            (0..<12).map { VirtualCall(offset: .milliseconds(10 * $0), function: 0, work: wait) }
            + (0..<12).map { VirtualCall(offset: .milliseconds(1000 + 10 * $0), function: 1, work: compute) }
        var plan = ReplayPlan(functions: functions, calls: calls, capacity: Resources(millicores: 2000, memoryBytes: 4 << 30))
        var profiler = Profiler(settings: ProfilerSettings(millicoresMax: 2000))
        for (function, work) in [wait, compute].enumerated() {
            for _ in 0..<20 {
                profiler.learn(
                    FunctionHandle(function), work.features,
                    CallObservation(
                        duration: .nanoseconds(Int64(work.seconds(cores: 0.5) * 1e9)),
                        peak: Resources(millicores: 500, memoryBytes: 20 << 20), allocatedMillicores: 500))
            }
        }
        plan.experience = profiler
        var replay = Replay(plan, .harvest, seed: 1)
        let records = replay.run().records
        #expect(replay.outcome.violations.isEmpty)
        let queued = records.filter { $0.function == "computes" }.map { $0.queued?.inSeconds ?? .infinity }
        // Four places come free after four seconds, and they have all of them: three turns of half a second at most.
        #expect(queued.max() ?? .infinity < 5, "\(queued)")
    }
}

extension Duration {
    fileprivate var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
