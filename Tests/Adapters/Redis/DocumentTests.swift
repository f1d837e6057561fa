// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import BrumeRedis

/// docs/redis.md says what is supported: no more and no less than what is.
@Suite("The document about Redis")
struct DocumentTests {
    private static let begin = "<!-- commands: begin -->\n"
    private static let end = "<!-- commands: end -->\n"

    /// The file, found from this one, wherever the tree is.
    private static var path: String {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<8 {
            folder.deleteLastPathComponent()
            let file = folder.appendingPathComponent("docs/redis.md")
            if FileManager.default.fileExists(atPath: file.path) { return file.path }
        }
        return "docs/redis.md"
    }

    /// A row for each command, by group.
    private static var table: String {
        let groups = [
            "string", "set", "hash", "sorted-set", "list", "hyperloglog", "generic", "transactions", "pubsub", "connection", "server",
        ]
        let commands = CommandTable.all.commands
        return groups.map { group in
            let rows = commands.filter { $0.group == group }.sorted { $0.name < $1.name }.map { command in
                let notes = CommandNotes.concurrency(of: command)
                return "| `\(command.name.uppercased())` | \(notes) |\n"
            }
            return "### \(group)\n\n| command | used on two nodes at the same time |\n|---|---|\n" + rows.joined()
        }.joined(separator: "\n")
    }

    @Test("lists every command with what concurrent use yields, as the table of commands has it; UPDATE_SNAPSHOTS=1 writes it anew")
    func commands() throws {
        let text = try String(contentsOfFile: Self.path, encoding: .utf8)
        let parts = text.components(separatedBy: Self.begin)
        try #require(parts.count == 2)
        let rest = parts[1].components(separatedBy: Self.end)
        try #require(rest.count == 2)
        if ProcessInfo.processInfo.environment["UPDATE_SNAPSHOTS"] != nil {
            try (parts[0] + Self.begin + Self.table + Self.end + rest[1]).write(toFile: Self.path, atomically: true, encoding: .utf8)
        } else {
            #expect(rest[0] == Self.table)
        }
    }

    @Test("every command that writes says what concurrent use yields")
    func notes() {
        for command in CommandTable.all.commands { #expect(!CommandNotes.concurrency(of: command).isEmpty, "\(command.name)") }
    }

    @Test("the group of every command is one of the document's")
    func groups() {
        #expect(CommandTable.all.commands.allSatisfy { command in Self.table.contains("| `\(command.name.uppercased())` |") })
    }
}
