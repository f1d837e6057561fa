// SPDX-License-Identifier: Apache-2.0

/// Commands about connections, keys and the server, as Redis 7.0 describes them.
extension CommandTable {
    static let connection: [Command] = [
        Command(
            "auth", arity: -2, flags: "noscript loading stale fast no_auth allow_busy", keys: (0, 0, 0), categories: "fast connection",
            since: "1.0.0",
            ConnectionCommands.auth),
        Command(
            "hello", arity: -1, flags: "noscript loading stale fast no_auth allow_busy", keys: (0, 0, 0), categories: "fast connection",
            since: "6.0.0",
            ConnectionCommands.hello),
        Command(
            "ping", arity: -1, flags: "fast", keys: (0, 0, 0), categories: "fast connection", since: "1.0.0",
            ConnectionCommands.ping),
        Command(
            "echo", arity: 2, flags: "loading stale fast", keys: (0, 0, 0), categories: "fast connection", since: "1.0.0",
            ConnectionCommands.echo),
        Command(
            "select", arity: 2, flags: "loading stale fast", keys: (0, 0, 0), categories: "fast connection", since: "1.0.0",
            ConnectionCommands.select),
        Command(
            "quit", arity: -1, flags: "noscript loading stale fast no_auth allow_busy", keys: (0, 0, 0), categories: "fast connection",
            since: "1.0.0",
            ConnectionCommands.quit),
        Command(
            "reset", arity: 1, flags: "noscript loading stale fast no_auth allow_busy", keys: (0, 0, 0), categories: "fast connection",
            since: "6.2.0",
            ConnectionCommands.reset),
        Command(
            "client", arity: -2, flags: "", keys: (0, 0, 0), categories: "slow", since: "2.4.0",
            ConnectionCommands.client),
    ]

    static let server: [Command] = [
        Command(
            "command", arity: -1, flags: "loading stale", keys: (0, 0, 0), categories: "slow connection", since: "2.8.13",
            ServerCommands.command),
        Command(
            "acl", arity: -2, flags: "", keys: (0, 0, 0), categories: "slow", since: "6.0.0",
            ServerCommands.acl),
        Command(
            "config", arity: -2, flags: "", keys: (0, 0, 0), categories: "slow", since: "2.0.0",
            ServerCommands.config),
        Command(
            "info", arity: -1, flags: "loading stale", keys: (0, 0, 0), categories: "slow dangerous", since: "1.0.0",
            ServerCommands.info),
        Command(
            "time", arity: 1, flags: "loading stale fast", keys: (0, 0, 0), categories: "fast", since: "2.6.0",
            ServerCommands.time),
        Command(
            "dbsize", arity: 1, flags: "readonly fast", keys: (0, 0, 0), categories: "keyspace read fast", since: "1.0.0",
            ServerCommands.dbsize),
        Command(
            "memory", arity: -2, flags: "", keys: (0, 0, 0), categories: "slow", since: "4.0.0",
            ServerCommands.memory),
        Command(
            "debug", arity: -2, flags: "admin noscript loading stale", keys: (0, 0, 0), categories: "admin slow dangerous", since: "1.0.0",
            ServerCommands.debug),
        Command(
            "role", arity: 1, flags: "noscript loading stale fast", keys: (0, 0, 0), categories: "admin fast dangerous", since: "2.8.12",
            ServerCommands.role),
        Command(
            "flushdb", arity: -1, flags: "write", keys: (0, 0, 0), categories: "keyspace write slow dangerous", since: "1.0.0",
            KeyCommands.flushdb),
        Command(
            "flushall", arity: -1, flags: "write", keys: (0, 0, 0), categories: "keyspace write slow dangerous", since: "1.0.0",
            KeyCommands.flushall),
    ]

