// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import AsyncHTTPClient

/// The options of every command that talks to a node.
struct NodeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Address of the node. Default: BRUME_URL, OPENFAAS_URL, or the node of this machine.", valueName: "url"))
    var url: String?

    @Option(help: ArgumentHelp("Name for the node's API. Default: from the node's data directory.", valueName: "name"))
    var user: String?

    @Option(help: ArgumentHelp("Password for the node's API; better in BRUME_PASSWORD or the data directory.", valueName: "text"))
    var password: String?

    @Option(help: ArgumentHelp("Data directory of the node to talk to.", valueName: "directory"), completion: .directory)
    var dataDir: String?

    @Flag(name: .shortAndLong, help: "Show no progress.")
    var quiet = false

    var wishes: NodeSearch.Wishes { NodeSearch.Wishes(url: url, user: user, password: password, dataDirectory: dataDir) }

    /// Runs `body` with a client of the node, and closes its connections afterwards.
    func withClient<Result>(gateway: String? = nil, _ body: (NodeClient) async throws -> Result) async throws -> Result {
        var wishes = wishes
        wishes.gateway = gateway
        let address = try NodeSearch().find(wishes)
        return try await NodeClient.with(address, body)
    }

    /// Shows that the node is being asked; what it refuses is the command's failure, in the node's own words.
    func asking<Result>(_ what: String = "Asking the node", _ body: () async throws -> Result) async throws -> Result {
        try await ProgressDisplay.during(what, quiet: quiet) { _ in
            do {
                return try await body()
            } catch let refusal as NodeRefusal {
                throw refusal.failure
            }
        }
    }
}

/// Where a function lives.
struct NamespaceOption: ParsableArguments {
    @Option(name: .shortAndLong, help: ArgumentHelp("Namespace. NAME.NAMESPACE says the same.", valueName: "name"))
    var namespace: String?
}

/// The choice between a table for people and JSON for programs.
struct FormatOption: ParsableArguments {
    @Flag(help: "Print JSON.")
    var json = false
}
