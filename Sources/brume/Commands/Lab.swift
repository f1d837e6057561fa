// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

struct Lab: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Run the experiments behind Brume's claims.",
        discussion: """
            Example:
              brume lab testbeds --only single --output results
            """,
        subcommands: [LabTestbeds.self])
}
