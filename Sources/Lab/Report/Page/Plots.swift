// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload

/// The sections with plots of one part of a page, real or simulated.
struct Plots {
    private let rounds: [Experiment.Rounds]
    private let summaries: [PolicySummary]
    /// Keeps the ids of the two parts apart.
    private let prefix: String

    init(_ rounds: [Experiment.Rounds], _ summaries: [PolicySummary], prefix: String) {
        self.rounds = rounds
        self.summaries = summaries
        self.prefix = prefix
    }

    var sections: String { [bars, latencies, utilisation(.cpu), utilisation(.memory), speedups].joined(separator: "\n") }

    private var baseline: Experiment.Rounds? { rounds.first { $0.policy == Experiment.baseline } }

    private func section(_ title: String, _ explanation: String, _ panels: [(caption: String, svg: String)]) -> String {
        let figures = panels.map { "<figure><figcaption>\(Markup.escape($0.caption))</figcaption>\($0.svg)</figure>" }.joined(
            separator: "\n")
        return "<h3>\(title)</h3>\n<p>\(explanation)</p>\n<div class=\"panels\">\(figures)</div>"
    }

    private var bars: String {
        func plot(_ title: String, _ value: (PolicySummary) -> Double, _ text: (Double) -> String) -> BarPlot {
            BarPlot(title: title, bars: summaries.map { .init(name: $0.name, value: value($0), text: text(value($0))) })
        }
        let plots = [
            plot("Mean latency", \.meanMilliseconds, Figure.milliseconds),
            plot("99th percentile of latency", \.p99Milliseconds, Figure.milliseconds),
            plot("CPU used", \.cpuUtilisation, Figure.percent),
        ]
        return section(
            "At a glance",
            "Latency from when a call was due to the end of its answer. CPU used is CPU time over capacity times completion.",
            plots.enumerated().map { ($0.element.title, $0.element.panel(id: "\(prefix)-bar-\($0.offset)")) })
    }

    private var latencies: String {
        let plot = LatencyPlot(rounds.map(\.first))
        return section(
            "Latency", "Part of the calls that had their answer within a time; static limits in grey.",
            rounds.enumerated().map {
                ($0.element.policy, plot.panel($0.element.first, baseline: baseline?.first, id: "\(prefix)-latency-\($0.offset)"))
            })
    }

    private func utilisation(_ kind: ResourceKind) -> String {
        let plot = UtilisationPlot(kind, rounds.map(\.first))
        let word = kind == .cpu ? "CPU" : "Memory"
        return section(
            "\(word) over time",
            kind == .cpu
                ? "What calls used, and the sum of the limits of those that ran, as parts of the node."
                : "What replicas held, idle ones too, and the sum of the limits of calls that ran, as parts of the node.",
            rounds.enumerated().map { ($0.element.policy, plot.panel($0.element.first, id: "\(prefix)-\(kind.rawValue)-\($0.offset)")) })
    }

    private var speedups: String {
        guard let baseline else { return "" }
        let others = rounds.filter { $0.policy != Experiment.baseline }
        guard !others.isEmpty else { return "" }
        return section(
            "Speedup by function",
            """
            Each dot is a call: how many times faster than the same call under static limits. The numbers are medians; orange calls were \
            over 5 % slower.
            """,
            others.enumerated().map { item in
                let comparison = Comparison(item.element.runs, with: baseline.runs)
                return (
                    item.element.policy,
                    SpeedupPlot(comparison: comparison).panel(item.element.policy, id: "\(prefix)-speedup-\(item.offset)")
                )
            })
    }
}
