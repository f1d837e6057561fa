// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeLoad
import BrumeModel
import BrumeWorkload

/// `brume load`: traces, played and made.
struct Load: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Replay a trace of calls against a node's functions.",
        discussion: """
            Calls go out when they are due, whatever the node does (open loop); a call's time counts from when it was due to the end of \
            its answer. docs/workloads.md describes the formats of traces and the columns of the per-call CSV.

            Examples:
              brume load generate --set 3 --seed 1 > set3.csv
              brume load --trace set3.csv --speed 2 --csv calls.csv
              brume load --trace day.csv --minutes 0-10 --functions merge-sort:4000,graph-bfs
            """,
        subcommands: [Run.self, Generate.self], defaultSubcommand: Run.self)

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run",
            abstract: "Replay a trace; what 'brume load' does by itself.",
            discussion: """
                The functions that the trace names must be deployed; --map and --functions give them other names. A row that makes no \
                sense ends the reading with its line and column, unless it is to be skipped.

                Examples:
                  brume load run --trace set3.csv --csv calls.csv
                  brume load run --trace calls.csv --map dh=dynamic-html --map ms=merge-sort
                """)

        @OptionGroup(title: "Trace") var source: TraceOptions

        @Option(help: ArgumentHelp("Write one line per call to this file.", valueName: "file"), completion: .file())
        var csv: String?

        @Option(help: ArgumentHelp("Longest wait for an answer.", valueName: "duration"))
        var timeout = "5m"

        @Option(help: ArgumentHelp("Calls under way at the same time at most.", valueName: "number"))
        var connections = 1024

        @Flag(help: "Permit a node that is not on this machine. Only with its owner's consent.")
        var allowRemote = false

        @OptionGroup var format: FormatOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            let trace = try source.read()
            guard !trace.calls.isEmpty else { throw CommandFailure.words("The trace \(source.trace) has no call in what was asked of it.") }
            let targets = try source.targets(of: trace)
            let address = try NodeSearch().find(node.wishes)
            let plan = ReplayPlan(
                gateway: try LoadTarget(parsing: address.url), trace: targets.trace,
                paths: targets.functions.map { "/function/" + $0.callPath },
                timeout: try Duration(parsing: timeout), connections: connections, allowRemote: allowRemote)
            let replay = try TraceReplay(plan)
            try await check(targets, at: address)
            if !plan.gateway.isLocal { Console.standard.note("This load leaves the machine: be sure that the owner of the node agrees.") }
            let output = try csv.map { try RecordFile(path: $0) }
            for sentence in trace.skipped.sentences { Console.standard.note("Skipped: \(sentence)") }
            let what = "Replaying \(Wording.count(plan.trace.calls.count, "call")) over \(Wording.duration(plan.trace.length))"
            let records = try await ProgressDisplay.during(what, quiet: node.quiet) { display in
                defer { display.finish() }
                return try await replay.run { display.now(Self.wording($0)) }
            }
            try output?.write(records)
            let report = LoadReplayReport(records: records, skipped: trace.skipped.count)
            try Console.standard.print(format.json ? JSONText.of(report) : report.rendered(style: Console.standard.outputStyle))
            if report.summaries.first.map({ $0.failed == $0.calls }) ?? false {
                throw CommandFailure.failed("No call succeeded; the reasons stand above.")
            }
        }

        private static func wording(_ progress: ReplayProgress) -> String {
            var words = "\(progress.succeeded + progress.failed) of \(progress.calls) calls answered, \(progress.pending) under way"
            if progress.failed > 0 { words += ", \(progress.failed) failed" }
            return words
        }

        /// A name that nobody deployed is said before the first call; a gateway that tells no names is believed.
        private func check(_ targets: TraceTargets, at address: NodeAddress) async throws {
            guard address.credentials != nil else { return }
            let missing = try await NodeClient.with(address) { client in
                var missing: [String] = []
                for namespace in Set(targets.functions.map(\.namespace)).sorted() {
                    let known = Set(try await client.functions(namespace: namespace).map(\.name))
                    missing += targets.functions.filter { $0.namespace == namespace && !known.contains($0.name) }.map(\.name)
                }
                return missing
            }
            guard let first = missing.first else { return }
            let others = missing.count > 1 ? " and \(Wording.count(missing.count - 1, "other"))" : ""
            throw CommandFailure.words(
                "No function '\(first.prefix(40))'\(others) of the trace is deployed; deploy it, or name another with --map or --functions."
            )
        }
    }
}
