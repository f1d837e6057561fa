// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

/// `brume node drain`: takes a node out of the cluster without loss.
struct DrainNode: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain", abstract: "Have a node hand over everything to the others and leave.",
        discussion: """
            The node takes no more calls, finishes those it has, waits until others have all of its state on their disks, gives back \
            what it owns exclusively and its rights of bounded counters, and ends. Started again it is back; if it shall not return, \
            remove it too. Interrupting this command stops nothing: the node goes on, and the same command shows how far it is.

            Example:
              brume node drain pi-kitchen
              brume node drain pi-kitchen --timeout 5m
              brume node drain pi-kitchen --undo
            """)

    @Argument(help: ArgumentHelp("The node's name, identity, or enough of its beginning.", valueName: "node"))
    var which: String
    @Option(help: ArgumentHelp("How long to wait; after that the node goes on by itself.", valueName: "duration"))
    var timeout = "10m"
    @Flag(help: "Take calls again, and stay.")
    var undo = false
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        let limit = try Duration(parsing: timeout)
        try await node.withClient { client in
            let (id, report) = try await node.asking {
                let report = try await client.cluster()
                return (try NodeText.find(which, in: report), report)
            }
            if undo {
                try await node.asking { try await client.drainNode(id, false) }
                return Console.standard.note("Node \(id) was asked to take calls again; see: brume node list")
            }
            guard report.nodes.contains(where: { $0.id != id && ($0.status == "alive" || $0.status == "suspect") }) else {
                throw CommandFailure.failed(
                    "No other node is alive that could take over from \(which); start one, or stop this one as it is.")
            }
            try await node.asking { try await client.drainNode(id, true) }
            do {
                let patience = Patience(which: which, timeout: timeout, limit: limit, quiet: node.quiet)
                try await Interruptible.run { try await patience.wait(for: id, client) }
            } catch is CancellationError {
                throw CommandFailure.failed(
                    "The command was interrupted; node \(which) goes on handing over, and 'brume node drain \(which) --undo' keeps it.")
            }
            Console.standard.note("Node \(id) has handed over everything and left; if it shall not return: brume node remove \(which)")
        }
    }

}

/// Waits for a node to leave, and shows how far it is.
private struct Patience: Sendable {
    /// How often the node is asked how far it is.
    private static let look = Duration.milliseconds(200)

    let which: String
    let timeout: String
    let limit: Duration
    let quiet: Bool

    func wait(for id: NodeID, _ client: NodeClient) async throws {
        let end = ContinuousClock.now + limit
        var last: HandoverReport?
        try await ProgressDisplay.during("Asking the node", quiet: quiet) { display in
            while true {
                let seen: ClusterReport.Node?
                do {
                    seen = try await client.cluster().nodes.first { $0.id == id }
                } catch {
                    // The asked node may be the one that leaves.
                    guard last?.phase == .done else { throw error }
                    return
                }
                if seen?.status == "left" || seen?.handover?.phase == .done { return }
                if let report = seen?.handover, report != last {
                    last = report
                    display.now(DrainText.activity(report))
                }
                if seen?.status == "dead" || seen?.status == "removed" {
                    throw CommandFailure.failed(
                        "Node \(which) is \(seen?.status ?? ""), and had not handed over everything\(DrainText.left(last)).")
                }
                guard ContinuousClock.now < end else {
                    throw CommandFailure.failed(
                        """
                        Node \(which) has not handed over everything within \(timeout)\(DrainText.left(last)). \
                        It goes on; 'brume node drain \(which)' waits again, and with --undo it takes calls again.
                        """)
                }
                try await Task.sleep(for: Self.look)
            }
        }
    }
}

/// How far a node has come, for people.
enum DrainText {
    static func activity(_ report: HandoverReport) -> String {
        switch report.phase {
        case .calls: "Finishing \(Wording.count(report.calls, "call"))"
        case .state:
            "Handing over \(Wording.count(report.objects, "object")) (\(Wording.bytes(report.bytes))); "
                + "\(report.done) of \(Wording.count(report.done + report.behind, "node")) complete"
        case .done: "Leaving"
        }
    }

    static func short(_ report: HandoverReport) -> String {
        switch report.phase {
        case .calls: Wording.count(report.calls, "call")
        case .state: "\(report.done)/\(report.done + report.behind) nodes complete"
        case .done: "done"
        }
    }

    /// What is still to be done, to stand behind a sentence.
    static func left(_ report: HandoverReport?) -> String {
        guard let report else { return ": it has not answered" }
        var parts: [String] = []
        if report.calls > 0 { parts.append("\(Wording.count(report.calls, "call")) still to be finished") }
        if report.objects > 0 {
            parts.append("\(Wording.count(report.objects, "object")) (\(Wording.bytes(report.bytes))) on no other node")
        }
        if report.behind > 0 { parts.append("\(Wording.count(report.behind, "node")) behind") }
        if report.unreachable > 0 { parts.append("\(Wording.count(report.unreachable, "node")) out of reach") }
        return parts.isEmpty ? "" : ": " + parts.joined(separator: ", ")
    }
}
