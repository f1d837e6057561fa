// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

/// `brume node`: the nodes of a cluster.
struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node",
        abstract: "Show and change who is in the cluster.",
        discussion: """
            A cluster begins with a node that has a link (brume up --link 0.0.0.0:7700). It makes tokens, with which others join.

            Example:
              brume node list
              brume node token --uses 3
              brume node drain pi-kitchen
              brume node remove 4f1d
            """,
        subcommands: [ListNodes.self, Token.self, RemoveNode.self, DrainNode.self, SignerCommand.self], defaultSubcommand: ListNodes.self)

    struct ListNodes: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the members of the cluster, as the asked node sees them.",
            discussion: """
                STATUS is alive, suspect (it did not answer somebody and may still contradict), dead (it did not answer in time), \
                left (it was stopped) or removed. KEY marks the node that makes tokens and removes nodes.

                Example:
                  brume node list --json
                """)

        @Flag(help: "Show removed nodes too.")
        var all = false
        @OptionGroup var format: FormatOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            try await node.withClient { client in
                let report = try await node.asking { try await client.cluster() }
                if format.json { return try Console.standard.print(JSONText.of(report)) }
                try Console.standard.print(NodeText.table(report, all: all, style: Console.standard.outputStyle))
            }
        }
    }

    struct Token: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "token", abstract: "Make a token with which nodes join, or show and revoke those that still count.",
            discussion: """
                Nodes that hold the cluster's key make tokens (KEY in 'brume node list'); they are joined at that node's link. \
                The token is shown this one time. Whoever has it can join until it runs out or is used up: treat it as a password.

                Example:
                  brume node token --life 15m --uses 5
                  brume node token --list
                  brume node token --revoke 9f86d081884c7d65
                """)

        @Option(help: ArgumentHelp("How long the token counts, at most 90 days.", valueName: "duration"))
        var life = "1h"
        @Option(help: ArgumentHelp("How many nodes may join with it.", valueName: "number"))
        var uses = 1
        @Flag(help: "Show the tokens that still count, without their secrets.")
        var list = false
        @Option(help: ArgumentHelp("Make a token worthless.", valueName: "number"))
        var revoke: String?
        @OptionGroup var format: FormatOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            try await node.withClient { client in
                let console = Console.standard
                if let revoke {
                    try await node.asking { try await client.revokeJoinToken(revoke) }
                    return console.note("Token \(revoke) is worthless now.")
                }
                if list {
                    let tokens = try await node.asking { try await client.joinTokens() }
                    if format.json { return try console.print(JSONText.of(tokens)) }
                    return try console.print(NodeText.table(tokens, style: console.outputStyle))
                }
                let token = try await node.asking { try await client.makeJoinToken(life: life, uses: uses) }
                if format.json { return try console.print(JSONText.of(token)) }
                let place = token.address.isEmpty ? "HOST:PORT" : token.address
                console.note("At the node that is to join, within \(life):")
                console.note("  brume up --join \(place) --token \(token.token)")
                try console.print(token.token + "\n")
            }
        }
    }

    struct RemoveNode: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Expel a node from the cluster for good.",
            discussion: """
                Its certificate counts no more, and nobody links with it. It cannot come back under its identity: to join again it needs \
                a new data directory and a new token. A node that was only stopped needs no removal, but as long as it is a member, \
                removed objects are remembered for it.

                Example:
                  brume node remove pi-kitchen
                """)

        @Argument(help: ArgumentHelp("The node's name, identity, or enough of its beginning.", valueName: "node"))
        var which: String
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            try await node.withClient { client in
                let id = try await node.asking {
                    let id = try NodeText.find(which, in: try await client.cluster())
                    try await client.removeNode(id)
                    return id
                }
                Console.standard.note("Node \(id) is removed.")
            }
        }
    }
}

/// Members and tokens for people.
enum NodeText {
    /// Digits of an identity that are shown: enough to tell the nodes of a cluster apart.
    private static let digitsShown = 12

    static func table(_ report: ClusterReport, all: Bool, style: Style) -> String {
        var table = Table([
            .init("NODE"), .init("NAME"), .init("STATUS"), .init("SINCE", .right), .init("ADDRESS"), .init("RTT", .right), .init("VERSION"),
            .init("KEY"), .init("LABELS"),
        ])
        for node in report.nodes where all || node.status != "removed" {
            var status = node.isSelf ? "\(node.status) (this)" : node.status
            if node.isDraining { status += node.handover.map { ", drains: \(DrainText.short($0))" } ?? ", drains" }
            if node.status == "alive", !node.isConnected { status += ", no link" }
            let labels = node.labels.keys.sorted().map { "\($0)=\(node.labels[$0] ?? "")" }.joined(separator: " ")
            table.add([
                String(node.id.description.prefix(digitsShown)), node.name, status, Wording.milliseconds(node.sinceSeconds * 1_000),
                node.address.isEmpty ? "-" : node.address, node.roundTripMs.map { Wording.milliseconds($0) } ?? "-", node.version,
                node.admits ? "yes" : "", labels,
            ])
        }
        return table.rendered(style: style) + warning(report.standing)
    }

    private static func warning(_ standing: String) -> String {
        switch standing {
        case "alone": "This node works alone; give it a link with: brume up --link 0.0.0.0:7700\n"
        case "expelled": "The cluster removed this node: it works alone, and needs a new data directory to join again.\n"
        case "yielded": "Another process has this node's identity (its data directory was copied): this one works alone.\n"
        default: ""
        }
    }

    static func table(_ tokens: [JoinTokenSummary], style: Style) -> String {
        var table = Table([.init("TOKEN"), .init("EXPIRES IN", .right), .init("USES LEFT", .right)])
        for token in tokens { table.add([token.number, Wording.milliseconds(token.expiresInSeconds * 1_000), "\(token.uses)"]) }
        return table.rendered(style: style)
    }

    /// The one node that is called so.
    ///
    /// - Throws: `CommandFailure` where none or several are.
    static func find(_ text: String, in report: ClusterReport) throws(CommandFailure) -> NodeID {
        if let exact = report.nodes.first(where: { $0.id.description == text }) { return exact.id }
        let named = report.nodes.filter { $0.name == text && $0.status != "removed" }
        let matching = named.isEmpty ? report.nodes.filter { !text.isEmpty && $0.id.description.hasPrefix(text) } : named
        guard let first = matching.first else {
            throw .words("No node is called '\(text)', and no identity begins so; 'brume node list --all' shows them.")
        }
        guard matching.count == 1 else {
            throw .words("'\(text)' means \(matching.count) nodes; give more of the identity, as 'brume node list' shows it.")
        }
        return first.id
    }
}
