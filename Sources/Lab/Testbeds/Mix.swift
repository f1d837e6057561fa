// SPDX-License-Identifier: Apache-2.0

import BrumeSimulator

/// Section 8.7: functions whose demand follows the size that the platform sees, and others.
extension TestbedRunner {
    func mix() throws -> [TestbedLine] {
        var lines: [TestbedLine] = []
        for (mix, theirs) in zip(TestbedPlans.Mix.allCases, PaperFigures.mix) {
            let results = try metrics("Mix \(mix.rawValue)", [.fixed, .libra, brume]) { TestbedPlans.single(seed: $0, mix: mix) }
            lines.append(
                TestbedLine(
                    .mix, "P99 below Default's, \(theirs.name)", unit: "", paper: theirs.p99Below,
                    simulatedLibra: 1 - results[1].p99 / results[0].p99, simulated: 1 - results[2].p99 / results[0].p99,
                    isLowerBetter: false, remark: mix == .related ? Self.relatedRemark : Self.fullRemark(results[2])))
            lines.append(
                TestbedLine(
                    .mix, "mean speedup, \(theirs.name)", unit: "", paper: theirs.meanSpeedup, simulatedLibra: results[1].meanSpeedup,
                    simulated: results[2].meanSpeedup, isLowerBetter: false))
        }
        return lines
    }

    private static let relatedRemark =
        "94 % less is a sixteenth of the time. With 8 cores at most, a call with one core of its own becomes 4.5 times as "
        + "fast at best; the "
        + "rest would have to be queueing that the paper does not show."
}
