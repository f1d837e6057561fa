// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Tell the story of one call.",
        discussion: """
            The id of a call is in the reply's X-Call-Id header, in brume invoke -v and in brume calls.

            Example:
              brume explain 4f2a9c51-0d3e-4b7a-9a63-5f2f3f0f8f11
            """)

    @Argument(help: ArgumentHelp("Id of the call.", valueName: "call"))
    var call: String

    @OptionGroup var format: FormatOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        try await node.withClient { client in
            let report = try await node.asking {
                do {
                    return try await client.call(call)
                } catch let refusal as NodeRefusal where refusal.status == 404 {
                    throw CommandFailure.failed("The node knows no call \(call); it may have been pruned. See: brume calls")
                }
            }
            if format.json { return try Console.standard.print(JSONText.of(report)) }
            try Console.standard.print(Self.story(report, style: Console.standard.outputStyle))
        }
    }

    /// What happened, in the order in which it happened.
    static func story(_ call: CallReport, style: Style) -> String {
        var sheet = Sheet()
        sheet.add("Call", call.id)
        sheet.add("Function", call.function + (call.namespace.map { ".\($0)" } ?? ""))
        sheet.add("Node", call.node ?? "")
        sheet.add("Arrived", Wording.time(call.arrived) + (call.asynchronous ? ", asynchronous, attempt \(call.attempt)" : ""))
        let isGood = call.outcome == "succeeded"
        let outcome = isGood ? style.good(call.outcome) : style.bad(call.outcome)
        sheet.add("Outcome", outcome + (call.status == 0 ? "" : " with status \(call.status)"))
        sheet.add("Failure", [call.failure, call.message].compactMap { $0?.isEmpty == false ? $0 : nil }.joined(separator: ": "))
        sheet.add("Queued", phase(call.queuedMs, of: call, ""))
        sheet.add("Starting", phase(call.startingMs, of: call, startRemark(call)))
        sheet.add("Running", phase(call.runningMs, of: call, call.replica.map { "on replica \($0)" } ?? ""))
        sheet.add("Total", Wording.milliseconds(call.totalMs))
        if let harvest = call.harvest { HarvestText.add(harvest, to: &sheet) }
        let decisions = (call.decisions ?? []).enumerated().map { "  \($0.offset + 1). \($0.element)\n" }.joined()
        let loans = call.harvest.map { HarvestText.movements($0, style: style) } ?? ""
        return sheet.rendered(style: style) + loans + (decisions.isEmpty ? "" : style.faint("Decisions") + "\n" + decisions)
    }

    private static func startRemark(_ call: CallReport) -> String {
        if call.cold { return "a replica was started for it" }
        return call.replica == nil ? "" : "the replica was warm"
    }

    private static func phase(_ milliseconds: Double, of call: CallReport, _ remark: String) -> String {
        let share = call.totalMs > 0 ? Int((100 * milliseconds / call.totalMs).rounded()) : 0
        return "\(Wording.milliseconds(milliseconds)) (\(share)%)" + (remark.isEmpty ? "" : ", \(remark)")
    }
}
