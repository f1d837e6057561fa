// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeReport
import BrumeWorkload
import FoundationEssentials
import Glibc
import Synchronization

/// The whole experiment: every policy, one after the other, and what it comes to.
struct LabExperiment {
    let policies: [LabPolicy]
    let rounds: Int
    let suite: LabSuite
    let traces: LabTraces
    let seed: UInt64
    let capacity: Resources
    let output: LabOutput
    let quiet: Bool

    /// More than this part of the machine's CPU outside of the functions is not the node's own: that takes up to a tenth.
    private static let othersMax = 0.15

    /// Shows progress and writes all files.
    ///
    /// - Throws: what a policy's run throws. Tables of policies that were done are written by then.
    func run() async throws -> ExperimentSummary {
        let directory = try Self.makeTemporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try output.write(traces.trace)
        var experiment = Experiment(
            version: Version.current, machine: LabMachine.words(), trace: traces.name, length: traces.trace.length, seed: seed,
            capacity: capacity)
        let turns = (1...rounds).flatMap { round in policies.map { (round: round, policy: $0) } }
        let watch = LabClock(turns: turns.count)
        for (index, turn) in turns.enumerated() {
            let words = "\(turn.policy.rawValue) (\(index + 1) of \(turns.count))"
            if !quiet, !Console.standard.errorIsTerminal { Console.standard.note("\(words)\(watch.left(done: index))") }
            let result = try await ProgressDisplay.during(words, quiet: quiet || !Console.standard.errorIsTerminal) { display in
                defer { display.finish() }
                let runner = LabRunner(
                    suite: suite, traces: traces, node: LabNode(dataDirectory: directory, capacity: capacity),
                    tell: { display.now("\(words)\(watch.left(done: index)): \($0)") })
                return try await runner.run(turn.policy)
            }
            let (run, others) = (result.run, result.othersShare)
            if others > Self.othersMax {
                Console.standard.complain(
                    """
                    Other programs used \(Wording.decimal(others * 100, places: 0)) % of the machine's CPU while \
                    \(turn.policy.rawValue) ran: its figures are worse than they would be; end them and run this again.
                    """)
            }
            try output.write(run, round: turn.round)
            experiment.runs.append(run)
            if !quiet { Console.standard.note(Self.line(run, experiment)) }
        }
        try simulate(&experiment)
        return try output.write(experiment)
    }

    /// The same policies once more in virtual time, from what the calls were seen to need under static limits.
    private func simulate(_ experiment: inout Experiment) throws {
        guard let measured = experiment.runs.first(where: { $0.policy == LabPolicy.static.rawValue }) else {
            if !quiet { Console.standard.note("Nothing is simulated: what calls need is measured under static, which did not run.") }
            return
        }
        let simulation = LabSimulation(suite: suite, traces: traces, capacity: capacity, seed: seed)
        for run in try simulation.runs(of: policies, after: measured) {
            try output.write(run, round: 1)
            experiment.runs.append(run)
        }
    }

    /// What a run came to, in a line.
    private static func line(_ run: PolicyRun, _ experiment: Experiment) -> String {
        let all = ReplaySummary("all", of: run.records)
        let failed = all.failed > 0 ? ", \(all.failed) of \(all.calls) calls failed" : ""
        return """
            \(run.policy): mean \(Wording.milliseconds(all.meanMilliseconds)), P99 \(Wording.milliseconds(all.p99Milliseconds)), \
            done after \(Wording.milliseconds(all.completionSeconds * 1000))\(failed)
            """
    }

    /// Sandboxes run as other users and must reach their packages inside.
    private static func makeTemporaryDirectory() throws(CommandFailure) -> String {
        let path = FileManager.default.temporaryDirectory.appending(path: "brume-lab-\(UUID().uuidString.prefix(8).lowercased())").path()
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw .failed("No folder for the nodes' data can be made in \(path); set TMPDIR to a place with a gigabyte of room.")
        }
        _ = unsafe chmod(path, 0o711)
        return path
    }
}

/// Guesses how long the rest takes by what was done.
final class LabClock: Sendable {
    private let started = ContinuousClock.now
    private let turns: Int

    init(turns: Int) { self.turns = turns }

    /// `, about 9m00s left`; nothing before the first policy is done.
    func left(done: Int) -> String {
        guard done > 0 else { return "" }
        let perTurn = (ContinuousClock.now - started).inSeconds / (Double(done) + 0.5)
        return ", about \(Wording.milliseconds(perTurn * (Double(turns - done) - 0.5) * 1000)) left"
    }
}

/// The machine in a few words.
enum LabMachine {
    /// CPU time that all programs of the machine have used since it started, in seconds; nil where the kernel does not tell.
    static func busySeconds() -> Double? {
        guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8), let line = text.split(separator: "\n").first else {
            return nil
        }
        // cpu user nice system idle iowait irq softirq steal
        let fields = line.split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) }
        guard fields.count == 8 else { return nil }
        let busy = fields.enumerated().filter { $0.offset != 3 && $0.offset != 4 }.reduce(0) { $0 + $1.element }
        return busy / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
    }

    static func words() -> String {
        let lines = ((try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "").split(separator: "\n")
        let model = lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last.map { $0.drop { $0 == " " } } ?? "a processor"
        let kernel = ((try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)) ?? "").prefix { !$0.isNewline }
        let memory = Machine.capacity().memoryBytes / 9 * 10
        return "\(model), \(Wording.count(Machine.coreCount, "core")), \(Wording.bytes(memory)) of memory, Linux \(kernel)"
    }
}
