// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeSimulator

/// Section 8.3: harvesting on one node.
extension TestbedRunner {
    private struct Columns {
        let paperDefault: PaperFigures.Single
        let paper: PaperFigures.Single
        let fixed: ReplayMetrics
        let libra: ReplayMetrics
        let ours: ReplayMetrics
    }

    private static let completionRemark =
        "The paper's completion times cannot be those of one open-loop trace: Default ends at 375 s and no call takes more "
        + "than about 130 s, "
        + "so calls were still sent after 240 s, when Libra's run had ended."
    private static let utilisationRemark =
        "The work is the same under every policy, so the average use can only grow as completion shrinks; the paper's 3.82 "
        + "with a completion "
        + "of 185 s instead of 375 s must count something else as use."

    /// Why latencies and speedups cannot be much better than they are.
    static func fullRemark(_ ours: ReplayMetrics) -> String {
        "Calls come for 60 s, and for their work alone all cores need \(Int(ours.workSeconds.rounded())) s; with Brume "
            + "\(Int((ours.cpu * 100).rounded())) % of them work until the last call ends. So latencies and speedups can only gain by "
            + "another order of the calls; the paper's functions must have had less to do."
    }

    func single() throws -> [TestbedLine] {
        let policies: [ReplayPolicy] = [
            .fixed, .libra, brume, .weights, .harvest, .libraWithoutSafeguard, .libraWithoutProfiler, .libraWithoutBoth,
            brume.blinded(safeguard: false, profiler: true), brume.blinded(safeguard: true, profiler: false),
            brume.blinded(safeguard: false, profiler: false),
        ]
        let results = try metrics("Single node", policies) { TestbedPlans.single(seed: $0) }
        let paper = PaperFigures.single
        var lines = Self.main(Columns(paperDefault: paper[0], paper: paper[2], fixed: results[0], libra: results[1], ours: results[2]))
        for (offset, variant) in paper[3...].enumerated() {
            let (libra, ours) = (results[5 + offset], results[8 + offset])
            lines.append(
                TestbedLine(
                    .single, "P99 latency, \(variant.name)", unit: "s", paperDefault: paper[0].p99, paper: variant.p99,
                    simulatedDefault: results[0].p99, simulatedLibra: libra.p99, simulated: ours.p99))
            lines.append(
                TestbedLine(
                    .single, "mean latency, \(variant.name)", unit: "s", paperDefault: paper[0].mean, paper: variant.mean,
                    simulatedDefault: results[0].mean, simulatedLibra: libra.mean, simulated: ours.mean))
        }
        for (name, result) in [("weights", results[3]), ("harvest", results[4])] {
            lines.append(
                TestbedLine(
                    .single, "P99 latency, \(name)", unit: "s", simulatedDefault: results[0].p99, simulated: result.p99, isAim: false,
                    remark: "Brume's other policies beside the one above."))
            lines.append(
                TestbedLine(
                    .single, "mean latency, \(name)", unit: "s", simulatedDefault: results[0].mean, simulated: result.mean, isAim: false))
        }
        return lines
    }

    private static func main(_ columns: Columns) -> [TestbedLine] {
        let (theirs, before) = (columns.paper, columns.paperDefault)
        let (fixed, libra, ours) = (columns.fixed, columns.libra, columns.ours)
        func line(
            _ name: String, _ unit: String, _ paperDefault: Double?, _ paper: Double, _ path: KeyPath<ReplayMetrics, Double>,
            lower: Bool = true, _ remark: String = ""
        ) -> TestbedLine {
            TestbedLine(
                .single, name, unit: unit, paperDefault: paperDefault, paper: paper, simulatedDefault: fixed[keyPath: path],
                simulatedLibra: libra[keyPath: path], simulated: ours[keyPath: path], isLowerBetter: lower, remark: remark)
        }
        return [
            line("P99 latency", "s", before.p99, theirs.p99, \.p99, fullRemark(ours)),
            line("mean latency", "s", before.mean, theirs.mean, \.mean),
            line("median latency", "s", before.median, theirs.median, \.median),
            line("mean speedup", "", nil, theirs.meanSpeedup, \.meanSpeedup, lower: false),
            line("median speedup", "", nil, theirs.medianSpeedup, \.medianSpeedup, lower: false),
            line(
                "worst degradation", "%", nil, theirs.worstDegradation, \.worstDegradation,
                "Of the end-to-end latency with queueing: a short call that met a short queue under static limits may meet a longer one."),
            line("completion", "s", before.completion, theirs.completion ?? 0, \.completion, completionRemark),
            TestbedLine(
                .single, "CPU utilisation over Default's", unit: "x", paperDefault: 1, paper: before.libraCPUTimes, simulatedDefault: 1,
                simulatedLibra: libra.cpu / fixed.cpu, simulated: ours.cpu / fixed.cpu, isLowerBetter: false, remark: utilisationRemark),
            TestbedLine(
                .single, "memory utilisation over Default's", unit: "x", paperDefault: 1, paper: before.libraMemoryTimes,
                simulatedDefault: 1, simulatedLibra: libra.memory / fixed.memory, simulated: ours.memory / fixed.memory,
                isLowerBetter: false, remark: "A call that ends sooner holds its memory for a shorter time."),
            line("peak CPU utilisation", "", nil, PaperFigures.singlePeakCPU, \.peakCPU, lower: false),
            TestbedLine(
                .single, "out-of-memory kills", unit: "", paper: 0, simulatedDefault: fixed.kills, simulatedLibra: libra.kills,
                simulated: ours.kills),
            TestbedLine(
                .single, "calls safeguarded", unit: "%", paper: 8, simulatedLibra: libra.safeguarded, simulated: ours.safeguarded,
                isAim: false),
            TestbedLine(
                .single, "calls more than 5 % slower than static", unit: "%", simulatedLibra: libra.slower, simulated: ours.slower,
                isAim: false),
        ]
    }
}

extension ReplayPolicy {
    /// The same without its safeguard, its profiler or both.
    func blinded(safeguard: Bool, profiler: Bool) -> ReplayPolicy {
        guard var harvest else { return self }
        let adjust = harvest.adjust
        if !profiler { harvest.isExperienced = false }
        harvest.adjust = { settings in
            adjust(&settings)
            settings.usesSafeguard = safeguard
            if !profiler {
                settings.profiler.method = .recentMaximum
                settings.profiler.callsBeforePrediction = 1
            }
        }
        return ReplayPolicy(name + (safeguard ? "" : "-ns") + (profiler ? "" : "-np"), sharing: sharing, harvest: harvest)
    }
}
