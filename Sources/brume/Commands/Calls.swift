// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

struct Calls: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "calls",
        abstract: "List calls and where their time went.",
        discussion: """
            Newest first. START says whether a replica was warm, or had to be started for the call.

            Example:
              brume calls hello --outcome failed --since 1h
            """)

    @Argument(help: ArgumentHelp("Name of a function, or NAME.NAMESPACE. Default: all.", valueName: "name"))
    var name: String?

    @Option(
        help: ArgumentHelp(
            "Only calls that ended so: \(CallRecord.Outcome.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "outcome"),
        completion: .list(CallRecord.Outcome.allCases.map(\.rawValue)))
    var outcome: String?

    @Option(help: ArgumentHelp("Only calls younger than 10m, 2h, or since a time like 2026-11-21T10:00:00Z.", valueName: "age"))
    var since: String?

    @Option(help: ArgumentHelp("At most so many.", valueName: "calls"))
    var limit = 50

    @OptionGroup var place: NamespaceOption
    @OptionGroup var format: FormatOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        if let outcome, CallRecord.Outcome(rawValue: outcome) == nil {
            let words = CallRecord.Outcome.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure.words("'\(outcome)' is no outcome of a call; it is one of \(words).")
        }
        guard limit >= 1 else { throw CommandFailure.words("--limit takes a number of calls, 1 or more.") }
        let id = try name.map { try FunctionID.said($0, namespace: place.namespace) }
        let moment = try Moment.timestamp(since)
        try await node.withClient { client in
            let calls = try await node.asking {
                try await client.calls(
                    function: id?.name, namespace: id?.namespace ?? place.namespace, outcome: outcome, since: moment, limit: limit)
            }
            if format.json { return try Console.standard.print(JSONText.of(calls)) }
            guard !calls.isEmpty else { return Console.standard.note("There are no such calls.") }
            try Console.standard.print(Self.table(calls).rendered(style: Console.standard.outputStyle))
        }
    }

    static func table(_ calls: [CallReport]) -> Table {
        var table = Table([
            .init("CALL"), .init("FUNCTION"), .init("ARRIVED"), .init("OUTCOME"), .init("STATUS", .right), .init("START"),
            .init("QUEUED", .right), .init("STARTING", .right), .init("RUNNING", .right), .init("TOTAL", .right), .init("REPLICA"),
        ])
        for call in calls {
            table.add([
                call.id, call.function, Wording.time(call.arrived), call.outcome, call.status == 0 ? "" : "\(call.status)",
                call.replica == nil ? "" : call.cold ? "cold" : "warm", Wording.milliseconds(call.queuedMs),
                Wording.milliseconds(call.startingMs), Wording.milliseconds(call.runningMs), Wording.milliseconds(call.totalMs),
                call.replica ?? "",
            ])
        }
        return table
    }
}
