import ArgumentParser
// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import SystemPackage
import Testing

@testable import brume

@Suite("Help, usage and completions")
struct CommandLineHelpTests {
    /// Every command, with the words that lead to it.
    static let commands: [[String]] = walk(Brume.self, under: [])

    private static func walk(_ command: any ParsableCommand.Type, under words: [String]) -> [[String]] {
        [words] + command.configuration.subcommands.flatMap { walk($0, under: words + [$0._commandName]) }
    }

    /// Wide enough that no example is broken, narrow enough to read.
    private static let columns = 100
    private static let manual = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
        .appending("docs/cli.md").string

    @Test("every command explains itself with an example", arguments: commands)
    func help(words: [String]) async throws {
        let outcome = try await CommandLineProgram.run(words + ["--help"])
        #expect(outcome.exitCode == 0)
        #expect(outcome.complaint.isEmpty)
        #expect(outcome.output.contains("USAGE: brume"))
        let lines = outcome.output.split(separator: "\n").map(String.init)
        let heading = try #require(lines.firstIndex { $0 == "Example:" || $0 == "Examples:" }, "no example")
        let examples = lines[(heading + 1)...].prefix { $0.hasPrefix("  ") }
        #expect(examples.contains { $0.contains("brume ") }, "the example does not call brume")
        #expect(examples.allSatisfy { $0.count < 80 }, "an example is too wide for a terminal")
    }

    @Test("the example of every command has words that the command understands", arguments: commands)
    func examplesParse(words: [String]) throws {
        let text = Brume.helpMessage(for: try command(words), columns: 200)
        let lines = text.split(separator: "\n").map(String.init)
        let heading = try #require(lines.firstIndex { $0 == "Example:" || $0 == "Examples:" })
        for line in lines[(heading + 1)...].prefix(while: { $0.hasPrefix("  ") }) {
            // What stands in front of a pipe or behind a redirection belongs to the shell.
            guard let start = line.firstRange(of: "brume ") else { continue }
            let call = String(line[start.upperBound...].prefix { $0 != ">" })
            #expect(throws: Never.self, "\(line)") { _ = try Brume.parseAsRoot(try ShellWords.split(call)) }
        }
    }

    private func command(_ words: [String]) throws -> any ParsableCommand.Type {
        var current: any ParsableCommand.Type = Brume.self
        for word in words {
            current = try #require(current.configuration.subcommands.first { $0._commandName == word })
        }
        return current
    }

    @Test("docs/cli.md says what --help says; UPDATE_SNAPSHOTS=1 writes it")
    func manual() throws {
        var text = """
            # The command line

            What `brume COMMAND --help` says, written down by a test: after a change run
            `UPDATE_SNAPSHOTS=1 swift test --filter CommandLineHelpTests`.

            Exit codes: 0 good, 1 the function or the platform failed, 2 the words were wrong. Errors are one sentence on standard
            error that begins with `brume: `. Colours and moving progress appear on terminals only; `NO_COLOR` switches colours off.

            A command finds its node in this order: `--url`; `--data-dir`; `BRUME_URL`; `OPENFAAS_URL`; `node.json` in
            `./brume-data`, in `/var/lib/brume`, and `/run/brume/node.json`; a stack file's `provider.gateway`;
            `http://127.0.0.1:8080`. It takes credentials from `--user` and `--password`, the URL, `BRUME_USER` and
            `BRUME_PASSWORD`, or the data directory of the node that listens at the URL.

            """
        for words in Self.commands {
            let help = Brume.helpMessage(for: try command(words), columns: Self.columns)
            let title = (["brume"] + words).joined(separator: " ")
            let lines = help.split(separator: "\n", omittingEmptySubsequences: false).map(Self.trimmed)
            text += "\n## \(title)\n\n```\n\(lines.joined(separator: "\n"))```\n"
        }
        if ProcessInfo.processInfo.environment["UPDATE_SNAPSHOTS"] == "1" {
            try write(text, to: Self.manual)
        }
        let written = FileManager.default.contents(atPath: Self.manual).map { String(decoding: $0, as: UTF8.self) } ?? ""
        #expect(written == text, "docs/cli.md is out of date; write it anew with UPDATE_SNAPSHOTS=1")
    }

    private static func trimmed(_ line: Substring) -> String {
        var line = line
        while line.last == " " { line.removeLast() }
        return String(line)
    }

    @Test(
        "completions are made for each shell",
        arguments: [("bash", "complete"), ("zsh", "#compdef brume"), ("fish", "complete -c 'brume'")])
    func completions(shell: String, mark: String) async throws {
        let outcome = try await CommandLineProgram.run(["completions", shell])
        #expect(outcome.exitCode == 0)
        #expect(outcome.output.contains(mark))
        for command in Self.commands.compactMap(\.first) { #expect(outcome.output.contains(command)) }
    }

    @Test(
        "words that make no sense end with 2, one sentence and a hint",
        arguments: [
            (["lst"], "brume: Unexpected argument 'lst'. See 'brume --help' for more information.\n"),
            (["list", "--jsn"], "brume: Unknown option '--jsn'. Did you mean '--json'? See 'brume list --help' for more information.\n"),
            (["describe"], "brume: Missing expected argument '<name>'. See 'brume describe --help' for more information.\n"),
            (["completions", "tcsh"], "brume: There are completions for bash, zsh and fish, not for 'tcsh'.\n"),
            (
                ["list", "--url", "gopher://x"],
                "brume: 'gopher://x' (--url) is not the address of a node; write for example http://127.0.0.1:8080.\n"
            ),
            (
                ["logs", "f", "--since", "yesterday"],
                "brume: 'yesterday' is neither an age like 10m nor a time like 2026-11-21T10:00:00Z.\n"
            ),
            (["logs", "f", "--tail", "-1"], ""),
            (["calls", "--limit", "0"], "brume: --limit takes a number of calls, 1 or more.\n"),
            (["queue", "discard"], "brume: Name the calls by their ids from 'brume queue dead', or say --all.\n"),
            (["queue", "redrive", "1", "--all"], "brume: Name the calls by their ids from 'brume queue dead', or say --all.\n"),
            (["queue", "redrive", "x"], "brume: 'x' is not the id of a dead call; ids are numbers, see: brume queue dead\n"),
            (["secret", "create", "../x"], ""), (["secret", "create", "x", "--from-file", "/nonexistent"], ""),
            (["secret", "create", "x", "--from-file", "/etc/passwd", "--from-literal", "y"], ""),
        ])
    func wrongWords(words: [String], sentence: String) async throws {
        let outcome = try await CommandLineProgram.run(words, environment: ["BRUME_URL": "http://127.0.0.1:1"])
        #expect(outcome.exitCode == 2, "\(outcome.complaint)")
        #expect(outcome.output.isEmpty)
        #expect(outcome.complaint.hasPrefix("brume: "))
        #expect(outcome.complaint.split(separator: "\n").count == 1)
        if !sentence.isEmpty { #expect(outcome.complaint == sentence) }
    }

    @Test("version says the same in both spellings")
    func version() async throws {
        #expect(try await CommandLineProgram.run(["version"]).output == "brume \(Version.current)\n")
        #expect(try await CommandLineProgram.run(["--version"]).output == "\(Version.current)\n")
        #expect(try await CommandLineProgram.run(["version", "--json"]).output == "{\n  \"version\" : \"\(Version.current)\"\n}\n")
    }
}
