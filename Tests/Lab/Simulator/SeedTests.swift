// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
import BrumeModel
import Testing

@testable import BrumeSimulator

/// Many small worlds, each from one number. A failure prints the number; `brume simulate --seed N` shows it again.
@Suite("Simulated nodes")
struct SeedTests {
    static let plans: [(name: String, plan: SimulationPlan)] = {
        var drained = SimulationPlan(calls: 200, faults: .light)
        drained.drains = true
        var crowded = SimulationPlan(functions: 6, calls: 200, faults: .light)
        crowded.meanGap = .microseconds(300)
        var lending = SimulationPlan(calls: 200, faults: .light)
        lending.settings.harvest = Self.harvest(lending.settings)
        var lendingUnderFire = SimulationPlan(calls: 200, faults: .heavy)
        lendingUnderFire.settings.harvest = Self.harvest(lendingUnderFire.settings)
        lendingUnderFire.settings.harvest?.admission = .predictedDemand
        lendingUnderFire.settings.harvest?.waitingOrder = .expectedEnd
        return [
            ("lending", lending), ("lending under fire", lendingUnderFire),
            ("none", SimulationPlan(calls: 200, faults: .none)), ("light", SimulationPlan(calls: 200, faults: .light)),
            ("heavy", SimulationPlan(calls: 200, faults: .heavy)),
            ("drained", drained), ("crowded", crowded),
        ]
    }()

    /// Predictions after two calls of a function, so that a short run has lenders and borrowers.
    private static func harvest(_ settings: EngineSettings) -> HarvesterSettings {
        var harvest = HarvesterSettings(capacity: settings.capacity)
        harvest.profiler.callsBeforePrediction = 2
        harvest.safeguard.memoryMarginBytes = 1 << 20
        return harvest
    }

    @Test("every promise holds, and the same seed gives the same run", arguments: plans.map(\.name))
    func promisesHold(name: String) throws {
        let plan = try #require(Self.plans.first { $0.name == name }).plan
        for seed in UInt64(1)...120 {
            do {
                var first = Simulation(seed: seed, plan: plan)
                let report = try first.run()
                var second = Simulation(seed: seed, plan: plan)
                let again = try second.run()
                #expect(report == again, "seed \(seed), plan \(name): two runs differ")
                #expect(report.arrived == plan.calls, "seed \(seed), plan \(name)")
            } catch {
                Issue.record("plan \(name): \(error)")
                return
            }
        }
    }

    @Test("different seeds give different runs")
    func seedsDiffer() throws {
        var digests = Set<UInt64>()
        for seed in UInt64(1)...30 {
            var simulation = Simulation(seed: seed, plan: SimulationPlan(faults: .light))
            digests.insert(try simulation.run().digest)
        }
        #expect(digests.count == 30)
    }

    @Test("every way in which a call can end is met")
    func endsAreMet() throws {
        var sum = Report(seed: 0)
        for seed in UInt64(1)...40 {
            var simulation = Simulation(seed: seed, plan: SimulationPlan(faults: .heavy))
            let report = try simulation.run()
            for path: WritableKeyPath<Report, Int> in Self.counters { sum[keyPath: path] += report[keyPath: path] }
        }
        for path in Self.counters { #expect(sum[keyPath: path] > 0, "\(path) was never met") }
        #expect(sum.coldRuns < sum.runs)
    }

    static var counters: [WritableKeyPath<Report, Int>] {
        [
            \.succeeded, \.failed, \.expired, \.abandoned, \.cutOff, \.completed, \.buried, \.retries, \.resent, \.refused, \.coldRuns,
            \.runs,
            \.failedStarts, \.evictions, \.restarts,
        ]
    }

    @Test("a waiting caller is accounted for once")
    func accounts() throws {
        for seed in UInt64(1)...20 {
            var plan = SimulationPlan(faults: .heavy)
            plan.asynchronous = .never
            var simulation = Simulation(seed: seed, plan: plan)
            let report = try simulation.run()
            let ends = report.succeeded + report.failed + report.expired + report.abandoned + report.cutOff + report.refused
            #expect(ends == report.arrived, "seed \(seed)")
        }
    }

    @Test("redeployment fails no call when nothing else goes wrong")
    func redeployment() throws {
        var redeploys = FaultPlan.none
        redeploys.redeploys = Ratio(1, in: 10)
        for seed in UInt64(1)...20 {
            var plan = SimulationPlan(calls: 300, faults: redeploys, roomy: true)
            plan.meanGap = .milliseconds(1)
            var simulation = Simulation(seed: seed, plan: plan)
            let report = try simulation.run()
            #expect(report.succeeded == report.arrived, "seed \(seed): \(report)")
            #expect(report.starts > plan.functions, "seed \(seed): nothing was replaced")
        }
    }
}

/// Hash seeds differ from process to process; a digest must not.
@Suite("Digests in two processes")
struct ProcessTests {
    static func digests() throws -> String {
        var lines = ""
        for seed in UInt64(1)...25 {
            var simulation = Simulation(seed: seed, plan: SimulationPlan(faults: .heavy))
            lines += "\(seed) \(try simulation.run().digestText)\n"
        }
        return lines
    }

    @Test("two processes come to the same digests")
    func sameInAnotherProcess() async throws {
        let result = try await #require(processExitsWith: .success, observing: [\.standardOutputContent]) {
            print("digests begin\n\(try ProcessTests.digests())digests end")
        }
        let output = String(decoding: result.standardOutputContent, as: UTF8.self)
        let begin = try #require(output.firstRange(of: "digests begin\n")).upperBound
        let end = try #require(output.firstRange(of: "digests end")).lowerBound
        #expect(String(output[begin..<end]) == (try Self.digests()))
    }
}

/// A referee that cannot object proves nothing.
@Suite("Saboteurs")
struct SaboteurTests {
    @Test("each wrong engine is caught within a few seeds", arguments: Saboteur.allCases)
    func isCaught(saboteur: Saboteur) {
        var caught: Violation?
        for seed in UInt64(1)...20 where caught == nil {
            var simulation = Simulation(seed: seed, plan: SimulationPlan(faults: .heavy), saboteur: saboteur)
            do { _ = try simulation.run() } catch { caught = error }
        }
        #expect(caught != nil, "\(saboteur) went unnoticed in 20 seeds")
        if let caught {
            #expect(!caught.trace.isEmpty && caught.trace.count <= TraceRing.length)
            #expect(caught.description.contains("seed \(caught.seed)"))
        }
    }
}
