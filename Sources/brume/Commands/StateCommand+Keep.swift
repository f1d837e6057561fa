// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

struct StateKeep: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keep", abstract: "Show which nodes keep a namespace, or say it for all nodes.",
        discussion: """
            Without a policy it shows what is in force, without a namespace that of all that this node knows. \
            Whatever the policy, a namespace is also kept where a function that uses it is deployed, and for an hour \
            (brume up --state-idle) where it was read or written. Who does not keep it pulls it at the first use. What nothing keeps \
            any more is dropped once other nodes have it on their disks; the last copy stays.

            Policies:
              all        every node (what holds where nothing is said)
              edge       the nodes at the edge (brume up --tier edge, or none)
              cloud      the nodes in the cloud (brume up --tier cloud)
              functions  only nodes that use it
              N          N nodes, which all choose alike; all nodes where there are fewer
              default    as if nothing had been said

            Example:
              brume state keep
              brume state keep shop/basket 2
              brume state keep shop/basket
            """)

    @Argument(help: ArgumentHelp("Namespace of state; a function's own is NAMESPACE/NAME.", valueName: "namespace"))
    var namespace: String?
    @Argument(help: ArgumentHelp("Who is to keep it: all, edge, cloud, functions, a number, or default.", valueName: "policy"))
    var policy: String?
    @OptionGroup var format: FormatOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        try await node.withClient { client in
            let kept = try await node.asking { () async throws -> [StateKeepReport] in
                guard let namespace else { return try await client.stateKeepers().namespaces }
                if let policy { return [try await client.keepState(namespace, policy)] }
                return [try await client.stateKeepers(of: namespace)]
            }
            if format.json { return try Console.standard.print(namespace == nil ? JSONText.of(kept) : JSONText.of(kept[0])) }
            // Names are kinder than identities; a node that works alone has none to tell.
            let members = try await node.asking { try await client.cluster() }.nodes
            var table = Table([
                Table.Column("NAMESPACE"), Table.Column("KEEP"), Table.Column("HERE"), Table.Column("OBJECTS", .right),
                Table.Column("NODES"),
            ])
            for entry in kept {
                let nodes = entry.nodes.map { keeper in
                    let name = members.first { $0.id.description == keeper.node }?.name ?? ""
                    return (name.isEmpty ? keeper.node : name) + (keeper.up ? "" : " (away)")
                }
                table.add([
                    entry.namespace, entry.keep + (entry.default ? " (default)" : ""), Self.words(entry.here), "\(entry.here.objects)",
                    nodes.sorted().joined(separator: ", "),
                ])
            }
            try Console.standard.print(table.rendered(style: Console.standard.outputStyle))
        }
    }

    private static func words(_ here: StateKeepReport.Here) -> String {
        if !here.kept { return "no" }
        if !here.complete { return "coming" }
        if here.pinned { return "kept" }
        return here.users > 0 ? "used by functions" : "used"
    }
}
