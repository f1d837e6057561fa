// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Keys whatever they hold: presence, names, and when they end.
enum KeyCommands {
    // MARK: Presence

    static func del(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        var removed = 0
        for index in 1..<turn.count where replica.removeObject(try turn.key(index), turn.time) { removed += 1 }
        turn.reply.integer(removed)
    }

    static func unlink(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try del(session, &turn, &replica)
    }

    static func exists(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        var found = 0
        for index in 1..<turn.count where replica.kind(try turn.key(index), turn.time) != nil { found += 1 }
        turn.reply.integer(found)
    }

    static func touch(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try exists(session, &turn, &replica)
    }

    static func type(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        turn.reply.simple(replica.kind(try turn.key(1), turn.time)?.name ?? "none")
    }

    static func randomkey(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let space = turn.space else { return turn.reply.null() }
        turn.reply.bulkOrNull(replica.randomKey(in: space, turn.time))
    }

    static func flushdb(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count == 1 || turn.count == 2 && (turn.word(1, is: "ASYNC") || turn.word(1, is: "SYNC")) else {
            return turn.reply.syntaxError()
        }
        if let space = turn.space { replica.removeAll(in: space, turn.time) }
        turn.reply.ok()
    }

    static func flushall(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count == 1 || turn.count == 2 && (turn.word(1, is: "ASYNC") || turn.word(1, is: "SYNC")) else {
            return turn.reply.syntaxError()
        }
        for database in 0..<ServerCore.databases {
            let name = try SpaceName(session.namespace, database: database)
            if let space = replica.existingSpace(name) { replica.removeAll(in: space, turn.time) }
        }
        turn.reply.ok()
    }

    // MARK: Looking for keys

    static func keys(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let glob = GlobPattern(turn.array(1))
        var found: [Bytes] = []
        if let space = turn.space {
            replica.forEachKey(in: space, turn.time) { name, _ in if glob.matches(name.array) { found.append(name) } }
        }
        turn.reply.array(found.count)
        for name in found { turn.reply.bulk(name) }
    }

    static func scan(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard let scan = ScanOptions.read(&turn, cursorAt: 1, allowsType: true) else { return }
        guard let space = turn.space else { return turn.reply.error("ERR invalid cursor") }
        let page = replica.scan(space, from: scan.cursor, count: scan.count, turn.time)
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
        guard replica.kind(source, turn.time) != nil else { return turn.reply.noSuchKey() }
        if source != target { try replica.copyObject(source, target, removesSource: true, turn.time) }
        turn.reply.ok()
    }

    static func renamenx(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let source = try turn.key(1)
        let target = try turn.key(2)
        guard replica.kind(source, turn.time) != nil else { return turn.reply.noSuchKey() }
        guard source != target, replica.kind(target, turn.time) == nil else { return turn.reply.flag(false) }
        try replica.copyObject(source, target, removesSource: true, turn.time)
        turn.reply.flag(true)
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
        guard replica.kind(source, turn.time) != nil, replaces || replica.kind(target, turn.time) == nil else {
            return turn.reply.flag(false)
        }
        try replica.copyObject(source, target, removesSource: false, turn.time)
        turn.reply.flag(true)
    }
}
