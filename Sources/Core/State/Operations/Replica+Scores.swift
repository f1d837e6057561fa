// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT

/// How `ZADD` adds.
public struct ScoreOptions: Sendable, Hashable {
    public var condition = WriteCondition.always
    /// Only where the new score is greater than the present one (`GT`); absent members are added.
    public var onlyIfGreater = false
    /// Only where the new score is smaller than the present one (`LT`); absent members are added.
    public var onlyIfLess = false

    public init() {}

    func allow(_ score: Double, over present: Double?) -> Bool {
        guard let present else { return condition != .ifPresent }
        if condition == .ifAbsent { return false }
        if onlyIfGreater, score <= present { return false }
        if onlyIfLess, score >= present { return false }
        return true
    }
}

/// What came of a `ZADD`.
public struct ScoreOutcome: Sendable, Hashable {
    public var added = 0
    /// Members whose score is another one now, those added not counted.
    public var changed = 0
}

/// A part of a scored set.
public enum ScoreRange: Sendable, Hashable {
    /// Ranks from start to end, both included; negative ones count from the end.
    case ranks(Int, Int)
    case scores(ScoreBound, ScoreBound)
    case members(MemberBound, MemberBound)
}

/// An end of a range of scores.
public struct ScoreBound: Sendable, Hashable {
    public var score: Double
    public var isExclusive: Bool

    public init(_ score: Double, isExclusive: Bool = false) {
        self.score = score
        self.isExclusive = isExclusive
    }
}

/// An end of a range of members that have one score.
public enum MemberBound: Sendable, Hashable {
    case lowest
    case highest
    case included(Bytes)
    case excluded(Bytes)
}

/// A member with its score.
public struct ScoredMember: Sendable, Hashable {
    public var member: Bytes
    public var score: Double

    public init(member: Bytes, score: Double) {
        self.member = member
        self.score = score
    }
}

extension Replica {
    private typealias Object = ContentObject<ScoredContent>

