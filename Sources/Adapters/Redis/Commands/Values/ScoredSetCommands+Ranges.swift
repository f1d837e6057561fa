// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

extension ScoredSetCommands {
    /// What a range goes by.
    enum Order { case rank, score, member }

    static func zrange(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try range(RangeQuery(order: nil, isReversed: nil), &turn, replica)
    }

    static func zrevrange(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try range(RangeQuery(order: .rank, isReversed: true), &turn, replica)
    }

    static func zrangebyscore(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try range(RangeQuery(order: .score, isReversed: false), &turn, replica)
    }

    static func zrevrangebyscore(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try range(RangeQuery(order: .score, isReversed: true), &turn, replica)
    }

    static func zrangebylex(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try range(RangeQuery(order: .member, isReversed: false), &turn, replica)
    }

    static func zrevrangebylex(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try range(RangeQuery(order: .member, isReversed: true), &turn, replica)
    }

    static func zrangestore(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        var query = RangeQuery(order: nil, isReversed: nil)
        query.allowsScores = false
        guard let entries = try query.entries(&turn, replica, keyAt: 2) else { return }
        try store(entries, &turn, &replica)
    }

    static func store(
        _ entries: [(member: Bytes, score: Double)], _ turn: inout Turn, _ replica: inout Replica
    ) throws(StateError) {
        let target = try turn.key(1)
        try replica.atomically { replica throws(StateError) in
            _ = replica.removeObject(target, turn.time)
            for entry in entries { try replica.scoredSet(target, entry.member, entry.score, turn.time) }
        }
        turn.reply.integer(entries.count)
    }

    private static func range(_ query: RangeQuery, _ turn: inout Turn, _ replica: borrowing Replica) throws(StateError) {
        var query = query
        guard let entries = try query.entries(&turn, replica, keyAt: 1) else { return }
        write(entries, withScores: query.withScores, isNested: query.withScores && turn.reply.isThree, &turn)
    }

    /// One question for a range, in any of its spellings.
    struct RangeQuery {
        /// Nil where an option may say it.
        var order: Order?
        var isReversed: Bool?
        var allowsScores = true
        var withScores = false
        private var offset: Int64 = 0
        private var limit: Int64?

        init(order: Order?, isReversed: Bool?) {
            self.order = order
            self.isReversed = isReversed
        }

        /// The entries that are asked for; nil where the question is wrong and that was written.
        mutating func entries(
            _ turn: inout Turn, _ replica: borrowing Replica, keyAt place: Int
        ) throws(StateError) -> [(member: Bytes, score: Double)]? {
            guard readOptions(&turn, from: place + 3) else { return nil }
            let order = order ?? .rank
            let isReversed = isReversed ?? false
            if limit != nil, order == .rank {
                turn.reply.error("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
                return nil
            }
            if withScores, order == .member {
                turn.reply.error("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
                return nil
            }
            let key = try turn.key(place)
            let first = order != .rank && isReversed ? place + 2 : place + 1
            let last = order != .rank && isReversed ? place + 1 : place + 2
            let ranks: Range<Int>
            switch order {
            case .rank:
                guard let low = turn.integer(first), let high = turn.integer(last) else {
                    turn.reply.notAnInteger()
                    return nil
                }
                let count = try replica.scoredCount(key, turn.time)
                let found = Ranges.clamped(low, high, count: count) ?? 0..<0
                ranks = isReversed && !found.isEmpty ? (count - found.upperBound)..<(count - found.lowerBound) : found
            case .score:
                guard let low = ScoreRange.score(turn.slice(first)), let high = ScoreRange.score(turn.slice(last)) else {
                    turn.reply.error("ERR min or max is not a float")
                    return nil
                }
                ranks = try ScoreRange.ranks(key, low, high, turn, replica)
            case .member:
                guard let low = ScoreRange.lexical(turn.slice(first)), let high = ScoreRange.lexical(turn.slice(last)) else {
                    turn.reply.error("ERR min or max not valid string range item")
                    return nil
                }
                ranks = try ScoreRange.ranks(key, low, high, turn, replica)
            }
            let chosen = limited(ranks, isReversed)
            let found = try replica.scoredEntries(key, chosen, turn.time)
            return isReversed ? found.reversed() : found
        }

        /// What LIMIT leaves of a range, counted from its front, or from its back where it is read backwards.
        private func limited(_ ranks: Range<Int>, _ isReversed: Bool) -> Range<Int> {
            guard let limit else { return ranks }
            // A negative offset leaves nothing, a negative limit everything.
            guard offset >= 0, offset < Int64(ranks.count) else { return 0..<0 }
            let left = ranks.count - Int(offset)
            let size = limit < 0 ? left : min(left, Int(limit))
            return isReversed
                ? (ranks.upperBound - Int(offset) - size)..<(ranks.upperBound - Int(offset))
                : (ranks.lowerBound + Int(offset))..<(ranks.lowerBound + Int(offset) + size)
        }

        private mutating func readOptions(_ turn: inout Turn, from start: Int) -> Bool {
            var index = start
            while index < turn.count {
                if allowsScores, turn.word(index, is: "WITHSCORES") {
                    withScores = true
                } else if index + 2 < turn.count, turn.word(index, is: "LIMIT") {
                    guard let skip = turn.integer(index + 1), let size = turn.integer(index + 2) else {
                        turn.reply.notAnInteger()
                        return false
                    }
                    offset = skip
                    limit = size
                    index += 2
                } else if isReversed == nil, turn.word(index, is: "REV") {
                    isReversed = true
                } else if order == nil, turn.word(index, is: "BYLEX") {
                    order = .member
                } else if order == nil, turn.word(index, is: "BYSCORE") {
                    order = .score
                } else {
                    turn.reply.syntaxError()
                    return false
                }
                index += 1
            }
            return true
        }
    }
}
