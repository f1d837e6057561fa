// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List functions.",
        discussion: """
            Without --namespace, the functions of all namespaces.

            Example:
              brume list --json
            """,
        aliases: ["ls"])

    @OptionGroup var place: NamespaceOption
    @OptionGroup var format: FormatOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        try await node.withClient { client in
            let functions = try await node.asking { try await Self.functions(client, namespace: place.namespace) }
            if format.json { return try Console.standard.print(JSONText.of(functions)) }
            guard !functions.isEmpty else {
                return Console.standard.note("There are no functions yet; deploy one with: brume deploy NAME --command 'cat'")
            }
            var table = Table([
                .init("NAME"), .init("NAMESPACE"), .init("CONTRACT"), .init("REPLICAS", .right), .init("INVOCATIONS", .right),
                .init("IMAGE"),
            ])
            for function in functions {
                table.add([
                    function.name, function.namespace ?? FunctionID.defaultNamespace, function.contract,
                    "\(function.availableReplicas ?? 0)/\(function.replicas ?? 0)", "\(Int(function.invocationCount ?? 0))",
                    Self.shortImage(function.image ?? ""),
                ])
            }
            try Console.standard.print(table.rendered(style: Console.standard.outputStyle))
        }
    }

    private static func functions(_ client: NodeClient, namespace: String?) async throws -> [FunctionListing] {
        if let namespace { return try await client.functions(namespace: namespace) }
        var all: [FunctionListing] = []
        for namespace in try await Self.namespaces(client) { all += try await client.functions(namespace: namespace) }
        return all
    }

    /// A gateway without namespaces has one, and does not say its name.
    private static func namespaces(_ client: NodeClient) async throws -> [String?] {
        do {
            return try await client.namespaces().sorted()
        } catch let refusal as NodeRefusal where refusal.status == 404 || refusal.status == 501 {
            return [nil]
        }
    }

    /// A digest's first twelve digits tell packages apart; sixty-four fill a line.
    static func shortImage(_ image: String) -> String {
        guard image.hasPrefix(ImageWord.bundlePrefix) else { return image }
        return ImageWord.bundlePrefix + image.dropFirst(ImageWord.bundlePrefix.count).prefix(12)
    }
}
