// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Approximate counts of distinct elements: registers that only grow, so that nodes lose nothing.
enum HyperLogLogCommands {
    static func pfadd(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let key = try turn.key(1)
        let elements = (2..<turn.count).map { turn.bytes($0) }
        turn.reply.flag(try checked { () throws(StateError) in try replica.sketchAdd(key, elements, turn.time) })
    }

    static func pfcount(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        var keys: [ObjectKey] = []
        for index in 1..<turn.count { keys.append(try turn.key(index)) }
        turn.reply.integer(try checked { () throws(StateError) in try replica.sketchCount(keys, turn.time) })
    }

    static func pfmerge(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let target = try turn.key(1)
        var sources: [ObjectKey] = []
        for index in 2..<turn.count { sources.append(try turn.key(index)) }
        try checked { () throws(StateError) in try replica.sketchMerge(target, sources, turn.time) }
        turn.reply.ok()
    }

    private static func checked<Result>(_ body: () throws(StateError) -> Result) throws(StateError) -> Result { try body() }
}
