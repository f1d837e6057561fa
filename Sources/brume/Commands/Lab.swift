// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// `brume lab`: experiments that compare ways of running calls.
struct Lab: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Compare ways of sharing a node, by experiment.",
        discussion: """
            Example:
              brume lab harvest --quick
            """,
        subcommands: [LabHarvest.self])
}
