// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState

/// What the server says about itself and its commands.
enum ServerCommands {
    /// The version of Redis whose commands and replies are spoken; clients decide by it what they may use.
    static let redisVersion = "7.0.15"

    static func time(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        // The wall clock in milliseconds is all that state is given.
        let milliseconds = Int64(clamping: turn.time.wallMilliseconds)
        turn.reply.array(2)
        turn.reply.bulk(integer: milliseconds / 1_000)
        turn.reply.bulk(integer: milliseconds % 1_000 * 1_000)
    }

    static func role(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        turn.reply.array(3)
        turn.reply.bulk("master")
        turn.reply.integer(0)
        turn.reply.array(0)
    }

    static func debug(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        turn.reply.error("ERR DEBUG command not allowed. Brume has no DEBUG; brume state stats tells about the node's state.")
    }

    /// WAIT: how many other nodes have what this client wrote.
    static func wait(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        guard let count = turn.integer(1) else { return turn.reply.notAnInteger() }
        guard let milliseconds = turn.integer(2) else { return turn.reply.error("ERR timeout is not an integer or out of range") }
        guard milliseconds >= 0 else { return turn.reply.error("ERR timeout is negative") }
        guard count > 0, !turn.isWithinTransaction else { return turn.reply.integer(0) }
        let nodes = Int(min(count, 1_000))
        let limit = milliseconds == 0 ? waitMax : min(Duration.milliseconds(milliseconds), waitMax)
        session.waitForReplicas(nodes, mark: replica.mark, within: limit)
        turn.endsRun = true
    }

    /// A client that asks to wait for ever waits an hour: a node that is gone for longer is no matter of one connection.
    private static let waitMax = Duration.seconds(3600)

    // MARK: CONFIG

    /// What clients and benchmarks look at, with the values that hold here.
    private static func parameters(_ session: Session) -> [(String, String)] {
        let settings = session.server.settings
        return [
            ("appendonly", "no"), ("databases", "\(ServerCore.databases)"), ("maxclients", "\(settings.clientsMax)"), ("maxmemory", "0"),
            ("maxmemory-policy", "noeviction"), ("notify-keyspace-events", "AKE"), ("port", "0"),
            ("proto-max-bulk-len", "\(settings.valueBytesMax)"), ("save", ""), ("timeout", "\(Int(settings.idleTimeout?.inSeconds ?? 0))"),
        ]
    }

    static func config(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        let name = turn.text(1).lowercased()
        switch (name, turn.count) {
        case ("get", 3...):
            let patterns = (2..<turn.count).map { GlobPattern(Array(turn.text($0).lowercased().utf8)) }
            let found = parameters(session).filter { parameter in patterns.contains { $0.matches(Array(parameter.0.utf8)) } }
            turn.reply.map(found.count)
            for (name, value) in found {
                turn.reply.bulk(name)
                turn.reply.bulk(value)
            }
        case ("resetstat", 2):
            session.server.statistics = ServerStatistics()
            turn.reply.ok()
        case ("set", 4...), ("rewrite", 2):
            turn.reply.error("ERR CONFIG \(name.uppercased()) is not supported by Brume; settings are made where the node is configured")
        case ("help", 2):
            ConnectionCommands.help(
                "CONFIG", ["GET <pattern>", "    Return parameters matching the glob-like <pattern> and their values."], &turn)
        case ("get", _), ("set", _), ("resetstat", _), ("rewrite", _): turn.reply.wrongArity("config|\(name)")
        default: turn.reply.unknownSubcommand(turn.text(1), of: "config")
        }
    }

    // MARK: COMMAND

    static func command(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        let table = session.server.table
        guard turn.count > 1 else { return details(table.commands.map { $0 }, &turn) }
        let name = turn.text(1).lowercased()
        switch (name, turn.count) {
        case ("count", 2): turn.reply.integer(table.commands.count)
        case ("list", 2): strings(table.commands.map(\.name), &turn)
        case ("list", 5) where turn.word(2, is: "FILTERBY"): filtered(table, &turn)
        case ("info", 2): details(table.commands.map { $0 }, &turn)
        case ("info", 3...): details((2..<turn.count).map { table.command(turn.text($0)) }, &turn)
        case ("docs", 2): documents(table.commands, &turn)
        case ("docs", 3...): documents((2..<turn.count).compactMap { table.command(turn.text($0)) }, &turn)
        case ("getkeys", 4...): keys(table, &turn)
        case ("help", 2):
            ConnectionCommands.help(
                "COMMAND", ["(no subcommand)", "    Return details about all commands.", "COUNT", "    Return the number of commands."],
                &turn)
        case ("count", _), ("list", _), ("getkeys", _): turn.reply.wrongArity("command|\(name)")
        default: turn.reply.unknownSubcommand(turn.text(1), of: "command")
        }
    }

    private static func filtered(_ table: CommandTable, _ turn: inout Turn) {
        if turn.word(3, is: "ACLCAT") {
            let category = turn.text(4).lowercased()
            strings(table.commands.filter { $0.isIn(category: category) }.map(\.name), &turn)
        } else if turn.word(3, is: "PATTERN") {
            let glob = GlobPattern(Array(turn.text(4).lowercased().utf8))
            strings(table.commands.filter { glob.matches(Array($0.name.utf8)) }.map(\.name), &turn)
        } else {
            turn.reply.syntaxError()
        }
    }

    private static func details(_ commands: [Command?], _ turn: inout Turn) {
        turn.reply.array(commands.count)
        for command in commands {
            guard let command else {
                turn.reply.nullArray()
                continue
            }
            turn.reply.array(10)
            turn.reply.bulk(command.name)
            turn.reply.integer(command.arity)
            let flags = command.flags.split(separator: " ")
            turn.reply.set(flags.count)
            for flag in flags { turn.reply.simple(String(flag)) }
            turn.reply.integer(command.keys.first)
            turn.reply.integer(command.keys.last)
            turn.reply.integer(command.keys.step)
            let categories = command.categories.split(separator: " ")
            turn.reply.set(categories.count)
            for category in categories { turn.reply.simple("@" + category) }
            // Hints, key specifications and subcommands: none are told.
            for _ in 0..<3 { turn.reply.array(0) }
        }
    }

    private static func documents(_ commands: [Command], _ turn: inout Turn) {
        turn.reply.map(commands.count)
        for command in commands {
            turn.reply.bulk(command.name)
            turn.reply.map(3)
            turn.reply.bulk("summary")
            turn.reply.bulk(CommandNotes.concurrency(of: command))
            turn.reply.bulk("since")
            turn.reply.bulk(command.since)
            turn.reply.bulk("group")
            turn.reply.bulk(command.group)
        }
    }

    private static func keys(_ table: CommandTable, _ turn: inout Turn) {
        guard let command = table.command(turn.text(2)) else { return turn.reply.error("ERR Invalid command specified") }
        let count = turn.count - 2
        guard command.accepts(count) else { return turn.reply.error("ERR Invalid number of arguments specified for command") }
        var rest = turn
        rest.arguments.removeFirst(2)
        let places = command.keyPlaces(in: rest)
        guard !places.isEmpty else { return turn.reply.error("ERR The command has no key arguments") }
        turn.reply.array(places.count)
        for place in places { turn.reply.bulk(turn.slice(place + 2)) }
    }
}
