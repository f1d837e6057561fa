// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload
import Testing

@testable import BrumeLoad

@Suite("Percentiles")
struct LoadTallyTests {
    @Test("percentiles, mean and maximum agree with the sorted samples to a thousandth", arguments: [1, 2, 3] as [UInt64])
    func agreesWithSorting(seed: UInt64) {
        let latencies = Quantity.lognormal(median: 300_000, sigma: 1.5, max: 50_000_000_000)
        var generator = SeededGenerator(seed: seed)
        var samples = (0..<20_000).map { _ in UInt64(latencies.draw(&generator)) }
        // Two threads' tallies, added up.
        var tallies = [LoadTally(), LoadTally()]
        for (index, sample) in samples.enumerated() { tallies[index % 2].countAnswer(status: 200, fromDue: sample, fromSend: sample / 2) }
        var tally = tallies[0]
        tally.add(tallies[1])
        samples.sort()
        let summary = LatencySummary(tally.fromDue)
        #expect(summary.count == 20_000)
        // 0.1 % from the histogram, and 128 ns from its unit.
        func close(_ value: Double, _ exact: UInt64) -> Bool { abs(value * 1e6 - Double(exact)) <= Double(exact) * 0.0011 + 128 }
        for (value, rank) in [(summary.p50, 0.5), (summary.p90, 0.9), (summary.p99, 0.99), (summary.p999, 0.999)] {
            #expect(close(value, samples[Int((20_000 * rank).rounded(.up)) - 1]), "seed \(seed), p\(rank)")
        }
        #expect(close(summary.max, samples[19_999]), "seed \(seed)")
        #expect(close(summary.mean, samples.reduce(0, +) / 20_000), "seed \(seed)")
        #expect(close(LatencySummary(tally.fromSend).p50, samples[9_999] / 2), "seed \(seed)")
    }

    @Test("a latency past the longest one counts as the longest, not as nothing")
    func clamps() {
        var tally = LoadTally()
        tally.countAnswer(status: 200, fromDue: .max, fromSend: 1)
        #expect(LatencySummary(tally.fromDue).count == 1)
        #expect(LatencySummary(tally.fromDue).max >= LoadPlan.durationMax.inMilliseconds)
    }

    @Test("an empty run has zeroes, not rubbish")
    func empty() {
        let summary = LatencySummary(LoadTally().fromDue)
        #expect(summary.count == 0 && summary.p99 == 0 && summary.max == 0 && summary.mean == 0)
    }
}
