// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel
import FoundationEssentials
import NIOCore
import SystemPackage

struct StateList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List objects.",
        discussion: """
            Example:
              brume state ls 'user:*'
            """)

    @Argument(help: ArgumentHelp("Only names like this; * stands for anything, ? for one character.", valueName: "pattern"))
    var pattern: String?
    @OptionGroup var state: StateOptions
    @OptionGroup var format: FormatOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        try await node.withClient { client in
            let entries = try await node.asking { try await StateText.all(client, state.place, pattern) }
            if format.json { return try Console.standard.print(JSONText.of(entries)) }
            var table = Table([Table.Column("NAME"), Table.Column("KIND"), Table.Column("EXPIRES")])
            for entry in entries { table.add([StateText.value(entry.name), entry.kind, entry.expires ?? ""]) }
            try Console.standard.print(table.rendered(style: Console.standard.outputStyle))
        }
    }
}

struct StateWatch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Print changes as they happen, here and on other nodes.",
        discussion: """
            Changes that follow one another quickly are told once. Ctrl-C ends it.

            Example:
              brume state watch
              brume state watch basket --json
            """)

    @Argument(help: ArgumentHelp("Only changes of this object.", valueName: "name")) var name: String?
    @OptionGroup var state: StateOptions
    @OptionGroup var format: FormatOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        try await node.withClient { client in
            do {
                try await client.watchState(state.place, name) { event in
                    guard !format.json, let change = try? JSONDecoder().decode(StateChangeReport.self, from: Data(event.utf8)) else {
                        return try Console.standard.print(event)
                    }
                    let style = Console.standard.outputStyle
                    let name = style.strong(StateText.value(change.name))
                    let what = change.removed ? "removed" : "changed"
                    try Console.standard.print(
                        "\(name) \(change.kind) \(what) \(style.faint(change.local ? "here" : "elsewhere"))"
                    )
                }
            } catch let refusal as NodeRefusal {
                throw refusal.failure
            }
        }
    }
}

struct StateDump: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump", abstract: "Print every object of a namespace, one JSON document a line.",
        discussion: """
            What is read back with brume state restore has the same content; who wrote what, and when, is not part of it.

            Example:
              brume state dump > state.jsonl
            """)

    @Argument(help: ArgumentHelp("Only names like this; * stands for anything, ? for one character.", valueName: "pattern"))
    var pattern: String?
    @OptionGroup var state: StateOptions
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        try await node.withClient { client in
            try await node.asking {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
                for entry in try await StateText.all(client, state.place, pattern) {
                    guard case .text(let name) = entry.name else {
                        Console.standard.note("An object whose name is no text was left out.")
                        continue
                    }
                    do {
                        var object = try await client.wholeStateObject(state.place, name)
                        object.version = nil
                        try Console.standard.print(String(decoding: try encoder.encode(object), as: UTF8.self))
                    } catch let refusal as NodeRefusal where refusal.status == 404 {
                        // It ceased to exist between the listing and the reading.
                    }
                }
            }
        }
    }
}

struct StateRestore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Make objects what a dump says they were.",
        discussion: """
            Reads standard input. Objects that the dump does not name stay as they are.

            Example:
              cat state.jsonl | brume state restore
            """)

    @OptionGroup var state: StateOptions
    @OptionGroup(title: "Node") var node: NodeOptions

    /// Largest dump that is read, in bytes: it is held in memory, and a larger one is better restored in pieces.
    private static let dumpBytesMax = 1 << 30

    func run() async throws {
        let text = try await InputBytes.collect(.standardInput, upTo: Self.dumpBytesMax, what: "The dump")
        var count = 0
        try await node.withClient { client in
            try await node.asking("Restoring") {
                for line in text.readableBytesView.split(separator: UInt8(ascii: "\n")) {
                    guard let object = try? JSONDecoder().decode(StateObjectReport.self, from: Data(line)),
                        case .text(let name) = object.name
                    else {
                        throw CommandFailure.words("Line \(count + 1) is no object of a dump; nothing after it was restored.")
                    }
                    let headers = object.expires.map { [HeaderField("x-state-expires", $0)] } ?? []
                    try await client.putState(state.place, name, object, headers: headers)
                    count += 1
                }
            }
        }
        try Console.standard.print("Restored \(count) objects.")
    }
}

struct StateStats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Show what the node holds of state, its log and its peers.",
        discussion: """
            Example:
              brume state stats --json
            """)

    @OptionGroup var format: FormatOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        try await node.withClient { client in
            let stats = try await node.asking { try await client.stateStats() }
            if format.json { return try Console.standard.print(JSONText.of(stats)) }
            var table = Table([Table.Column("NAMESPACE"), Table.Column("DB", .right), Table.Column("OBJECTS", .right)])
            for space in stats.spaces { table.add([space.namespace, "\(space.database)", "\(space.objects)"]) }
            try Console.standard.print(table.rendered(style: Console.standard.outputStyle))
            var sheet = Sheet()
            for name in stats.figures.keys.sorted() { sheet.add(name, StateText.value(stats.figures[name] ?? .null)) }
            try Console.standard.print(sheet.rendered(style: Console.standard.outputStyle))
        }
    }
}

/// State in words and lines.
enum StateText {
    /// A value as people and shells read it: text as it is, lists one element a line, objects in two columns.
    static func value(_ value: StateJSON) -> String {
        switch value {
        case .null: ""
        case .bool(let truth): truth ? "true" : "false"
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        case .text(let text): text
        case .list(let items): items.map { line($0) }.joined(separator: "\n")
        case .object(let fields):
            fields.count == 1 && fields["base64"] != nil
                ? self.value(fields["base64"] ?? .null)
                : fields.keys.sorted().map { "\($0)\t\(line(fields[$0] ?? .null))" }.joined(separator: "\n")
        }
    }

    private static func line(_ item: StateJSON) -> String {
        if case .object(let fields) = item, let member = fields["member"], let score = fields["score"] {
            return "\(value(member))\t\(value(score))"
        }
        return value(item)
    }

    static func parse(_ text: String) throws(CommandFailure) -> StateJSON {
        guard let value = try? JSONDecoder().decode(StateJSON.self, from: Data(text.utf8)) else {
            throw .words("'\(text.prefix(64))' is no JSON; quote it for the shell, like '[\"a\", \"b\"]'.")
        }
        return value
    }

    /// Every object of a place, page by page.
    static func all(_ client: NodeClient, _ place: StatePlace, _ pattern: String?) async throws -> [StatePageReport.Entry] {
        var entries: [StatePageReport.Entry] = []
        var cursor: String?
        repeat {
            let page = try await client.stateObjects(place, matching: pattern, from: cursor)
            entries += page.objects
            cursor = page.next
        } while cursor != nil
        return entries
    }

    static func change(
        _ name: String, _ operation: StateOperation, _ state: StateOptions, _ consistency: ConsistencyOption, _ node: NodeOptions,
        headers: [HeaderField] = [], prints: Bool
    ) async throws {
        try await node.withClient { client in
            let answer = try await node.asking {
                try await client.changeState(state.place, name, operation, headers: consistency.headers + headers)
            }
            if prints, let result = answer.result { try Console.standard.print(value(result)) }
        }
    }
}
