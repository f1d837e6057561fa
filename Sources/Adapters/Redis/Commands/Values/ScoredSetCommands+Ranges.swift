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
        _ entries: [ScoredMember], _ turn: inout Turn, _ replica: inout Replica
    ) throws(StateError) {
        let target = try turn.key(1)
        try replica.atomically { replica throws(StateError) in
            _ = replica.delete([target], turn.time)
            if !entries.isEmpty { _ = try replica.scoreAdd(target, entries, ScoreOptions(), turn.time) }
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
        ) throws(StateError) -> [ScoredMember]? {
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
            let found: ScoreRange? =
                switch order {
                case .rank: RangeText.ranks(&turn, first, last)
                case .score: RangeText.scores(&turn, first, last)
                case .member: RangeText.members(&turn, first, last)
                }
            guard let found else { return nil }
            // A negative offset leaves nothing, a negative limit everything.
            let count = limit.flatMap { $0 < 0 ? nil : Int($0) }
            return try replica.scoreRange(key, found, reversed: isReversed, offset: Int(offset), count: count, turn.time)
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
