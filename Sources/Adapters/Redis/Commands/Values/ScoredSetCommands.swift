// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Sorted sets: presence is add-wins, a score is its last setting and the increments since.
enum ScoredSetCommands {
    // MARK: Writing

    static func zadd(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        var options = AddOptions()
        let start = options.read(turn, from: 2)
        try add(options, from: start, &turn, &replica)
    }

    static func zincrby(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        var options = AddOptions()
        options.isIncrement = true
        try add(options, from: 2, &turn, &replica)
    }

    struct AddOptions {
        var onlyNew = false
        var onlyKnown = false
        var onlyGreater = false
        var onlyLess = false
        var countsChanged = false
        var isIncrement = false

        /// The same for the replica.
        var conditions: ScoreOptions {
            var options = ScoreOptions()
            options.condition = onlyNew ? .ifAbsent : onlyKnown ? .ifPresent : .always
            options.onlyIfGreater = onlyGreater
            options.onlyIfLess = onlyLess
            return options
        }

        /// Reads the options; answers with the place of the first score.
        mutating func read(_ turn: borrowing Turn, from start: Int) -> Int {
            var index = start
            while index < turn.count {
                if turn.word(index, is: "NX") {
                    onlyNew = true
                } else if turn.word(index, is: "XX") {
                    onlyKnown = true
                } else if turn.word(index, is: "GT") {
                    onlyGreater = true
                } else if turn.word(index, is: "LT") {
                    onlyLess = true
                } else if turn.word(index, is: "CH") {
                    countsChanged = true
                } else if turn.word(index, is: "INCR") {
                    isIncrement = true
                } else {
                    break
                }
                index += 1
            }
            return index
        }
    }

    private static func add(
        _ options: AddOptions, from start: Int, _ turn: inout Turn, _ replica: inout Replica
    ) throws(StateError) {
        let words = turn.count - start
        guard words > 0, words % 2 == 0 else { return turn.reply.syntaxError() }
        if options.onlyNew, options.onlyKnown {
            return turn.reply.error("ERR XX and NX options at the same time are not compatible")
        }
        if options.onlyNew && (options.onlyGreater || options.onlyLess) || options.onlyGreater && options.onlyLess {
            return turn.reply.error("ERR GT, LT, and/or NX options at the same time are not compatible")
        }
        if options.isIncrement, words > 2 {
            return turn.reply.error("ERR INCR option supports a single increment-element pair")
        }
        var scores: [Double] = []
        for index in stride(from: start, to: turn.count, by: 2) {
            guard let score = turn.double(index) else { return turn.reply.notAFloat() }
            scores.append(score)
        }
        let key = try turn.key(1)
        if options.isIncrement { return try increment(options, key, turn.bytes(start + 1), scores[0], &turn, &replica) }
        var members: [ScoredMember] = []
        for (index, score) in scores.enumerated() {
            members.append(ScoredMember(member: turn.bytes(start + index * 2 + 1), score: score))
        }
        let outcome = try replica.scoreAdd(key, members, options.conditions, turn.time)
        turn.reply.integer(options.countsChanged ? outcome.added + outcome.changed : outcome.added)
    }

    private static func increment(
        _ options: AddOptions, _ key: ObjectKey, _ member: Bytes, _ amount: Double, _ turn: inout Turn, _ replica: inout Replica
    ) throws(StateError) {
        let present = try replica.score(key, member, turn.time) ?? 0
        guard !(present + amount).isNaN else { return turn.reply.error("ERR resulting score is not a number (NaN)") }
        if let sum = try replica.scoreIncrement(key, member, by: amount, options.conditions, turn.time) {
            turn.reply.double(sum)
        } else {
            turn.reply.null()
        }
    }

    static func zrem(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let members = (2..<turn.count).map { turn.bytes($0) }
        turn.reply.integer(try replica.scoreRemove(try turn.key(1), members, turn.time))
    }

    static func zremrangebyrank(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let range = RangeText.ranks(&turn, 2, 3) else { return }
        turn.reply.integer(try replica.scoreRemoveRange(try turn.key(1), range, turn.time))
    }

    static func zremrangebyscore(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let range = RangeText.scores(&turn, 2, 3) else { return }
        turn.reply.integer(try replica.scoreRemoveRange(try turn.key(1), range, turn.time))
    }

