// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel
import NIOHTTP1

struct NamespaceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "namespace",
        abstract: "Create, list and remove namespaces.",
        discussion: """
            Functions and secrets live in namespaces; without one said, in \(FunctionID.defaultNamespace).

            Example:
              brume namespace create team-a
              brume deploy hello --command 'cat' --namespace team-a
            """,
        subcommands: [Create.self, ListNamespaces.self, RemoveNamespace.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Create a namespace.",
            discussion: """
                Example:
                  brume namespace create team-a --label owner=ada
                """)

        @Argument(help: ArgumentHelp("Name of the namespace.", valueName: "name"))
        var name: String
        @Option(name: .shortAndLong, parsing: .singleValue, help: ArgumentHelp("Label.", valueName: "key=value"))
        var label: [String] = []
        @Option(parsing: .singleValue, help: ArgumentHelp("Annotation.", valueName: "key=value"))
        var annotation: [String] = []
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            var document = NamespaceDocument(name: name)
            if !label.isEmpty { document.labels = try KeyValue.dictionary(label, option: "--label") }
            if !annotation.isEmpty { document.annotations = try KeyValue.dictionary(annotation, option: "--annotation") }
            try await NamespaceCommand.submit(.POST, document, node)
            try Console.standard.print("Created the namespace \(name).")
        }
    }

    struct ListNamespaces: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List namespaces.",
            discussion: """
                Example:
                  brume namespace list
                """,
            aliases: ["ls"])

        @OptionGroup var format: FormatOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            try await node.withClient { client in
                let names = try await node.asking { try await client.namespaces() }
                try Console.standard.print(format.json ? JSONText.of(names) : names.joined(separator: "\n"))
            }
        }
    }

    struct RemoveNamespace: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Remove an empty namespace.",
            discussion: """
                Example:
                  brume namespace remove team-a
                """,
            aliases: ["rm"])

        @Argument(help: ArgumentHelp("Name of the namespace.", valueName: "name"))
        var name: String
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            try await NamespaceCommand.submit(.DELETE, NamespaceDocument(name: name), node)
            try Console.standard.print("Removed the namespace \(name).")
        }
    }

    private static func submit(_ method: HTTPMethod, _ document: NamespaceDocument, _ node: NodeOptions) async throws {
        try FunctionID.validate(document.name, what: "namespace")
        try await node.withClient { client in
            try await node.asking {
                try await client.submit(method, "/system/namespace/\(NodeClient.escape(document.name))", document)
            }
        }
    }
}
