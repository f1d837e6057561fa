// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
public import BrumeSimulator
import BrumeWorkload

/// Runs the testbeds and puts their tables together.
public struct TestbedRunner {
    /// Told before each replay; may throw to stop.
    public typealias Progress = (String) throws -> Void

    public let seeds: Int
    /// The policy that stands for Brume.
    public var brume: ReplayPolicy
    let progress: Progress

    public init(seeds: Int, brume: ReplayPolicy = .shared, progress: @escaping Progress = { _ in }) {
        self.seeds = max(1, seeds)
        self.brume = brume
        self.progress = progress
    }

    public func report(_ testbeds: [Testbed] = Testbed.allCases) throws -> TestbedReport {
        var report = TestbedReport(seeds: seeds)
        for testbed in testbeds {
            switch testbed {
            case .single: report.lines += try single()
            case .multi: report.lines += try multi()
            case .scaling: report.lines += try scaling()
            case .sensitivity: report.lines += try sensitivity()
            case .mix: report.lines += try mix()
            }
        }
        return report
    }

    /// One plan for each seed, replayed under each policy; the first one is what the others are compared with.
    func metrics(
        _ what: String, _ policies: [ReplayPolicy], change: (inout ReplayPlan, ReplayPolicy) -> Void = { _, _ in },
        plan: (UInt64) -> ReplayPlan
    ) throws -> [ReplayMetrics] {
        var all = [[ReplayMetrics]](repeating: [], count: policies.count)
        for seed in UInt64(1)...UInt64(seeds) {
            let base = plan(seed)
            var fixed: PolicyRun?
            for (index, policy) in policies.enumerated() {
                try progress("\(what), seed \(seed) of \(seeds), \(policy.name)")
                var plan = base
                change(&plan, policy)
                var replay = Replay(plan, policy, seed: seed)
                let run = replay.run()
                if fixed == nil { fixed = run }
                all[index].append(ReplayMetrics(run, replay.outcome, against: fixed))
            }
        }
        return all.map(ReplayMetrics.average)
    }
}
