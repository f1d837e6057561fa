// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc

/// The `brume` program: parses the words, runs the command, turns every error into one sentence and an exit code.
@main
struct Brume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "brume",
        abstract: "A serverless platform for the edge-cloud continuum.",
        discussion: """
            Example:
              brume deploy hello --command 'cat'
              echo hi | brume invoke hello

            A command finds the node of this machine, and its credentials, by itself. For another node use --url or BRUME_URL.
            Exit codes: 0 good, 1 the function or the platform failed, 2 the words were wrong.
            """,
        version: Version.current,
        groupedSubcommands: [
            CommandGroup(
                name: "Node",
                subcommands: [
                    Up.self, Status.self, NodeCommand.self, HarvestCommand.self, Doctor.self, Bench.self, Load.self, Simulate.self,
                    Lab.self,
                ]),
            CommandGroup(
                name: "Function",
                subcommands: [
                    Deploy.self, Invoke.self, List.self, Describe.self, Logs.self, Remove.self, SecretCommand.self, NamespaceCommand.self,
                ]),
            CommandGroup(name: "State", subcommands: [StateCommand.self]),
            CommandGroup(name: "Call", subcommands: [Calls.self, Explain.self, QueueCommand.self]),
            CommandGroup(name: "Program", subcommands: [Completions.self, VersionCommand.self]),
        ]
    )

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            Glibc.exit(Ending(of: error).announce(on: Console.standard))
        }
    }
}
