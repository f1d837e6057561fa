// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeSimulator

/// Section 8.4: schedulers before four nodes.
extension TestbedRunner {
    /// The paper's five, in the order of ``PaperFigures/schedulers``.
    private static let placements: [PlacementPolicy] = [.hash, .roundRobin, .shortestQueue, .leastLoad, .coverage()]

    func multi() throws -> [TestbedLine] {
        // By rate, then scheduler: Libra's harvesting, Brume.
        var libra: [[ReplayMetrics]] = []
        var ours: [[ReplayMetrics]] = []
        for rate in PaperFigures.rates {
            var row: [[ReplayMetrics]] = [[], []]
            for placement in Self.placements {
                let pair = try metrics("Four nodes, \(rate) calls a minute, \(placement)", [.libra, brume]) { seed in
                    var plan = TestbedPlans.multi(callsPerFunction: rate / TestbedFunction.all.count, seed: seed)
                    plan.placement = placement
                    return plan
                }
                row[0].append(pair[0])
                row[1].append(pair[1])
            }
            libra.append(row[0])
            ours.append(row[1])
        }
        return Self.latencies(libra, ours) + Self.others(libra, ours)
    }

    private static func latencies(_ libra: [[ReplayMetrics]], _ ours: [[ReplayMetrics]]) -> [TestbedLine] {
        let paper = PaperFigures.schedulers
        var lines = PaperFigures.rates.enumerated().map { index, rate in
            TestbedLine(
                .multi, "P99 latency at \(rate)/min", unit: "s", paperDefault: paper[0].p99[index], paper: paper[4].p99[index],
                simulatedDefault: libra[index][0].p99, simulatedLibra: libra[index][4].p99, simulated: ours[index][4].p99)
        }
        let means = paper.map { $0.p99.reduce(0, +) / Double($0.p99.count) }
        for (index, scheduler) in paper.enumerated() {
            func mean(_ table: [[ReplayMetrics]], _ column: Int) -> Double {
                table.reduce(0) { $0 + $1[column].p99 } / Double(table.count)
            }
            lines.append(
                TestbedLine(
                    .multi, "P99 latency, mean of ten sets, \(scheduler.name)", unit: "s", paperDefault: means[0], paper: means[index],
                    simulatedDefault: mean(libra, 0), simulatedLibra: mean(libra, index), simulated: mean(ours, index)))
        }
        return lines
    }

    private static func others(_ libra: [[ReplayMetrics]], _ ours: [[ReplayMetrics]]) -> [TestbedLine] {
        let (before, paper) = (PaperFigures.schedulers[0], PaperFigures.schedulers[4])
        func at(_ rate: Int) -> Int { PaperFigures.rates.firstIndex(of: rate) ?? 0 }
        func line(
            _ name: String, _ unit: String, _ rate: Int, _ theirs: (Double, Double), _ path: KeyPath<ReplayMetrics, Double>,
            factor: Double = 1, lower: Bool = true, aim: Bool = true, _ remark: String = ""
        ) -> TestbedLine {
            let row = at(rate)
            return TestbedLine(
                .multi, "\(name) at \(rate)/min", unit: unit, paperDefault: theirs.0, paper: theirs.1,
                simulatedDefault: libra[row][0][keyPath: path] * factor, simulatedLibra: libra[row][4][keyPath: path] * factor,
                simulated: ours[row][4][keyPath: path] * factor, isLowerBetter: lower, isAim: aim, remark: remark)
        }
        let use =
            "The paper's use and completion belong together: with the work of these profiles the same part of 128 cores is used for a "
            + "shorter time."
        let held =
            "The baseline's own use is a quarter of the paper's: the profiles have what functions use, and the paper's figures "
            + "must count more. And a call that ends sooner holds its memory for a shorter time."
        let idle = "Calls admitted by their expected use reserve nothing that could lie idle: 0 by construction."
        return [
            line("completion", "s", 120, (before.completion.at120, paper.completion.at120), \.completion),
            line(
                "completion", "s", 300, (before.completion.at300, paper.completion.at300), \.completion,
                "In an open-loop minute no call can end later than 60 s plus the longest latency; the paper's client must "
                    + "have sent later."),
            line("idle CPU", "core-s", 120, (before.idleCPU.at120, paper.idleCPU.at120), \.idleCoreSeconds, aim: false, idle),
            line("idle CPU", "core-s", 300, (before.idleCPU.at300, paper.idleCPU.at300), \.idleCoreSeconds, aim: false, idle),
            line("idle memory", "GB-s", 300, (before.idleMemory, paper.idleMemory), \.idleMegabyteSeconds, factor: 0.001),
            line("CPU utilisation", "%", 60, (before.cpu.at60, paper.cpu.at60), \.cpu, factor: 100, lower: false, use),
            line("CPU utilisation", "%", 300, (before.cpu.at300, paper.cpu.at300), \.cpu, factor: 100, lower: false, use),
            line("peak CPU utilisation", "%", 300, (before.cpu.peak, paper.cpu.peak), \.peakCPU, factor: 100, lower: false),
            line("memory utilisation", "%", 300, (before.memory.average, paper.memory.average), \.memory, factor: 100, lower: false, held),
            line("peak memory utilisation", "%", 300, (before.memory.peak, paper.memory.peak), \.peakMemory, factor: 100, lower: false),
        ]
    }
}
