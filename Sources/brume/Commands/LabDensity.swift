// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel
import BrumeReport
import BrumeTestbeds
import FoundationEssentials

struct LabDensity: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "density",
        abstract: "Find how many calls a minute a node serves at equal latency, under each policy of sharing.",
        discussion: """
            Plays calls of the ten functions of the suite in virtual time, closer and closer together, with the engine of a real node, \
            and finds for each policy the highest rate whose P99 latency is not above the one that static limits have at a reference \
            rate, and the highest whose P99 slowdown stays below a bound. What calls need was measured on real nodes. With --output \
            the table is also written to density.csv, summary.json and report.html in a directory.

            Examples:
              brume lab density
              brume lab density --cpu 4 --reference 140 --output results
            """)

    /// More seeds take longer than a night.
    private static let seedsMax = 100
    private static let callsAllowed = 50...10_000

    @Option(help: ArgumentHelp("How many times calls are drawn.", valueName: "number"))
    var seeds = 3

    @Option(help: ArgumentHelp("Calls of each seed.", valueName: "number"))
    var calls = 600

    @Option(help: ArgumentHelp("Calls a minute at which static limits set the bound. Default: 35 for each core.", valueName: "number"))
    var reference: Double?

    @Option(help: ArgumentHelp("Times as long as alone that a call may take, at the P99.", valueName: "number"))
    var slowdown = 5.0

    @Option(help: ArgumentHelp("CPU of the simulated node.", valueName: "amount"))
    var cpu = "2"

    @Option(help: ArgumentHelp("Memory of the simulated node.", valueName: "amount"))
    var memory = "16Gi"

    @Option(
        help: ArgumentHelp("Write density.csv, summary.json and report.html into this directory.", valueName: "directory"),
        completion: .directory)
    var output: String?

    @OptionGroup var format: FormatOption

    func run() async throws {
        let report = try await found()
        let json = try JSONText.of(report)
        if let output {
            try ReportFiles.write(report.csv.joined(separator: "\n") + "\n", to: output + "/density.csv")
            try ReportFiles.write(json + "\n", to: output + "/summary.json")
            try ReportFiles.write(Self.page(report), to: output + "/report.html")
        }
        guard !format.json else { return try Console.standard.print(json) }
        var table = Table(DensityReport.columns.enumerated().map { Table.Column($0.element, $0.offset == 0 ? .left : .right) })
        for row in report.rows { table.add(row) }
        try Console.standard.print(table.rendered(style: Console.standard.outputStyle) + report.words)
    }

    private func found() async throws -> DensityReport {
        guard (1...Self.seedsMax).contains(seeds) else { throw CommandFailure.words("--seeds takes 1 to \(Self.seedsMax).") }
        guard Self.callsAllowed.contains(calls) else {
            throw CommandFailure.words("--calls takes \(Self.callsAllowed.lowerBound) to \(Self.callsAllowed.upperBound).")
        }
        guard slowdown.isFinite, slowdown > 1 else { throw CommandFailure.words("--slowdown takes a number above 1.") }
        if let reference, !(0.1...100_000).contains(reference) {
            throw CommandFailure.words("--reference takes 0.1 to 100000 calls a minute.")
        }
        let capacity = Resources(millicores: try Resources.millicores(parsing: cpu), memoryBytes: try Resources.bytes(parsing: memory))
        guard DensitySearch.fits(capacity) else {
            throw CommandFailure.words("No call of the suite fits into this node; give --cpu 500m and --memory 512Mi or more.")
        }
        // Before minutes of work, not after them.
        if let output { try ReportFiles.makeDirectory(output) }
        return try await ProgressDisplay.during("Simulating") { display in
            defer { display.finish() }
            var search = DensitySearch(capacity: capacity) { what in
                try Task.checkCancellation()
                if !what.isEmpty { display.now(what) }
            }
            (search.seeds, search.calls, search.slowdownMax) = (seeds, calls, slowdown)
            if let reference { search.reference = reference }
            return try search.report()
        }
    }

    private static func page(_ report: DensityReport) -> String {
        Page(
            title: "Calls a minute at equal P99 latency", lead: report.words, columns: DensityReport.columns, rows: report.rows,
            bars: report.lines.map(\.callsPerMinute), footer: "Made by brume lab density, Brume \(Version.current), in virtual time."
        ).html
    }
}
