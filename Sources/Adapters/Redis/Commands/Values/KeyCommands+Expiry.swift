// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

extension KeyCommands {
    static func expire(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try setExpiry("expire", unit: 1_000, isAbsolute: false, &turn, &replica)
    }

    static func pexpire(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try setExpiry("pexpire", unit: 1, isAbsolute: false, &turn, &replica)
    }

    static func expireat(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try setExpiry("expireat", unit: 1_000, isAbsolute: true, &turn, &replica)
    }

    static func pexpireat(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try setExpiry("pexpireat", unit: 1, isAbsolute: true, &turn, &replica)
    }

    /// When a new deadline is taken.
    private struct Condition {
        var onlyWithout = false
        var onlyWith = false
        var onlyLater = false
        var onlyEarlier = false

        /// Reads the words behind a deadline; where they are wrong, writes why and answers false.
        mutating func read(_ turn: inout Turn) -> Bool {
            for index in 3..<max(3, turn.count) {
                if turn.word(index, is: "NX") {
                    onlyWithout = true
                } else if turn.word(index, is: "XX") {
                    onlyWith = true
                } else if turn.word(index, is: "GT") {
                    onlyLater = true
                } else if turn.word(index, is: "LT") {
                    onlyEarlier = true
                } else {
                    turn.reply.error("ERR Unsupported option \(turn.text(index))")
                    return false
                }
            }
            if onlyWithout && (onlyWith || onlyLater || onlyEarlier) {
                turn.reply.error("ERR NX and XX, GT or LT options at the same time are not compatible")
                return false
            }
            if onlyLater, onlyEarlier {
                turn.reply.error("ERR GT and LT options at the same time are not compatible")
                return false
            }
            return true
        }

        func allows(_ new: Int64, instead old: Int64?) -> Bool {
            if onlyWithout, old != nil { return false }
            if onlyWith, old == nil { return false }
            // No deadline is later than every deadline.
            if onlyLater { return old.map { new > $0 } ?? false }
            if onlyEarlier { return old.map { new < $0 } ?? true }
            return true
        }
    }

    private static func setExpiry(
        _ name: String, unit: Int64, isAbsolute: Bool, _ turn: inout Turn, _ replica: inout Replica
    ) throws(StateError) {
        var condition = Condition()
        guard condition.read(&turn) else { return }
        guard let amount = turn.integer(2) else { return turn.reply.notAnInteger() }
        guard let deadline = Expiries.deadline(amount, unit: unit, isAbsolute: isAbsolute, now: turn.time) else {
            return turn.reply.error("ERR invalid expire time in '\(name)' command")
        }
        let key = try turn.key(1)
        let old: Int64?
        switch replica.expiry(of: key, turn.time) {
        case .absent: return turn.reply.flag(false)
        case .never: old = nil
        case .at(let moment): old = moment
        }
        guard condition.allows(deadline, instead: old) else { return turn.reply.flag(false) }
        // A moment before 1970 is one in the past like others.
        turn.reply.flag(try replica.expire(key, at: max(deadline, 0), .always, turn.time))
    }

    static func persist(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.flag(replica.persist(try turn.key(1), turn.time))
    }

    static func ttl(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try tellDeadline(&turn, replica) { deadline, now in (max(deadline - now, 0) + 500) / 1_000 }
    }

    static func pttl(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try tellDeadline(&turn, replica) { deadline, now in max(deadline - now, 0) }
    }

    static func expiretime(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try tellDeadline(&turn, replica) { deadline, _ in (deadline + 500) / 1_000 }
    }

    static func pexpiretime(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try tellDeadline(&turn, replica) { deadline, _ in deadline }
    }

    private static func tellDeadline(
        _ turn: inout Turn, _ replica: borrowing Replica, _ show: (_ deadline: Int64, _ now: Int64) -> Int64
    ) throws(StateError) {
        switch replica.expiry(of: try turn.key(1), turn.time) {
        case .absent: turn.reply.integer(-2)
        case .never: turn.reply.integer(-1)
        case .at(let deadline): turn.reply.integer(show(deadline, Int64(clamping: turn.time.wallMilliseconds)))
        }
    }
}
