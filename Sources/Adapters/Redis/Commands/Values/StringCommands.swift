// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Strings and the counters in them.
enum StringCommands {
    static func get(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.bulkOrNull(try replica.get(try turn.key(1), turn.time))
    }

    static func mget(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.array(turn.count - 1)
        for index in 1..<turn.count {
            let key = try turn.key(index)
            // A key of another kind is answered like one that is not there.
            guard replica.kind(of: key, turn.time) == .string else {
                turn.reply.null()
                continue
            }
            turn.reply.bulkOrNull(try replica.get(key, turn.time))
        }
    }

    static func set(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        if turn.count == 3 {
            try replica.set(try turn.key(1), turn.bytes(2), turn.time)
            turn.reply.ok()
            return
        }
        var options = WriteOptions()
        guard options.read(&turn, from: 3, isSet: true) else { return }
        let key = try turn.key(1)
        let kind = replica.kind(of: key, turn.time)
        let old = options.wantsOld ? try replica.get(key, turn.time) : nil
        let isAllowed = options.condition == .always || (options.condition == .ifAbsent) == (kind == nil)
        if isAllowed {
            try replica.setString(key, turn.bytes(2), options.expiry, turn.time)
        }
        if options.wantsOld {
            turn.reply.bulkOrNull(old)
        } else if isAllowed {
            turn.reply.ok()
        } else {
            turn.reply.null()
        }
    }

    static func setnx(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        let isAbsent = replica.kind(of: key, turn.time) == nil
        if isAbsent { try replica.set(key, turn.bytes(2), turn.time) }
        turn.reply.flag(isAbsent)
    }

    static func setex(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try setWithExpiry(&turn, &replica, unit: 1_000, command: "setex")
    }

    static func psetex(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try setWithExpiry(&turn, &replica, unit: 1, command: "psetex")
    }

    private static func setWithExpiry(
        _ turn: inout Turn, _ replica: inout Replica, unit: Int64, command: String
    ) throws(StateError) {
        guard let amount = turn.integer(2) else { return turn.reply.notAnInteger() }
        guard let deadline = Expiries.deadline(amount, unit: unit, isAbsolute: false, now: turn.time), amount > 0 else {
            return turn.reply.error("ERR invalid expire time in '\(command)' command")
        }
        try replica.setString(try turn.key(1), turn.bytes(3), .at(deadline), turn.time)
        turn.reply.ok()
    }

    static func getset(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        turn.reply.bulkOrNull(try replica.get(key, turn.time))
        try replica.set(key, turn.bytes(2), turn.time)
    }

    static func getdel(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        let old = try replica.get(key, turn.time)
        turn.reply.bulkOrNull(old)
        if old != nil { _ = replica.delete([key], turn.time) }
    }

    static func getex(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        var options = WriteOptions()
        guard options.read(&turn, from: 2, isSet: false) else { return }
        let key = try turn.key(1)
        let value = try replica.get(key, turn.time)
        turn.reply.bulkOrNull(value)
        guard value != nil else { return }
        switch options.expiry {
        case .keep: break
        case .forever: _ = replica.persist(key, turn.time)
        case .at(let deadline): _ = try replica.expire(key, at: deadline, .always, turn.time)
        }
    }

    static func mset(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count % 2 == 1 else { return turn.reply.wrongArity("mset") }
        try setAll(&turn, &replica)
        turn.reply.ok()
    }

    static func msetnx(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count % 2 == 1 else { return turn.reply.wrongArity("msetnx") }
        for index in stride(from: 1, to: turn.count, by: 2) where replica.kind(of: try turn.key(index), turn.time) != nil {
            return turn.reply.flag(false)
        }
        try setAll(&turn, &replica)
        turn.reply.flag(true)
    }

    /// Several keys in one batch, so that every node sees all of them or none.
    private static func setAll(_ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try replica.atomically { replica throws(StateError) in
            for index in stride(from: 1, to: turn.count, by: 2) {
                try replica.set(try turn.key(index), turn.bytes(index + 1), turn.time)
            }
        }
    }

    // MARK: Counters

    static func incr(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.integer(try replica.increment(try turn.key(1), by: 1, turn.time))
    }

    static func decr(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.integer(try replica.increment(try turn.key(1), by: -1, turn.time))
    }

    static func incrby(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let amount = turn.integer(2) else { return turn.reply.notAnInteger() }
        turn.reply.integer(try replica.increment(try turn.key(1), by: amount, turn.time))
    }

    static func decrby(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let amount = turn.integer(2) else { return turn.reply.notAnInteger() }
        guard amount != .min else { return turn.reply.error("ERR decrement would overflow") }
        turn.reply.integer(try replica.increment(try turn.key(1), by: -amount, turn.time))
    }

    static func incrbyfloat(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        let old = try replica.get(key, turn.time)
        guard let value = DecimalText.long(old?.array ?? [UInt8(ascii: "0")]), let amount = DecimalText.long(turn.slice(2)) else {
            return turn.reply.notAFloat()
        }
        let sum = value + amount
        guard sum.isFinite else { return turn.reply.error("ERR increment would produce NaN or Infinity") }
        let text = DecimalText.human(sum)
        try replica.setString(key, Bytes(text), .keep, turn.time)
        turn.reply.bulk(text)
    }

    // MARK: Parts of strings

    static func strlen(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.integer(try replica.get(try turn.key(1), turn.time)?.count ?? 0)
    }

