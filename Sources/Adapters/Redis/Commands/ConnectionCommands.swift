// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// Who the client is, and how it is spoken with.
enum ConnectionCommands {
    static func ping(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        guard turn.count <= 2 else { return turn.reply.wrongArity("ping") }
        if session.isListening, !turn.reply.isThree {
            turn.reply.array(2)
            turn.reply.bulk("pong")
            turn.reply.bulk(turn.count == 2 ? turn.slice(1) : [])
        } else if turn.count == 2 {
            turn.reply.bulk(turn.slice(1))
        } else {
            turn.reply.raw("+PONG\r\n")
        }
    }

    static func echo(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) { turn.reply.bulk(turn.slice(1)) }

    static func quit(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        turn.reply.ok()
        session.close()
    }

    static func select(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        guard let number = turn.integer(1) else { return turn.reply.error("ERR value is not an integer or out of range") }
        guard (0..<Int64(ServerCore.databases)).contains(number) else { return turn.reply.error("ERR DB index is out of range") }
        session.database = Int(number)
        session.enterSpace(&turn, &replica)
        turn.reply.ok()
    }

    static func reset(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        session.transaction = nil
        session.watched = []
        session.server.leaveAll(session)
        session.database = 0
        session.becomes(user: nil)
        session.name = ""
        session.replies = .on
        session.consistency = .local
        turn.reply.isThree = false
        session.enterSpace(&turn, &replica)
        turn.reply.raw("+RESET\r\n")
    }

    // MARK: Users

    static func auth(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        guard turn.count <= 3 else { return turn.reply.syntaxError() }
        if turn.count == 2, session.server.rules.isOpen {
            return turn.reply.error(
                """
                ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is \
                correct?
                """)
        }
        let name = turn.count == 2 ? Array("default".utf8)[...] : turn.slice(1)
        if authenticate(session, name, turn.slice(turn.count - 1), &turn, &replica) { turn.reply.ok() }
    }

    /// Makes the session the user's; where it must not, writes why.
    private static func authenticate(
        _ session: Session, _ name: ArraySlice<UInt8>, _ password: ArraySlice<UInt8>, _ turn: inout Turn, _ replica: inout Replica
    ) -> Bool {
        // On a socket of one namespace everybody is the default user, as on a Redis without passwords.
        let isFixed = if case .namespace = session.door { true } else { false }
        if isFixed || session.server.rules.isOpen {
            if name == Array("default".utf8)[...] { return true }
        } else if let index = session.server.rules.authenticate(name: name, password: password) {
            session.becomes(user: index)
            session.enterSpace(&turn, &replica)
            turn.endsRun = true
            return true
        }
        turn.reply.error("WRONGPASS invalid username-password pair or user is disabled.")
        return false
    }

    static func hello(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        var index = 1
        var isThree = turn.reply.isThree
        if turn.count > 1 {
            guard let version = turn.integer(1) else {
                return turn.reply.error("ERR Protocol version is not an integer or out of range")
            }
            guard version == 2 || version == 3 else { return turn.reply.error("NOPROTO unsupported protocol version") }
            isThree = version == 3
            index = 2
        }
        var name: String?
        while index < turn.count {
            if turn.word(index, is: "AUTH"), index + 2 < turn.count {
                guard authenticate(session, turn.slice(index + 1), turn.slice(index + 2), &turn, &replica) else { return }
                index += 3
            } else if turn.word(index, is: "SETNAME"), index + 1 < turn.count {
                guard let valid = validName(turn.slice(index + 1)) else {
                    return turn.reply.error("ERR Client names cannot contain spaces, newlines or special characters.")
                }
                name = valid
                index += 2
            } else {
                return turn.reply.error("ERR Syntax error in HELLO option '\(turn.text(index))'")
            }
        }
        guard !session.isStranger else {
            return turn.reply.error(
                """
                NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> \
                option can be used to authenticate the client and select the RESP protocol version at the same time
                """)
        }
        if let name { session.name = name }
        turn.reply.isThree = isThree
        turn.reply.map(7)
        turn.reply.bulk("server")
        turn.reply.bulk("redis")
        turn.reply.bulk("version")
        turn.reply.bulk(ServerCommands.redisVersion)
        turn.reply.bulk("proto")
        turn.reply.integer(isThree ? 3 : 2)
        turn.reply.bulk("id")
        turn.reply.integer(session.id)
        turn.reply.bulk("mode")
        turn.reply.bulk("standalone")
        turn.reply.bulk("role")
        turn.reply.bulk("master")
        turn.reply.bulk("modules")
        turn.reply.array(0)
    }

