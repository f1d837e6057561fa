// SPDX-License-Identifier: Apache-2.0

/// Commands about strings and lists, as Redis 7.0 describes them.
extension CommandTable {
    static let strings: [Command] = [
        Command(
            "set", arity: -3, flags: "write denyoom", keys: (1, 1, 1), categories: "write string slow", since: "1.0.0",
            StringCommands.set),
        Command(
            "get", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "read string fast", since: "1.0.0",
            StringCommands.get),
        Command(
            "getset", arity: 3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "1.0.0",
            StringCommands.getset),
        Command(
            "getdel", arity: 2, flags: "write fast", keys: (1, 1, 1), categories: "write string fast", since: "6.2.0",
            StringCommands.getdel),
        Command(
            "getex", arity: -2, flags: "write fast", keys: (1, 1, 1), categories: "write string fast", since: "6.2.0",
            StringCommands.getex),
        Command(
            "setnx", arity: 3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "1.0.0",
            StringCommands.setnx),
        Command(
            "setex", arity: 4, flags: "write denyoom", keys: (1, 1, 1), categories: "write string slow", since: "2.0.0",
            StringCommands.setex),
        Command(
            "psetex", arity: 4, flags: "write denyoom", keys: (1, 1, 1), categories: "write string slow", since: "2.6.0",
            StringCommands.psetex),
        Command(
            "mget", arity: -2, flags: "readonly fast", keys: (1, -1, 1), categories: "read string fast", since: "1.0.0",
            StringCommands.mget),
        Command(
            "mset", arity: -3, flags: "write denyoom", keys: (1, -1, 2), categories: "write string slow", since: "1.0.1",
            StringCommands.mset),
        Command(
            "msetnx", arity: -3, flags: "write denyoom", keys: (1, -1, 2), categories: "write string slow", since: "1.0.1",
            StringCommands.msetnx),
        Command(
            "incr", arity: 2, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "1.0.0",
            StringCommands.incr),
        Command(
            "decr", arity: 2, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "1.0.0",
            StringCommands.decr),
        Command(
            "incrby", arity: 3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "1.0.0",
            StringCommands.incrby),
        Command(
            "decrby", arity: 3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "1.0.0",
            StringCommands.decrby),
        Command(
            "incrbyfloat", arity: 3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "2.6.0",
            StringCommands.incrbyfloat),
        Command(
            "append", arity: 3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write string fast", since: "2.0.0",
            StringCommands.append),
        Command(
            "strlen", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "read string fast", since: "2.2.0",
            StringCommands.strlen),
        Command(
            "getrange", arity: 4, flags: "readonly", keys: (1, 1, 1), categories: "read string slow", since: "2.4.0",
            StringCommands.getrange),
        Command(
            "substr", arity: 4, flags: "readonly", keys: (1, 1, 1), categories: "read string slow", since: "1.0.0",
            StringCommands.substr),
        Command(
            "setrange", arity: 4, flags: "write denyoom", keys: (1, 1, 1), categories: "write string slow", since: "2.2.0",
            StringCommands.setrange),
    ]

    static let lists: [Command] = [
        Command(
            "lpush", arity: -3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write list fast", since: "1.0.0",
            ListCommands.lpush),
        Command(
            "rpush", arity: -3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write list fast", since: "1.0.0",
            ListCommands.rpush),
        Command(
            "lpushx", arity: -3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write list fast", since: "2.2.0",
            ListCommands.lpushx),
        Command(
            "rpushx", arity: -3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write list fast", since: "2.2.0",
            ListCommands.rpushx),
        Command(
            "lpop", arity: -2, flags: "write fast", keys: (1, 1, 1), categories: "write list fast", since: "1.0.0",
            ListCommands.lpop),
        Command(
            "rpop", arity: -2, flags: "write fast", keys: (1, 1, 1), categories: "write list fast", since: "1.0.0",
            ListCommands.rpop),
        Command(
            "lrange", arity: 4, flags: "readonly", keys: (1, 1, 1), categories: "read list slow", since: "1.0.0",
            ListCommands.lrange),
        Command(
            "llen", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "read list fast", since: "1.0.0",
            ListCommands.llen),
        Command(
            "lindex", arity: 3, flags: "readonly", keys: (1, 1, 1), categories: "read list slow", since: "1.0.0",
            ListCommands.lindex),
        Command(
            "lset", arity: 4, flags: "write denyoom", keys: (1, 1, 1), categories: "write list slow", since: "1.0.0",
            ListCommands.lset),
        Command(
            "linsert", arity: 5, flags: "write denyoom", keys: (1, 1, 1), categories: "write list slow", since: "2.2.0",
            ListCommands.linsert),
        Command(
            "lrem", arity: 4, flags: "write", keys: (1, 1, 1), categories: "write list slow", since: "1.0.0",
            ListCommands.lrem),
        Command(
            "ltrim", arity: 4, flags: "write", keys: (1, 1, 1), categories: "write list slow", since: "1.0.0",
            ListCommands.ltrim),
        Command(
            "lpos", arity: -3, flags: "readonly", keys: (1, 1, 1), categories: "read list slow", since: "6.0.6",
            ListCommands.lpos),
        Command(
            "lmove", arity: 5, flags: "write denyoom", keys: (1, 2, 1), categories: "write list slow", since: "6.2.0",
            ListCommands.lmove),
        Command(
            "rpoplpush", arity: 3, flags: "write denyoom", keys: (1, 2, 1), categories: "write list slow", since: "1.2.0",
            ListCommands.rpoplpush),
        Command(
            "blpop", arity: -3, flags: "write noscript blocking", keys: (1, -2, 1), categories: "write list slow blocking", since: "2.0.0",
            ListCommands.blpop),
        Command(
            "brpop", arity: -3, flags: "write noscript blocking", keys: (1, -2, 1), categories: "write list slow blocking", since: "2.0.0",
            ListCommands.brpop),
        Command(
            "blmove", arity: 6, flags: "write denyoom noscript blocking", keys: (1, 2, 1), categories: "write list slow blocking",
            since: "6.2.0",
            ListCommands.blmove),
        Command(
            "brpoplpush", arity: 4, flags: "write denyoom noscript blocking", keys: (1, 2, 1), categories: "write list slow blocking",
            since: "2.2.0",
            ListCommands.brpoplpush),
    ]
}
