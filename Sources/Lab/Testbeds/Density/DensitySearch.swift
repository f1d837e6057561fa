// SPDX-License-Identifier: Apache-2.0

public import BrumeModel
public import BrumeSimulator
import BrumeWorkload

/// How many calls a minute one node serves under each policy before their latency is worse than it may be.
///
/// The same calls arrive at every rate, only closer together: at random (Poisson), the ten functions of the suite alike, sizes drawn. The
/// highest rate is found by halving.
public struct DensitySearch {
    /// What is compared, static limits first.
    public static let policies: [ReplayPolicy] = [
        .reserved, overcommitted(.fixed, "overcommit"), overcommitted(.weights, "weights"), .harvest, .harvestAndWeights, .density, .shared,
    ]
    /// The bound follows from static limits at this rate, for each core: calls wait for each other there, and soon do so for good.
    public static let referencePerCore = 35.0
    /// What a node with two cores has for calls, as in docs/experiments.md.
    public static let node = Resources(millicores: 2000, memoryBytes: 16 << 30)

    public var capacity = DensitySearch.node
    public var seeds = 3
    /// Calls of each seed: P99 is then at the sixth from above.
    public var calls = 600
    /// Calls a minute at which static limits set the bound of the P99.
    public var reference: Double
    /// A call may take this many times its time alone under its own limits, at the P99.
    public var slowdownMax = 5.0
    /// A rate is found to this part of it.
    public var precision = 0.02
    let progress: (String) throws -> Void

    /// Below this part of the reference a policy serves nobody.
    private static let leastPart = 0.05
    /// A call is compared with this many seconds at least: a start's milliseconds are not a slowdown.
    private static let shortestSeconds = 0.1

    /// Whether every function of the suite can run on such a node.
    public static func fits(_ capacity: Resources) -> Bool { SuiteModel.all.allSatisfy { $0.allocation.fits(in: capacity) } }

    /// - Parameter progress: told before each rate; may throw to stop.
    public init(capacity: Resources = DensitySearch.node, progress: @escaping (String) throws -> Void = { _ in }) {
        self.capacity = capacity
        self.progress = progress
        reference = Self.referencePerCore * Double(capacity.millicores) / 1000
    }

    private static func overcommitted(_ policy: ReplayPolicy, _ name: String) -> ReplayPolicy {
        var policy = policy
        policy.name = name
        policy.overcommits = true
        return policy
    }

    /// What calls came to at one rate, of all seeds together.
    struct Sample {
        var p99Seconds = 0.0
        var p99Slowdown = 0.0
        var cpu = 0.0
        var failed = 0
    }

    public func report(_ policies: [ReplayPolicy] = DensitySearch.policies) throws -> DensityReport {
        let plans = (UInt64(1)...UInt64(max(1, seeds))).map { (seed: $0, plan: plan(seed: $0)) }
        let bound = try sample(.reserved, at: reference, plans)
        var report = DensityReport(
            capacity: capacity, seeds: plans.count, calls: calls, reference: reference, p99BoundSeconds: bound.p99Seconds,
            slowdownBound: slowdownMax)
        for policy in policies {
            let latency = try highest(policy, plans, "equal P99") { $0.p99Seconds <= bound.p99Seconds }
            let slowdown = try highest(policy, plans, "slowdown") { $0.p99Slowdown <= slowdownMax }
            report.lines.append(
                DensityLine(
                    policy: policy.name, callsPerMinute: latency.rate, p99Seconds: latency.sample.p99Seconds,
                    cpuUtilisation: latency.sample.cpu, callsPerMinuteAtSlowdown: slowdown.rate))
        }
        return report
    }

    /// The highest rate that keeps a bound; zero where none does.
    private func highest(
        _ policy: ReplayPolicy, _ plans: [(seed: UInt64, plan: ReplayPlan)], _ what: String, _ keeps: (Sample) -> Bool
    ) throws -> (rate: Double, sample: Sample) {
        var (low, best) = (0.0, Sample())
        // Faster than its CPU allows nobody is for long.
        var high = 2 * 60 * Double(capacity.millicores) / 1000 / meanWork(plans)
        var rate = reference
        while rate >= reference * Self.leastPart, high - low > precision * high {
            try progress("\(policy.name), \(what), \(Int(rate.rounded())) calls a minute")
            let sample = try sample(policy, at: rate, plans)
            if sample.failed == 0, keeps(sample) { (low, best) = (rate, sample) } else { high = rate }
            rate = (low + high) / 2
        }
        return (low, best)
    }

    private func meanWork(_ plans: [(seed: UInt64, plan: ReplayPlan)]) -> Double {
        let works = plans.flatMap { $0.plan.calls.map(\.work.coreSeconds) }
        return max(1e-6, works.reduce(0, +) / Double(max(1, works.count)))
    }

    /// Calls that arrive at one a second on average.
    private func plan(seed: UInt64) -> ReplayPlan {
        var chance = SeededGenerator(seed: seed)
        var at = 0.0
        let drawn = (0..<calls).map { _ -> VirtualCall in
            at -= Elementary.logarithm(1 - chance.unit())
            let index = chance.below(SuiteModel.all.count)
            return VirtualCall(offset: .nanoseconds(Int64(at * 1e9)), function: index, work: SuiteModel.call(of: index, &chance))
        }
        var plan = ReplayPlan(functions: SuiteModel.functions, calls: drawn, capacity: capacity)
        plan.experience = SuiteModel.experience(capacity: capacity, seed: seed)
        return plan
    }

    func sample(_ policy: ReplayPolicy, at rate: Double, _ plans: [(seed: UInt64, plan: ReplayPlan)]) throws -> Sample {
        var sample = Sample()
        var (latencies, slowdowns) = ([Double](), [Double]())
        var (used, seconds) = (0.0, 0.0)
        for (seed, unit) in plans {
            try progress("")
            var plan = unit
            for index in plan.calls.indices {
                plan.calls[index].offset = .nanoseconds(Int64(Double(unit.calls[index].offset.wholeNanoseconds) * 60 / rate))
            }
            var replay = Replay(plan, policy, seed: seed)
            let run = replay.run()
            for (call, record) in zip(plan.calls, run.records) {
                guard record.succeeded, let completion = record.completion?.inSeconds else {
                    sample.failed += 1
                    continue
                }
                let own = call.work.seconds(cores: Double(plan.functions[call.function].allocation.millicores) / 1000)
                latencies.append(completion)
                slowdowns.append(completion / max(Self.shortestSeconds, own))
            }
            used += replay.outcome.usedCoreSeconds
            seconds += replay.outcome.completionSeconds
        }
        sample.p99Seconds = Self.p99(latencies)
        sample.p99Slowdown = Self.p99(slowdowns)
        sample.cpu = used * 1000 / (seconds * Double(max(1, capacity.millicores)))
        return sample
    }

    /// The smallest value that ninety-nine of a hundred do not exceed.
    private static func p99(_ values: [Double]) -> Double {
        values.isEmpty ? 0 : values.sorted()[max(0, (values.count * 99 + 99) / 100 - 1)]
    }
}
