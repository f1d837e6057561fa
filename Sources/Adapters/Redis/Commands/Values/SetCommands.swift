// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Sets: an addition wins over a removal at the same time.
enum SetCommands {
    static func sadd(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        if turn.count == 3 {
            turn.reply.flag(try replica.setAdd(key, turn.bytes(2), turn.time))
            return
        }
        turn.reply.integer(try replica.setAdd(key, (2..<turn.count).map { turn.bytes($0) }, turn.time))
    }

    static func srem(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.integer(try replica.setRemove(try turn.key(1), (2..<turn.count).map { turn.bytes($0) }, turn.time))
    }

    static func smembers(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        write(try replica.setMembers(try turn.key(1), turn.time), &turn)
    }

    private static func write(_ elements: [Bytes], _ turn: inout Turn) {
        turn.reply.set(elements.count)
        for element in elements { turn.reply.bulk(element) }
    }

    static func sismember(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.flag(try replica.setContains(try turn.key(1), turn.bytes(2), turn.time))
    }

    static func smismember(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        turn.reply.array(turn.count - 2)
        for index in 2..<turn.count { turn.reply.flag(try replica.setContains(key, turn.bytes(index), turn.time)) }
    }

    static func scard(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.integer(try replica.setCount(try turn.key(1), turn.time))
    }

    static func smove(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let source = try turn.key(1)
        let target = try turn.key(2)
        let element = turn.bytes(3)
        guard replica.kind(of: source, turn.time) != nil else { return turn.reply.flag(false) }
        _ = try replica.setCount(source, turn.time)
        _ = try replica.setCount(target, turn.time)
        turn.reply.flag(try replica.setMove(source, to: target, element, turn.time))
    }

    // MARK: Chance

    static func spop(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count <= 3 else { return turn.reply.syntaxError() }
        let key = try turn.key(1)
        var limit = 1
        if turn.count == 3 {
            guard let count = turn.integer(2), count >= 0 else { return turn.reply.mustBePositive() }
            limit = Int(min(count, Int64(Int32.max)))
        }
        let chosen = try replica.setPop(key, count: limit, turn.time)
        if turn.count == 3 {
            write(chosen, &turn)
        } else {
            turn.reply.bulkOrNull(chosen.first)
        }
    }

    static func srandmember(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count <= 3 else { return turn.reply.syntaxError() }
        let key = try turn.key(1)
        guard turn.count == 3 else {
            return turn.reply.bulkOrNull(try replica.setSample(key, count: 1, distinct: true, turn.time).first)
        }
        guard let count = turn.integer(2), count >= -(Int64.max / 2) else { return turn.reply.notAnInteger() }
        let chosen = session.server.chance.choose(try replica.setMembers(key, turn.time), count, limit: RandomChoice.repeatsMax)
        guard let chosen else { return turn.reply.error("ERR value is out of range") }
        turn.reply.array(chosen.count)
        for element in chosen { turn.reply.bulk(element) }
    }

    // MARK: Algebra

    enum Operation { case union, intersection, difference }

    static func sunion(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        write(try combine(.union, 1..<turn.count, turn, replica), &turn)
    }

    static func sinter(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        write(try combine(.intersection, 1..<turn.count, turn, replica), &turn)
    }

    static func sdiff(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        write(try combine(.difference, 1..<turn.count, turn, replica), &turn)
    }

    static func sunionstore(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try store(.union, &turn, &replica)
    }

    static func sinterstore(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try store(.intersection, &turn, &replica)
    }

    static func sdiffstore(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try store(.difference, &turn, &replica)
    }

    static func sintercard(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let count = turn.integer(1), count > 0 else { return turn.reply.error("ERR numkeys should be greater than 0") }
        guard count <= Int64(turn.count - 2) else {
            return turn.reply.error("ERR Number of keys can't be greater than number of args")
        }
        var limit = Int.max
        var index = 2 + Int(count)
        while index < turn.count {
            guard turn.word(index, is: "LIMIT"), index + 1 < turn.count else { return turn.reply.syntaxError() }
            guard let given = turn.integer(index + 1), given >= 0 else { return turn.reply.error("ERR LIMIT can't be negative") }
            limit = given == 0 ? .max : Int(given)
            index += 2
        }
        let elements = try combine(.intersection, 2..<(2 + Int(count)), turn, replica)
        turn.reply.integer(min(elements.count, limit))
    }

    /// What an operation on the sets named by some arguments comes to.
    private static func combine(
        _ operation: Operation, _ places: Range<Int>, _ turn: borrowing Turn, _ replica: borrowing Replica
    ) throws(StateError) -> [Bytes] {
        let keys = places.lowerBound..<places.upperBound
        var sets: [[Bytes]] = []
        for index in keys { sets.append(try replica.setMembers(try turn.key(index), turn.time)) }
        guard let first = sets.first else { return [] }
        switch operation {
        case .union:
            var seen = Set<Bytes>()
            return sets.flatMap { $0 }.filter { seen.insert($0).inserted }
        case .intersection:
            let others = sets.dropFirst().map(Set.init)
            return first.filter { element in others.allSatisfy { $0.contains(element) } }
        case .difference:
            let others = Set(sets.dropFirst().joined())
            return first.filter { !others.contains($0) }
        }
    }

    private static func store(_ operation: Operation, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let elements = try combine(operation, 2..<turn.count, turn, replica)
        let target = try turn.key(1)
        turn.reply.integer(try replica.setReplace(target, elements, turn.time))
    }

    static func sscan(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let scan = ScanOptions.read(&turn, cursorAt: 2, allowsType: false) else { return }
        let elements = try replica.setMembers(try turn.key(1), turn.time)
        let page = scan.page(elements) { $0 }
        turn.reply.array(2)
        turn.reply.bulk(integer: page.next)
        turn.reply.array(page.items.count)
        for element in page.items { turn.reply.bulk(element) }
    }
}
