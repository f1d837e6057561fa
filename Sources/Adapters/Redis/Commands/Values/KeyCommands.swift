// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Keys whatever they hold: presence, names, and when they end.
enum KeyCommands {
    // MARK: Presence

    static func del(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        var removed = 0
        for index in 1..<turn.count { removed += replica.delete([try turn.key(index)], turn.time) }
        turn.reply.integer(removed)
    }

    static func unlink(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try del(session, &turn, &replica)
    }

    static func exists(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        var found = 0
        for index in 1..<turn.count where replica.exists(try turn.key(index), turn.time) { found += 1 }
        turn.reply.integer(found)
    }

    static func touch(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try exists(session, &turn, &replica)
    }

    static func type(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.simple(replica.kind(of: try turn.key(1), turn.time)?.name ?? "none")
    }

    static func randomkey(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let space = turn.space else { return turn.reply.null() }
        turn.reply.bulkOrNull(replica.sample(space, turn.time))
    }

    static func flushdb(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count == 1 || turn.count == 2 && (turn.word(1, is: "ASYNC") || turn.word(1, is: "SYNC")) else {
            return turn.reply.syntaxError()
        }
        if let space = turn.space { _ = replica.clear(space, turn.time) }
        turn.reply.ok()
    }

    static func flushall(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count == 1 || turn.count == 2 && (turn.word(1, is: "ASYNC") || turn.word(1, is: "SYNC")) else {
            return turn.reply.syntaxError()
        }
        for database in 0..<ServerCore.databases {
            let name = try SpaceName(session.namespace, database: database)
            _ = replica.clear(try replica.space(name), turn.time)
        }
        turn.reply.ok()
    }

    // MARK: Looking for keys

    static func keys(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let glob = GlobPattern(turn.array(1))
        var found: [Bytes] = []
        if let space = turn.space {
            var cursor: UInt64 = 0
            repeat {
                let page = replica.scan(space, cursor: cursor, count: Self.keysPerScan, turn.time)
                found += page.keys.map(\.name).filter { glob.matches($0.array) }
                cursor = page.next
            } while cursor != 0
        }
        turn.reply.array(found.count)
        for name in found { turn.reply.bulk(name) }
    }

    /// Keys that KEYS takes from the replica at once: it walks through all of them anyway.
    private static let keysPerScan = 10_000

    static func scan(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let scan = ScanOptions.read(&turn, cursorAt: 1, allowsType: true) else { return }
        guard let space = turn.space else { return turn.reply.error("ERR invalid cursor") }
        let page = replica.scan(space, cursor: scan.cursor, count: scan.count, turn.time)
        let found = page.keys.filter { key in
            scan.matches(key.name) && (scan.type.map { $0 == Array(key.kind.name.utf8) } ?? true)
        }
        turn.reply.array(2)
        turn.reply.bulk("\(page.next)")
        turn.reply.array(found.count)
        for key in found { turn.reply.bulk(key.name) }
    }

    // MARK: Names

    static func rename(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let source = try turn.key(1)
        let target = try turn.key(2)
        _ = try replica.rename(source, to: target, ifAbsent: false, turn.time)
        turn.reply.ok()
    }

    static func renamenx(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.flag(try replica.rename(try turn.key(1), to: try turn.key(2), ifAbsent: true, turn.time))
    }

    static func copy(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        var replaces = false
        var database = session.database
        var index = 3
        while index < turn.count {
            if turn.word(index, is: "REPLACE") {
                replaces = true
            } else if turn.word(index, is: "DB"), index + 1 < turn.count {
                guard let number = turn.integer(index + 1) else { return turn.reply.notAnInteger() }
                guard (0..<Int64(ServerCore.databases)).contains(number) else { return turn.reply.error("ERR DB index is out of range") }
                database = Int(number)
                index += 1
            } else {
                return turn.reply.syntaxError()
            }
            index += 1
        }
        let source = try turn.key(1)
        let space = database == session.database ? source.space : try replica.space(try SpaceName(session.namespace, database: database))
        let target = ObjectKey(space, turn.bytes(2))
        guard source != target else { return turn.reply.error("ERR source and destination objects are the same") }
        turn.reply.flag(try replica.copy(source, to: target, replace: replaces, turn.time))
    }
}
