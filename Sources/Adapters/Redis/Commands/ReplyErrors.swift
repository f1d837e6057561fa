// SPDX-License-Identifier: Apache-2.0

import BrumeState

/// Redis' own sentences, which clients compare with.
extension ReplyBuffer {
    mutating func wrongType() { error("WRONGTYPE Operation against a key holding the wrong kind of value") }
    mutating func syntaxError() { error("ERR syntax error") }
    mutating func notAnInteger() { error("ERR value is not an integer or out of range") }
    mutating func notAFloat() { error("ERR value is not a valid float") }
    mutating func noSuchKey() { error("ERR no such key") }
    mutating func outOfRange() { error("ERR index out of range") }
    mutating func overflow() { error("ERR increment or decrement would overflow") }

    /// What the replica refused.
    mutating func failure(_ error: StateError) {
        switch error.kind {
        case .wrongType: wrongType()
        case .notInteger: notAnInteger()
        case .notNumber: notAFloat()
        case .overflow: overflow()
        case .outOfRange: outOfRange()
        case .notFound: noSuchKey()
        case .quota: self.error("OOM \(error.message)")
        case .unavailable, .fenced, .rights: self.error("UNAVAILABLE \(error.message)")
        case .invalid, .tooLarge, .unknownNamespace, .corrupt: self.error("ERR \(error.message)")
        }
    }

    /// Puts one error in place of every reply from `starts` on.
    mutating func replace(from starts: [Int], with text: String) {
        guard let first = starts.first, first <= count else { return }
        truncate(to: first)
        for _ in starts { error(text) }
    }

    mutating func wrongArity(_ command: String) { error("ERR wrong number of arguments for '\(command)' command") }

    mutating func mustBePositive() { error("ERR value is out of range, must be positive") }

    mutating func unknownSubcommand(_ name: String, of command: String) {
        error("ERR unknown subcommand '\(name.prefix(128))'. Try \(command.uppercased()) HELP.")
    }
}
