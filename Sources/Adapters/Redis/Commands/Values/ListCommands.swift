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
        let key = try turn.key(1)
        let count = try replica.listCount(key, turn.time)
        guard !onlyIfPresent || count > 0 else { return turn.reply.integer(0) }
        var elements = (2..<turn.count).map { turn.bytes($0) }
        if atFront { elements.reverse() }
        try replica.listInsert(key, at: atFront ? 0 : count, elements, turn.time)
        turn.reply.integer(count + elements.count)
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
        let count = try replica.listCount(key, turn.time)
        guard count > 0 else { return turn.count == 3 ? turn.reply.nullArray() : turn.reply.null() }
        let elements = try take(key, min(asked, count), of: count, atFront: atFront, turn, &replica)
        if turn.count == 3 {
            turn.reply.array(elements.count)
            for element in elements { turn.reply.bulk(element) }
        } else {
            turn.reply.bulkOrNull(elements.first)
        }
    }

    /// Removes elements from an end; the outermost comes first.
    static func take(
        _ key: ObjectKey, _ size: Int, of count: Int, atFront: Bool, _ turn: borrowing Turn, _ replica: inout Replica
    ) throws(StateError) -> [Bytes] {
        let range = atFront ? 0..<size : (count - size)..<count
        var elements = try replica.listElements(key, range, turn.time)
        try replica.listRemove(key, range, turn.time)
        if !atFront { elements.reverse() }
        return elements
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
        let source = try turn.key(1)
        let target = try turn.key(2)
        let time = turn.time
        let count = try replica.listCount(source, time)
        guard count > 0 else { return nil }
        _ = try replica.listCount(target, time)
        let place = from == .front ? 0 : count - 1
        guard let element = try replica.listElements(source, place..<(place + 1), time).first else { return nil }
        try replica.atomically { replica throws(StateError) in
            try replica.listRemove(source, place..<(place + 1), time)
            try replica.listInsert(target, at: to == .front ? 0 : try replica.listCount(target, time), [element], time)
        }
        return element
    }

    // MARK: Reading

    static func llen(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.integer(try replica.listCount(try turn.key(1), turn.time))
    }

    static func lrange(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let first = turn.integer(2), let last = turn.integer(3) else { return turn.reply.notAnInteger() }
        let key = try turn.key(1)
        guard let range = Ranges.clamped(first, last, count: try replica.listCount(key, turn.time)) else { return turn.reply.array(0) }
        let elements = try replica.listElements(key, range, turn.time)
        turn.reply.array(elements.count)
        for element in elements { turn.reply.bulk(element) }
    }

    static func lindex(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        let count = try replica.listCount(key, turn.time)
        guard count > 0 else { return turn.reply.null() }
        guard let index = turn.integer(2) else { return turn.reply.notAnInteger() }
        guard let place = place(index, of: count) else { return turn.reply.null() }
        turn.reply.bulkOrNull(try replica.listElements(key, place..<(place + 1), turn.time).first)
    }

    private static func place(_ index: Int64, of count: Int) -> Int? {
        let place = index < 0 ? index + Int64(count) : index
        return (0..<Int64(count)).contains(place) ? Int(place) : nil
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
                guard value != .min else { return turn.reply.error("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807") }
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
        let all = try replica.listElements(key, 0..<(try replica.listCount(key, turn.time)), turn.time)
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
        let count = try replica.listCount(key, turn.time)
        guard count > 0 else { return turn.reply.noSuchKey() }
        guard let index = turn.integer(2) else { return turn.reply.notAnInteger() }
        guard let place = place(index, of: count) else { return turn.reply.outOfRange() }
        let element = turn.bytes(3)
        try replica.listReplace(key, at: place, element, turn.time)
        turn.reply.ok()
    }

    static func linsert(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let isAfter = turn.word(2, is: "AFTER")
        guard isAfter || turn.word(2, is: "BEFORE") else { return turn.reply.syntaxError() }
        let key = try turn.key(1)
        let count = try replica.listCount(key, turn.time)
        guard count > 0 else { return turn.reply.integer(0) }
        let pivot = turn.bytes(3)
        guard let place = try replica.listElements(key, 0..<count, turn.time).firstIndex(of: pivot) else { return turn.reply.integer(-1) }
        try replica.listInsert(key, at: isAfter ? place + 1 : place, [turn.bytes(4)], turn.time)
        turn.reply.integer(count + 1)
    }

    static func lrem(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let asked = turn.integer(2) else { return turn.reply.notAnInteger() }
        let key = try turn.key(1)
        let element = turn.bytes(3)
        let all = try replica.listElements(key, 0..<(try replica.listCount(key, turn.time)), turn.time)
        let places = all.indices.filter { all[$0] == element }
        let size = asked == 0 ? places.count : Int(clamping: asked.magnitude)
        let chosen = asked < 0 ? places.suffix(size) : places.prefix(size)
        // From the back, so that the places that are still to come stay what they are.
        for place in chosen.reversed() { try replica.listRemove(key, place..<(place + 1), turn.time) }
        turn.reply.integer(chosen.count)
    }

    static func ltrim(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let first = turn.integer(2), let last = turn.integer(3) else { return turn.reply.notAnInteger() }
        let key = try turn.key(1)
        let count = try replica.listCount(key, turn.time)
        let kept = Ranges.clamped(first, last, count: count) ?? 0..<0
        if kept.isEmpty {
            if count > 0 { try replica.listRemove(key, 0..<count, turn.time) }
        } else {
            if kept.upperBound < count { try replica.listRemove(key, kept.upperBound..<count, turn.time) }
            if kept.lowerBound > 0 { try replica.listRemove(key, 0..<kept.lowerBound, turn.time) }
        }
        turn.reply.ok()
    }
}
