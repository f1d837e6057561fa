// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Approximate counts of distinct elements: registers that only grow, so that nodes lose nothing.
enum HyperLogLogCommands {
    static func pfadd(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.flag(try replica.countAdd(try turn.key(1), (2..<turn.count).map { turn.bytes($0) }, turn.time))
    }

    static func pfcount(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.integer(try replica.countEstimate(try keys(turn, from: 1), turn.time))
    }

    static func pfmerge(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try replica.countMerge(into: try turn.key(1), from: try keys(turn, from: 2), turn.time)
        turn.reply.ok()
    }

    private static func keys(_ turn: borrowing Turn, from first: Int) throws(StateError) -> [ObjectKey] {
        var keys: [ObjectKey] = []
        for index in first..<turn.count { keys.append(try turn.key(index)) }
        return keys
    }
}
