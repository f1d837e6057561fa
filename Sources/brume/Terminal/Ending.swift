// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel
import SystemPackage

/// Why a command ends badly: the sentence for the person and the exit code for the script.
struct CommandFailure: Error, Equatable, CustomStringConvertible {
    enum Kind: Int32, Equatable {
        /// The function or the platform failed.
        case failed = 1
        /// The words were wrong; the same words will fail again.
        case words = 2
    }

    let kind: Kind
    /// One sentence, without the `brume: ` in front. Empty where everything has been said already.
    let message: String

    static func failed(_ message: String) -> CommandFailure { CommandFailure(kind: .failed, message: message) }
    static func words(_ message: String) -> CommandFailure { CommandFailure(kind: .words, message: message) }
    /// The sentence has been printed; only the exit code is left to say.
    static let alreadySaid = CommandFailure(kind: .failed, message: "")

    var description: String { message }
}

/// How the program ends after an error was thrown: what to print, where, and the exit code.
struct Ending: Equatable {
    var exitCode: Int32
    /// For standard output: help, the version, a completion script.
    var output: String
    /// For standard error.
    var complaint: String

    init(exitCode: Int32, output: String = "", complaint: String = "") {
        self.exitCode = exitCode
        self.output = output
        self.complaint = complaint
    }

    init(of error: any Error) {
        switch error {
        case let failure as CommandFailure:
            self.init(exitCode: failure.kind.rawValue, complaint: failure.message)
        case let failure as BrumeError:
            let kind = failure.code == .invalid ? CommandFailure.Kind.words : .failed
            self.init(exitCode: kind.rawValue, complaint: failure.message)
        case let code as ExitCode:
            // What was run has said why.
            self.init(exitCode: code.rawValue)
        case Errno.brokenPipe:
            // Whoever read the output has seen enough (`brume list | head -1`); that is no failure.
            self.init(exitCode: 0)
        case is CancellationError:
            self.init(exitCode: CommandFailure.Kind.failed.rawValue, complaint: "The command was interrupted.")
        default:
            self.init(parserError: error)
        }
    }

    /// The parser's own endings: help and version on standard output, everything else is a mistake in the words.
    private init(parserError error: any Error) {
        let code = Brume.exitCode(for: error)
        if code == .success {
            self.init(exitCode: 0, output: Brume.fullMessage(for: error))
        } else if code == .validationFailure {
            let sentence = Brume.message(for: error).split(separator: "\n").first.map(String.init) ?? "The arguments are not valid"
            let hint = Self.hint(in: Brume.fullMessage(for: error))
            self.init(exitCode: CommandFailure.Kind.words.rawValue, complaint: "\(Self.ended(sentence)) \(hint)")
        } else {
            self.init(exitCode: CommandFailure.Kind.failed.rawValue, complaint: "\(error)")
        }
    }

    /// `See 'brume deploy --help' for more information.`, as the parser names the right subcommand.
    private static func hint(in fullMessage: String) -> String {
        let line = fullMessage.split(separator: "\n").last { $0.contains("--help") }
        return line.map { String($0.drop { $0 == " " }) } ?? "See 'brume --help'."
    }

    /// With a mark at its end, and one only.
    private static func ended(_ text: String) -> String { text.hasSuffix(".") || text.hasSuffix("?") ? text : text + "." }

    /// Prints what there is to say and returns the exit code.
    func announce(on console: Console) -> Int32 {
        if !output.isEmpty { try? console.print(output) }
        if !complaint.isEmpty { console.complain(complaint) }
        return exitCode
    }
}
