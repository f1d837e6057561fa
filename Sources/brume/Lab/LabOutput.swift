// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeReport
import BrumeWorkload
import FoundationEssentials
import SystemPackage

/// The folder that an experiment writes.
struct LabOutput {
    static let real = "real"
    static let simulated = "simulated"
    /// Lines are written in pieces of this many.
    private static let linesAtOnce = 4096

    let directory: String

    /// Makes the folder, so that a wrong path is said before the experiment and not after it.
    ///
    /// - Throws: `CommandFailure` (words) where it holds something already, or cannot be made.
    init(directory: String) throws(CommandFailure) {
        self.directory = directory
        if let names = try? FileManager.default.contentsOfDirectory(atPath: directory), !names.isEmpty {
            throw .words("The folder \(directory) holds something already; name another one with --output.")
        }
        for folder in [Self.real, Self.simulated] {
            do {
                try FileManager.default.createDirectory(atPath: path(folder), withIntermediateDirectories: true)
            } catch {
                throw .words("The folder \(directory) cannot be made; name one that you may write to with --output.")
            }
        }
    }

    private func path(_ name: String) -> String { FilePath(directory).appending(name).string }

    /// `./lab-harvest-2026-11-21-174501`, in UTC.
    static func defaultDirectory(now: Date = .now) -> String {
        let digits = now.ISO8601Format().prefix(19).filter { $0 != ":" }
        return "lab-harvest-" + digits.map { $0 == "T" ? "-" : String($0) }.joined()
    }

    /// Takes the folder away again if no run was written into it.
    func removeIfEmpty() {
        for folder in [Self.real, Self.simulated] where isEmpty(path(folder)) { try? FileManager.default.removeItem(atPath: path(folder)) }
        if isEmpty(directory) { try? FileManager.default.removeItem(atPath: directory) }
    }

    private func isEmpty(_ path: String) -> Bool { (try? FileManager.default.contentsOfDirectory(atPath: path))?.isEmpty ?? false }

    // MARK: Files

    /// The trace as it was played.
    func write(_ trace: Trace) throws(CommandFailure) { try write(Array(trace.lines), to: "trace.csv") }

    /// The tables of a run: all calls, the course of its use, and Libra's four logs.
    ///
    /// - Parameter round: from 1; later ones are told by the names of their files.
    func write(_ run: PolicyRun, round: Int) throws(CommandFailure) {
        let folder = run.isSimulated ? Self.simulated : Self.real
        let name = folder + "/" + run.policy + (round > 1 ? "_\(round)" : "")
        try write(RunTables.calls(run), to: "\(name)_calls.csv")
        try write(RunTables.utilisation(run), to: "\(name)_utilisation.csv")
        for log in RunTables.LibraLog.allCases { try write(RunTables.libra(log, run), to: "\(name)_\(log.rawValue).csv") }
    }

    /// What all runs come to.
    ///
    /// - Returns: the summary.
    func write(_ experiment: Experiment) throws -> ExperimentSummary {
        let summary = ExperimentSummary(experiment)
        try write([try JSONText.of(summary)], to: "summary.json")
        try write([LabTable(summary).text(style: Style(isColoured: false))], to: "table.txt", ended: false)
        try write([Page(experiment).html], to: "report.html", ended: false)
        removeIfEmpty()
        return summary
    }

    private func write(_ lines: [String], to name: String, ended: Bool = true) throws(CommandFailure) {
        do {
            let descriptor = try Descriptor.open(
                FilePath(path(name)), .writeOnly, options: [.create, .truncate],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            try descriptor.closeAfter {
                var first = 0
                while first < lines.count {
                    let part = lines[first..<min(first + Self.linesAtOnce, lines.count)]
                    try descriptor.writeAll(Array((part.joined(separator: "\n") + (ended ? "\n" : "")).utf8))
                    first += part.count
                }
            }
        } catch {
            throw .failed("The file \(path(name)) could not be written (\(error)); give the disk room and run this again.")
        }
    }
}

/// The table of an experiment, for people.
struct LabTable {
    let summary: ExperimentSummary

    init(_ summary: ExperimentSummary) { self.summary = summary }

    func text(style: Style) -> String {
        var text = ""
        for (title, summaries) in [("On the real node", summary.real), ("In the simulator", summary.simulated)] where !summaries.isEmpty {
            var table = Table(SummaryTable.columns.enumerated().map { Table.Column($0.element, $0.offset == 0 ? .left : .right) })
            for row in SummaryTable(summaries).rows { table.add(row) }
            text += (text.isEmpty ? "" : "\n") + style.strong(title) + "\n" + table.rendered(style: style)
            for policy in summaries {
                guard let worst = policy.worstCall, let slowdown = policy.worstSlowdown, slowdown > Comparison.tolerance else { continue }
                let why = worst.why.isEmpty ? "" : ": it \(worst.why)"
                text += """
                    \(policy.name): call \(worst.index) of \(worst.function) took \(Wording.milliseconds(worst.milliseconds)) instead of \
                    \(Wording.milliseconds(worst.staticMilliseconds)) (+\(Wording.decimal(slowdown * 100, places: 0)) %)\(why)

                    """
            }
        }
        return text
    }
}
