// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeLoad
import BrumeModel
import BrumeReport
import BrumeWorkload
import UnixSignals

/// `brume lab harvest`: one trace under every policy, on the real node and in the simulator.
struct LabHarvest: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "harvest",
        abstract: "Play one trace under several policies of sharing and compare them.",
        discussion: """
            Starts a node of its own for each policy (static, overcommit, weights, harvest, harvest-weights, \
            harvest-without-safeguard, harvest-without-profiler, harvest-without-top-up, density, density-weights), lets it learn from \
            other calls, plays the trace, and writes per-call tables, the use of the node over time, summary.json and report.html into a \
            folder. docs/experiments.md tells what is compared. Nothing else should run on the machine meanwhile.

            Examples:
              brume lab harvest --quick
              brume lab harvest --policies static,weights,harvest --rounds 3 --output results
              brume lab harvest --policies static,density-weights --wait 8
              brume lab harvest --trace calls.csv --suite my-functions
            """)

    /// More rounds than this take longer than a night.
    private static let roundsMax = 20
    /// More calls than this and the node no longer remembers the first ones at the end.
    private static let callsMax = 5000
    private static let lengthMax = Duration.seconds(3600)

    @Flag(help: "A small version in three minutes: static, weights and density-weights, twenty seconds of the trace.")
    var quick = false

    @Option(help: ArgumentHelp("Policies with commas between them. Default: all.", valueName: "list"))
    var policies: String?

    @Option(help: ArgumentHelp("File with the trace, in one of the formats of 'brume load'.", valueName: "file"), completion: .file())
    var trace: String?

    @Option(help: ArgumentHelp("One of Libra's multi sets, 1 to 10.", valueName: "number"))
    var set: Int?

    @Option(help: ArgumentHelp("Calls per second that arrive at random for a minute.", valueName: "number"))
    var rate: Double?

    @Option(
        help: ArgumentHelp(
            "How many times longer functions wait for others than in 'brume load generate'. Default: 2.", valueName: "number"))
    var wait: Double?

    @Option(help: ArgumentHelp("Seed of everything that is drawn.", valueName: "number"))
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("How often each policy runs, in turns.", valueName: "number"))
    var rounds = 1

    @Option(help: ArgumentHelp("CPU of the node. Default: all of the machine.", valueName: "amount"))
    var cpu: String?

    @Option(help: ArgumentHelp("Memory of the node. Default: what 'brume up' would take.", valueName: "amount"))
    var memory: String?

    @Option(help: ArgumentHelp("Folder with the functions and their lab.yml.", valueName: "directory"), completion: .directory)
    var suite = LabSuite.defaultDirectory

    @Option(
        help: ArgumentHelp("New folder for the results. Default: lab-harvest-DATE here.", valueName: "directory"), completion: .directory)
    var output: String?

    @Flag(name: .shortAndLong, help: "Show no progress.")
    var quiet = false

    @OptionGroup var format: FormatOption

    func run() async throws {
        let chosen = try policies.map { try LabPolicy.list($0) } ?? (quick ? LabPolicy.quick : LabPolicy.allCases)
        guard (1...Self.roundsMax).contains(rounds) else {
            throw CommandFailure.words("--rounds takes 1 to \(Self.roundsMax), not \(rounds).")
        }
        let suite = try LabSuite(directory: suite)
        let traces = try chosenTraces()
        _ = try suite.allocations(of: traces.trace)
        let capacity = try Machine.capacity(cpu: cpu, memory: memory)
        guard capacity.millicores <= Machine.coreCount * 1000 else {
            let cores = Wording.count(Machine.coreCount, "core")
            throw CommandFailure.words("This machine has \(cores), and what is measured with more is not true; take --cpu down.")
        }
        let folder = try LabOutput(directory: output ?? LabOutput.defaultDirectory())
        let experiment = LabExperiment(
            policies: chosen, rounds: rounds, suite: suite, traces: traces, seed: seed, capacity: capacity, output: folder, quiet: quiet)
        let summary: ExperimentSummary
        do {
            summary = try await Interruptible.run { try await experiment.run() }
        } catch {
            folder.removeIfEmpty()
            throw error
        }
        guard !format.json else { return try Console.standard.print(JSONText.of(summary)) }
        try Console.standard.print(
            LabTable(summary).text(style: Console.standard.outputStyle) + "\nReport: \(folder.directory)/report.html")
    }

    private func chosenTraces() throws -> LabTraces {
        let given = [trace != nil, set != nil, rate != nil].count { $0 }
        guard given <= 1 else { throw CommandFailure.words("Give one of --trace, --set and --rate.") }
        guard trace == nil || wait == nil else {
            throw CommandFailure.words("A trace of your own tells itself how long its calls wait; leave out --wait.")
        }
        let wait = wait ?? LabTraces.usualWait
        guard LabTraces.waitsAllowed.contains(wait) else { throw CommandFailure.words("--wait takes 0 to 50, not \(wait).") }
        var traces: LabTraces
        if let set {
            traces = try .set(set, seed: seed, wait: wait)
        } else if let rate {
            traces = try .arriving(rate: rate, seed: seed, wait: wait)
        } else if let trace {
            traces = .recorded(try TraceFileReader.read(trace, seed: seed), name: trace, seed: seed)
        } else {
            traces = quick ? .quick(seed: seed, wait: wait) : .suite(seed: seed, wait: wait)
        }
        guard !traces.trace.calls.isEmpty else { throw CommandFailure.words("The trace has no call.") }
        guard traces.trace.calls.count <= Self.callsMax, traces.trace.length <= Self.lengthMax else {
            throw CommandFailure.words(
                """
                The trace has \(traces.trace.calls.count) calls over \(Wording.duration(traces.trace.length)); the lab plays at most \
                \(Self.callsMax) over \(Wording.duration(Self.lengthMax)).
                """)
        }
        return traces
    }
}

/// Reads a trace whose first line tells its format.
enum TraceFileReader {
    static func read(_ path: String, seed: UInt64) throws -> Trace {
        let file = try LoadTraceFile(path: path)
        let format = try file.format(otherwise: "see docs/workloads.md.")
        let reader = TraceReader(format, badRows: .refuse, expansion: .random, seed: seed, minutes: 0..<Int.max, callsMax: Trace.callsMax)
        let trace = try file.read { lines throws(BrumeError) in try reader.read(lines) }
        file.noteOpenLine(of: trace)
        return trace
    }
}

/// Work that an interrupt or a request to end cancels, so that it can put away what it has made.
enum Interruptible {
    static func run<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                for await _ in signals { throw CancellationError() }
                return nil
            }
            defer { group.cancelAll() }
            while let value = try await group.next() {
                if let value { return value }
            }
            throw CancellationError()
        }
    }
}