    static let keys: [Command] = [
        Command(
            "object", arity: -2, flags: "", keys: (0, 0, 0), categories: "slow", since: "2.2.3",
            KeyCommands.object),
        Command(
            "wait", arity: 3, flags: "noscript", keys: (0, 0, 0), categories: "slow connection", since: "3.0.0",
            ServerCommands.wait),
        Command(
            "del", arity: -2, flags: "write", keys: (1, -1, 1), categories: "keyspace write slow", since: "1.0.0",
            KeyCommands.del),
        Command(
            "unlink", arity: -2, flags: "write fast", keys: (1, -1, 1), categories: "keyspace write fast", since: "4.0.0",
            KeyCommands.unlink),
        Command(
            "exists", arity: -2, flags: "readonly fast", keys: (1, -1, 1), categories: "keyspace read fast", since: "1.0.0",
            KeyCommands.exists),
        Command(
            "type", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "keyspace read fast", since: "1.0.0",
            KeyCommands.type),
        Command(
            "expire", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "keyspace write fast", since: "1.0.0",
            KeyCommands.expire),
        Command(
            "pexpire", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "keyspace write fast", since: "2.6.0",
            KeyCommands.pexpire),
        Command(
            "expireat", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "keyspace write fast", since: "1.2.0",
            KeyCommands.expireat),
        Command(
            "pexpireat", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "keyspace write fast", since: "2.6.0",
            KeyCommands.pexpireat),
        Command(
            "ttl", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "keyspace read fast", since: "1.0.0",
            KeyCommands.ttl),
        Command(
            "pttl", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "keyspace read fast", since: "2.6.0",
            KeyCommands.pttl),
        Command(
            "expiretime", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "keyspace read fast", since: "7.0.0",
            KeyCommands.expiretime),
        Command(
            "pexpiretime", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "keyspace read fast", since: "7.0.0",
            KeyCommands.pexpiretime),
        Command(
            "persist", arity: 2, flags: "write fast", keys: (1, 1, 1), categories: "keyspace write fast", since: "2.2.0",
            KeyCommands.persist),
        Command(
            "rename", arity: 3, flags: "write", keys: (1, 2, 1), categories: "keyspace write slow", since: "1.0.0",
            KeyCommands.rename),
        Command(
            "renamenx", arity: 3, flags: "write fast", keys: (1, 2, 1), categories: "keyspace write fast", since: "1.0.0",
            KeyCommands.renamenx),
        Command(
            "copy", arity: -3, flags: "write denyoom", keys: (1, 2, 1), categories: "keyspace write slow", since: "6.2.0",
            KeyCommands.copy),
        Command(
            "scan", arity: -2, flags: "readonly", keys: (0, 0, 0), categories: "keyspace read slow", since: "2.8.0",
            KeyCommands.scan),
        Command(
            "keys", arity: 2, flags: "readonly", keys: (0, 0, 0), categories: "keyspace read slow dangerous", since: "1.0.0",
            KeyCommands.keys),
        Command(
            "randomkey", arity: 1, flags: "readonly", keys: (0, 0, 0), categories: "keyspace read slow", since: "1.0.0",
            KeyCommands.randomkey),
        Command(
            "touch", arity: -2, flags: "readonly fast", keys: (1, -1, 1), categories: "keyspace read fast", since: "3.2.1",
            KeyCommands.touch),
    ]

    static let hyperLogLogs: [Command] = [
        Command(
            "pfadd", arity: -2, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write hyperloglog fast", since: "2.8.9",
            HyperLogLogCommands.pfadd),
        Command(
            "pfcount", arity: -2, flags: "readonly", keys: (1, -1, 1), categories: "read hyperloglog slow", since: "2.8.9",
            HyperLogLogCommands.pfcount),
        Command(
            "pfmerge", arity: -2, flags: "write denyoom", keys: (1, -1, 1), categories: "write hyperloglog slow", since: "2.8.9",
            HyperLogLogCommands.pfmerge),
    ]

    static let transactions: [Command] = [
        Command(
            "multi", arity: 1, flags: "noscript loading stale fast allow_busy", keys: (0, 0, 0), categories: "fast transaction",
            since: "1.2.0",
            TransactionCommands.multi),
        Command(
            "exec", arity: 1, flags: "noscript loading stale skip_slowlog", keys: (0, 0, 0), categories: "slow transaction", since: "1.2.0",
            TransactionCommands.exec),
        Command(
            "discard", arity: 1, flags: "noscript loading stale fast allow_busy", keys: (0, 0, 0), categories: "fast transaction",
            since: "2.0.0",
            TransactionCommands.discard),
        Command(
            "watch", arity: -2, flags: "noscript loading stale fast allow_busy", keys: (1, -1, 1), categories: "fast transaction",
            since: "2.2.0",
            TransactionCommands.watch),
        Command(
            "unwatch", arity: 1, flags: "noscript loading stale fast allow_busy", keys: (0, 0, 0), categories: "fast transaction",
            since: "2.2.0",
            TransactionCommands.unwatch),
    ]

    static let subscriptions: [Command] = [
        Command(
            "subscribe", arity: -2, flags: "pubsub noscript loading stale", keys: (0, 0, 0), categories: "pubsub slow", since: "2.0.0",
            SubscriptionCommands.subscribe),
        Command(
            "psubscribe", arity: -2, flags: "pubsub noscript loading stale", keys: (0, 0, 0), categories: "pubsub slow", since: "2.0.0",
            SubscriptionCommands.psubscribe),
        Command(
            "unsubscribe", arity: -1, flags: "pubsub noscript loading stale", keys: (0, 0, 0), categories: "pubsub slow", since: "2.0.0",
            SubscriptionCommands.unsubscribe),
        Command(
            "punsubscribe", arity: -1, flags: "pubsub noscript loading stale", keys: (0, 0, 0), categories: "pubsub slow", since: "2.0.0",
            SubscriptionCommands.punsubscribe),
        Command(
            "publish", arity: 3, flags: "pubsub loading stale fast", keys: (0, 0, 0), categories: "pubsub fast", since: "2.0.0",
            SubscriptionCommands.publish),
        Command(
            "pubsub", arity: -2, flags: "", keys: (0, 0, 0), categories: "slow", since: "2.8.0",
            SubscriptionCommands.pubsub),
    ]
}
