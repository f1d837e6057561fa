// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Lists: sequences into which several nodes insert without losing each other's elements.
enum ListCommands {
    // MARK: Ends

    static func lpush(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try push(atFront: true, onlyIfPresent: false, &turn, &replica)
    }

    static func rpush(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try push(atFront: false, onlyIfPresent: false, &turn, &replica)
    }

    static func lpushx(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try push(atFront: true, onlyIfPresent: true, &turn, &replica)
    }

    static func rpushx(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try push(atFront: false, onlyIfPresent: true, &turn, &replica)
    }

    private static func push(
        atFront: Bool, onlyIfPresent: Bool, _ turn: inout Turn, _ replica: inout Replica
    ) throws(StateError) {
        let elements = (2..<turn.count).map { turn.bytes($0) }
        turn.reply.integer(
            try replica.listPush(try turn.key(1), elements, atHead: atFront, onlyIfExists: onlyIfPresent, turn.time))
    }

    static func lpop(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try pop(atFront: true, "lpop", &turn, &replica)
    }

    static func rpop(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try pop(atFront: false, "rpop", &turn, &replica)
    }

    private static func pop(atFront: Bool, _ name: String, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count <= 3 else { return turn.reply.wrongArity(name) }
        var asked = 1
        if turn.count == 3 {
            guard let given = turn.integer(2), given >= 0 else { return turn.reply.mustBePositive() }
            asked = Int(given)
        }
        let key = try turn.key(1)
        let count = try replica.listLength(key, turn.time)
        guard count > 0 else { return turn.count == 3 ? turn.reply.nullArray() : turn.reply.null() }
        let elements = try replica.listPop(key, count: asked, fromHead: atFront, turn.time)
        if turn.count == 3 {
            turn.reply.array(elements.count)
            for element in elements { turn.reply.bulk(element) }
        } else {
            turn.reply.bulkOrNull(elements.first)
        }
    }

    static func lmove(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let from = side(turn, 3), let to = side(turn, 4) else { return turn.reply.syntaxError() }
        turn.reply.bulkOrNull(try move(from, to, turn, &replica))
    }

    static func rpoplpush(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.bulkOrNull(try move(.back, .front, turn, &replica))
    }

    enum Side { case front, back }

    static func side(_ turn: borrowing Turn, _ index: Int) -> Side? {
        if turn.word(index, is: "LEFT") { return .front }
        return turn.word(index, is: "RIGHT") ? .back : nil
    }

    /// Moves an element from an end of the list of argument 1 to an end of the one of argument 2; nil where there is none.
    static func move(_ from: Side, _ to: Side, _ turn: borrowing Turn, _ replica: inout Replica) throws(StateError) -> Bytes? {
        try move(from, try turn.key(1), to, try turn.key(2), &replica, turn.time)
    }

    /// Moves an element from an end of a list to an end of another; nil where there is none.
    static func move(
        _ from: Side, _ source: ObjectKey, _ to: Side, _ target: ObjectKey, _ replica: inout Replica, _ time: StateTime
    ) throws(StateError) -> Bytes? {
        guard try replica.listLength(source, time) > 0 else { return nil }
        // Read first: an object of another kind at the target must not cost the element.
        _ = try replica.listLength(target, time)
        return try replica.atomically { replica throws(StateError) in
            guard let element = try replica.listPop(source, count: 1, fromHead: from == .front, time).first else { return nil }
            _ = try replica.listPush(target, [element], atHead: to == .front, onlyIfExists: false, time)
            return element
        }
    }

    // MARK: Reading

    static func llen(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.integer(try replica.listLength(try turn.key(1), turn.time))
    }

    static func lrange(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let first = turn.integer(2), let last = turn.integer(3) else { return turn.reply.notAnInteger() }
        let key = try turn.key(1)
        let elements = try replica.listRange(key, start: Int(first), end: Int(last), turn.time)
        turn.reply.array(elements.count)
        for element in elements { turn.reply.bulk(element) }
    }

    static func lindex(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        let count = try replica.listLength(key, turn.time)
        guard count > 0 else { return turn.reply.null() }
        guard let index = turn.integer(2) else { return turn.reply.notAnInteger() }
        turn.reply.bulkOrNull(try replica.listElement(key, at: Int(index), turn.time))
    }

    static func lpos(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        var rank: Int64 = 1
        var wanted: Int64?
        var lookMax: Int64 = 0
        var index = 3
        while index < turn.count {
            let hasValue = index + 1 < turn.count
            if hasValue, turn.word(index, is: "RANK") {
                guard let value = turn.integer(index + 1) else { return turn.reply.notAnInteger() }
                guard value != 0 else {
                    return turn.reply.error(
                        """
                        ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from \
                        the end of the list
                        """)
                }
                guard value != .min else {
                    return turn.reply.error("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")
                }
                rank = value
            } else if hasValue, turn.word(index, is: "COUNT") {
                guard let value = turn.integer(index + 1), value >= 0 else { return turn.reply.error("ERR COUNT can't be negative") }
                wanted = value
            } else if hasValue, turn.word(index, is: "MAXLEN") {
                guard let value = turn.integer(index + 1), value >= 0 else { return turn.reply.error("ERR MAXLEN can't be negative") }
                lookMax = value
            } else {
                return turn.reply.syntaxError()
            }
            index += 2
        }
        let key = try turn.key(1)
        let element = turn.bytes(2)
        let all = try replica.listRange(key, start: 0, end: -1, turn.time)
        let order = rank > 0 ? Array(all.indices) : all.indices.reversed()
        let looked = lookMax == 0 ? order[...] : order.prefix(Int(clamping: lookMax))
        let found = looked.filter { all[$0] == element }.dropFirst(Int(clamping: rank.magnitude) - 1)
        if let wanted {
            let places = wanted == 0 ? found : found.prefix(Int(clamping: wanted))
            turn.reply.array(places.count)
            for place in places { turn.reply.integer(place) }
        } else if let first = found.first {
            turn.reply.integer(first)
        } else {
            turn.reply.null()
        }
    }

    // MARK: Within

    static func lset(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        let count = try replica.listLength(key, turn.time)
        guard count > 0 else { return turn.reply.noSuchKey() }
        guard let index = turn.integer(2) else { return turn.reply.notAnInteger() }
        try replica.listSet(key, at: Int(index), turn.bytes(3), turn.time)
        turn.reply.ok()
    }

    static func linsert(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let isAfter = turn.word(2, is: "AFTER")
        guard isAfter || turn.word(2, is: "BEFORE") else { return turn.reply.syntaxError() }
        turn.reply.integer(
            try replica.listInsert(try turn.key(1), turn.bytes(4), before: !isAfter, pivot: turn.bytes(3), turn.time))
    }

    static func lrem(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let count = turn.integer(2) else { return turn.reply.notAnInteger() }
        turn.reply.integer(try replica.listRemove(try turn.key(1), count: Int(count), turn.bytes(3), turn.time))
    }

    static func ltrim(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let first = turn.integer(2), let last = turn.integer(3) else { return turn.reply.notAnInteger() }
        try replica.listTrim(try turn.key(1), start: Int(first), end: Int(last), turn.time)
        turn.reply.ok()
    }
}
