// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Testing

/// What harvesting does to whole workloads, in a model of a node. Real nodes and the simulator have their own experiments.
@Suite("Harvesting against static limits, in a fluid model")
struct FluidNodeTests {
    private static let node = Resources(millicores: 72_000, memoryBytes: 72_000_000_000)

    private static func arrivals(_ count: Int, over seconds: Double, seed: UInt64) -> [FluidNode.Arrival] {
        var chance = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            let function = chance.below(10)
            return FluidNode.Arrival(
                at: chance.unit() * seconds, function: function, multiple: Double(chance.draw(SyntheticFunction.all[function].multiples)),
                slowness: Elementary.exponential(0.03 * chance.normal()), peakFactor: Elementary.exponential(0.01 * chance.normal()))
        }
        .sorted { $0.at < $1.at }
    }

    /// Cores and units of 128 MB that users ask for.
    private static func allocations(_ pairs: [(cores: Int, units: Int)]) -> [Resources] {
        pairs.map { Resources(millicores: $0.cores * 1000, memoryBytes: $0.units * DemandClass.memoryUnitBytes) }
    }

    /// As in Libra's repository: everybody asks for less CPU than would be used.
    private static let modest = allocations([(2, 8), (2, 8), (1, 2), (2, 4), (1, 8), (2, 8), (2, 8), (2, 4), (1, 8), (1, 8)])
    /// Half of the users ask for the most there is, the others for little.
    private static let mixed = allocations([(8, 8), (8, 8), (1, 2), (8, 8), (1, 8), (2, 8), (8, 8), (8, 8), (1, 8), (1, 8)])

    private static func outcome(
        _ allocations: [Resources], _ arrivals: [FluidNode.Arrival], harvests: Bool, change: (inout HarvesterSettings) -> Void = { _ in }
    ) -> FluidNode.Outcome {
        var settings = HarvesterSettings(capacity: node)
        // No call of the descriptions uses more than 8 cores.
        settings.profiler.millicoresMax = 8000
        change(&settings)
        var node = FluidNode(SyntheticFunction.all, allocations: allocations, settings: settings)
        return node.run(arrivals, harvests: harvests)
    }

    struct Scenario: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let allocations: [Resources]
        let seconds: Double
        /// The most that mean and 99th percentile may be of those with static limits.
        let mean: Double
        let p99: Double
    }

    static let scenarios = [
        Scenario(
            testDescription: "little CPU asked for, a third of the node reserved", allocations: modest, seconds: 600, mean: 0.5, p99: 0.5),
        Scenario(testDescription: "little CPU asked for, the node half full", allocations: modest, seconds: 300, mean: 0.61, p99: 0.61),
        Scenario(testDescription: "much CPU asked for by half, a third reserved", allocations: mixed, seconds: 600, mean: 0.5, p99: 0.5),
        Scenario(testDescription: "much CPU asked for by half, more than there is", allocations: mixed, seconds: 240, mean: 0.8, p99: 0.8),
    ]

    @Test("calls are much faster, and none is slower than with its own allocation", arguments: scenarios, [1, 2] as [UInt64])
    func faster(scenario: Scenario, seed: UInt64) {
        let arrivals = Self.arrivals(400, over: scenario.seconds, seed: seed)
        let fixed = Self.outcome(scenario.allocations, arrivals, harvests: false)
        let harvested = Self.outcome(scenario.allocations, arrivals, harvests: true)
        let (mean, p99) = (harvested.mean / fixed.mean, harvested.p99 / fixed.p99)
        #expect(mean <= scenario.mean && p99 <= scenario.p99, "seed \(seed): mean \(mean), P99 \(p99) of those with static limits")
        let worst = zip(harvested.latencies, fixed.latencies).map { $0 / $1 }.max() ?? 0
        #expect(worst <= 1.05, "seed \(seed): one call took \(worst) times as long")
        let (used, before) = (harvested.busyCoreSeconds / harvested.end, fixed.busyCoreSeconds / fixed.end)
        #expect(used > before, "seed \(seed): \(used) cores busy, \(before) before")
    }
}
