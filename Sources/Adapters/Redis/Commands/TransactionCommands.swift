// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// An object that must not have changed when EXEC comes.
struct WatchedKey {
    var key: ObjectKey
    /// Nil where there was none.
    var version: UInt64?
}

/// MULTI and what belongs to it: one batch that arrives whole on every node.
enum TransactionCommands {
    static func multi(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        guard session.transaction == nil else { return turn.reply.error("ERR MULTI calls can not be nested") }
        session.transaction = Transaction()
        turn.reply.ok()
    }

    static func discard(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        guard session.transaction != nil else { return turn.reply.error("ERR DISCARD without MULTI") }
        session.transaction = nil
        session.watched = []
        turn.reply.ok()
    }

    static func exec(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        guard let open = session.transaction else { return turn.reply.error("ERR EXEC without MULTI") }
        let watched = session.watched
        session.transaction = nil
        session.watched = []
        guard !open.isSpoiled else { return turn.reply.error("EXECABORT Transaction discarded because of previous errors.") }
        guard watched.allSatisfy({ replica.version(of: $0.key, turn.time) == $0.version }) else { return turn.reply.nullArray() }
        turn.reply.array(open.queued.count)
        replica.atomically { replica in session.executeQueued(open.queued, &turn, &replica) }
    }

    static func watch(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard session.transaction == nil else { return turn.reply.error("ERR WATCH inside MULTI is not allowed") }
        guard session.watched.count + turn.count <= RedisSettings.watchedMax else {
            return turn.reply.error("ERR at most \(RedisSettings.watchedMax) keys can be watched")
        }
        for index in 1..<turn.count {
            let key = try turn.key(index)
            // What was watched first counts.
            if session.watched.contains(where: { $0.key == key }) { continue }
            session.watched.append(WatchedKey(key: key, version: replica.version(of: key, turn.time)))
        }
        turn.reply.ok()
    }

    static func unwatch(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        session.watched = []
        turn.reply.ok()
    }
}
