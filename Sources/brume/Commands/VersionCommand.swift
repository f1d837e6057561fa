// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the version of this program.",
        discussion: """
            The version of a running node is in brume status.

            Example:
              brume version --json
            """)

    @OptionGroup var format: FormatOption

    func run() throws {
        try Console.standard.print(format.json ? JSONText.of(["version": Version.current]) : "brume \(Version.current)")
    }
}
