// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Channels: messages of this node's clients to each other, and changes of objects wherever they were made.
enum SubscriptionCommands {
    static func subscribe(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        enter(session, &turn, isPattern: false)
    }

    static func psubscribe(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        enter(session, &turn, isPattern: true)
    }

    static func unsubscribe(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        leave(session, &turn, isPattern: false)
    }

    static func punsubscribe(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        leave(session, &turn, isPattern: true)
    }

    private static func enter(_ session: Session, _ turn: inout Turn, isPattern: Bool) {
        for index in 1..<turn.count {
            let name = turn.bytes(index)
            let known = isPattern ? session.patterns : session.channels
            if !known.contains(name) {
                guard session.channels.count + session.patterns.count < RedisSettings.subscriptionsMax else {
                    return turn.reply.error("ERR at most \(RedisSettings.subscriptionsMax) channels and patterns can be listened to")
                }
                if isPattern { session.patterns.append(name) } else { session.channels.append(name) }
                session.server.join(session, name, isPattern: isPattern)
            }
            confirm(isPattern ? "psubscribe" : "subscribe", name, session, &turn)
        }
    }

    private static func leave(_ session: Session, _ turn: inout Turn, isPattern: Bool) {
        let word: StaticString = isPattern ? "punsubscribe" : "unsubscribe"
        var names = (1..<turn.count).map { turn.bytes($0) }
        if names.isEmpty { names = isPattern ? session.patterns : session.channels }
        guard !names.isEmpty else { return confirm(word, nil, session, &turn) }
        for name in names {
            if isPattern, let index = session.patterns.firstIndex(of: name) {
                session.patterns.remove(at: index)
                session.server.leave(session, name, isPattern: true)
            } else if !isPattern, let index = session.channels.firstIndex(of: name) {
                session.channels.remove(at: index)
                session.server.leave(session, name, isPattern: false)
            }
            confirm(word, name, session, &turn)
        }
    }

    private static func confirm(_ word: StaticString, _ name: Bytes?, _ session: Session, _ turn: inout Turn) {
        turn.reply.push(3)
        turn.reply.bulk(Bytes(stringLiteral: word))
        if let name { turn.reply.bulk(name) } else { turn.reply.null() }
        turn.reply.integer(session.channels.count + session.patterns.count)
    }

    static func publish(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        turn.reply.integer(
            session.server.publish(namespace: session.namespace, channel: turn.bytes(1), message: turn.bytes(2)))
    }

    static func pubsub(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        let table = session.server.channels
        let name = turn.text(1).lowercased()
        switch (name, turn.count) {
        case ("channels", 2...3):
            let glob = turn.count == 3 ? GlobPattern(turn.array(2)) : nil
            let names = table.active(namespace: session.namespace, matching: glob)
            turn.reply.array(names.count)
            for name in names { turn.reply.bulk(name) }
        case ("numsub", _):
            turn.reply.array((turn.count - 2) * 2)
            for index in 2..<turn.count {
                let name = turn.bytes(index)
                turn.reply.bulk(name)
                turn.reply.integer(table.listeners(ChannelName(namespace: session.namespace, name: name)).count)
            }
        case ("numpat", 2): turn.reply.integer(table.patternCount(namespace: session.namespace))
        case ("help", 2):
            ConnectionCommands.help(
                "PUBSUB", ["CHANNELS [<pattern>]", "    Return the currently active channels matching a <pattern>."], &turn)
        case ("channels", _), ("numpat", _): turn.reply.wrongArity("pubsub|\(name)")
        default: turn.reply.unknownSubcommand(turn.text(1), of: "pubsub")
        }
    }
}
