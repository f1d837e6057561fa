// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Remove functions.",
        discussion: """
            Example:
              brume remove hello upper
            """,
        aliases: ["rm"])

    @Argument(help: ArgumentHelp("Names of functions, or NAME.NAMESPACE.", valueName: "name"))
    var names: [String]

    @OptionGroup var place: NamespaceOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        let ids = try names.map { try FunctionID.said($0, namespace: place.namespace) }
        try await node.withClient { client in
            for id in ids {
                try await node.asking("Removing \(id.name)") { try await client.remove(id) }
                try Console.standard.print("Removed \(id.callPath).")
            }
        }
    }
}