    static func zremrangebylex(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let range = RangeText.members(&turn, 2, 3) else { return }
        turn.reply.integer(try replica.scoreRemoveRange(try turn.key(1), range, turn.time))
    }

    static func zpopmin(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try pop(isGreatest: false, &turn, &replica)
    }

    static func zpopmax(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try pop(isGreatest: true, &turn, &replica)
    }

    private static func pop(isGreatest: Bool, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count <= 3 else { return turn.reply.syntaxError() }
        var limit = 1
        if turn.count == 3 {
            guard let asked = turn.integer(2), asked >= 0 else { return turn.reply.mustBePositive() }
            limit = Int(asked)
        }
        let entries = try replica.scorePop(try turn.key(1), count: limit, highest: isGreatest, turn.time)
        write(entries, withScores: true, isNested: turn.reply.isThree && turn.count == 3, &turn)
    }

    // MARK: Reading one thing

    static func zscore(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        write(try replica.score(try turn.key(1), turn.bytes(2), turn.time), &turn)
    }

    static func zmscore(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        turn.reply.array(turn.count - 2)
        for index in 2..<turn.count { write(try replica.score(key, turn.bytes(index), turn.time), &turn) }
    }

    private static func write(_ score: Double?, _ turn: inout Turn) {
        if let score { turn.reply.double(score) } else { turn.reply.null() }
    }

    static func zcard(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.integer(try replica.scoreCount(try turn.key(1), turn.time))
    }

    static func zrank(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try tellRank(reversed: false, &turn, replica)
    }

    static func zrevrank(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try tellRank(reversed: true, &turn, replica)
    }

    private static func tellRank(reversed: Bool, _ turn: inout Turn, _ replica: borrowing Replica) throws(StateError) {
        if let rank = try replica.scoreRank(try turn.key(1), turn.bytes(2), reversed: reversed, turn.time) {
            turn.reply.integer(rank)
        } else {
            turn.reply.null()
        }
    }

    static func zcount(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let range = RangeText.scores(&turn, 2, 3) else { return }
        turn.reply.integer(try replica.scoreCount(try turn.key(1), in: range, turn.time))
    }

    static func zlexcount(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let range = RangeText.members(&turn, 2, 3) else { return }
        turn.reply.integer(try replica.scoreCount(try turn.key(1), in: range, turn.time))
    }

    static func zrandmember(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        guard turn.count > 2 else {
            return turn.reply.bulkOrNull(session.server.chance.element(try replica.scoreAll(key, turn.time))?.member)
        }
        guard let count = turn.integer(2) else { return turn.reply.notAnInteger() }
        let withScores = turn.count == 4 && turn.word(3, is: "WITHSCORES")
        guard turn.count == 3 || withScores else { return turn.reply.syntaxError() }
        let entries = try replica.scoreAll(key, turn.time)
        guard count >= -(Int64.max / 2), let chosen = session.server.chance.choose(entries, count, limit: RandomChoice.repeatsMax) else {
            return turn.reply.error("ERR value is out of range")
        }
        write(chosen, withScores: withScores, isNested: turn.reply.isThree && withScores, &turn)
    }

    static func zscan(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let scan = ScanOptions.read(&turn, cursorAt: 2, allowsType: false) else { return }
        let key = try turn.key(1)
        let entries = try replica.scoreAll(key, turn.time)
        let page = scan.page(entries) { $0.member }
        turn.reply.array(2)
        turn.reply.bulk(integer: page.next)
        turn.reply.array(page.items.count * 2)
        for entry in page.items {
            turn.reply.bulk(entry.member)
            turn.reply.bulk(DecimalText.text(entry.score))
        }
    }

    /// Writes members, with their scores behind each; RESP3 makes pairs of them.
    static func write(_ entries: [ScoredMember], withScores: Bool, isNested: Bool, _ turn: inout Turn) {
        turn.reply.array(withScores && !isNested ? entries.count * 2 : entries.count)
        for entry in entries {
            if isNested { turn.reply.array(2) }
            turn.reply.bulk(entry.member)
            if withScores { turn.reply.double(entry.score) }
        }
    }
}
