// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeSimulator

/// Figures 14 and 16: the safeguard's threshold and the weight of CPU in demand coverage.
extension TestbedRunner {
    func sensitivity() throws -> [TestbedLine] { try thresholds() + weights() }

    private func thresholds() throws -> [TestbedLine] {
        var lines: [TestbedLine] = []
        for (step, theirs) in PaperFigures.thresholdP99.enumerated() {
            // A threshold of nothing would have no meaning: one percent stands for it.
            let percent = max(1, step * 10)
            let results = try metrics("Safeguard at \(percent) %", [.libra.safeguarding(at: percent), brume.safeguarding(at: percent)]) {
                TestbedPlans.single(seed: $0)
            }
            let name = step == 10 ? "at a threshold of 1.0" : "at a threshold of 0.\(step)"
            lines.append(
                TestbedLine(
                    .sensitivity, "P99 latency \(name)", unit: "s", paper: theirs, simulatedLibra: results[0].p99,
                    simulated: results[1].p99))
            lines.append(
                TestbedLine(
                    .sensitivity, "calls safeguarded \(name)", unit: "%", paper: PaperFigures.thresholdSafeguarded[step],
                    simulatedLibra: results[0].safeguarded, simulated: results[1].safeguarded, isAim: false))
        }
        return lines
    }

    private func weights() throws -> [TestbedLine] {
        var lines: [TestbedLine] = []
        for (step, theirs) in PaperFigures.weightP99.enumerated() {
            let weight = Double(step) / 10
            let results = try metrics("Coverage with CPU weighted \(weight)", [.libra, brume]) { seed in
                var plan = TestbedPlans.multi(callsPerFunction: 12, seed: seed)
                plan.placement = .coverage(cpuWeight: weight)
                return plan
            }
            lines.append(
                TestbedLine(
                    .sensitivity, "P99 latency with CPU weighted \(weight)", unit: "s", paper: theirs, simulatedLibra: results[0].p99,
                    simulated: results[1].p99))
        }
        return lines
    }
}

extension ReplayPolicy {
    fileprivate func safeguarding(at percent: Int) -> ReplayPolicy {
        guard var harvest else { return self }
        let adjust = harvest.adjust
        harvest.adjust = { settings in
            adjust(&settings)
            settings.safeguard.thresholdPercent = percent
        }
        return ReplayPolicy("\(name)-\(percent)", sharing: sharing, harvest: harvest)
    }
}
