// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// What Redis does not have: how consistent a client's calls are, and what its session has seen.
enum BrumeCommands {
    /// `BRUME.CONSISTENCY [local | session | quorum N | exclusive]`
    ///
    /// On one connection, which stays at one node, `session` is what `local` is: a node never shows less than before. What makes a session
    /// of several connections is the token.
    static func consistency(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        switch turn.count {
        case 1:
            switch session.consistency {
            case .local: turn.reply.bulk("local")
            case .quorum(let nodes): turn.reply.bulk("quorum \(nodes)")
            case .exclusive: turn.reply.bulk("exclusive")
            }
            return
        case 2 where turn.word(1, is: "LOCAL") || turn.word(1, is: "SESSION"): session.consistency = .local
        case 2 where turn.word(1, is: "EXCLUSIVE"): session.consistency = .exclusive
        case 3 where turn.word(1, is: "QUORUM"):
            guard let nodes = turn.integer(2), (1...1_000).contains(nodes) else {
                return turn.reply.error("ERR the number of nodes of a quorum must be between 1 and 1000")
            }
            session.consistency = .quorum(Int(nodes))
        default: return turn.reply.error("ERR use BRUME.CONSISTENCY local, session, quorum N, or exclusive; go on with BRUME.SESSION TOKEN")
        }
        turn.endsRun = true
        turn.reply.ok()
    }

    /// `BRUME.SESSION` answers with a token of all that was written and read here; `BRUME.SESSION TOKEN` waits until this node has it.
    static func session(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        guard turn.count <= 2 else { return turn.reply.wrongArity("brume.session") }
        guard turn.count == 2 else { return turn.reply.bulk(replica.token().text) }
        guard !turn.isWithinTransaction else { return turn.reply.error("ERR BRUME.SESSION with a token is not allowed in transactions") }
        let token = try SessionToken(text: turn.text(1))
        session.waitForNeed(.session(token))
    }
}

extension CommandTable {
    static let brume: [Command] = [
        Command(
            "brume.consistency", arity: -1, flags: "noscript loading stale fast", keys: (0, 0, 0), categories: "fast connection",
            since: "7.0.0", BrumeCommands.consistency),
        Command(
            "brume.session", arity: -1, flags: "noscript loading stale fast", keys: (0, 0, 0), categories: "fast connection",
            since: "7.0.0", BrumeCommands.session),
    ]
}
