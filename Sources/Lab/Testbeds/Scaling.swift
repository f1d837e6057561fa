// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeSimulator

/// Section 8.5: many nodes and several schedulers that do not talk to each other.
extension TestbedRunner {
    private static let strongCalls = 1000
    private static let weakCallsPerNode = 20
    private static let remark = "The paper's baseline is its own single scheduler, the first column."

    func scaling() throws -> [TestbedLine] {
        try lines("strong scaling", PaperFigures.strongScaling) { _ in Self.strongCalls }
            + lines("weak scaling", PaperFigures.weakScaling) { $0 * Self.weakCallsPerNode }
    }

    private func lines(_ name: String, _ paper: [[Double]], calls: (Int) -> Int) throws -> [TestbedLine] {
        var lines: [TestbedLine] = []
        for (column, nodes) in PaperFigures.nodeCounts.enumerated() {
            var single: ReplayMetrics?
            for schedulers in 1...paper.count {
                let pair = try metrics("\(nodes) nodes, \(name), \(schedulers) schedulers", [.libra, brume]) { seed in
                    var plan = TestbedPlans.scaling(nodes: nodes, schedulers: schedulers, calls: calls(nodes), seed: seed)
                    plan.placement = .coverage()
                    return plan
                }
                single = single ?? pair[0]
                lines.append(
                    TestbedLine(
                        .scaling, "completion, \(name), \(nodes) nodes, \(schedulers) scheduler\(schedulers > 1 ? "s" : "")", unit: "s",
                        paperDefault: paper[0][column], paper: paper[schedulers - 1][column], simulatedDefault: single?.completion,
                        simulatedLibra: pair[0].completion, simulated: pair[1].completion, remark: Self.remark))
            }
        }
        return lines
    }
}
