// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeTestbeds
import FoundationEssentials

struct LabTestbeds: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "testbeds",
        abstract: "Simulate the testbeds of Libra's paper and compare with its figures.",
        discussion: """
            Plays the experiments of Libra's evaluation in virtual time, with the engine of a real node: one node of 72 cores, four of \
            32, ten to fifty of 24, the sensitivity of its settings, and mixes of functions. The table has the paper's figures, the \
            same policies simulated, and Brume's, with a verdict for each line. What the paper does not publish is assumed, and listed. \
            With --output the table is also written to testbeds.md and testbeds.json in a directory.

            Examples:
              brume lab testbeds --only single
              brume lab testbeds --seeds 5 --output results
            """)

    /// Runs of each experiment at most: a thousand seeds of the whole take hours.
    private static let seedsMax = 1000

    @Option(help: ArgumentHelp("One experiment: single, multi, scaling, sensitivity or mix. Default: all.", valueName: "testbed"))
    var only: Choice?

    @Option(help: ArgumentHelp("How many seeds each experiment is averaged over.", valueName: "number"))
    var seeds = 3

    @Option(help: ArgumentHelp("Write testbeds.md and testbeds.json into this directory.", valueName: "directory"), completion: .directory)
    var output: String?

    @OptionGroup var format: FormatOption

    enum Choice: String, ExpressibleByArgument, CaseIterable {
        case single, multi, scaling, sensitivity, mix

        var testbed: Testbed {
            switch self {
            case .single: .single
            case .multi: .multi
            case .scaling: .scaling
            case .sensitivity: .sensitivity
            case .mix: .mix
            }
        }
    }

    func run() async throws {
        guard (1...Self.seedsMax).contains(seeds) else { throw CommandFailure.words("--seeds takes 1 to \(Self.seedsMax).") }
        // Before minutes of work, not after them.
        if let output { try ReportFiles.makeDirectory(output) }
        let report = try await ProgressDisplay.during("Simulating") { display in
            defer { display.finish() }
            let runner = TestbedRunner(seeds: seeds) { what in
                try Task.checkCancellation()
                display.now(what)
            }
            return try runner.report(only.map { [$0.testbed] } ?? Testbed.allCases)
        }
        let json = try JSONText.of(report)
        if let output {
            try ReportFiles.write(report.markdown, to: output + "/testbeds.md")
            try ReportFiles.write(json + "\n", to: output + "/testbeds.json")
        }
        try Console.standard.print(format.json ? json : TestbedTable.of(report, style: Console.standard.outputStyle))
    }
}

/// The report for people.
enum TestbedTable {
    static func of(_ report: TestbedReport, style: Style) -> String {
        var text = ""
        for testbed in Testbed.allCases {
            let lines = report.lines.filter { $0.testbed == testbed }
            guard !lines.isEmpty else { continue }
            var table = Table([
                Table.Column(testbed.title), Table.Column("UNIT"), Table.Column("PAPER BASE", .right), Table.Column("LIBRA", .right),
                Table.Column("SIMULATED BASE", .right), Table.Column("LIBRA", .right), Table.Column("BRUME", .right),
                Table.Column("VERDICT"),
            ])
            for line in lines {
                let amounts = [line.paperDefault, line.paper, line.simulatedDefault, line.simulatedLibra, line.simulated]
                table.add([line.name, line.unit] + amounts.map { $0.map(TestbedLine.text) ?? "" } + [line.verdict.words])
            }
            text += table.rendered(style: style) + "\n"
        }
        return text
            + "\(report.count(.better)) better than Libra's own figure, \(report.count(.betterRatio)) only against their own baseline, "
            + "\(report.count(.worse)) worse; averages of \(report.seeds) seed\(report.seeds == 1 ? "" : "s")."
    }
}
