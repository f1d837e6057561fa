// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel
import FoundationEssentials
import NIOCore
import NIOHTTP1
import SystemPackage

struct SecretCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secret",
        abstract: "Create, update, list and remove secrets.",
        discussion: """
            A function that names a secret reads it at /var/openfaas/secrets/NAME.

            Example:
              brume secret create api-key --from-file key.txt
              brume deploy hello --handler hello.py --secret api-key
            """,
        subcommands: [Create.self, Update.self, ListSecrets.self, RemoveSecret.self])

    /// As large as a Kubernetes secret may be.
    static let valueBytesMax = 1 << 20

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Create a secret.",
            discussion: """
                Examples:
                  brume secret create api-key --from-literal s3cr3t
                  pass show api-key | brume secret create api-key
                """)

        @Argument(help: ArgumentHelp("Name of the secret.", valueName: "name"))
        var name: String
        @OptionGroup var value: SecretValueOptions
        @OptionGroup var place: NamespaceOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws { try await SecretCommand.put(.POST, name, value, place, node, done: "Created") }
    }

    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "update", abstract: "Replace the value of a secret.",
            discussion: """
                Example:
                  brume secret update api-key --from-file key.txt
                """)

        @Argument(help: ArgumentHelp("Name of the secret.", valueName: "name"))
        var name: String
        @OptionGroup var value: SecretValueOptions
        @OptionGroup var place: NamespaceOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws { try await SecretCommand.put(.PUT, name, value, place, node, done: "Updated") }
    }

    struct ListSecrets: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the names of secrets; values are never shown.",
            discussion: """
                Example:
                  brume secret list --namespace team-a
                """,
            aliases: ["ls"])

        @OptionGroup var place: NamespaceOption
        @OptionGroup var format: FormatOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            try await node.withClient { client in
                let secrets = try await node.asking { try await client.secrets(namespace: place.namespace) }
                if format.json { return try Console.standard.print(JSONText.of(secrets)) }
                guard !secrets.isEmpty else { return Console.standard.note("There are no secrets here.") }
                var table = Table([.init("NAME"), .init("NAMESPACE")])
                for secret in secrets { table.add([secret.name, secret.namespace ?? FunctionID.defaultNamespace]) }
                try Console.standard.print(table.rendered(style: Console.standard.outputStyle))
            }
        }
    }

    struct RemoveSecret: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Remove a secret.",
            discussion: """
                Example:
                  brume secret remove api-key
                """,
            aliases: ["rm"])

        @Argument(help: ArgumentHelp("Name of the secret.", valueName: "name"))
        var name: String
        @OptionGroup var place: NamespaceOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            let document = SecretDocument(name: name, namespace: place.namespace ?? FunctionID.defaultNamespace)
            try await node.withClient { client in
                try await node.asking { try await client.submit(.DELETE, "/system/secrets", document) }
            }
            try Console.standard.print("Removed the secret \(name).")
        }
    }

    // MARK: Shared

    private static func put(
        _ method: HTTPMethod, _ name: String, _ value: SecretValueOptions, _ place: NamespaceOption, _ node: NodeOptions, done: String
    ) async throws {
        try FunctionID.validateSecretName(name)
        let bytes = try await value.bytes()
        var document = SecretDocument(name: name, namespace: place.namespace ?? FunctionID.defaultNamespace)
        if let text = String(validating: bytes, as: UTF8.self), !text.unicodeScalars.contains("\u{0}") {
            document.value = text
        } else {
            document.rawValue = Data(bytes).base64EncodedString()
        }
        try await node.withClient { client in
            try await node.asking { try await client.submit(method, "/system/secrets", document) }
        }
        try Console.standard.print("\(done) the secret \(name) (\(Wording.count(bytes.count, "byte"))).")
    }
}

/// Where the value of a secret comes from.
struct SecretValueOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The value itself; it stays in the shell's history.", valueName: "text"))
    var fromLiteral: String?

    @Option(help: ArgumentHelp("File that holds the value.", valueName: "file"), completion: .file())
    var fromFile: String?

    @Flag(help: "Keep the line end at the end of a file or of standard input.")
    var exact = false

    /// The value. The line end that editors and echo put at the end of text is taken away.
    fileprivate func bytes() async throws -> [UInt8] {
        if fromLiteral != nil, fromFile != nil {
            throw CommandFailure.words("--from-literal and --from-file both say the value; give one of them.")
        }
        if let fromLiteral { return Array(fromLiteral.utf8) }
        var bytes: [UInt8]
        if let fromFile {
            guard !Bundle.isDirectory(fromFile), let descriptor = try? Descriptor.open(FilePath(fromFile), .readOnly) else {
                throw CommandFailure.words("There is no file \(fromFile), or it cannot be read.")
            }
            defer { try? descriptor.close() }
            bytes = Array(try await InputBytes.collect(descriptor, upTo: SecretCommand.valueBytesMax, what: fromFile).readableBytesView)
        } else {
            guard !Console.standard.inputIsTerminal else {
                throw CommandFailure.words("Give the value with --from-literal, with --from-file, or on standard input.")
            }
            let limit = SecretCommand.valueBytesMax
            bytes = Array(try await InputBytes.collect(.standardInput, upTo: limit, what: "Standard input").readableBytesView)
        }
        if !exact, bytes.last == UInt8(ascii: "\n") {
            bytes.removeLast()
            if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        }
        return bytes
    }
}
