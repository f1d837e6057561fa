// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload

extension Page {
    /// The report of an experiment: one trace under several policies.
    public init(_ experiment: Experiment) {
        let summary = ExperimentSummary(experiment)
        let parts = ExperimentParts(experiment: experiment)
        self.init(
            title: "What calls gain by lending", lead: parts.lead(summary.real.isEmpty ? summary.simulated : summary.real),
            content: """
                \(parts.facts(summary))
                \(parts.part("On the real node", summary.real, simulated: false))
                \(parts.part("In the simulator", summary.simulated, simulated: true))
                """,
            footer: """
                Made by <code>brume lab harvest</code>, Brume \(Markup.escape(summary.version)). All figures come from the runs; \
                the files beside this one hold every call.
                """)
    }
}

/// What the page of an experiment is made of.
private struct ExperimentParts {
    let experiment: Experiment

    func lead(_ summaries: [PolicySummary]) -> String {
        guard let base = summaries.first(where: { $0.name == Experiment.baseline }), base.meanMilliseconds > 0,
            let best = summaries.first(where: { $0.name == "harvest" }) ?? summaries.first(where: { $0.name != Experiment.baseline })
        else { return "One trace, played once under each policy." }
        let mean = Figure.change(best.meanMilliseconds / base.meanMilliseconds - 1)
        let tail = Figure.change(best.p99Milliseconds / max(base.p99Milliseconds, 1e-9) - 1)
        let use = Figure.decimal(best.cpuUtilisation / max(base.cpuUtilisation, 1e-9), 2)
        return """
            Under <em>\(Markup.escape(best.name))</em> calls of the same trace had a mean latency of \
            \(Figure.milliseconds(best.meanMilliseconds)) (\(mean) against static limits) and a P99 of \
            \(Figure.milliseconds(best.p99Milliseconds)) (\(tail)); the node's CPU was used \(use) times as much.
            """
    }

    func facts(_ summary: ExperimentSummary) -> String {
        let cores = Figure.decimal(Double(summary.capacity.millicores) / 1000, 2)
        let capacity = "\(cores) cores and \(summary.capacity.memoryBytes >> 20) MiB of memory for calls"
        let rows = [
            ("Trace", "\(summary.trace), \(Figure.milliseconds(summary.traceSeconds * 1000)) long, seed \(summary.seed)"),
            ("Node", capacity), ("Machine", summary.machine),
        ]
        return "<dl>" + rows.map { "<div><dt>\($0.0)</dt><dd>\(Markup.escape($0.1))</dd></div>" }.joined() + "</dl>"
    }

    func part(_ title: String, _ summaries: [PolicySummary], simulated: Bool) -> String {
        guard !summaries.isEmpty else { return "" }
        let rounds = experiment.rounds.filter { $0.isSimulated == simulated }
        let plots = Plots(rounds, summaries, prefix: simulated ? "s" : "r")
        return """
            <section>
            <h2>\(title)</h2>
            \(Page.table(
                SummaryTable.meanings, SummaryTable(summaries).rows, caption: "In parentheses the change against static limits."))
            \(worst(summaries))
            \(plots.sections)
            </section>
            """
    }

    private func worst(_ summaries: [PolicySummary]) -> String {
        let lines = summaries.compactMap { summary -> String? in
            guard let worst = summary.worstCall, let slowdown = summary.worstSlowdown, slowdown > Comparison.tolerance else { return nil }
            let why = worst.why.isEmpty ? "" : ": it \(worst.why)"
            return """
                <li><strong>\(Markup.escape(summary.name))</strong>: call \(worst.index) of \(Markup.escape(worst.function)) took \
                \(Figure.milliseconds(worst.milliseconds)) instead of \(Figure.milliseconds(worst.staticMilliseconds)) \
                (\(Figure.change(slowdown)))\(Markup.escape(why)).</li>
                """
        }
        guard !lines.isEmpty else { return "" }
        return "<h3>The calls that lost most</h3><ul>\(lines.joined())</ul>"
    }
}
