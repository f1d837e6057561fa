// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

struct Completions: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completions",
        abstract: "Print a completion script for a shell.",
        discussion: """
            Examples:
              brume completions bash > /etc/bash_completion.d/brume
              brume completions zsh > ~/.zfunc/_brume
              brume completions fish > ~/.config/fish/completions/brume.fish
            """)

    @Argument(help: ArgumentHelp("bash, zsh or fish.", valueName: "shell"), completion: .list(["bash", "zsh", "fish"]))
    var shell: String

    func run() throws {
        guard let shell = CompletionShell(rawValue: shell) else {
            throw CommandFailure.words("There are completions for bash, zsh and fish, not for '\(shell)'.")
        }
        try Console.standard.print(Brume.completionScript(for: shell))
    }
}
