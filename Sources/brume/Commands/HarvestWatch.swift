// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import NIOCore

/// `brume harvest --watch`: what is lent, again and again, until somebody has seen enough.
struct HarvestWatch {
    /// Between two looks. The node tells no changes, and nobody reads faster.
    static let defaultPause = "1s"
    static let pauses = Duration.milliseconds(100)...Duration.seconds(3600)

    let pause: Duration
    let isJSON: Bool

    private static let hideCursor = "\u{1B}[?25l"
    private static let showCursor = "\u{1B}[?25h"
    private static let clear = "\u{1B}[2J"
    private static let home = "\u{1B}[H"
    private static let clearLine = "\u{1B}[K"
    private static let clearBelow = "\u{1B}[J"

    /// - Throws: `CommandFailure` (words) for a pause that cannot be.
    init(pause text: String, isJSON: Bool) throws(CommandFailure) {
        guard let pause = try? Duration(parsing: text), Self.pauses.contains(pause) else {
            throw .words("'\(text.prefix(40))' is no pause between two looks; give 100ms to 1h.")
        }
        self.pause = pause
        self.isJSON = isJSON
    }

    /// Shows one report after the other. An interrupt or a request to end is its usual end, and no failure.
    func run(_ fetch: @escaping @Sendable () async throws -> HarvestReport) async throws {
        let console = Console.standard
        let redraws = console.outputIsTerminal && !isJSON
        if redraws { try console.write(ByteBuffer(string: Self.hideCursor + Self.clear)) }
        defer { if redraws { try? console.write(ByteBuffer(string: Self.showCursor)) } }
        do {
            try await Interruptible.run {
                while true {
                    try show(try await fetch(), redraws: redraws)
                    try await Task.sleep(for: pause)
                }
            }
        } catch is CancellationError {
            return
        }
    }

    private func show(_ report: HarvestReport, redraws: Bool) throws {
        if isJSON { return try Console.standard.print(Self.line(report)) }
        let text = HarvestText.now(report, style: Console.standard.outputStyle)
        guard redraws else { return try Console.standard.print(text + "\n") }
        // Line by line over what stood there: a screen that is emptied first flickers.
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { $0 + Self.clearLine }
        try Console.standard.write(ByteBuffer(string: Self.home + lines.joined(separator: "\n") + Self.clearBelow))
    }

    /// One document in one line.
    private static func line(_ report: HarvestReport) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(report), as: UTF8.self)
    }
}
