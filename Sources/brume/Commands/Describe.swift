// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

struct Describe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Show everything about one function.",
        discussion: """
            Example:
              brume describe hello
            """)

    @Argument(help: ArgumentHelp("Name of the function, or NAME.NAMESPACE.", valueName: "name"))
    var name: String

    @OptionGroup var place: NamespaceOption
    @OptionGroup var format: FormatOption
    @OptionGroup(title: "Node") var node: NodeOptions

    /// Both documents about a function, for `--json`.
    struct Document: Codable, Equatable {
        var function: FunctionListing
        var node: FunctionReport?
        var url: String
    }

    func run() async throws {
        let id = try FunctionID.said(name, namespace: place.namespace)
        try await node.withClient { client in
            let document = try await node.asking {
                Document(
                    function: try await client.function(id), node: try await client.report(id),
                    url: client.address.functionURL(id.callPath))
            }
            if format.json { return try Console.standard.print(JSONText.of(document)) }
            try Console.standard.print(Self.sheet(document).rendered(style: Console.standard.outputStyle))
        }
    }

    static func sheet(_ document: Document) -> Sheet {
        let function = document.function
        var sheet = Sheet()
        sheet.add("Name", function.name)
        sheet.add("Namespace", function.namespace ?? "")
        sheet.add("URL", document.url)
        sheet.add("Contract", document.node?.contract ?? function.contract)
        sheet.add("Command", function.envProcess ?? "")
        sheet.add("Image", function.image ?? "")
        sheet.add("Created", function.createdAt.map(Wording.time) ?? "")
        sheet.add("Replicas", "\(function.availableReplicas ?? 0) available of \(function.replicas ?? 0)")
        sheet.add("Invocations", "\(Int(function.invocationCount ?? 0))")
        if let report = document.node { add(report, to: &sheet) }
        sheet.add("CPU limit", function.limits?.cpu ?? "")
        sheet.add("Memory limit", function.limits?.memory ?? "")
        sheet.add("May lend", Wording.harvest(function.annotations ?? [:]))
        sheet.add("Environment", function.envVars ?? [:])
        sheet.add("Secrets", (function.secrets ?? []).joined(separator: ", "))
        sheet.add("Labels", function.labels ?? [:])
        sheet.add("Annotations", function.annotations ?? [:])
        sheet.add("Constraints", (function.constraints ?? []).joined(separator: ", "))
        sheet.add("Root file system", function.readOnlyRootFilesystem == true ? "read-only" : "")
        return sheet
    }

    private static func add(_ report: FunctionReport, to sheet: inout Sheet) {
        sheet.add("Problem", report.problem)
        sheet.add("Revision", "\(report.revision)")
        sheet.add("Scale", "\(report.min) to \(report.max) replicas, idle ones stay \(report.keepAlive)")
        sheet.add("Concurrency", "\(Wording.count(report.concurrency, "call")) per replica")
        sheet.add("Timeout", report.timeout)
        sheet.add("Network", report.network.isShared ? "the host's" : "none")
        sheet.add("Queued calls", "\(report.queueDepth)")
        sheet.add("CPU used", "\(Wording.decimal(report.cpuSeconds, places: 2)) s")
        sheet.add("Memory in use", Wording.bytes(report.memoryBytes))
    }
}
