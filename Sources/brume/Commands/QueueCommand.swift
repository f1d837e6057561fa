// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

struct QueueCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue",
        abstract: "Look after asynchronous calls and those that failed for good.",
        discussion: """
            Example:
              brume queue dead
              brume queue redrive 17 18
            """,
        subcommands: [QueueStatusCommand.self, Dead.self, Redrive.self, Discard.self],
        defaultSubcommand: QueueStatusCommand.self)

    struct QueueStatusCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status", abstract: "Count waiting, running and dead calls.",
            discussion: """
                Example:
                  brume queue status --json
                """)

        @OptionGroup var format: FormatOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            try await node.withClient { client in
                let report = try await node.asking { try await client.fetch(QueueStatus.self, "/v1/queue") }
                if format.json { return try Console.standard.print(JSONText.of(report)) }
                var sheet = Sheet()
                sheet.add("Waiting", "\(report.waiting)")
                sheet.add("Running", "\(report.running)")
                sheet.add("Dead", report.dead == 0 ? "0" : "\(report.dead) (see: brume queue dead)")
                try Console.standard.print(sheet.rendered(style: Console.standard.outputStyle))
            }
        }
    }

    struct Dead: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "dead", abstract: "List calls whose attempts all failed.",
            discussion: """
                Example:
                  brume queue dead --limit 10
                """)

        @Option(help: ArgumentHelp("At most so many.", valueName: "calls"))
        var limit = 100
        @OptionGroup var format: FormatOption
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            guard limit >= 1 else { throw CommandFailure.words("--limit takes a number of calls, 1 or more.") }
            try await node.withClient { client in
                let letters = try await node.asking {
                    try await client.fetch([DeadLetterReport].self, "/v1/queue/dead", query: [("limit", "\(limit)")])
                }
                if format.json { return try Console.standard.print(JSONText.of(letters)) }
                guard !letters.isEmpty else { return Console.standard.note("There are no dead calls.") }
                var table = Table([
                    .init("ID", .right), .init("CALL"), .init("FUNCTION"), .init("ACCEPTED"), .init("ATTEMPTS", .right),
                    .init("LAST FAILURE"),
                ])
                for letter in letters {
                    table.add([
                        "\(letter.id)", letter.call, letter.function, Wording.time(letter.accepted), "\(letter.attempts)",
                        letter.lastFailure,
                    ])
                }
                try Console.standard.print(table.rendered(style: Console.standard.outputStyle))
            }
        }
    }

    struct Redrive: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "redrive", abstract: "Put dead calls back into the queue, with a fresh count of attempts.",
            discussion: """
                Example:
                  brume queue redrive --all
                """)

        @OptionGroup var choice: DeadChoiceOptions
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            try await choice.apply(RedriveReceipt.self, "redrive", node) { ($0.redriven, "back in the queue") }
        }
    }

    struct Discard: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "discard", abstract: "Forget dead calls.",
            discussion: """
                Example:
                  brume queue discard 17
                """)

        @OptionGroup var choice: DeadChoiceOptions
        @OptionGroup(title: "Node") var node: NodeOptions

        func run() async throws {
            try await choice.apply(DiscardReceipt.self, "discard", node) { ($0.discarded, "discarded") }
        }
    }
}

/// Which dead calls a command is about.
struct DeadChoiceOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("Ids, from brume queue dead.", valueName: "id"))
    var ids: [String] = []

    @Flag(help: "All dead calls.")
    var all = false

    private func choice() throws(CommandFailure) -> DeadLetterChoice {
        guard all != !ids.isEmpty else { throw .words("Name the calls by their ids from 'brume queue dead', or say --all.") }
        guard !all else { return DeadLetterChoice() }
        var numbers: [UInt64] = []
        for id in ids {
            guard let number = UInt64(id.hasPrefix("c") ? id.dropFirst() : id[...]) else {
                throw .words("'\(id)' is not the id of a dead call; ids are numbers, see: brume queue dead")
            }
            numbers.append(number)
        }
        return DeadLetterChoice(ids: numbers)
    }

    /// Has the node do something with the calls chosen, says with how many, and fails where some were not there.
    ///
    /// - Parameter reading: the count in the node's answer, and what was done.
    func apply<Receipt: Decodable>(
        _ type: Receipt.Type, _ action: String, _ node: NodeOptions, reading: (Receipt) -> (count: Int, done: String)
    ) async throws {
        let chosen = try choice()
        try await node.withClient { client in
            let receipt = try await node.asking { try await client.exchange(type, "/v1/queue/dead/\(action)", chosen) }
            let (count, done) = reading(receipt)
            try Console.standard.print("\(Wording.count(count, "call")) \(done).")
            try check(count)
        }
    }

    private func check(_ count: Int) throws(CommandFailure) {
        let missing = Set(ids).count - count
        guard all || missing <= 0 else {
            throw .failed(
                "\(Wording.count(missing, "call")) of those named \(missing == 1 ? "is" : "are") not among the dead; see: brume queue dead")
        }
    }
}
