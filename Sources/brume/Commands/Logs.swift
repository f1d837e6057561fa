// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import AsyncHTTPClient
import BrumeModel
import FoundationEssentials
import NIOCore
import NIOHTTP1

struct Logs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Show what a function wrote.",
        discussion: """
            Example:
              brume logs hello --since 10m --follow
            """)

    @Argument(help: ArgumentHelp("Name of the function, or NAME.NAMESPACE.", valueName: "name"))
    var name: String

    @Flag(help: "Go on with new lines as they come.")
    var follow = false

    @Option(help: ArgumentHelp("Only lines younger than 10m, 2h, or since a time like 2026-11-21T10:00:00Z.", valueName: "age"))
    var since: String?

    @Option(help: ArgumentHelp("Only the last so many lines.", valueName: "lines"))
    var tail: Int?

    @Option(help: ArgumentHelp("Only lines of one replica.", valueName: "replica"))
    var instance: String?

    @OptionGroup var place: NamespaceOption
    @OptionGroup var format: FormatOption
    @OptionGroup(title: "Node") var node: NodeOptions

    /// Without this much text and no line end, something other than log lines is coming.
    private static let lineBytesMax = 4 << 20

    func run() async throws {
        let id = try FunctionID.said(name, namespace: place.namespace)
        if let tail, tail < 0 { throw CommandFailure.words("--tail takes a number of lines, 0 or more.") }
        let query: [(name: String, value: String?)] = [
            ("name", id.name), ("namespace", id.namespace), ("follow", follow ? "true" : "false"), ("since", try Moment.timestamp(since)),
            ("tail", tail.map { "\($0)" }), ("instance", instance),
        ]
        try await node.withClient { client in
            let response = try await ProgressDisplay.during("Asking the node", quiet: node.quiet || follow) { _ in
                do {
                    return try await client.api(.GET, "/system/logs", query: query, within: NodeClient.callTimeout)
                } catch let refusal as NodeRefusal {
                    throw refusal.failure
                }
            }
            var rest = ByteBuffer()
            for try await chunk in response.body {
                var chunk = chunk
                rest.writeBuffer(&chunk)
                while let end = rest.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
                    let line = rest.readSlice(length: end - rest.readerIndex) ?? ByteBuffer()
                    rest.moveReaderIndex(forwardBy: 1)
                    try show(line)
                }
                rest.discardReadBytes()
                guard rest.readableBytes <= Self.lineBytesMax else {
                    throw CommandFailure.failed("The node sent a log line of more than \(Wording.bytes(Self.lineBytesMax)).")
                }
            }
            try show(rest)
        }
    }

    private func show(_ line: ByteBuffer) throws {
        guard line.readableBytes > 0 else { return }
        let text = String(buffer: line)
        if format.json { return try Console.standard.print(text) }
        guard let message = try? JSONDecoder().decode(LogMessage.self, from: Data(line.readableBytesView)) else {
            return try Console.standard.print(text)
        }
        let style = Console.standard.outputStyle
        let time = style.faint(Wording.time(message.timestamp ?? ""))
        let origin = style.strong(message.instance ?? message.name)
        try Console.standard.print("\(time) \(origin) \(message.text)")
    }
}

/// A moment as people say it: an age like `10m`, or a time.
enum Moment {
    /// As RFC 3339; nil where nothing was said.
    ///
    /// - Throws: `CommandFailure` (words).
    static func timestamp(_ text: String?) throws(CommandFailure) -> String? {
        guard let text else { return nil }
        if let age = try? Duration(parsing: text) { return Wording.timestamp(before: age) }
        let styles = [Date.ISO8601FormatStyle(), Date.ISO8601FormatStyle(includingFractionalSeconds: true)]
        guard styles.contains(where: { (try? $0.parse(text)) != nil }) else {
            throw .words("'\(text)' is neither an age like 10m nor a time like 2026-11-21T10:00:00Z.")
        }
        return text
    }
}