    /// A client's name, if it is of visible characters.
    static func validName(_ text: ArraySlice<UInt8>) -> String? {
        text.allSatisfy { $0 >= UInt8(ascii: "!") && $0 <= UInt8(ascii: "~") } ? String(decoding: text, as: UTF8.self) : nil
    }

    // MARK: CLIENT

    static func client(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        let name = turn.text(1).lowercased()
        guard let run = clientCommands[name] else { return turn.reply.unknownSubcommand(turn.text(1), of: "client") }
        guard run.counts.contains(turn.count) else { return turn.reply.wrongArity("client|\(name)") }
        run.body(session, &turn)
    }

    private typealias Subcommand = @Sendable (Session, inout Turn) -> Void

    private static let clientCommands: [String: (counts: ClosedRange<Int>, body: Subcommand)] = [
        "id": (2...2, { $1.reply.integer($0.id) }),
        "getname": (2...2, { if $0.name.isEmpty { $1.reply.null() } else { $1.reply.bulk($0.name) } }),
        "setname": (3...3, { setName($0, &$1) }),
        "setinfo": (4...4, { setInformation($0, &$1) }),
        "info": (2...2, { $1.reply.verbatim(line($0, $1.reply.isThree) + "\n") }),
        "list": (2...1_000, { list($0, &$1) }),
        "reply": (3...3, { setReplies($0, &$1) }),
        "no-evict": (3...3, { setFlag($0, &$1) }),
        "no-touch": (3...3, { setFlag($0, &$1) }),
        "kill": (3...1_000, { kill($0, &$1) }),
        "unblock": (3...4, { unblock($0, &$1) }),
        "getredir": (2...2, { $1.reply.integer(-1) }),
        "tracking": (3...1_000, { $1.reply.error("ERR CLIENT TRACKING is not supported by Brume; subscribe to __keyspace@0__:KEY") }),
        "caching": (
            3...3,
            {
                $1.reply.error(
                    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
            }
        ),
        "pause": (3...4, { $1.reply.error("ERR CLIENT PAUSE is not supported by Brume; it would stop every function of the node") }),
        "unpause": (2...2, { $1.reply.ok() }),
        "help": (2...2, { help("CLIENT", clientHelp, &$1) }),
    ]

    private static let clientHelp = [
        "GETNAME", "    Return the name of the current connection.", "ID", "    Return the ID of the current connection.", "INFO",
        "    Return information about the current client connection.", "LIST [TYPE NORMAL|PUBSUB] [ID id ...]",
        "    Return information about client connections of the namespace.", "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.", "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "KILL ID <id>", "    Close a connection of the namespace.",
    ]

    /// What `COMMAND HELP` and its like answer.
    static func help(_ command: String, _ lines: [String], _ turn: inout Turn) {
        let head = "\(command) <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
        turn.reply.array(lines.count + 3)
        for line in [head] + lines + ["HELP", "    Print this help."] { turn.reply.simple(line) }
    }

    private static func setName(_ session: Session, _ turn: inout Turn) {
        guard let name = validName(turn.slice(2)) else {
            return turn.reply.error("ERR Client names cannot contain spaces, newlines or special characters.")
        }
        session.name = name
        turn.reply.ok()
    }

    private static func setInformation(_ session: Session, _ turn: inout Turn) {
        guard let value = validName(turn.slice(3)) else {
            return turn.reply.error("ERR \(turn.text(2).lowercased()) cannot contain spaces, newlines or special characters.")
        }
        if turn.word(2, is: "LIB-NAME") {
            session.library.name = value
        } else if turn.word(2, is: "LIB-VER") {
            session.library.version = value
        } else {
            return turn.reply.error("ERR Unrecognized option '\(turn.text(2))'")
        }
        turn.reply.ok()
    }

    private static func setReplies(_ session: Session, _ turn: inout Turn) {
        if turn.word(2, is: "ON") {
            session.replies = .on
            turn.reply.ok()
        } else if turn.word(2, is: "OFF") {
            session.replies = .off
        } else if turn.word(2, is: "SKIP") {
            if session.replies != .off { session.replies = .skipNext }
        } else {
            turn.reply.syntaxError()
        }
    }

    private static func setFlag(_ session: Session, _ turn: inout Turn) {
        guard turn.word(2, is: "ON") || turn.word(2, is: "OFF") else { return turn.reply.syntaxError() }
        session.isEvictable = turn.word(2, is: "OFF")
        turn.reply.ok()
    }

    /// Clients of the same namespace: those of others are none of this one's business.
    private static func peers(_ session: Session) -> [Session] {
        session.server.sessionsByAge.filter { $0.namespace == session.namespace && !$0.isStranger }
    }

    private static func list(_ session: Session, _ turn: inout Turn) {
        var chosen = peers(session)
        if turn.count == 4, turn.word(2, is: "TYPE") {
            if turn.word(3, is: "PUBSUB") {
                chosen = chosen.filter(\.isListening)
            } else if turn.word(3, is: "NORMAL") {
                chosen = chosen.filter { !$0.isListening }
            } else if turn.word(3, is: "MASTER") || turn.word(3, is: "REPLICA") || turn.word(3, is: "SLAVE") {
                chosen = []
            } else {
                return turn.reply.error("ERR Unknown client type '\(turn.text(3))'")
            }
        } else if turn.count > 3, turn.word(2, is: "ID") {
            var ids: [Int64] = []
            for index in 3..<turn.count {
                guard let id = turn.integer(index) else { return turn.reply.error("ERR Invalid client ID") }
                ids.append(id)
            }
            chosen = chosen.filter { ids.contains($0.id) }
        } else if turn.count != 2 {
            return turn.reply.syntaxError()
        }
        let isThree = turn.reply.isThree
        turn.reply.verbatim(chosen.map { line($0, $0 === session ? isThree : $0.isThree) + "\n" }.joined())
    }

    private static func kill(_ session: Session, _ turn: inout Turn) {
        var victims: [Session] = []
        if turn.count == 3 {
            victims = peers(session).filter { $0.addresses.peer == turn.text(2) }
            guard !victims.isEmpty else { return turn.reply.error("ERR No such client") }
        } else if turn.count == 4, turn.word(2, is: "ID") {
            guard let id = turn.integer(3), id > 0 else { return turn.reply.error("ERR client-id should be greater than 0") }
            victims = peers(session).filter { $0.id == id && $0 !== session }
        } else {
            return turn.reply.syntaxError()
        }
        for victim in victims where victim !== session { victim.transport?.abort() }
        if turn.count == 3 { turn.reply.ok() } else { turn.reply.integer(victims.count) }
    }

    private static func unblock(_ session: Session, _ turn: inout Turn) {
        guard let id = turn.integer(2) else { return turn.reply.notAnInteger() }
        let withError = turn.count == 4 && turn.word(3, is: "ERROR")
        turn.reply.flag(peers(session).first { $0.id == id }?.unblock(withError: withError) ?? false)
    }

    /// One line of `CLIENT LIST`, with the fields of Redis that mean something here.
    private static func line(_ session: Session, _ isThree: Bool) -> String {
        let age = Int(session.server.elapsed(since: session.created))
        let idle = Int(session.server.elapsed(since: session.lastHeard))
        let queued = session.transaction?.queued.count ?? -1
        let user = session.user.map { session.server.rules.user($0).name } ?? "default"
        let flags = session.isListening ? "P" : session.transaction != nil ? "x" : "N"
        return """
            id=\(session.id) addr=\(session.addresses.peer) laddr=\(session.addresses.own) fd=-1 name=\(session.name) age=\(age) \
            idle=\(idle) flags=\(flags) db=\(session.database) sub=\(session.channels.count) psub=\(session.patterns.count) ssub=0 \
            multi=\(queued) qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=\(session.transaction?.bytes ?? 0) rbs=0 rbp=0 obl=0 oll=0 \
            omem=\(session.transport?.unsentBytes ?? 0) tot-mem=0 events=r cmd=\(session.server.table.commands[session.lastCommand].name) \
            user=\(user) redir=-1 resp=\(isThree ? 3 : 2) lib-name=\(session.library.name) lib-ver=\(session.library.version)
            """
    }
}
