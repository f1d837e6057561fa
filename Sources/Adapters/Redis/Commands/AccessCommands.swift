// SPDX-License-Identifier: Apache-2.0

import BrumeState

/// ACL: what users may do. Users are a matter of settings, so nothing here changes them.
extension ServerCommands {
    static func acl(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        let name = turn.text(1).lowercased()
        let rules = session.server.rules
        switch (name, turn.count) {
        case ("whoami", 2): turn.reply.bulk(session.user.map { rules.user($0).name } ?? "default")
        case ("users", 2): strings(visibleUsers(session).map { $0.map { rules.user($0).name } ?? "default" }, &turn)
        case ("list", 2): strings(visibleUsers(session).map { $0.map(rules.description) ?? openUser }, &turn)
        case ("cat", 2): strings(AccessRules.categories, &turn)
        case ("cat", 3):
            let category = turn.text(2).lowercased()
            guard AccessRules.categories.contains(category) else {
                return turn.reply.error("ERR Unknown category '\(turn.text(2))'")
            }
            strings(session.server.table.commands.filter { $0.isIn(category: category) }.map(\.name), &turn)
        case ("genpass", 2...3): password(&turn)
        case ("dryrun", 4...): dryRun(session, &turn)
        case ("getuser", 3): user(session, &turn)
        case ("log", 2...3): turn.reply.array(0)
        case ("setuser", _), ("deluser", _), ("load", _), ("save", _):
            turn.reply.error("ERR ACL \(name.uppercased()) is not supported by Brume; users are set where the node is configured")
        case ("help", 2): ConnectionCommands.help("ACL", aclHelp, &turn)
        case ("whoami", _), ("users", _), ("list", _), ("cat", _), ("genpass", _), ("dryrun", _), ("getuser", _), ("log", _):
            turn.reply.wrongArity("acl|\(name)")
        default: turn.reply.unknownSubcommand(turn.text(1), of: "acl")
        }
    }

    private static let openUser = "user default on nopass sanitize-payload ~* &* +@all"
    private static let aclHelp = [
        "CAT [<category>]", "    List all commands that belong to <category>, or all categories.", "LIST",
        "    Show the user of the connection as a rule.", "WHOAMI", "    Return the current connection username.",
    ]

    /// The places of the users that a client may see: itself, so that nobody learns other namespaces' names.
    private static func visibleUsers(_ session: Session) -> [Int?] { [session.user] }

    static func strings(_ list: [String], _ turn: inout Turn) {
        turn.reply.array(list.count)
        for text in list { turn.reply.bulk(text) }
    }

    private static func password(_ turn: inout Turn) {
        var bits: Int64 = 256
        if turn.count == 3 {
            guard let asked = turn.integer(2), (1...4096).contains(asked) else {
                return turn.reply.error(
                    "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096")
            }
            bits = asked
        }
        var generator = SystemRandomNumberGenerator()
        let digits = Array("0123456789abcdef".utf8)
        turn.reply.bulk((0..<Int((bits + 3) / 4)).map { _ in digits[Int(generator.next(upperBound: UInt(16)))] })
    }

    private static func dryRun(_ session: Session, _ turn: inout Turn) {
        let rules = session.server.rules
        guard turn.text(2) == (session.user.map { rules.user($0).name } ?? "default") else {
            return turn.reply.error("ERR User '\(turn.text(2))' not found")
        }
        guard let index = session.server.table.index(of: turn.text(3)) else {
            return turn.reply.error("ERR Command '\(turn.text(3))' not found")
        }
        let command = session.server.table.commands[index]
        guard command.accepts(turn.count - 3) else { return turn.reply.wrongArity(command.name) }
        if let user = session.user, !rules.allows(user: user, command: index) {
            turn.reply.bulk("This user has no permissions to run the '\(command.name)' command")
        } else {
            turn.reply.ok()
        }
    }

    private static func user(_ session: Session, _ turn: inout Turn) {
        let rules = session.server.rules
        guard turn.text(2) == (session.user.map { rules.user($0).name } ?? "default") else { return turn.reply.null() }
        let flags = session.user == nil ? ["on", "nopass"] : ["on"]
        let user = session.user.map(rules.user)
        let commands =
            (user?.categories.map { "-@all " + $0.map { "+@\($0)" }.joined(separator: " ") } ?? "+@all")
            + (user?.isReadOnly ?? false ? " -@write" : "")
        turn.reply.map(6)
        turn.reply.bulk("flags")
        turn.reply.set(flags.count)
        for flag in flags { turn.reply.bulk(flag) }
        turn.reply.bulk("passwords")
        turn.reply.array(0)
        for (name, value) in [("commands", commands), ("keys", "~*"), ("channels", "&*")] {
            turn.reply.bulk(name)
            turn.reply.bulk(value)
        }
        turn.reply.bulk("selectors")
        turn.reply.array(0)
    }
}
