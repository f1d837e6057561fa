// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState

/// INFO, and what can be asked about one key.
extension ServerCommands {
    static func dbsize(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        turn.reply.integer(turn.space.map { replica.size(of: $0) } ?? 0)
    }

    static func info(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) {
        let all = ["server", "clients", "memory", "persistence", "stats", "replication", "cpu", "cluster", "keyspace"]
        var wanted = (1..<max(1, turn.count)).map { turn.text($0).lowercased() }
        if wanted.isEmpty || wanted.contains(where: { ["all", "default", "everything"].contains($0) }) { wanted = all }
        let sections = all.filter { wanted.contains($0) }.map { section($0, session, turn, replica) }
        turn.reply.verbatim(sections.joined(separator: "\r\n"))
    }

    private static func section(
        _ name: String, _ session: Session, _ turn: borrowing Turn, _ replica: borrowing Replica
    ) -> String {
        let lines: [String] =
            switch name {
            case "server": server(session)
            case "clients": clients(session)
            case "memory": memory(session, turn, replica)
            case "persistence": ["loading:0", "async_loading:0", "aof_enabled:0", "rdb_bgsave_in_progress:0"]
            case "stats": statistics(session)
            case "replication": ["role:master", "connected_slaves:0", "master_replid:\(hexadecimal(replica.site.rawValue))"]
            case "cpu": ["used_cpu_sys:0.000000", "used_cpu_user:0.000000"]
            case "cluster": ["cluster_enabled:0"]
            default: keyspace(session, replica)
            }
        let title = name == "cpu" ? "CPU" : name.prefix(1).uppercased() + name.dropFirst()
        return "# \(title)\r\n" + lines.map { $0 + "\r\n" }.joined()
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 40 - digits.count) + digits
    }

    private static func server(_ session: Session) -> [String] {
        let uptime = Int(session.server.elapsed(since: session.server.started))
        return [
            "redis_version:\(redisVersion)", "redis_mode:standalone", "brume_version:\(session.server.settings.version)",
            "arch_bits:\(Int.bitWidth)", "uptime_in_seconds:\(uptime)", "uptime_in_days:\(uptime / 86_400)",
        ]
    }

    private static func clients(_ session: Session) -> [String] {
        let server = session.server
        return [
            "connected_clients:\(server.sessions.count)", "cluster_connections:0", "maxclients:\(server.settings.clientsMax)",
            "blocked_clients:\(server.blockedCount)",
        ]
    }

    private static func memory(_ session: Session, _ turn: borrowing Turn, _ replica: borrowing Replica) -> [String] {
        let used = turn.space.map { replica.usage(of: $0).bytes } ?? 0
        return ["used_memory:\(used)", "used_memory_dataset:\(used)", "maxmemory:0", "maxmemory_policy:noeviction"]
    }

    private static func statistics(_ session: Session) -> [String] {
        let counts = session.server.statistics
        return [
            "total_connections_received:\(counts.connections)", "total_commands_processed:\(counts.commands)",
            "total_net_input_bytes:\(counts.bytesIn)", "total_net_output_bytes:\(counts.bytesOut)",
            "rejected_connections:\(counts.rejectedConnections)",
            "pubsub_channels:\(session.server.channels.active(namespace: session.namespace, matching: nil).count)",
            "pubsub_patterns:\(session.server.channels.patternCount(namespace: session.namespace))",
            "acl_access_denied_cmd:\(counts.refusedByRules)", "protocol_errors:\(counts.protocolErrors)",
            "client_output_buffer_limit_disconnections:\(counts.slowListeners)", "idle_disconnections:\(counts.idleClosed)",
            "accept_pauses:\(counts.acceptPauses)",
        ]
    }

    private static func keyspace(_ session: Session, _ replica: borrowing Replica) -> [String] {
        (0..<ServerCore.databases).compactMap { database in
            guard let space = session.spaces[database] else { return nil }
            let keys = replica.size(of: space)
            return keys > 0 ? "db\(database):keys=\(keys),expires=0,avg_ttl=0" : nil
        }
    }

    // MARK: One key

    static func memory(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let name = turn.text(1).lowercased()
        switch (name, turn.count) {
        case ("usage", 3), ("usage", 5):
            guard turn.count == 3 || turn.word(3, is: "SAMPLES") else { return turn.reply.syntaxError() }
            if let bytes = replica.memoryBytes(of: try turn.key(2), turn.time) { turn.reply.integer(bytes) } else { turn.reply.null() }
        case ("doctor", 2): turn.reply.verbatim("brume state stats tells how much memory state takes.")
        case ("purge", 2): turn.reply.ok()
        case ("stats", 2), ("malloc-stats", 2):
            turn.reply.error("ERR MEMORY \(name.uppercased()) is not supported by Brume; use INFO memory")
        case ("help", 2):
            ConnectionCommands.help("MEMORY", ["USAGE <key>", "    Return memory in bytes used by <key> and its value."], &turn)
        case ("usage", _), ("doctor", _), ("purge", _): turn.reply.wrongArity("memory|\(name)")
        default: turn.reply.unknownSubcommand(turn.text(1), of: "memory")
        }
    }
}

extension KeyCommands {
    static func object(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        let name = turn.text(1).lowercased()
        switch (name, turn.count) {
        case ("help", 2):
            return ConnectionCommands.help(
                "OBJECT", ["ENCODING <key>", "    Return the kind of internal representation Redis would use."], &turn)
        case ("encoding", 3), ("refcount", 3), ("idletime", 3), ("freq", 3): break
        case ("encoding", _), ("refcount", _), ("idletime", _), ("freq", _): return turn.reply.wrongArity("object|\(name)")
        default: return turn.reply.unknownSubcommand(turn.text(1), of: "object")
        }
        let key = try turn.key(2)
        guard let kind = replica.kind(of: key, turn.time) else { return turn.reply.null() }
        switch name {
        case "encoding": turn.reply.bulk(try encoding(key, kind, turn, replica))
        case "freq":
            turn.reply.error(
                """
                ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between \
                policies at runtime LRU and LFU data will take some time to adjust.
                """)
        case "refcount": turn.reply.integer(1)
        default: turn.reply.integer(0)
        }
    }

    /// The encoding that Redis would choose for a fresh object of the content, since clients and tests ask for it.
    private static func encoding(
        _ key: ObjectKey, _ kind: ObjectKind, _ turn: borrowing Turn, _ replica: borrowing Replica
    ) throws(StateError) -> String {
        let compactCount = 128
        let compactBytes = 64
        switch kind {
        case .string:
            guard let value = try replica.get(key, turn.time) else { return "embstr" }
            if value.decimal != nil { return "int" }
            // 44 bytes fit beside Redis' header into one piece of memory.
            return value.count <= 44 ? "embstr" : "raw"
        case .hash:
            let entries = try replica.hashAll(key, turn.time)
            let isCompact = entries.count <= 512 && entries.allSatisfy { $0.field.count <= compactBytes && $0.value.count <= compactBytes }
            return isCompact ? "listpack" : "hashtable"
        case .set:
            let elements = try replica.setMembers(key, turn.time)
            return elements.count <= 512 && elements.allSatisfy { $0.decimal != nil } ? "intset" : "hashtable"
        case .scoredSet:
            let count = try replica.scoreCount(key, turn.time)
            guard count <= compactCount else { return "skiplist" }
            let entries = try replica.scoreAll(key, turn.time)
            return entries.allSatisfy { $0.member.count <= compactBytes } ? "listpack" : "skiplist"
        case .list: return "quicklist"
        case .hyperLogLog: return "raw"
        default: return kind.name
        }
    }
}
