// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import Glibc
import NIOCore
import SystemPackage

/// The three standard streams, and what is allowed on them: colours and moving progress only where a person looks.
struct Console: Sendable {
    /// Whether a person sees standard output.
    let outputIsTerminal: Bool
    /// Whether a person sees standard error.
    let errorIsTerminal: Bool
    /// Whether a person would have to type standard input.
    let inputIsTerminal: Bool
    let outputStyle: Style
    let errorStyle: Style

    static let standard = Console(environment: ProcessInfo.processInfo.environment)

    /// - Parameter environment: `NO_COLOR` (any value but empty) and `TERM=dumb` switch colours off.
    init(environment: [String: String]) {
        outputIsTerminal = isatty(STDOUT_FILENO) == 1
        errorIsTerminal = isatty(STDERR_FILENO) == 1
        inputIsTerminal = isatty(STDIN_FILENO) == 1
        let plain = environment["NO_COLOR"].map { !$0.isEmpty } ?? false || environment["TERM"] == "dumb"
        outputStyle = Style(isColoured: outputIsTerminal && !plain)
        errorStyle = Style(isColoured: errorIsTerminal && !plain)
    }

    /// Writes text and a line end (unless it has one) to standard output.
    ///
    /// - Throws: `Errno`, among them `brokenPipe` where nobody reads any more.
    func print(_ text: String) throws(Errno) {
        try write(text.hasSuffix("\n") ? text : text + "\n", to: .standardOutput)
    }

    /// Writes bytes to standard output unchanged.
    func write(_ bytes: ByteBuffer) throws(Errno) {
        do {
            try Descriptor.standardOutput.writeAll(bytes.readableBytesView)
        } catch let error as Errno {
            throw error
        } catch {
            throw Errno.ioError
        }
    }

    /// Writes one line to standard error. Failing to complain is not worth a complaint.
    func note(_ text: String) { try? write(text + "\n", to: .standardError) }

    /// Writes `brume: ` and a sentence to standard error.
    func complain(_ sentence: String) { note(errorStyle.bad("brume:") + " " + sentence) }

    /// Writes text without a line end to standard error, for the progress display.
    func draw(_ text: String) { try? write(text, to: .standardError) }

    private func write(_ text: String, to descriptor: Descriptor) throws(Errno) {
        do {
            try descriptor.writeAll(Array(text.utf8))
        } catch let error as Errno {
            throw error
        } catch {
            throw Errno.ioError
        }
    }
}

/// Colours by meaning, or nothing.
struct Style: Sendable, Equatable {
    let isColoured: Bool

    func good(_ text: String) -> String { paint(text, "32") }
    func bad(_ text: String) -> String { paint(text, "31") }
    func careful(_ text: String) -> String { paint(text, "33") }
    func faint(_ text: String) -> String { paint(text, "2") }
    func strong(_ text: String) -> String { paint(text, "1") }

    private func paint(_ text: String, _ code: String) -> String { isColoured && !text.isEmpty ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
}
