// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState

/// A client that waits for one of several lists to have an element.
struct BlockedRequest {
    /// Takes what is there and writes the reply; false where there is still nothing.
    typealias Attempt = (inout ReplyBuffer, inout Replica, StateTime) throws(StateError) -> Bool

    /// The wait of the session that it ends.
    var wait: Int
    var keys: [ObjectKey]
    var attempt: Attempt
}

extension ListCommands {
    static func blpop(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try blockForPop(fromHead: true, session, &turn, &replica)
    }

    static func brpop(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try blockForPop(fromHead: false, session, &turn, &replica)
    }

    static func blmove(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let from = side(turn, 3), let to = side(turn, 4) else { return turn.reply.syntaxError() }
        try blockForMove(from, to, timeoutAt: 5, session, &turn, &replica)
    }

    static func brpoplpush(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try blockForMove(.back, .front, timeoutAt: 3, session, &turn, &replica)
    }

    private static func blockForPop(
        fromHead: Bool, _ session: Session, _ turn: inout Turn, _ replica: inout Replica
    ) throws(StateError) {
        guard let limit = timeout(&turn, turn.count - 1) else { return }
        var keys: [ObjectKey] = []
        for index in 1..<(turn.count - 1) { keys.append(try turn.key(index)) }
        let attempt: BlockedRequest.Attempt = { [keys] reply, replica, time throws(StateError) in
            for key in keys {
                guard let element = try replica.listPop(key, count: 1, fromHead: fromHead, time).first else { continue }
                reply.array(2)
                reply.bulk(key.name)
                reply.bulk(element)
                return true
            }
            return false
        }
        if try attempt(&turn.reply, &replica, turn.time) { return }
        guard !turn.isWithinTransaction else { return turn.reply.nullArray() }
        session.block(keys: keys, within: limit, attempt: attempt) { $0.nullArray() }
    }

    private static func blockForMove(
        _ from: Side, _ to: Side, timeoutAt place: Int, _ session: Session, _ turn: inout Turn, _ replica: inout Replica
    ) throws(StateError) {
        guard let limit = timeout(&turn, place) else { return }
        let source = try turn.key(1)
        let target = try turn.key(2)
        let attempt: BlockedRequest.Attempt = { reply, replica, time throws(StateError) in
            guard let element = try move(from, source, to, target, &replica, time) else { return false }
            reply.bulk(element)
            return true
        }
        if try attempt(&turn.reply, &replica, turn.time) { return }
        guard !turn.isWithinTransaction else { return turn.reply.null() }
        session.block(keys: [source], within: limit, attempt: attempt) { $0.nullArray() }
    }

    /// How long to wait, zero for ever; where it is no time, writes why.
    private static func timeout(_ turn: inout Turn, _ index: Int) -> Duration? {
        guard let seconds = turn.double(index), seconds.isFinite, seconds < Self.secondsMax else {
            turn.reply.error("ERR timeout is not a float or out of range")
            return nil
        }
        guard seconds >= 0 else {
            turn.reply.error("ERR timeout is negative")
            return nil
        }
        return .milliseconds(Int64((seconds * 1_000).rounded(.up)))
    }

    /// Thirty years: what is longer is not meant.
    private static let secondsMax = 1e9
}

extension Session {
    /// Waits until one of the lists has an element, or the time is over; zero is for ever.
    func block(
        keys: [ObjectKey], within limit: Duration, attempt: @escaping BlockedRequest.Attempt,
        otherwise: @escaping (inout ReplyBuffer) -> Void
    ) {
        let number = waitForCommand { reply, error in
            if let error { reply.error("UNBLOCKED \(error.message)") } else { otherwise(&reply) }
        }
        blocked = BlockedRequest(wait: number, keys: keys, attempt: attempt)
        server.afterLock { [id] server in server.block(id, wait: number, within: limit) }
    }

    /// Tries once more what the client waits for.
    func retryBlocked() {
        guard let request = blocked, wait?.number == request.wait else { return }
        var reply = ReplyBuffer()
        reply.isThree = isThree
        let isDone = server.access.withReplica { replica, time in
            do throws(StateError) {
                return try request.attempt(&reply, &replica, time)
            } catch {
                reply.failure(error)
                return true
            }
        }
        if isDone { finishBlocked(request.wait, with: reply.bytes) }
    }
}
