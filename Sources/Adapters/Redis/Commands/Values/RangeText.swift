// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Ends of ranges of sorted sets as clients write them.
enum RangeText {
    /// A score with or without `(` in front; nil for what is none.
    static func score(_ text: ArraySlice<UInt8>) -> ScoreBound? {
        let isExclusive = text.first == UInt8(ascii: "(")
        let number = isExclusive ? text.dropFirst() : text
        // Redis reads bounds as C does: spaces in front are skipped, and nothing at all is zero.
        if number.isEmpty { return ScoreBound(0, isExclusive: isExclusive) }
        return DecimalText.double(number.drop { $0 == 32 || (9...13).contains($0) }).map { ScoreBound($0, isExclusive: isExclusive) }
    }

    /// `-`, `+`, `[member` or `(member`; nil for anything else.
    static func member(_ text: ArraySlice<UInt8>) -> MemberBound? {
        switch text.first {
        case UInt8(ascii: "-") where text.count == 1: .lowest
        case UInt8(ascii: "+") where text.count == 1: .highest
        case UInt8(ascii: "["): .included(Bytes(text.dropFirst()))
        case UInt8(ascii: "("): .excluded(Bytes(text.dropFirst()))
        default: nil
        }
    }

    /// The range of scores between two arguments; where they are none, writes why.
    static func scores(_ turn: inout Turn, _ first: Int, _ last: Int) -> ScoreRange? {
        guard let low = score(turn.slice(first)), let high = score(turn.slice(last)) else {
            turn.reply.error("ERR min or max is not a float")
            return nil
        }
        return .scores(low, high)
    }

    /// The range of members between two arguments; where they are none, writes why.
    static func members(_ turn: inout Turn, _ first: Int, _ last: Int) -> ScoreRange? {
        guard let low = member(turn.slice(first)), let high = member(turn.slice(last)) else {
            turn.reply.error("ERR min or max not valid string range item")
            return nil
        }
        return .members(low, high)
    }

    /// The range of ranks between two arguments; where they are none, writes why.
    static func ranks(_ turn: inout Turn, _ first: Int, _ last: Int) -> ScoreRange? {
        guard let low = turn.integer(first), let high = turn.integer(last) else {
            turn.reply.notAnInteger()
            return nil
        }
        return .ranks(Int(low), Int(high))
    }
}
