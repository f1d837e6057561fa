// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import BrumeSimulator
import BrumeTestbeds
import Testing

@Suite("Libra's testbeds")
struct TestbedTests {
    @Test("the functions take the times of their published profiles on eight cores")
    func profiles() {
        let published: [(id: String, multiple: Double, seconds: Double)] = [
            ("dh", 1, 1.79), ("dh", 100, 2.15), ("eg", 50, 8.92), ("ip", 10, 4.00), ("vp", 10, 24.0), ("ir", 50, 6.34), ("knn", 100, 25.40),
            ("alu", 1, 1.80), ("ms", 100, 8.52), ("gd", 50, 12.35), ("dv", 10, 6.40),
        ]
        for row in published {
            guard let function = TestbedFunction.all.first(where: { $0.id == row.id }) else {
                Issue.record("there is no function \(row.id)")
                continue
            }
            #expect(abs(function.seconds(at: row.multiple) - row.seconds) < 1e-9, "\(row)")
            var chance = SeededGenerator(seed: 5)
            let times = (0..<50).map { _ in function.work(row.multiple, &chance).seconds(cores: 8) }
            let mean = times.reduce(0, +) / 50
            #expect(abs(mean / row.seconds - 1) < 0.03, "\(row): \(mean)")
        }
    }

    @Test("under static limits the single node comes near the paper's Default")
    func calibration() throws {
        var (mean, median, p99) = (0.0, 0.0, 0.0)
        for seed in UInt64(1)...3 {
            var replay = Replay(TestbedPlans.single(seed: seed), .fixed, seed: seed)
            let metrics = ReplayMetrics(replay.run(), replay.outcome)
            #expect(metrics.violations.isEmpty, "seed \(seed): \(metrics.violations)")
            (mean, median, p99) = (mean + metrics.mean / 3, median + metrics.median / 3, p99 + metrics.p99 / 3)
        }
        let paper = try #require(PaperFigures.single.first)
        #expect(abs(mean / paper.mean - 1) < 0.15, "mean \(mean)")
        #expect(abs(median / paper.median - 1) < 0.15, "median \(median)")
        #expect(abs(p99 / paper.p99 - 1) < 0.15, "P99 \(p99)")
    }

    @Test("harvesting beats static limits on the single node, and Brume's policy by 39 % and more", arguments: [2] as [UInt64])
    func harvesting(seed: UInt64) {
        func run(_ policy: ReplayPolicy) -> ReplayMetrics {
            var replay = Replay(TestbedPlans.single(seed: seed), policy, seed: seed)
            return ReplayMetrics(replay.run(), replay.outcome)
        }
        let (fixed, harvest, shared) = (run(.fixed), run(.harvest), run(.shared))
        #expect(harvest.mean < 0.8 * fixed.mean && harvest.p99 < 0.8 * fixed.p99, "seed \(seed): \(harvest)")
        #expect(shared.mean < 0.61 * fixed.mean && shared.p99 < 0.61 * fixed.p99, "seed \(seed): \(shared)")
        #expect(shared.kills == 0 && harvest.kills == 0, "seed \(seed)")
    }

    @Test("one node of the paper's four is found by each of its schedulers")
    func multi() {
        for schedulers in [1, 4] {
            var plan = TestbedPlans.multi(callsPerFunction: 3, seed: 2)
            plan.schedulers = schedulers
            plan.placement = .coverage()
            var replay = Replay(plan, .libra, seed: 2)
            let metrics = ReplayMetrics(replay.run(), replay.outcome)
            #expect(metrics.violations.isEmpty && metrics.calls == 30, "\(metrics.violations)")
        }
    }

    @Test("a verdict compares with the paper's figure, and then with each one's own baseline")
    func verdicts() {
        func verdict(_ simulated: Double, lower: Bool = true) -> TestbedLine.Verdict {
            TestbedLine(
                .single, "x", unit: "s", paperDefault: 100, paper: 50, simulatedDefault: 200, simulated: simulated, isLowerBetter: lower
            ).verdict
        }
        #expect(verdict(49) == .better)
        #expect(verdict(99) == .betterRatio)
        #expect(verdict(101) == .worse)
        #expect(verdict(51, lower: false) == .better)
        #expect(TestbedLine(.single, "x", unit: "s", simulated: 1).verdict == .information)
    }

    @Test("numbers are written with three digits or so")
    func numbers() {
        let table: [(Double, String)] = [(0, "0.00"), (1.006, "1.01"), (-0.25, "-0.25"), (12.34, "12.3"), (127.7, "128"), (99.96, "100.0")]
        for (amount, text) in table { #expect(TestbedLine.text(amount) == text) }
    }

    @Test("a report has a row for each line, its remarks and its assumptions")
    func markdown() {
        let lines = [
            TestbedLine(.single, "P99 latency", unit: "s", paper: 65, simulated: 57.2, remark: "Why it is so."),
            TestbedLine(.mix, "mean speedup", unit: "", paper: 0.57, simulated: 0.5, isLowerBetter: false),
        ]
        let report = TestbedReport(seeds: 2, lines: lines)
        let text = report.markdown
        #expect(text.contains("| P99 latency (s) |  | 65.0 |  |  | 57.2 | better |"))
        #expect(text.contains("| mean speedup |  | 0.57 |  |  | 0.50 | worse |"))
        #expect(text.contains("- P99 latency: Why it is so."))
        #expect(text.contains("1 lines better than Libra's own figure, 0 better only against their own baseline, 1 worse."))
        #expect(!text.contains(Testbed.multi.title))
        for assumption in report.assumptions { #expect(text.contains(assumption)) }
    }
}
