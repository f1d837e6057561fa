// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

struct StateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "state",
        abstract: "Read and change the objects that live beside the functions.",
        discussion: """
            Objects have a name in a namespace and a kind: string, counter, set, hash, zset, list, text and others. \
            Changes made on several nodes at the same time are merged. Every node of a cluster keeps all objects, unless \
            'brume state keep' says otherwise.

            Example:
              brume state set greeting hello
              brume state get greeting
              brume state incr visits
              brume state ls
            """,
        subcommands: [
            StateGet.self, StateSet.self, StateIncrement.self, StateAdd.self, StateRemove.self, StateInsert.self,
            StateReplace.self, StateCut.self, StateDelete.self, StateList.self, StateWatch.self, StateDump.self, StateRestore.self,
            StateKeep.self, StateStats.self,
        ])
}

/// Where the object is.
struct StateOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: ArgumentHelp("Namespace of state; a function's own is NAMESPACE/NAME.", valueName: "name"))
    var namespace = "default"

    @Option(help: ArgumentHelp("Database of the namespace, as Redis' SELECT counts them.", valueName: "number"))
    var database = 0

    var place: StatePlace { StatePlace(namespace: namespace, database: database) }
}

/// What a call asks of other nodes and of the disk.
struct ConsistencyOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "local, durable (on this node's disk), quorum(N) (on N nodes), or exclusive (one owner at a time).", valueName: "level"))
    var consistency: String?

    var headers: [HeaderField] { consistency.map { [HeaderField("x-state-consistency", $0)] } ?? [] }
}

struct StateGet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Print an object.",
        discussion: """
            A string is printed as it is, a set or a list one member a line, a hash and a zset in two columns.

            Example:
              brume state get greeting
              brume state get basket --json
              brume state get steps --at -1
            """)

    @Argument(help: ArgumentHelp("Name of the object.", valueName: "name")) var name: String
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Only the element of a list, or the character of a text, at this index; -1 is the last.", valueName: "index")
    )
    var at: Int?
    @Option(help: ArgumentHelp("Only the element, or the character, with this ID.", valueName: "id")) var element: String?
    @Flag(help: "With --json, the IDs of a list's elements too.") var ids = false
    @OptionGroup var state: StateOptions
    @OptionGroup var consistency: ConsistencyOption
    @OptionGroup var format: FormatOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        let query: [(name: String, value: String?)] = [("at", at.map { String($0) }), ("element", element), ("ids", ids ? "true" : nil)]
        try await node.withClient { client in
            let object = try await node.asking {
                try await client.wholeStateObject(state.place, name, query: query, headers: consistency.headers)
            }
            try Console.standard.print(format.json ? JSONText.of(object) : StateText.value(object.value))
        }
    }
}

struct StateSet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Make an object what is given, whatever it was.",
        discussion: """
            Without --kind the value is a string. For other kinds give JSON: a list for set, list and zset, an object for hash.

            Example:
              brume state set greeting hello
              brume state set basket '["apple", "pear"]' --kind set
              brume state set limits '{"max": "10"}' --kind hash --expires 1h
            """)

    @Argument(help: ArgumentHelp("Name of the object.", valueName: "name")) var name: String
    @Argument(help: ArgumentHelp("Its value.", valueName: "value")) var value: String
    @Option(help: ArgumentHelp("Kind of the object.", valueName: "kind")) var kind = "string"
    @Option(help: ArgumentHelp("It ceases to exist after this long, like 90s or 1h.", valueName: "duration")) var expires: String?
    @Flag(help: "Only if there is none yet.") var new = false
    @OptionGroup var state: StateOptions
    @OptionGroup var consistency: ConsistencyOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        let isText = ["string", "register", "text"].contains(kind)
        let content = isText ? StateJSON.text(value) : try StateText.parse(value)
        let document = StateObjectReport(name: .text(name), kind: kind, value: content)
        var headers = consistency.headers
        if new { headers.append(HeaderField("if-none-match", "*")) }
        if let expires { headers.append(HeaderField("x-state-expires-in", "\(try Duration(parsing: expires).inSeconds)")) }
        try await node.withClient { [headers] client in
            try await node.asking { try await client.putState(state.place, name, document, headers: headers) }
        }
    }
}

struct StateIncrement: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "incr", abstract: "Add to a number, and print what it is then on this node.",
        discussion: """
            Increments on several nodes at the same time all count. Without --kind a missing object becomes a string, as in Redis; \
            a counter or a bounded counter stays one.

            Example:
              brume state incr visits
              brume state incr stock --by=-3 --kind bounded-counter
            """)

    @Argument(help: ArgumentHelp("Name of the object.", valueName: "name")) var name: String
    @Option(help: ArgumentHelp("How much; may be negative.", valueName: "number")) var by: Int64 = 1
    @Option(help: ArgumentHelp("string, counter or bounded-counter, if the object is new.", valueName: "kind")) var kind: String?
    @OptionGroup var state: StateOptions
    @OptionGroup var consistency: ConsistencyOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        var operation = StateOperation("incr", kind: kind)
        operation.by = .integer(by)
        try await StateText.change(name, operation, state, consistency, node, prints: true)
    }
}

struct StateAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add members to a set, and print how many were new.",
        discussion: """
            A list gets them at its end.

            Example:
              brume state add basket apple pear
              brume state add queue job-1 --kind list
            """)

    @Argument(help: ArgumentHelp("Name of the object.", valueName: "name")) var name: String
    @Argument(help: ArgumentHelp("What to add.", valueName: "member")) var members: [String]
    @Option(help: ArgumentHelp("set, remove-wins-set, grow-set, list or hyperloglog, if the object is new.", valueName: "kind"))
    var kind: String?
    @OptionGroup var state: StateOptions
    @OptionGroup var consistency: ConsistencyOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        var operation = StateOperation("add", kind: kind)
        operation.members = .list(members.map { .text($0) })
        try await StateText.change(name, operation, state, consistency, node, prints: true)
    }
}

struct StateRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove members of a set or fields of a hash, and print how many there were.",
        discussion: """
            To remove the whole object: brume state rm NAME

            Example:
              brume state remove basket pear
            """)

    @Argument(help: ArgumentHelp("Name of the object.", valueName: "name")) var name: String
    @Argument(help: ArgumentHelp("What to remove.", valueName: "member")) var members: [String]
    @OptionGroup var state: StateOptions
    @OptionGroup var consistency: ConsistencyOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        var operation = StateOperation("remove")
        operation.members = .list(members.map { .text($0) })
        try await StateText.change(name, operation, state, consistency, node, prints: true)
    }
}

struct StateDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove objects.",
        discussion: """
            Example:
              brume state rm greeting basket
            """)

    @Argument(help: ArgumentHelp("Names of the objects.", valueName: "name")) var names: [String]
    @OptionGroup var state: StateOptions
    @OptionGroup var consistency: ConsistencyOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        try await node.withClient { client in
            for name in names {
                try await node.asking { try await client.removeState(state.place, name, headers: consistency.headers) }
            }
        }
    }
}
