// SPDX-License-Identifier: Apache-2.0

/// Commands about sets, hashes and sorted sets, as Redis 7.0 describes them.
extension CommandTable {
    static let sets: [Command] = [
        Command(
            "sadd", arity: -3, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write set fast", since: "1.0.0",
            SetCommands.sadd),
        Command(
            "srem", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "write set fast", since: "1.0.0",
            SetCommands.srem),
        Command(
            "smembers", arity: 2, flags: "readonly", keys: (1, 1, 1), categories: "read set slow", since: "1.0.0",
            SetCommands.smembers),
        Command(
            "sismember", arity: 3, flags: "readonly fast", keys: (1, 1, 1), categories: "read set fast", since: "1.0.0",
            SetCommands.sismember),
        Command(
            "smismember", arity: -3, flags: "readonly fast", keys: (1, 1, 1), categories: "read set fast", since: "6.2.0",
            SetCommands.smismember),
        Command(
            "scard", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "read set fast", since: "1.0.0",
            SetCommands.scard),
        Command(
            "spop", arity: -2, flags: "write fast", keys: (1, 1, 1), categories: "write set fast", since: "1.0.0",
            SetCommands.spop),
        Command(
            "srandmember", arity: -2, flags: "readonly", keys: (1, 1, 1), categories: "read set slow", since: "1.0.0",
            SetCommands.srandmember),
        Command(
            "smove", arity: 4, flags: "write fast", keys: (1, 2, 1), categories: "write set fast", since: "1.0.0",
            SetCommands.smove),
        Command(
            "sunion", arity: -2, flags: "readonly", keys: (1, -1, 1), categories: "read set slow", since: "1.0.0",
            SetCommands.sunion),
        Command(
            "sinter", arity: -2, flags: "readonly", keys: (1, -1, 1), categories: "read set slow", since: "1.0.0",
            SetCommands.sinter),
        Command(
            "sdiff", arity: -2, flags: "readonly", keys: (1, -1, 1), categories: "read set slow", since: "1.0.0",
            SetCommands.sdiff),
        Command(
            "sunionstore", arity: -3, flags: "write denyoom", keys: (1, -1, 1), categories: "write set slow", since: "1.0.0",
            SetCommands.sunionstore),
        Command(
            "sinterstore", arity: -3, flags: "write denyoom", keys: (1, -1, 1), categories: "write set slow", since: "1.0.0",
            SetCommands.sinterstore),
        Command(
            "sdiffstore", arity: -3, flags: "write denyoom", keys: (1, -1, 1), categories: "write set slow", since: "1.0.0",
            SetCommands.sdiffstore),
        Command(
            "sintercard", arity: -3, flags: "readonly movablekeys", keys: (0, 0, 0), categories: "read set slow", since: "7.0.0",
            SetCommands.sintercard),
        Command(
            "sscan", arity: -3, flags: "readonly", keys: (1, 1, 1), categories: "read set slow", since: "2.8.0",
            SetCommands.sscan),
    ]

