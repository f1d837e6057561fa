// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Hashes: each field is a string of its own.
enum HashCommands {
    static func hset(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count % 2 == 0 else { return turn.reply.wrongArity("hset") }
        turn.reply.integer(try setAll(&turn, &replica))
    }

    static func hmset(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count % 2 == 0 else { return turn.reply.wrongArity("hmset") }
        _ = try setAll(&turn, &replica)
        turn.reply.ok()
    }

    @inline(__always)
    private static func setAll(_ turn: inout Turn, _ replica: inout Replica) throws(StateError) -> Int {
        let key = try turn.key(1)
        var added = 0
        var index = 2
        while index < turn.count {
            if try replica.hashSet(key, turn.bytes(index), turn.bytes(index + 1), turn.time) { added += 1 }
            index += 2
        }
        return added
    }

    static func hsetnx(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        let field = turn.bytes(2)
        let isAbsent = try replica.hashGet(key, field, turn.time) == nil
        if isAbsent { _ = try replica.hashSet(key, field, turn.bytes(3), turn.time) }
        turn.reply.flag(isAbsent)
    }

    static func hget(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.bulkOrNull(try replica.hashGet(try turn.key(1), turn.bytes(2), turn.time))
    }

    static func hmget(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        turn.reply.array(turn.count - 2)
        for index in 2..<turn.count { turn.reply.bulkOrNull(try replica.hashGet(key, turn.bytes(index), turn.time)) }
    }

    static func hgetall(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let entries = try replica.hashAll(try turn.key(1), turn.time)
        turn.reply.map(entries.count)
        for (field, value) in entries {
            turn.reply.bulk(field)
            turn.reply.bulk(value)
        }
    }

    static func hkeys(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let entries = try replica.hashAll(try turn.key(1), turn.time)
        turn.reply.array(entries.count)
        for (field, _) in entries { turn.reply.bulk(field) }
    }

    static func hvals(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let entries = try replica.hashAll(try turn.key(1), turn.time)
        turn.reply.array(entries.count)
        for (_, value) in entries { turn.reply.bulk(value) }
    }

    static func hdel(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        turn.reply.integer(try replica.hashRemove(key, (2..<turn.count).map { turn.bytes($0) }, turn.time))
    }

    static func hlen(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.integer(try replica.hashCount(try turn.key(1), turn.time))
    }

    static func hstrlen(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.integer(try replica.hashGet(try turn.key(1), turn.bytes(2), turn.time)?.count ?? 0)
    }

    static func hexists(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.flag(try replica.hashGet(try turn.key(1), turn.bytes(2), turn.time) != nil)
    }

    static func hincrby(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let amount = turn.integer(3) else { return turn.reply.notAnInteger() }
        do throws(StateError) {
            turn.reply.integer(try replica.hashIncrement(try turn.key(1), turn.bytes(2), by: amount, turn.time))
        } catch  where error.kind == .notInteger {
            turn.reply.error("ERR hash value is not an integer")
        }
    }

    static func hincrbyfloat(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let amount = DecimalText.long(turn.slice(3)) else { return turn.reply.notAFloat() }
        guard amount.isFinite else { return turn.reply.error("ERR value is NaN or Infinity") }
        let key = try turn.key(1)
        let field = turn.bytes(2)
        let old = try replica.hashGet(key, field, turn.time)
        guard let value = DecimalText.long(old?.array ?? [UInt8(ascii: "0")]) else {
            return turn.reply.error("ERR hash value is not a float")
        }
        let sum = value + amount
        guard sum.isFinite else { return turn.reply.error("ERR increment would produce NaN or Infinity") }
        let text = DecimalText.human(sum)
        _ = try replica.hashSet(key, field, Bytes(text), turn.time)
        turn.reply.bulk(text)
    }

    static func hrandfield(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        guard turn.count > 2 else {
            return turn.reply.bulkOrNull(session.server.chance.element(try replica.hashAll(key, turn.time))?.field)
        }
        guard let count = turn.integer(2) else { return turn.reply.notAnInteger() }
        let withValues = turn.count == 4 && turn.word(3, is: "WITHVALUES")
        guard turn.count == 3 || withValues else { return turn.reply.syntaxError() }
        let entries = try replica.hashAll(key, turn.time)
        guard count >= -(Int64.max / 2), let chosen = session.server.chance.choose(entries, count, limit: RandomChoice.repeatsMax) else {
            return turn.reply.error("ERR value is out of range")
        }
        turn.reply.array(withValues && !turn.reply.isThree ? chosen.count * 2 : chosen.count)
        for (field, value) in chosen {
            if withValues, turn.reply.isThree { turn.reply.array(2) }
            turn.reply.bulk(field)
            if withValues { turn.reply.bulk(value) }
        }
    }

    static func hscan(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let scan = ScanOptions.read(&turn, cursorAt: 2, allowsType: false) else { return }
        let page = scan.page(try replica.hashAll(try turn.key(1), turn.time)) { $0.field }
        turn.reply.array(2)
        turn.reply.bulk(integer: page.next)
        turn.reply.array(page.items.count * 2)
        for (field, value) in page.items {
            turn.reply.bulk(field)
            turn.reply.bulk(value)
        }
    }
}
