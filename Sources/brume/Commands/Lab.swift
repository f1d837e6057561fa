// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

struct Lab: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Run the experiments behind Brume's claims.",
        subcommands: [LabTestbeds.self])
}