    static func append(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        let old = try replica.get(key, turn.time)
        var text = old?.array ?? []
        text.append(contentsOf: turn.slice(2))
        guard text.count <= session.server.settings.valueBytesMax else { return tooLong(&turn) }
        if old == nil || !turn.slice(2).isEmpty { try replica.setString(key, Bytes(text), .keep, turn.time) }
        turn.reply.integer(text.count)
    }

    private static func tooLong(_ turn: inout Turn) {
        turn.reply.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    }

    static func getrange(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let first = turn.integer(2), let last = turn.integer(3) else { return turn.reply.notAnInteger() }
        let text = try replica.get(try turn.key(1), turn.time)?.array ?? []
        // An end before the text means its first byte here, unlike in lists.
        let end = last < 0 ? max(last + Int64(text.count), 0) : last
        guard !(first < 0 && last < 0 && first > last), let range = Ranges.clamped(first, end, count: text.count) else {
            return turn.reply.bulk([])
        }
        turn.reply.bulk(text[range])
    }

    static func substr(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try getrange(session, &turn, &replica)
    }

    static func setrange(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let offset = turn.integer(2) else { return turn.reply.notAnInteger() }
        guard offset >= 0 else { return turn.reply.error("ERR offset is out of range") }
        let key = try turn.key(1)
        var text = try replica.get(key, turn.time)?.array ?? []
        let part = turn.slice(3)
        guard !part.isEmpty else { return turn.reply.integer(text.count) }
        guard offset <= Int64(session.server.settings.valueBytesMax), Int(offset) + part.count <= session.server.settings.valueBytesMax
        else {
            return tooLong(&turn)
        }
        let end = Int(offset) + part.count
        if text.count < end { text.append(contentsOf: [UInt8](repeating: 0, count: end - text.count)) }
        text.replaceSubrange(Int(offset)..<end, with: part)
        try replica.setString(key, Bytes(text), .keep, turn.time)
        turn.reply.integer(text.count)
    }
}

/// When a value that is written ends.
enum WriteExpiry: Equatable {
    case forever
    /// As it was.
    case keep
    /// Milliseconds since 1970.
    case at(Int64)
}

/// What follows `SET key value` and `GETEX key`.
struct WriteOptions {
    enum Condition { case always, ifAbsent, ifPresent }

    var condition = Condition.always
    var wantsOld = false
    var expiry = WriteExpiry.forever

    /// Reads the options; where they are wrong, writes why and answers false.
    mutating func read(_ turn: inout Turn, from start: Int, isSet: Bool) -> Bool {
        var hasExpiry = false
        var index = start
        if !isSet { expiry = .keep }
        while index < turn.count {
            if isSet, turn.word(index, is: "NX"), condition != .ifPresent {
                condition = .ifAbsent
            } else if isSet, turn.word(index, is: "XX"), condition != .ifAbsent {
                condition = .ifPresent
            } else if isSet, turn.word(index, is: "GET") {
                wantsOld = true
            } else if !hasExpiry, isSet ? turn.word(index, is: "KEEPTTL") : turn.word(index, is: "PERSIST") {
                hasExpiry = true
                expiry = isSet ? .keep : .forever
            } else if !hasExpiry, index + 1 < turn.count, let (unit, isAbsolute) = Self.unit(turn, index) {
                hasExpiry = true
                index += 1
                guard let amount = turn.integer(index) else {
                    turn.reply.notAnInteger()
                    return false
                }
                guard amount > 0, let deadline = Expiries.deadline(amount, unit: unit, isAbsolute: isAbsolute, now: turn.time) else {
                    turn.reply.error("ERR invalid expire time in '\(isSet ? "set" : "getex")' command")
                    return false
                }
                expiry = .at(deadline)
            } else {
                turn.reply.syntaxError()
                return false
            }
            index += 1
        }
        return true
    }

    private static func unit(_ turn: borrowing Turn, _ index: Int) -> (unit: Int64, isAbsolute: Bool)? {
        if turn.word(index, is: "EX") { return (1_000, false) }
        if turn.word(index, is: "PX") { return (1, false) }
        if turn.word(index, is: "EXAT") { return (1_000, true) }
        if turn.word(index, is: "PXAT") { return (1, true) }
        return nil
    }
}

/// Deadlines in milliseconds since 1970.
enum Expiries {
    /// The moment that an amount of units means; nil where it overflows.
    static func deadline(_ amount: Int64, unit: Int64, isAbsolute: Bool, now: StateTime) -> Int64? {
        let (scaled, overflow) = amount.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        guard !isAbsolute else { return scaled }
        let (sum, carry) = scaled.addingReportingOverflow(Int64(clamping: now.wallMilliseconds))
        return carry ? nil : sum
    }
}

/// Ranges given by a first and a last index, negative ones from the end.
enum Ranges {
    /// The range within `count` elements; nil where nothing is in it.
    static func clamped(_ first: Int64, _ last: Int64, count: Int) -> Range<Int>? {
        let size = Int64(count)
        let low = max(first < 0 ? first + size : first, 0)
        let high = min(last < 0 ? last + size : last, size - 1)
        guard size > 0, low <= high, low < size else { return nil }
        return Int(low)..<(Int(high) + 1)
    }
}

extension ReplyBuffer {
    @inline(__always)
    mutating func bulkOrNull(_ value: Bytes?) {
        if let value { bulk(value) } else { null() }
    }

    mutating func bulk(_ value: Bytes) { unsafe value.withUnsafeBytes { unsafe bulk($0) } }
}
