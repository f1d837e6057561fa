// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeSandbox
import FoundationEssentials

struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Say what is in force on this machine, what is missing, and the command that mends it.",
        discussion: """
            The exit code is 1 where something is missing that Brume cannot do without.

            Example:
              brume doctor
            """)

    @OptionGroup var format: FormatOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        let checks = try await ProgressDisplay.during("Looking at this machine", quiet: node.quiet) { _ in
            await sandboxChecks() + NodeChecks(wishes: node.wishes).run()
        }
        let report = DoctorReport(checks: checks)
        try Console.standard.print(format.json ? JSONText.of(report.checks) : report.rendered(style: Console.standard.outputStyle))
        if !report.isHealthy { throw CommandFailure.alreadySaid }
    }

    private func sandboxChecks() async -> [DoctorCheck] {
        let directory = node.dataDir ?? NodeSearch().localDataDirectory
        return await SandboxChecks(settings: SandboxSettings(stateDirectory: directory + "/sandbox")).run().map(DoctorCheck.init)
    }
}

/// One thing that was looked at.
struct DoctorCheck: Codable, Equatable, Sendable {
    enum State: String, Codable, Sendable {
        case good
        /// Works, but less well or less safely than it could.
        case degraded
        /// Brume cannot work like this.
        case missing
    }

    var name: String
    var state: State
    /// What was found, one sentence or a few words.
    var detail: String
    /// The command or the change that mends it; empty where nothing needs mending.
    var remedy: String
}

extension DoctorCheck {
    init(_ check: SandboxCheck) {
        let state: State =
            switch check.state {
            case .ok: .good
            case .warning: .degraded
            case .missing: .missing
            }
        self.init(name: check.name, state: state, detail: check.detail, remedy: check.remedy)
    }
}

/// The checks as a person reads them.
struct DoctorReport {
    var checks: [DoctorCheck]

    var isHealthy: Bool { !checks.contains { $0.state == .missing } }

    func rendered(style: Style) -> String {
        let width = checks.map(\.name.count).max() ?? 0
        var text = ""
        for check in checks {
            let mark =
                switch check.state {
                case .good: style.good("good    ")
                case .degraded: style.careful("degraded")
                case .missing: style.bad("missing ")
                }
            text += "\(mark)  \(check.name)\(String(repeating: " ", count: width - check.name.count))  \(check.detail)\n"
            if check.state != .good, !check.remedy.isEmpty {
                text += "\(String(repeating: " ", count: width + 12))\(style.strong("mend:")) \(check.remedy)\n"
            }
        }
        return text + summary
    }

    private var summary: String {
        let missing = checks.count { $0.state == .missing }
        let degraded = checks.count { $0.state == .degraded }
        if missing > 0 { return "\n\(Wording.count(missing, "thing")) missing.\n" }
        return degraded > 0 ? "\nBrume works here, with \(Wording.count(degraded, "limitation")).\n" : "\nAll is well.\n"
    }
}

/// Whether this user, on this machine, reaches a node.
struct NodeChecks {
    let wishes: NodeSearch.Wishes

    func run() async -> [DoctorCheck] {
        let address: NodeAddress
        do {
            address = try NodeSearch().find(wishes)
        } catch {
            return [DoctorCheck(name: "brume node", state: .degraded, detail: "\(error)", remedy: "")]
        }
        do {
            let report = try await NodeClient.with(address) { try await $0.status() }
            return [
                DoctorCheck(
                    name: "brume node", state: .good,
                    detail: "\(report.node) at \(address.url) (from \(address.origin)), version \(report.version)",
                    remedy: ""),
                credentials(of: address),
            ]
        } catch let refusal as NodeRefusal {
            return [DoctorCheck(name: "brume node", state: .degraded, detail: refusal.sentence, remedy: "")]
        } catch let failure as CommandFailure {
            return [DoctorCheck(name: "brume node", state: .degraded, detail: failure.message, remedy: "brume up")]
        } catch {
            return [DoctorCheck(name: "brume node", state: .degraded, detail: "\(error)", remedy: "")]
        }
    }

    private func credentials(of address: NodeAddress) -> DoctorCheck {
        let detail = address.credentials.map { "user \($0.user), from \($0.origin)" } ?? "none needed"
        return DoctorCheck(name: "credentials", state: .good, detail: detail, remedy: "")
    }
}
