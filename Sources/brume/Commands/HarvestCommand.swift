// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

struct HarvestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "harvest",
        abstract: "Show what running calls lend each other, and what it has come to.",
        discussion: """
            A node lends only where it was told to: brume up --sharing harvest

            Example:
              brume harvest
              brume harvest --watch
              brume harvest ledger
              brume harvest profile hello
            """,
        subcommands: [Now.self, Ledger.self, Profile.self], defaultSubcommand: Now.self)

    struct Now: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "now", abstract: "Show what is lent now: by whom, to whom, how much, until when.",
            discussion: """
                A loan ends when its lender or its borrower ends; UNTIL tells when the lender is expected to.

                Example:
                  brume harvest now --json
                  brume harvest --watch --interval 500ms
                """)

        @Flag(help: "Show it again and again, with --json a document in each line. Ctrl-C ends it.")
        var watch = false

        @Option(help: ArgumentHelp("Between two looks of --watch. Default: \(HarvestWatch.defaultPause).", valueName: "duration"))
        var interval: String?

        @OptionGroup var format: FormatOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            guard watch || interval == nil else { throw CommandFailure.words("--interval is for --watch; add it.") }
            let watching = watch ? try HarvestWatch(pause: interval ?? HarvestWatch.defaultPause, isJSON: format.json) : nil
            try await node.withClient { client in
                if let watching {
                    return try await watching.run {
                        do { return try await client.harvest() } catch let refusal as NodeRefusal { throw refusal.failure }
                    }
                }
                let report = try await node.asking { try await client.harvest() }
                if format.json { return try Console.standard.print(JSONText.of(report)) }
                try Console.standard.print(HarvestText.now(report, style: Console.standard.outputStyle))
            }
        }
    }

    struct Ledger: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ledger", abstract: "Show what was lent, borrowed, taken back and left idle since the node started.",
            discussion: """
                In core-seconds and mebibyte-seconds, by function and in total. RECLAIMED is what lenders took back \
                before its estimated end, LOST the same as borrowers see it, IDLE what lay in the pool and nobody wanted.

                Example:
                  brume harvest ledger
                """)

        @OptionGroup var format: FormatOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            try await node.withClient { client in
                let report = try await node.asking { try await client.harvestLedger() }
                if format.json { return try Console.standard.print(JSONText.of(report)) }
                try Console.standard.print(HarvestText.ledger(report, style: Console.standard.outputStyle))
            }
        }
    }

    struct Profile: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "profile", abstract: "Show how a function's demand is predicted, and how well.",
            discussion: """
                A quantity is predicted by a curve over the input where that has been right more often, and by quantiles \
                of the latest calls elsewhere. Accuracy counts predictions that were made before their calls were known.

                Example:
                  brume harvest profile hello
                """)

        @Argument(help: ArgumentHelp("Name of the function, or NAME.NAMESPACE.", valueName: "name"))
        var name: String

        @OptionGroup var place: NamespaceOption
        @OptionGroup var format: FormatOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            let id = try FunctionID.said(name, namespace: place.namespace)
            try await node.withClient { client in
                let report = try await node.asking { try await client.harvestProfile(id) }
                if format.json { return try Console.standard.print(JSONText.of(report)) }
                try Console.standard.print(HarvestText.profile(report, style: Console.standard.outputStyle))
            }
        }
    }
}
