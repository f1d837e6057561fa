// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// `brume lab`: experiments that compare ways of running calls.
struct Lab: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Run the experiments behind Brume's claims, and clusters to try things out.",
        discussion: """
            Examples:
              brume lab harvest --quick
              brume lab density
              brume lab testbeds --only single --output results
              brume lab cluster 3 --delay 20ms
            """,
        subcommands: [LabHarvest.self, LabDensity.self, LabTestbeds.self, LabClusterCommand.self])
}