    static let hashes: [Command] = [
        Command(
            "hset", arity: -4, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write hash fast", since: "2.0.0",
            HashCommands.hset),
        Command(
            "hsetnx", arity: 4, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write hash fast", since: "2.0.0",
            HashCommands.hsetnx),
        Command(
            "hmset", arity: -4, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write hash fast", since: "2.0.0",
            HashCommands.hmset),
        Command(
            "hget", arity: 3, flags: "readonly fast", keys: (1, 1, 1), categories: "read hash fast", since: "2.0.0",
            HashCommands.hget),
        Command(
            "hmget", arity: -3, flags: "readonly fast", keys: (1, 1, 1), categories: "read hash fast", since: "2.0.0",
            HashCommands.hmget),
        Command(
            "hgetall", arity: 2, flags: "readonly", keys: (1, 1, 1), categories: "read hash slow", since: "2.0.0",
            HashCommands.hgetall),
        Command(
            "hdel", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "write hash fast", since: "2.0.0",
            HashCommands.hdel),
        Command(
            "hlen", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "read hash fast", since: "2.0.0",
            HashCommands.hlen),
        Command(
            "hstrlen", arity: 3, flags: "readonly fast", keys: (1, 1, 1), categories: "read hash fast", since: "3.2.0",
            HashCommands.hstrlen),
        Command(
            "hexists", arity: 3, flags: "readonly fast", keys: (1, 1, 1), categories: "read hash fast", since: "2.0.0",
            HashCommands.hexists),
        Command(
            "hkeys", arity: 2, flags: "readonly", keys: (1, 1, 1), categories: "read hash slow", since: "2.0.0",
            HashCommands.hkeys),
        Command(
            "hvals", arity: 2, flags: "readonly", keys: (1, 1, 1), categories: "read hash slow", since: "2.0.0",
            HashCommands.hvals),
        Command(
            "hincrby", arity: 4, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write hash fast", since: "2.0.0",
            HashCommands.hincrby),
        Command(
            "hincrbyfloat", arity: 4, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write hash fast", since: "2.6.0",
            HashCommands.hincrbyfloat),
        Command(
            "hrandfield", arity: -2, flags: "readonly", keys: (1, 1, 1), categories: "read hash slow", since: "6.2.0",
            HashCommands.hrandfield),
        Command(
            "hscan", arity: -3, flags: "readonly", keys: (1, 1, 1), categories: "read hash slow", since: "2.8.0",
            HashCommands.hscan),
    ]

