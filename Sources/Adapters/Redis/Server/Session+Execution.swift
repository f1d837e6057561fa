// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Commands that wait for EXEC.
struct Transaction {
    /// One of them, with bytes of its own.
    struct Queued {
        var command: Int
        var input: [UInt8]
        var arguments: [ArgumentRange]
    }

    var queued: [Queued] = []
    var bytes = 0
    /// Whether a command was refused, so that EXEC must be.
    var isSpoiled = false
}

extension Session {
    /// Executes the request in `turn`, or refuses it.
    func execute(_ turn: inout Turn, _ replica: inout Replica) {
        turn.executed &+= 1
        let before = turn.reply.count
        if let index = server.table.index(of: turn.input, turn.origin, turn.arguments[0]) {
            turn.lastCommand = index
            let command = server.table.commands[index]
            if isPlain, command.accepts(turn.count) {
                perform(command, &turn, &replica)
            } else if command.accepts(turn.count), isAllowed(index, command, turn) {
                if transaction != nil, !command.isControl { enqueue(index, &turn) } else { perform(command, &turn, &replica) }
            } else {
                refuse(index, command, &turn)
            }
        } else {
            refuseUnknown(&turn)
        }
        if replies != .on { mute(from: before, &turn) }
    }

    @inline(__always)
    private func perform(_ command: Command, _ turn: inout Turn, _ replica: inout Replica) {
        let before = turn.reply.count
        do throws(StateError) {
            try command.run(self, &turn, &replica)
            if command.isWrite { turn.hasWritten = true }
        } catch {
            turn.reply.truncate(to: before)
            turn.reply.failure(error)
        }
    }

    /// Whether nothing speaks against a command, apart from how many words it has.
    private func isAllowed(_ index: Int, _ command: Command, _ turn: borrowing Turn) -> Bool {
        if let user, !server.rules.allows(user: user, command: index) { return false }
        if isStranger, !command.isOpen { return false }
        return !isListening || turn.reply.isThree || command.isForListeners
    }

    private func refuse(_ index: Int, _ command: Command, _ turn: inout Turn) {
        transaction?.isSpoiled = true
        if !command.accepts(turn.count), command.name == "exec" {
            transaction = nil
            watched = []
            turn.reply.error("EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command")
        } else if !command.accepts(turn.count) {
            turn.reply.wrongArity(command.name)
        } else if isStranger, !command.isOpen {
            turn.reply.error("NOAUTH Authentication required.")
        } else if let user, !server.rules.allows(user: user, command: index) {
            server.statistics.refusedByRules &+= 1
            turn.reply.error("NOPERM this user has no permissions to run the '\(command.name)' command")
        } else {
            turn.reply.error(
                """
                ERR Can't execute '\(command.name)': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
                context
                """)
        }
    }

    private func refuseUnknown(_ turn: inout Turn) {
        transaction?.isSpoiled = true
        let name = turn.text(0)
        if isStranger {
            turn.reply.error("NOAUTH Authentication required.")
        } else if CommandTable.foreign.contains(name.lowercased()) {
            turn.reply.error(
                "ERR the command '\(name.lowercased())' of Redis is not supported by Brume; docs/redis.md lists those that are")
        } else {
            var arguments = ""
            var index = 1
            while index < turn.count, arguments.utf8.count < Self.shownBytesMax {
                arguments += "'\(String(decoding: turn.slice(index).prefix(Self.shownBytesMax - arguments.utf8.count), as: UTF8.self))' "
                index += 1
            }
            let shown = String(decoding: turn.slice(0).prefix(Self.shownBytesMax), as: UTF8.self)
            turn.reply.error("ERR unknown command '\(shown)', with args beginning with: \(arguments)")
        }
    }

    /// How much of an unknown command is repeated to the client; Redis' own.
    private static let shownBytesMax = 128

    /// Takes back what a command wrote, where the client wanted no reply.
    private func mute(from count: Int, _ turn: inout Turn) {
        switch replies {
        case .on: break
        case .off: turn.reply.truncate(to: min(count, turn.reply.count))
        case .skipThis:
            turn.reply.truncate(to: min(count, turn.reply.count))
            replies = .on
        case .skipNext: replies = .skipThis
        }
    }

    private func enqueue(_ index: Int, _ turn: inout Turn) {
        let last = turn.arguments.last?.end ?? 0
        guard var open = transaction, open.queued.count < RedisSettings.queuedMax, open.bytes + last <= RedisSettings.queuedBytesMax else {
            transaction?.isSpoiled = true
            return turn.reply.error("ERR too many commands in one transaction; at most \(RedisSettings.queuedMax) may wait for EXEC")
        }
        transaction = nil
        let input = Array(turn.input[turn.origin..<(turn.origin + last)])
        open.queued.append(Transaction.Queued(command: index, input: input, arguments: turn.arguments))
        open.bytes += last
        transaction = open
        turn.reply.raw("+QUEUED\r\n")
    }

    /// Executes what was queued; the replies follow the array's head.
    func executeQueued(_ queued: [Transaction.Queued], _ turn: inout Turn, _ replica: inout Replica) {
        let input = turn.input
        let arguments = turn.arguments
        let origin = turn.origin
        turn.isWithinTransaction = true
        for request in queued {
            turn.input = request.input
            turn.arguments = request.arguments
            turn.origin = 0
            let command = server.table.commands[request.command]
            // What a user may do can have changed between the queue and here, by AUTH within the transaction.
            if let user, !server.rules.allows(user: user, command: request.command) {
                turn.reply.error("NOPERM this user has no permissions to run the '\(command.name)' command")
            } else {
                perform(command, &turn, &replica)
            }
        }
        turn.isWithinTransaction = false
        turn.input = input
        turn.arguments = arguments
        turn.origin = origin
    }
}
