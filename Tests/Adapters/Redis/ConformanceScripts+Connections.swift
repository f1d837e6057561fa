// SPDX-License-Identifier: Apache-2.0

extension ConformanceScripts {
    static let transactions = """
        multi
        set a 1
        incr a
        get a
        exec
        multi
        multi
        discard
        discard
        exec
        multi
        set a
        set b 1
        exec
        get b
        multi
        bogus
        exec
        multi
        incr a
        lpush a x
        incr a
        exec
        get a
        multi
        exec
        watch a
        multi
        incr a
        exec
        watch a
        set a 100
        multi
        incr a
        exec
        get a
        watch a
        set a 200
        unwatch
        multi
        incr a
        exec
        multi
        watch a
        exec
        watch none
        set none 1
        multi
        get a
        exec
        watch a b
        discard
        multi
        ping
        echo hi
        select 1
        set indb1 x
        select 0
        exec
        exists indb1
        select 1
        get indb1
        flushdb
        select 0
        multi
        sadd s a
        smembers s
        del s
        exec
        """

    static let connections = """
        ping
        ping hello
        ping a b
        echo hi
        echo
        bogus
        bogus a b c
        BoGuS "with spaces" 'x'
        get
        select 3
        select 0
        client getname
        client setname bob
        client getname
        client setname "with space"
        client setname ""
        client bogus
        client getname x
        client
        client reply bogus
        client no-evict on
        client no-evict bogus
        config get databases
        config bogus
        config
        acl whoami
        acl bogus
        command count x
        command bogus
        command getkeys set a b
        command getkeys mset a 1 b 2
        command getkeys zunion 2 a b
        command getkeys ping
        command getkeys bogus
        auth foo
        auth default foo2 foo3 foo4
        auth nobody foo
        hello 9
        hello abc
        hello 3 bogus
        hello 2 setname "a b"
        pubsub channels
        pubsub numsub
        pubsub numsub a
        pubsub numpat
        pubsub bogus
        publish nobody hi
        unsubscribe nothing
        memory usage none
        memory bogus
        wait 0 0
        wait abc 0
        wait 0 abc
        wait 0 -1
        object freq none
        role
        reset
        """

    static let wrongTypes =
        ["set str v", "sadd set a", "hset hash f v", "zadd zset 1 a", "rpush list a"].joined(separator: "\n") + "\n"
        + [
            "get K", "incr K", "append K x", "getrange K 0 1", "setrange K 0 x", "strlen K", "getset K x", "getdel K", "getex K",
            "set K x get", "incrbyfloat K 1", "sadd K a", "srem K a", "smembers K", "scard K", "sismember K a", "spop K", "srandmember K",
            "sunion K", "sinter set K", "sdiff K set", "sscan K 0", "smove K set a", "sintercard 1 K", "hset K f v", "hget K f",
            "hgetall K", "hdel K f", "hlen K", "hincrby K f 1", "hincrbyfloat K f 1", "hmget K f", "hscan K 0", "hrandfield K",
            "hsetnx K f v",
            "hexists K f", "hstrlen K f", "hkeys K", "zadd K 1 a", "zscore K a", "zrange K 0 -1", "zrem K a", "zcard K", "zcount K 0 1",
            "zrank K a", "zincrby K 1 a", "zpopmin K", "zunion 1 K", "zscan K 0", "zrangebyscore K 0 1", "zmscore K a", "zlexcount K - +",
            "zremrangebyrank K 0 1", "lpush K a", "lpop K", "lrange K 0 -1", "llen K", "lindex K 0", "lset K 0 x", "linsert K before a b",
            "lrem K 0 a", "ltrim K 0 1", "lpos K a", "lmove K list left right", "rpoplpush K list", "lpushx K a", "mget str K",
        ].flatMap { line in
            ["str", "set", "hash", "zset", "list"].filter { key in
                // What is right for a kind, or takes away what the next line needs, is tried elsewhere.
                let command = line.prefix { $0 != " " }
                let isRight =
                    switch key {
                    case "str":
                        [
                            "get", "incr", "append", "getrange", "setrange", "strlen", "getset", "getdel", "getex", "set", "incrbyfloat",
                            "mget",
                        ]
                        .contains(command)
                    case "set": command.hasPrefix("s") && !["set", "setrange", "strlen"].contains(command) || command == "zunion"
                    case "hash": command.hasPrefix("h")
                    case "zset": command.hasPrefix("z")
                    default: command.hasPrefix("l") || command == "rpoplpush"
                    }
                return !isRight
            }.map { line.replacing("K", with: $0) }
        }.joined(separator: "\n")

    static let arities = """
        get
        get a b
        set a
        getset a
        getdel
        setnx a
        setex a 1
        mget
        mset a
        msetnx a
        incr
        incrby a
        incrbyfloat a
        append a
        strlen
        getrange a 0
        setrange a 0
        del
        exists
        type
        expire a
        ttl
        ttl a b
        persist
        rename a
        copy a
        scan
        keys
        sadd a
        srem a
        smembers
        sismember a
        smismember a
        smove a b
        sunion
        sunionstore a
        sintercard 1
        hset a b
        hget a
        hdel a
        hgetall
        hincrby a b
        zadd a 1
        zincrby a 1
        zscore a
        zrange a 0
        zrank a
        zrem a
        zcount a 0
        zpopmin
        zunion 1
        zunionstore a 1
        lpush a
        lpop
        lrange a 0
        lset a 0
        linsert a before b
        lrem a 0
        ltrim a 0
        lmove a b left
        rpoplpush a
        pfadd
        pfcount
        pfmerge
        subscribe
        publish a
        watch
        exec x
        multi x
        object
        config get
        select
        echo a b
        """
}
