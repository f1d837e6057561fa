// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how the node is doing.",
        discussion: """
            Example:
              brume status
            """)

    @OptionGroup var format: FormatOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        try await node.withClient { client in
            let report = try await node.asking { try await client.status() }
            if format.json { return try Console.standard.print(JSONText.of(report)) }
            let style = Console.standard.outputStyle
            try Console.standard.print(Self.sheet(report, at: client.address).rendered(style: style))
            // An older node knows no clusters; what it is was said all the same.
            guard let cluster = try? await client.cluster() else { return }
            if cluster.standing != "alone" { try Console.standard.print("\n" + NodeText.table(cluster, all: false, style: style)) }
        }
    }

    static func sheet(_ report: NodeReport, at address: NodeAddress) -> Sheet {
        func memory(_ words: ResourceWords) -> String {
            guard let text = words.memory, text != "0", let bytes = try? Resources.bytes(parsing: text) else { return "0" }
            return Wording.bytes(bytes)
        }
        let starting = report.startingReplicas > 0 ? ", \(report.startingReplicas) starting" : ""
        var sheet = Sheet()
        sheet.add("Node", report.node)
        sheet.add("URL", address.url)
        sheet.add("Version", report.version)
        sheet.add("Up for", "\(Wording.milliseconds(report.uptimeSeconds * 1000)), since \(Wording.time(report.started))")
        sheet.add("Isolation", report.isolation)
        sheet.add("CPU", "\(report.reserved.cpu ?? "0") of \(report.capacity.cpu ?? "?") reserved")
        sheet.add("Memory", "\(memory(report.reserved)) of \(memory(report.capacity)) reserved")
        sheet.add("Functions", "\(report.functions)")
        sheet.add("Replicas", "\(report.replicas)\(starting)")
        sheet.add("Calls", "\(report.runningCalls) running, \(report.queuedCalls) queued")
        sheet.add("Own memory", Wording.bytes(report.residentBytes))
        return sheet
    }
}
