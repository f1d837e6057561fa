// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

/// Where in a list or a text an edit happens.
struct PlaceOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The index; from the end, -1 is the last element, for insert the place behind it.", valueName: "index"))
    var at: Int?
    @Option(help: ArgumentHelp("Before the element with this ID.", valueName: "id")) var before: String?
    @Option(help: ArgumentHelp("Behind the element with this ID.", valueName: "id")) var after: String?
    @Option(
        name: .customLong("if-version"),
        help: ArgumentHelp("Only if the object's version is this one, as get --json says it.", valueName: "version"))
    var versionWanted: String?

    var headers: [HeaderField] { versionWanted.map { [HeaderField("if-match", $0)] } ?? [] }

    func place(_ operation: inout StateOperation) {
        (operation.at, operation.before, operation.after) = (at, before, after)
    }
}

struct StateInsert: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "insert", abstract: "Put elements into a list, or text into a text, and print how long it is then.",
        discussion: """
            Without a place they go to the end. An element's ID, which get --ids tells, stays with it wherever others' edits move it.

            Example:
              brume state insert steps first second
              brume state insert steps "one and a half" --at 1
              brume state insert note "Dear all, " --at 0 --kind text
            """)

    @Argument(help: ArgumentHelp("Name of the object.", valueName: "name")) var name: String
    @Argument(help: ArgumentHelp("What to put there.", valueName: "value")) var values: [String]
    @Option(help: ArgumentHelp("list or text, if the object is new.", valueName: "kind")) var kind: String?
    @OptionGroup(title: "Place") var place: PlaceOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var consistency: ConsistencyOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        var operation = StateOperation("insert", kind: kind)
        operation.items = .list(values.map { .text($0) })
        place.place(&operation)
        try await StateText.change(name, operation, state, consistency, node, headers: place.headers, prints: true)
    }
}

struct StateReplace: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replace", abstract: "Replace elements of a list, or characters of a text, and print how long it is then.",
        discussion: """
            Example:
              brume state replace steps "number one" --at 0
              brume state replace note "Dear Ann" --at 0 --count 8
            """)

    @Argument(help: ArgumentHelp("Name of the object.", valueName: "name")) var name: String
    @Argument(help: ArgumentHelp("What to put there.", valueName: "value")) var values: [String]
    @Option(help: ArgumentHelp("How many elements or characters go.", valueName: "number")) var count = 1
    @Option(help: ArgumentHelp("The element with this ID.", valueName: "id")) var element: String?
    @OptionGroup(title: "Place") var place: PlaceOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var consistency: ConsistencyOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func validate() throws {
        guard element != nil || place.at != nil || place.before != nil || place.after != nil else {
            throw ValidationError("Say where: --at INDEX or --element ID. To replace the whole object: brume state set")
        }
    }

    func run() async throws {
        var operation = StateOperation("replace")
        operation.items = .list(values.map { .text($0) })
        operation.count = count
        operation.element = element
        place.place(&operation)
        try await StateText.change(name, operation, state, consistency, node, headers: place.headers, prints: true)
    }
}

struct StateCut: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cut", abstract: "Take elements out of a list, and print them, or characters out of a text.",
        discussion: """
            Without a place the first one goes. Of a text it prints how many characters went.

            Example:
              brume state cut queue
              brume state cut steps --at -1
              brume state cut note --at 0 --count 10
            """)

    @Argument(help: ArgumentHelp("Name of the object.", valueName: "name")) var name: String
    @Option(help: ArgumentHelp("How many elements or characters go.", valueName: "number")) var count = 1
    @Option(help: ArgumentHelp("The element with this ID.", valueName: "id")) var element: String?
    @OptionGroup(title: "Place") var place: PlaceOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var consistency: ConsistencyOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        var operation = StateOperation("cut")
        operation.count = count
        operation.element = element
        place.place(&operation)
        try await StateText.change(name, operation, state, consistency, node, headers: place.headers, prints: true)
    }
}