    private func scored(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> ScoredSet? {
        try reading(key, ScoredContent.self, now)?.content.store
    }

    /// Sets scores, adding members as need be. Of concurrent scores the latest shows; adding wins over removing. O(log n) each.
    public mutating func scoreAdd(
        _ key: ObjectKey, _ members: [ScoredMember], _ options: ScoreOptions, _ now: StateTime
    ) throws(StateError) -> ScoreOutcome {
        guard !members.contains(where: { $0.score.isNaN }) else { throw .notNumber }
        for member in members { try checkSize(member.member.count, "member") }
        var outcome = ScoreOutcome()
        if options.condition == .ifPresent, try scored(key, now) == nil { return outcome }
        let object = try writing(key, ScoredContent.self, now)
        let time = clock.now(wall: now.wallMilliseconds)
        var isTouched = false
        for member in members {
            let present = object.content.score(of: member.member)
            guard options.allow(member.score, over: present) else { continue }
            if present == member.score { continue }
            try change(object) { content, delta throws(CRDTError) in
                try content.set(member.member, to: member.score, at: time, by: site, into: &delta)
            }
            isTouched = true
            if present == nil { outcome.added += 1 } else { outcome.changed += 1 }
        }
        if isTouched { changed(object, time, now) } else { settle(object, in: spaces[key.space.index]) }
        return outcome
    }

    private func change<Result>(
        _ object: Object, _ body: (inout ScoredContent, inout ScoredContent) throws(CRDTError) -> Result
    ) throws(StateError) -> Result {
        do throws(CRDTError) {
            return try object.change(body)
        } catch {
            throw StateError(error)
        }
    }

    /// Adds to a member's score, from 0 where it is absent, and answers the sum; nil where an option refused. Concurrent additions count.
    public mutating func scoreIncrement(
        _ key: ObjectKey, _ member: Bytes, by amount: Double, _ options: ScoreOptions, _ now: StateTime
    ) throws(StateError) -> Double? {
        guard !amount.isNaN else { throw .notNumber }
        try checkSize(member.count, "member")
        let present = try scored(key, now)?.score(of: member)
        let sum = (present ?? 0) + amount
        guard !sum.isNaN else { throw StateError(.notNumber, "The resulting score is not a number (NaN); the score stays as it is.") }
        guard options.allow(sum, over: present) else { return nil }
        let object = try writing(key, ScoredContent.self, now)
        let result = try change(object) { content, delta throws(CRDTError) in
            try content.add(amount, to: member, by: site, into: &delta)
        }
        changed(object, clock.now(wall: now.wallMilliseconds), now)
        return result
    }

    public func score(_ key: ObjectKey, _ member: Bytes, _ now: StateTime) throws(StateError) -> Double? {
        try scored(key, now)?.score(of: member)
    }

    public func scoreCount(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> Int { try scored(key, now)?.count ?? 0 }

    /// How many members come before this one, or behind it; nil if it is absent. O(log n).
    public func scoreRank(_ key: ObjectKey, _ member: Bytes, reversed: Bool, _ now: StateTime) throws(StateError) -> Int? {
        guard let store = try scored(key, now), let rank = store.rank(of: member) else { return nil }
        return reversed ? store.count - 1 - rank : rank
    }

    /// Removes members as far as they are known here, and answers how many there were.
    public mutating func scoreRemove(_ key: ObjectKey, _ members: [Bytes], _ now: StateTime) throws(StateError) -> Int {
        guard let object = try reading(key, ScoredContent.self, now) else { return 0 }
        let present = members.filter { object.content.store.contains($0) }
        guard !present.isEmpty else { return 0 }
        let count = object.change { content, delta in
            present.reduce(0) { $0 + (content.remove($1, into: &delta) ? 1 : 0) }
        }
        changed(object, clock.now(wall: now.wallMilliseconds), now)
        return count
    }

    /// The ranks that a range covers.
    private func ranks(_ range: ScoreRange, in store: ScoredSet) -> Range<Int> {
        let lower: Int
        let upper: Int
        switch range {
        case .ranks(let start, let end):
            return InclusiveRange.positions(start, end, count: store.count)
        case .scores(let first, let last):
            lower = store.rank { score, _ in first.isExclusive ? score <= first.score : score < first.score }
            upper = store.rank { score, _ in last.isExclusive ? score < last.score : score <= last.score }
        case .members(let first, let last):
            lower = store.rank { _, member in Self.isBefore(member, first, orAtLast: false) }
            upper = store.rank { _, member in Self.isBefore(member, last, orAtLast: true) }
        }
        return lower < upper ? lower..<upper : 0..<0
    }

    private static func isBefore(_ member: Bytes, _ bound: MemberBound, orAtLast: Bool) -> Bool {
        switch bound {
        case .lowest: false
        case .highest: true
        case .included(let edge): orAtLast ? member <= edge : member < edge
        case .excluded(let edge): orAtLast ? member < edge : member <= edge
        }
    }

    /// The members in a range in ascending order, or descending; `offset` of them left out, at most `count` of the rest.
    ///
    /// Ranks count from the end that comes first; the bounds of scores and members are always the lower and the upper one.
    public func scoreRange(
        _ key: ObjectKey, _ range: ScoreRange, reversed: Bool, offset: Int, count: Int?, _ now: StateTime
    ) throws(StateError) -> [ScoredMember] {
        guard let store = try scored(key, now) else { return [] }
        var ranks = ranks(range, in: store)
        if reversed, case .ranks = range { ranks = (store.count - ranks.upperBound)..<(store.count - ranks.lowerBound) }
        guard offset >= 0, offset < ranks.count else { return [] }
        let length = min(count ?? .max, ranks.count - offset)
        guard length > 0 else { return [] }
        let first = reversed ? ranks.upperBound - offset - length : ranks.lowerBound + offset
        let members = store.elements(in: first..<(first + length)).map { ScoredMember(member: $0.element, score: $0.score) }
        return reversed ? members.reversed() : members
    }

    /// How many members lie in a range. O(log n).
    public func scoreCount(_ key: ObjectKey, in range: ScoreRange, _ now: StateTime) throws(StateError) -> Int {
        guard let store = try scored(key, now) else { return 0 }
        return ranks(range, in: store).count
    }

    /// Removes the members in a range as far as they are known here, and answers how many there were.
    public mutating func scoreRemoveRange(_ key: ObjectKey, _ range: ScoreRange, _ now: StateTime) throws(StateError) -> Int {
        let members = try scoreRange(key, range, reversed: false, offset: 0, count: nil, now)
        return try scoreRemove(key, members.map(\.member), now)
    }

    /// Takes away the members with the lowest scores, or the highest, and answers them. Two nodes may take the same at the same time.
    public mutating func scorePop(
        _ key: ObjectKey, count: Int, highest: Bool, _ now: StateTime
    ) throws(StateError) -> [ScoredMember] {
        guard count > 0 else { return [] }
        let members = try scoreRange(key, .ranks(0, count - 1), reversed: highest, offset: 0, count: nil, now)
        _ = try scoreRemove(key, members.map(\.member), now)
        return members
    }

    /// All members with their scores, in order. O(n).
    public func scoreAll(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> [ScoredMember] {
        try scoreRange(key, .ranks(0, -1), reversed: false, offset: 0, count: nil, now)
    }
}
