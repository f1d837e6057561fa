// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload

/// The report as one HTML file without scripts and without anything from elsewhere.
public struct Page: Sendable {
    private let experiment: Experiment

    public init(_ experiment: Experiment) { self.experiment = experiment }

    public var html: String {
        let summary = ExperimentSummary(experiment)
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>Brume: what calls gain by lending</title>
            <style>\(Self.style)</style>
            </head>
            <body>
            <main>
            <h1>What calls gain by lending</h1>
            <p class="lead">\(lead(summary.real.isEmpty ? summary.simulated : summary.real))</p>
            \(facts(summary))
            \(part("On the real node", summary.real, simulated: false))
            \(part("In the simulator", summary.simulated, simulated: true))
            <footer><p>Made by <code>brume lab harvest</code>, Brume \(Markup.escape(summary.version)). All figures come from the runs; \
            the files beside this one hold every call.</p></footer>
            </main>
            </body>
            </html>

            """
    }

    // MARK: Words

    private func lead(_ summaries: [PolicySummary]) -> String {
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

    private func facts(_ summary: ExperimentSummary) -> String {
        let cores = Figure.decimal(Double(summary.capacity.millicores) / 1000, 2)
        let capacity = "\(cores) cores and \(summary.capacity.memoryBytes >> 20) MiB of memory for calls"
        let rows = [
            ("Trace", "\(summary.trace), \(Figure.milliseconds(summary.traceSeconds * 1000)) long, seed \(summary.seed)"),
            ("Node", capacity), ("Machine", summary.machine),
        ]
        return "<dl>" + rows.map { "<div><dt>\($0.0)</dt><dd>\(Markup.escape($0.1))</dd></div>" }.joined() + "</dl>"
    }

    private func part(_ title: String, _ summaries: [PolicySummary], simulated: Bool) -> String {
        guard !summaries.isEmpty else { return "" }
        let rounds = experiment.rounds.filter { $0.isSimulated == simulated }
        let plots = Plots(rounds, summaries, prefix: simulated ? "s" : "r")
        return """
            <section>
            <h2>\(title)</h2>
            \(table(summaries))
            \(worst(summaries))
            \(plots.sections)
            </section>
            """
    }

    private func table(_ summaries: [PolicySummary]) -> String {
        let table = SummaryTable(summaries)
        let titles = SummaryTable.meanings
        var html = "<table><caption>In parentheses the change against static limits.</caption><thead><tr>"
        html += titles.map { "<th scope=\"col\">\(Markup.escape($0))</th>" }.joined() + "</tr></thead><tbody>"
        for row in table.rows {
            html += "<tr>"
            for (index, cell) in row.enumerated() {
                let label = Markup.escape(titles[index])
                html += index == 0 ? "<th scope=\"row\">\(Markup.escape(cell))</th>" : "<td data-label=\"\(label)\">\(Self.cell(cell))</td>"
            }
            html += "</tr>"
        }
        return html + "</tbody></table>"
    }

    /// The change below the value, so that columns stay narrow.
    private static func cell(_ text: String) -> String {
        guard let open = text.firstIndex(of: "(") else { return Markup.escape(text) }
        return "\(Markup.escape(String(text[..<open]))) <small>\(Markup.escape(String(text[open...])))</small>"
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
