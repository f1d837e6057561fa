// SPDX-License-Identifier: Apache-2.0

extension TestbedReport {
    /// The report as Markdown.
    public var markdown: String {
        var text = "# Libra's testbeds, simulated\n\n"
        text +=
            "The figures of Libra's paper (HPDC 2023, section 8) beside the same experiments in the simulator, with the "
            + "engine that runs on "
            + "real nodes: \"baseline\" is the paper's Default, \"Libra\" its policy, \"Brume\" ours. Averages of \(seeds) seed"
            + "\(seeds == 1 ? "" : "s").\n\n"
        let (better, ratio, worse) = (count(.better), count(.betterRatio), count(.worse))
        text += "\(better) lines better than Libra's own figure, \(ratio) better only against their own baseline, \(worse) worse.\n"
        for testbed in Testbed.allCases {
            let own = lines.filter { $0.testbed == testbed }
            guard !own.isEmpty else { continue }
            text += "\n## \(testbed.title)\n\n"
            text += "| | paper: baseline | paper: Libra | simulated: baseline | simulated: Libra | simulated: Brume | verdict |\n"
            text += "|---|--:|--:|--:|--:|--:|---|\n"
            for line in own { text += line.row + "\n" }
            let remarks = own.filter { !$0.remark.isEmpty }
            if !remarks.isEmpty { text += "\n" }
            var told: [String] = []
            for line in remarks where !told.contains(line.remark) {
                told.append(line.remark)
                text += "- \(line.name): \(line.remark)\n"
            }
        }
        text += "\n## Assumptions\n\n"
        for assumption in assumptions { text += "- \(assumption)\n" }
        return text
    }
}

extension Testbed {
    /// For headings.
    public var title: String {
        switch self {
        case .single: "One node of 72 cores, 165 calls (section 8.3)"
        case .multi: "Four nodes of 32 cores, 10 to 300 calls a minute (section 8.4)"
        case .scaling: "10 to 50 nodes of 24 cores, 1 to 4 schedulers (section 8.5)"
        case .sensitivity: "Sensitivity (figures 14 and 16)"
        case .mix: "Mix of the workload (section 8.7)"
        }
    }
}

extension TestbedLine {
    fileprivate var row: String {
        let amounts = [paperDefault, paper, simulatedDefault, simulatedLibra, simulated].map { $0.map(Self.text) ?? "" }
        let label = unit.isEmpty ? name : "\(name) (\(unit))"
        return "| \(label) | \(amounts.joined(separator: " | ")) | \(verdict.words) |"
    }

    /// Three digits or so.
    public static func text(_ amount: Double) -> String {
        guard abs(amount) < 1e15 else { return "\(amount)" }
        let places = abs(amount) >= 100 ? 1 : abs(amount) >= 10 ? 10 : 100
        let scaled = Int((amount * Double(places)).rounded())
        let (whole, fraction) = (scaled.magnitude / places.magnitude, scaled.magnitude % places.magnitude)
        let digits = "\(fraction)"
        let point = places == 1 ? "" : "." + (places == 100 && fraction < 10 ? "0" : "") + digits
        return (scaled < 0 ? "-" : "") + "\(whole)" + point
    }
}

extension TestbedLine.Verdict {
    public var words: String {
        switch self {
        case .better: "better"
        case .betterRatio: "better against its own baseline"
        case .worse: "worse"
        case .information: ""
        }
    }
}
