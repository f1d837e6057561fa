// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// One end of a range of scores or of members.
struct RangeBound<Value> {
    var value: Value
    var isExclusive: Bool
}

/// Ranges of a sorted set, found by halving: the replica answers with the entry at a rank.
enum ScoreRange {
    /// A score with or without `(` in front; nil for what is none.
    static func score(_ text: ArraySlice<UInt8>) -> RangeBound<Double>? {
        let isExclusive = text.first == UInt8(ascii: "(")
        let number = isExclusive ? text.dropFirst() : text
        // Redis reads bounds as C does: spaces in front are skipped, and nothing at all is zero.
        let digits = number.drop { $0 == 32 || (9...13).contains($0) }
        if digits.isEmpty { return number.isEmpty ? RangeBound(value: 0, isExclusive: isExclusive) : nil }
        return DecimalText.double(digits).map { RangeBound(value: $0, isExclusive: isExclusive) }
    }

    /// A member behind `[` or `(`, or one of the ends.
    enum Lexical {
        case first
        case last
        case member(RangeBound<Bytes>)
    }

    /// `-`, `+`, `[member` or `(member`; nil for anything else.
    static func lexical(_ text: ArraySlice<UInt8>) -> Lexical? {
        switch text.first {
        case UInt8(ascii: "-") where text.count == 1: .first
        case UInt8(ascii: "+") where text.count == 1: .last
        case UInt8(ascii: "["): .member(RangeBound(value: Bytes(text.dropFirst()), isExclusive: false))
        case UInt8(ascii: "("): .member(RangeBound(value: Bytes(text.dropFirst()), isExclusive: true))
        default: nil
        }
    }

    /// The ranks of the entries between two scores.
    static func ranks(
        _ key: ObjectKey, _ low: RangeBound<Double>, _ high: RangeBound<Double>, _ turn: borrowing Turn, _ replica: borrowing Replica
    ) throws(StateError) -> Range<Int> {
        let first = try rank(key, turn, replica) { low.isExclusive ? $0.score <= low.value : $0.score < low.value }
        let end = try rank(key, turn, replica) { high.isExclusive ? $0.score < high.value : $0.score <= high.value }
        return first..<max(first, end)
    }

    /// The ranks of the entries between two members, which mean something where all scores are equal.
    static func ranks(
        _ key: ObjectKey, _ low: Lexical, _ high: Lexical, _ turn: borrowing Turn, _ replica: borrowing Replica
    ) throws(StateError) -> Range<Int> {
        let count = try replica.scoredCount(key, turn.time)
        let first: Int
        switch low {
        case .first: first = 0
        case .last: first = count
        case .member(let bound): first = try rank(key, turn, replica) { bound.isExclusive ? $0.member <= bound.value : $0.member < bound.value }
        }
        let end: Int
        switch high {
        case .first: end = 0
        case .last: end = count
        case .member(let bound): end = try rank(key, turn, replica) { bound.isExclusive ? $0.member < bound.value : $0.member <= bound.value }
        }
        return first..<max(first, end)
    }

    /// The number of entries at the front that lie before a bound.
    private static func rank(
        _ key: ObjectKey, _ turn: borrowing Turn, _ replica: borrowing Replica, _ isBefore: ((member: Bytes, score: Double)) -> Bool
    ) throws(StateError) -> Int {
        var low = 0
        var high = try replica.scoredCount(key, turn.time)
        while low < high {
            let middle = (low + high) / 2
            guard let entry = try replica.scoredEntries(key, middle..<(middle + 1), turn.time).first else { break }
            if isBefore(entry) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