    static let scoredSets: [Command] = [
        Command(
            "zadd", arity: -4, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write sortedset fast", since: "1.2.0",
            ScoredSetCommands.zadd),
        Command(
            "zincrby", arity: 4, flags: "write denyoom fast", keys: (1, 1, 1), categories: "write sortedset fast", since: "1.2.0",
            ScoredSetCommands.zincrby),
        Command(
            "zscore", arity: 3, flags: "readonly fast", keys: (1, 1, 1), categories: "read sortedset fast", since: "1.2.0",
            ScoredSetCommands.zscore),
        Command(
            "zmscore", arity: -3, flags: "readonly fast", keys: (1, 1, 1), categories: "read sortedset fast", since: "6.2.0",
            ScoredSetCommands.zmscore),
        Command(
            "zrange", arity: -4, flags: "readonly", keys: (1, 1, 1), categories: "read sortedset slow", since: "1.2.0",
            ScoredSetCommands.zrange),
        Command(
            "zrangestore", arity: -5, flags: "write denyoom", keys: (1, 2, 1), categories: "write sortedset slow", since: "6.2.0",
            ScoredSetCommands.zrangestore),
        Command(
            "zrevrange", arity: -4, flags: "readonly", keys: (1, 1, 1), categories: "read sortedset slow", since: "1.2.0",
            ScoredSetCommands.zrevrange),
        Command(
            "zrangebyscore", arity: -4, flags: "readonly", keys: (1, 1, 1), categories: "read sortedset slow", since: "1.0.5",
            ScoredSetCommands.zrangebyscore),
        Command(
            "zrevrangebyscore", arity: -4, flags: "readonly", keys: (1, 1, 1), categories: "read sortedset slow", since: "2.2.0",
            ScoredSetCommands.zrevrangebyscore),
        Command(
            "zrangebylex", arity: -4, flags: "readonly", keys: (1, 1, 1), categories: "read sortedset slow", since: "2.8.9",
            ScoredSetCommands.zrangebylex),
        Command(
            "zrevrangebylex", arity: -4, flags: "readonly", keys: (1, 1, 1), categories: "read sortedset slow", since: "2.8.9",
            ScoredSetCommands.zrevrangebylex),
        Command(
            "zrank", arity: 3, flags: "readonly fast", keys: (1, 1, 1), categories: "read sortedset fast", since: "2.0.0",
            ScoredSetCommands.zrank),
        Command(
            "zrevrank", arity: 3, flags: "readonly fast", keys: (1, 1, 1), categories: "read sortedset fast", since: "2.0.0",
            ScoredSetCommands.zrevrank),
        Command(
            "zcard", arity: 2, flags: "readonly fast", keys: (1, 1, 1), categories: "read sortedset fast", since: "1.2.0",
            ScoredSetCommands.zcard),
        Command(
            "zcount", arity: 4, flags: "readonly fast", keys: (1, 1, 1), categories: "read sortedset fast", since: "2.0.0",
            ScoredSetCommands.zcount),
        Command(
            "zlexcount", arity: 4, flags: "readonly fast", keys: (1, 1, 1), categories: "read sortedset fast", since: "2.8.9",
            ScoredSetCommands.zlexcount),
        Command(
            "zrem", arity: -3, flags: "write fast", keys: (1, 1, 1), categories: "write sortedset fast", since: "1.2.0",
            ScoredSetCommands.zrem),
        Command(
            "zremrangebyrank", arity: 4, flags: "write", keys: (1, 1, 1), categories: "write sortedset slow", since: "2.0.0",
            ScoredSetCommands.zremrangebyrank),
        Command(
            "zremrangebyscore", arity: 4, flags: "write", keys: (1, 1, 1), categories: "write sortedset slow", since: "1.2.0",
            ScoredSetCommands.zremrangebyscore),
        Command(
            "zremrangebylex", arity: 4, flags: "write", keys: (1, 1, 1), categories: "write sortedset slow", since: "2.8.9",
            ScoredSetCommands.zremrangebylex),
        Command(
            "zpopmin", arity: -2, flags: "write fast", keys: (1, 1, 1), categories: "write sortedset fast", since: "5.0.0",
            ScoredSetCommands.zpopmin),
        Command(
            "zpopmax", arity: -2, flags: "write fast", keys: (1, 1, 1), categories: "write sortedset fast", since: "5.0.0",
            ScoredSetCommands.zpopmax),
        Command(
            "zscan", arity: -3, flags: "readonly", keys: (1, 1, 1), categories: "read sortedset slow", since: "2.8.0",
            ScoredSetCommands.zscan),
        Command(
            "zunion", arity: -3, flags: "readonly movablekeys", keys: (0, 0, 0), categories: "read sortedset slow", since: "6.2.0",
            ScoredSetCommands.zunion),
        Command(
            "zinter", arity: -3, flags: "readonly movablekeys", keys: (0, 0, 0), categories: "read sortedset slow", since: "6.2.0",
            ScoredSetCommands.zinter),
        Command(
            "zdiff", arity: -3, flags: "readonly movablekeys", keys: (0, 0, 0), categories: "read sortedset slow", since: "6.2.0",
            ScoredSetCommands.zdiff),
        Command(
            "zunionstore", arity: -4, flags: "write denyoom movablekeys", keys: (1, 1, 1), categories: "write sortedset slow",
            since: "2.0.0",
            ScoredSetCommands.zunionstore),
        Command(
            "zinterstore", arity: -4, flags: "write denyoom movablekeys", keys: (1, 1, 1), categories: "write sortedset slow",
            since: "2.0.0",
            ScoredSetCommands.zinterstore),
        Command(
            "zdiffstore", arity: -4, flags: "write denyoom movablekeys", keys: (1, 1, 1), categories: "write sortedset slow",
            since: "6.2.0",
            ScoredSetCommands.zdiffstore),
        Command(
            "zintercard", arity: -3, flags: "readonly movablekeys", keys: (0, 0, 0), categories: "read sortedset slow", since: "7.0.0",
            ScoredSetCommands.zintercard),
        Command(
            "zrandmember", arity: -2, flags: "readonly", keys: (1, 1, 1), categories: "read sortedset slow", since: "6.2.0",
            ScoredSetCommands.zrandmember),
    ]
}
