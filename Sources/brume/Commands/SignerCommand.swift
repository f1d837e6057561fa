// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

/// `brume node signer`: which nodes hold the cluster's key.
struct SignerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "signer", abstract: "Have more nodes hold the cluster's key.",
        discussion: """
            Whoever holds the key makes tokens, removes nodes and renews certificates; two holders survive the loss of one.

            Example:
              brume node signer add second
            """, subcommands: [Add.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Give a node the cluster's key: it makes tokens, removes nodes and renews certificates too.",
            discussion: """
                Without a node that holds the key nobody joins, and certificates run out within 30 days. So have two hold it. Ask a node \
                that does. What a node once had cannot be taken from it: give the key to nodes you trust as much as the first.

                Example:
                  brume node signer add second
                """)

        /// How long the node may take to store the key and to say so.
        private static let limit = Duration.seconds(15)
        private static let look = Duration.milliseconds(200)

        @Argument(help: ArgumentHelp("The node's name, identity, or enough of its beginning.", valueName: "node"))
        var which: String
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            try await node.withClient { client in
                let id = try await node.asking {
                    let id = try NodeText.find(which, in: try await client.cluster())
                    try await client.addSigner(id)
                    let end = ContinuousClock.now + Self.limit
                    while try await client.cluster().nodes.first(where: { $0.id == id })?.admits != true {
                        guard ContinuousClock.now < end else {
                            throw CommandFailure.failed(
                                "Node \(which) does not say that it holds the key; look at its log, and try again once it is reached.")
                        }
                        try await Task.sleep(for: Self.look)
                    }
                    return id
                }
                Console.standard.note("Node \(id) holds the cluster's key now; see: brume node list")
            }
        }
    }
}
