// SPDX-License-Identifier: Apache-2.0

import Testing

/// Requests, one a line, for Redis and for Brume.
struct ConformanceScript: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String

    var testDescription: String { name }
}

enum ConformanceScripts {
    static let all: [ConformanceScript] = [
        ConformanceScript(name: "strings", text: strings), ConformanceScript(name: "counters", text: counters),
        ConformanceScript(name: "sets", text: sets), ConformanceScript(name: "hashes", text: hashes),
        ConformanceScript(name: "sorted sets", text: scoredSets), ConformanceScript(name: "ranges of sorted sets", text: scoreRanges),
        ConformanceScript(name: "lists", text: lists), ConformanceScript(name: "keys", text: keys),
        ConformanceScript(name: "expiry", text: expiry), ConformanceScript(name: "transactions", text: transactions),
        ConformanceScript(name: "connections", text: connections), ConformanceScript(name: "sketches", text: sketches),
        ConformanceScript(name: "wrong types", text: wrongTypes), ConformanceScript(name: "wrong numbers of words", text: arities),
    ]

    static let strings = """
        get k
        set k v
        get k
        SET k "two words"
        get k
        set k ""
        get k
        strlen k
        set k v nx
        set other v nx
        get other
        set k w xx
        set none w xx
        get none
        set k x get
        set fresh x get
        set k y xx get
        set fresh2 y xx get
        set fresh3 y nx get
        set k z nx get
        set k v ex
        set k v ex abc
        set k v ex 0
        set k v ex -1
        set k v px 0
        set k v ex 9223372036854775807
        set k v ex 10 px 10
        set k v nx xx
        set k v keepttl ex 10
        set k v bogus
        set k v ex 100
        ttl k
        set k w keepttl
        ttl k
        set k w
        ttl k
        set k v exat 9999999999
        expiretime k
        set k v pxat 9999999999999
        pexpiretime k
        getex k
        getex k ex 100
        ttl k
        getex k persist
        ttl k
        getex k bogus
        getex k ex 0
        getex k exat 1
        getex none ex 10
        getset k new
        getset none2 new
        get none2
        getdel none2
        getdel none2
        exists none2
        setnx k a
        setnx nx1 a
        setex k 10 v
        ttl k
        setex k 0 v
        setex k -5 v
        setex k abc v
        psetex k 10000 v
        psetex k 0 v
        mset a 1 b 2 c 3
        mget a b c d
        mset a 1 b
        msetnx a 1 z 2
        exists z
        msetnx y 1 z 2
        mget y z
        append k more
        get k
        append none3 abc
        append none3 ""
        get none3
        strlen none3
        strlen nothing
        set r "This is a string"
        getrange r 0 3
        getrange r -3 -1
        getrange r 0 -1
        getrange r 10 100
        getrange r 5 2
        getrange r -100 -200
        getrange r 0 -100
        getrange r -5 100
        getrange r a b
        getrange nothing 0 -1
        substr r 0 3
        setrange r 6 there
        get r
        setrange nothing 5 abc
        get nothing
        setrange r -1 x
        setrange r 600000000 x
        setrange none4 0 ""
        exists none4
        set bin "\\x00\\x01\\xff"
        get bin
        strlen bin
        set n 12345
        object encoding n
        set long "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        object encoding long
        object encoding nothing2
        object refcount nothing2
        object freq n
        """

    static let counters = """
        incr n
        incr n
        incrby n 40
        decr n
        decrby n 41
        get n
        incrby n abc
        incrby n 1.5
        incrby n 9223372036854775808
        set big 9223372036854775807
        incr big
        incrby big 1
        get big
        decr big
        set small -9223372036854775808
        decr small
        decrby small 9223372036854775807
        decrby n -9223372036854775808
        set s abc
        incr s
        set sp " 1"
        incr sp
        set lz 01
        incr lz
        set pl +1
        incr pl
        set e ""
        incr e
        set f 10.5
        incr f
        incrbyfloat f 0.1
        incrbyfloat f -5
        incrbyfloat f 5.0e3
        incrbyfloat f abc
        incrbyfloat f inf
        incrbyfloat f nan
        incrbyfloat fresh 3
        incrbyfloat fresh 0.5
        incrbyfloat fresh -3.5
        get fresh
        set ff 3.0e2
        incrbyfloat ff 1
        incrbyfloat s 1
        incr n
        set n 100
        incr n
        append n 5
        incr n
        get n
        getset n 7
        incr n
        set ttl 5 ex 100
        incr ttl
        ttl ttl
        incrbyfloat ttl 1
        ttl ttl
        """

    static let sets = """
        sadd s a b c
        sadd s a d
        scard s
        smembers s
        sismember s a
        sismember s z
        smismember s a z b
        smismember none a b
        srem s a z
        srem none a
        smembers s
        smembers none
        scard none
        type s
        sadd t c d e
        sunion s t
        sunion s none
        sinter s t
        sinter s none
        sdiff s t
        sdiff none s
        sdiff s none
        sunionstore u s t
        smembers u
        sinterstore i s t
        smembers i
        sinterstore i s none
        exists i
        sdiffstore d s t
        smembers d
        sintercard 2 s t
        sintercard 2 s t limit 1
        sintercard 2 s t limit 0
        sintercard 2 s t limit -1
        sintercard 0 s
        sintercard a s
        sintercard 3 s t
        sintercard 1 s bogus
        smove s t b
        smembers s
        smembers t
        smove s t zzz
        smove none t a
        smove s s c
        sadd one x
        spop one
        exists one
        spop one
        spop one 2
        sadd one x
        srandmember one
        srandmember one 5
        srandmember one -3
        srandmember one 0
        srandmember none
        srandmember none 3
        srandmember one abc
        srandmember one 1 2
        spop one -1
        spop one abc
        spop one 1 2
        spop one 10
        exists one
        sadd nums 1 2 3
        object encoding nums
        sadd nums x
        object encoding nums
        sscan s 0
        sscan s 0 match [a-c]
        sscan s 0 count 100
        sscan s abc
        sscan s 0 bogus
        sscan s 0 count 0
        sscan s 0 count abc
        sscan none 0
        srem t b c d e
        exists t
        sadd s
        """

    static let hashes = """
        hset h f1 v1
        hset h f1 v2 f2 w
        hset h f1
        hset h f1 v f2
        hget h f1
        hget h none
        hget none f
        hmget h f1 none f2
        hmget none a b
        hgetall h
        hgetall none
        hkeys h
        hvals h
        hkeys none
        hlen h
        hlen none
        hexists h f1
        hexists h none
        hexists none f
        hstrlen h f1
        hstrlen h none
        hsetnx h f1 x
        hsetnx h new x
        hmset h a 1 b 2
        hmset h a
        hdel h a none
        hdel h a
        hdel none a
        hincrby h n 5
        hincrby h n -7
        hincrby h f1 1
        hincrby h n abc
        hset h big 9223372036854775807
        hincrby h big 1
        hincrby fresh n 1
        hincrbyfloat h n 0.5
        hincrbyfloat h n 1.0e2
        hincrbyfloat h f1 1
        hincrbyfloat h n abc
        hincrbyfloat h new2 3
        hget h n
        hget h new2
        hset h n 10
        hincrby h n 1
        type h
        object encoding h
        hset one f v
        hrandfield one
        hrandfield one 3
        hrandfield one -2
        hrandfield one 1 withvalues
        hrandfield one -2 withvalues
        hrandfield one 0
        hrandfield none
        hrandfield none 2
        hrandfield one abc
        hrandfield one 1 bogus
        hscan one 0
        hscan one 0 match f*
        hscan one 0 match x*
        hscan one 0 count 10
        hscan one 0 bogus
        hscan none 0
        hdel one f
        exists one
        hset h "" empty
        hget h ""
        """

    static let scoredSets = """
        zadd z 1 a 2 b 3 c
        zadd z 1 a
        zadd z 5 a
        zadd z ch 6 a 2 b
        zadd z nx 9 a 4 d
        zadd z xx 7 a 1 new
        zadd z xx ch 8 a
        zadd z gt 1 a
        zadd z gt ch 100 a
        zadd z lt ch 50 a
        zadd z lt ch 500 a
        zadd z gt 1 fresh
        zadd z nx xx 1 a
        zadd z gt lt 1 a
        zadd z nx gt 1 a
        zadd z incr 5 a
        zadd z nx incr 5 a
        zadd z xx incr 5 none
        zadd z incr 5 a 6 b
        zadd z abc a
        zadd z 1 a abc b
        zadd z 1
        zadd z nx
        zadd z 1 a 2
        zadd z nan a
        zadd z inf pos -inf neg
        zadd z +inf pos2
        zscore z pos
        zscore z neg
        zincrby z -inf pos
        zscore z a
        zscore z none
        zscore none a
        zmscore z a none b
        zmscore none a b
        zincrby z 2.5 b
        zincrby z 1e3 b
        zincrby fresh 1 m
        zincrby z abc b
        zcard z
        zcard none
        zrank z a
        zrank z none
        zrevrank z a
        zrank none a
        zrem z pos pos2 neg none
        zrem none a
        zrange z 0 -1 withscores
        zadd f 3.1 a 0.1 b 1.5 c 1e20 d 123456789012 e 1e17 f 12345678901234567 g 1e-7 h
        zrange f 0 -1 withscores
        zpopmin z
        zpopmin z 2
        zpopmax z
        zpopmax z 10
        exists z
        zpopmin z
        zpopmin z 2
        zpopmin z -1
        zpopmin f 0
        zpopmin f abc
        zpopmax f 2
        zadd one 1.5 m
        zrandmember one
        zrandmember one 3
        zrandmember one -2
        zrandmember one 1 withscores
        zrandmember one -2 withscores
        zrandmember one 0
        zrandmember none
        zrandmember none 2
        zrandmember one abc
        zrandmember one 1 bogus
        zscan one 0
        zscan one 0 match x
        zscan one 0 count 5
        zscan none 0
        zscan one a
        type one
        object encoding one
        zadd s1 1 a 2 b 3 c
        zadd s2 10 b 20 c 30 d
        sadd plain c d
        zunion 2 s1 s2
        zunion 2 s1 s2 withscores
        zunion 2 s1 s2 weights 2 3 withscores
        zunion 2 s1 s2 aggregate min withscores
        zunion 2 s1 s2 aggregate max withscores
        zunion 2 s1 plain withscores
        zinter 2 s1 s2 withscores
        zinter 2 s1 s2 weights 2 0.5 aggregate max withscores
        zinter 2 s1 none
        zdiff 2 s1 s2 withscores
        zdiff 2 s1 none withscores
        zdiff 2 s1 s2 weights 1 2
        zunionstore out 2 s1 s2
        zrange out 0 -1 withscores
        zinterstore out 2 s1 s2 weights 1 2
        zrange out 0 -1 withscores
        zdiffstore out 2 s1 s2
        zrange out 0 -1 withscores
        zinterstore out 2 s1 none
        exists out
        zunionstore out 2 s1 s2 withscores
        zintercard 2 s1 s2
        zintercard 2 s1 s2 limit 1
        zintercard 2 s1 s2 limit -1
        zunion 0 s1
        zunion a s1
        zunion 3 s1 s2
        zunion 2 s1 s2 weights 1
        zunion 2 s1 s2 weights 1 x
        zunion 2 s1 s2 aggregate avg
        zunion 2 s1 s2 bogus
        zunionstore out 0 s1
        """

    static let scoreRanges = """
        zadd z 1 a 2 b 3 c 4 d 5 e
        zrange z 0 -1
        zrange z 0 1
        zrange z -2 -1
        zrange z 3 1
        zrange z 10 20
        zrange z 0 -1 rev
        zrange z 0 1 rev withscores
        zrange z 1 3 byscore
        zrange z (1 3 byscore
        zrange z (1 (3 byscore
        zrange z -inf +inf byscore
        zrange z 3 1 byscore rev
        zrange z +inf -inf byscore rev limit 1 2
        zrange z 1 5 byscore limit 1 2
        zrange z 1 5 byscore limit 0 -1
        zrange z 1 5 byscore limit -1 2
        zrange z 1 5 byscore limit 10 2
        zrange z 1 5 byscore limit 0 0
        zrange z 1 5 byscore limit 1 2 withscores
        zrange z 0 -1 limit 1 2
        zrange z - + bylex withscores
        zrange z a b
        zrange z a b byscore
        zrange z a b bylex
        zrange z 0 -1 bogus
        zrange z 0 -1 limit 1
        zrange z 0 -1 byscore bylex
        zrange none 0 -1
        zrevrange z 0 -1
        zrevrange z 0 1 withscores
        zrevrange z 0 1 rev
        zrangebyscore z 2 4
        zrangebyscore z 2 4 withscores
        zrangebyscore z (2 +inf limit 0 1
        zrangebyscore z 4 2
        zrangebyscore z x y
        zrangebyscore z 1 2 bylex
        zrevrangebyscore z 4 2
        zrevrangebyscore z +inf (2 withscores limit 1 1
        zcount z 2 4
        zcount z (2 (4
        zcount z -inf +inf
        zcount z x 4
        zcount none 0 1
        zadd l 0 a 0 b 0 c 0 d 0 "" 0 bb
        zrangebylex l - +
        zrangebylex l [b [c
        zrangebylex l (b (d
        zrangebylex l + -
        zrangebylex l b c
        zrangebylex l - + limit 1 2
        zrevrangebylex l + -
        zrevrangebylex l [c [b
        zrange l [b + bylex
        zrange l + [b bylex rev
        zrange l + [b bylex rev limit 0 2
        zlexcount l - +
        zlexcount l [b (d
        zlexcount l b d
        zlexcount none - +
        zremrangebylex l [b [bb
        zrangebylex l - +
        zremrangebylex l x y
        zremrangebyscore z 2 (4
        zremrangebyscore z x y
        zrange z 0 -1
        zremrangebyrank z 0 0
        zremrangebyrank z a b
        zremrangebyrank z -1 -1
        zremrangebyrank none 0 -1
        zrange z 0 -1
        zremrangebyrank z 0 -1
        exists z
        zadd src 1 a 2 b 3 c
        zrangestore dst src 0 1
        zrange dst 0 -1 withscores
        zrangestore dst src 2 3 byscore
        zrange dst 0 -1 withscores
        zrangestore dst src 0 -1 withscores
        zrangestore dst none 0 -1
        exists dst
        """

    static let lists = """
        rpush l a b c
        lpush l x y
        lrange l 0 -1
        llen l
        llen none
        lrange l 0 1
        lrange l -2 -1
        lrange l 5 10
        lrange l 3 1
        lrange l -100 100
        lrange l 0 -100
        lrange l a b
        lrange none 0 -1
        lindex l 0
        lindex l -1
        lindex l 100
        lindex l abc
        lindex none 0
        lset l 0 first
        lset l -1 last
        lset l 100 z
        lset none 0 z
        lset l abc z
        lrange l 0 -1
        linsert l before x beforex
        linsert l after x afterx
        linsert l after none z
        linsert l beside x z
        linsert none before x z
        lrange l 0 -1
        lpop l
        rpop l
        lpop l 2
        rpop l 2
        lpop l 0
        lpop l -1
        lpop l abc
        lpop l 1 2
        lpop none
        lpop none 2
        rpop none
        lpushx none a
        rpushx none a
        exists none
        rpush m a b a c a
        lrem m 1 a
        lrange m 0 -1
        lrem m -1 a
        lrange m 0 -1
        lrem m 0 a
        lrem m 0 zzz
        lrem none 0 a
        lrem m abc a
        lrange m 0 -1
        lpushx m z
        rpushx m y
        lrange m 0 -1
        rpush t a b c d e
        ltrim t 1 3
        lrange t 0 -1
        ltrim t -2 -1
        lrange t 0 -1
        ltrim t 5 10
        exists t
        ltrim none 0 1
        ltrim none a b
        rpush p a b c 1 2 3 c c
        lpos p c
        lpos p c rank 2
        lpos p c rank -1
        lpos p c count 2
        lpos p c count 0
        lpos p c rank -1 count 2
        lpos p c rank 0
        lpos p c count -1
        lpos p c maxlen -1
        lpos p c count 0 maxlen 3
        lpos p c rank 2 maxlen 3
        lpos p zzz
        lpos p zzz count 1
        lpos none c
        lpos p c bogus 1
        lmove p t left right
        lmove p t right left
        lrange t 0 -1
        lmove none t left right
        lmove p p left right
        lrange p 0 -1
        lmove p t up down
        rpoplpush p t
        rpoplpush none t
        rpoplpush p p
        lrange p 0 -1
        lrange t 0 -1
        type t
        object encoding t
        rpush one x
        lpop one
        exists one
        lpush l
        """

    static let keys = """
        set a 1
        set b 2
        sadd s x
        exists a
        exists a a b none
        del a none
        exists a
        unlink b s
        dbsize
        type none
        set k v
        type k
        hset h f v
        type h
        rpush l a
        type l
        zadd z 1 a
        type z
        keys *
        keys h*
        keys [hl]
        keys [^hl]
        keys ?
        keys none*
        touch k h none
        dbsize
        rename k k2
        get k
        get k2
        rename none x
        rename k2 k2
        rename k2 h
        get h
        renamenx h l
        renamenx h fresh
        renamenx none x
        get fresh
        copy fresh copied
        get copied
        copy fresh copied
        copy fresh copied replace
        copy none x
        copy fresh fresh
        copy fresh other db 1
        copy fresh other db abc
        copy fresh other db 99
        copy fresh other bogus
        copy z zcopy
        zrange zcopy 0 -1 withscores
        copy l lcopy
        lrange lcopy 0 -1
        sadd s1 a b
        copy s1 s2
        smembers s2
        hset h1 a 1 b 2
        copy h1 h2
        hgetall h2
        rename h2 h3
        hgetall h3
        select 1
        get other
        dbsize
        select 99
        select -1
        select abc
        flushdb
        dbsize
        select 0
        scan abc
        scan 0 count 0
        scan 0 count abc
        scan 0 bogus 1
        scan 0 match
        flushdb async
        flushdb bogus
        dbsize
        randomkey
        set only 1
        randomkey
        scan 0
        scan 0 match o*
        scan 0 match x*
        scan 0 type string
        scan 0 type zset
        scan 0 count 100
        object help2 a
        object encoding
        flushall sync
        flushall
        dbsize
        """

    static let expiry = """
        set k v
        ttl k
        pttl k
        ttl none
        pttl none
        expire k 100
        ttl k
        expire none 100
        persist k
        persist k
        persist none
        ttl k
        expire k 100 nx
        expire k 200 nx
        ttl k
        expire k 50 gt
        ttl k
        expire k 300 gt
        ttl k
        expire k 500 lt
        expire k 100 lt
        ttl k
        expire k 100 xx
        set noexp v
        expire noexp 100 xx
        expire noexp 100 gt
        expire noexp 100 lt
        ttl noexp
        expire k 100 nx xx
        expire k 100 gt lt
        expire k 100 bogus
        expire k abc
        expire k 9223372036854775807
        expire k -9223372036854775808
        pexpire k 100000
        ttl k
        pexpire k 9223372036854775807
        expireat k 9999999999
        expiretime k
        pexpireat k 9999999999123
        pexpiretime k
        expiretime none
        pexpiretime noexp
        persist noexp
        expiretime noexp
        expire k -1
        exists k
        set k v
        expire k 0
        exists k
        set k v
        expireat k 1
        exists k
        set k v
        pexpireat k 1
        exists k
        sadd s a
        expire s 100
        sadd s b
        ttl s
        rename s s2
        ttl s2
        set c 1 ex 100
        copy c c2
        ttl c2
        hset h f v
        expire h 100
        hset h g w
        ttl h
        del h
        hset h f v
        ttl h
        getset c 5
        ttl c
        """

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

    static let sketches = """
        pfadd h a b c d e f g
        pfadd h a
        pfadd h z
        pfcount h
        pfcount none
        pfcount empty
        pfadd g x y a
        pfcount h g
        pfmerge m h g
        pfcount m
        pfmerge m2
        pfcount m2
        type h
        """

    static let wrongTypes = ["set str v", "sadd set a", "hset hash f v", "zadd zset 1 a", "rpush list a"].joined(separator: "\n") + "\n"
        + [
            "get K", "incr K", "append K x", "getrange K 0 1", "setrange K 0 x", "strlen K", "getset K x", "getdel K", "getex K",
            "set K x get", "incrbyfloat K 1", "sadd K a", "srem K a", "smembers K", "scard K", "sismember K a", "spop K", "srandmember K",
            "sunion K", "sinter set K", "sdiff K set", "sscan K 0", "smove K set a", "sintercard 1 K", "hset K f v", "hget K f",
            "hgetall K", "hdel K f", "hlen K", "hincrby K f 1", "hincrbyfloat K f 1", "hmget K f", "hscan K 0", "hrandfield K", "hsetnx K f v",
            "hexists K f", "hstrlen K f", "hkeys K", "zadd K 1 a", "zscore K a", "zrange K 0 -1", "zrem K a", "zcard K", "zcount K 0 1",
            "zrank K a", "zincrby K 1 a", "zpopmin K", "zunion 1 K", "zscan K 0", "zrangebyscore K 0 1", "zmscore K a", "zlexcount K - +",
            "zremrangebyrank K 0 1", "lpush K a", "lpop K", "lrange K 0 -1", "llen K", "lindex K 0", "lset K 0 x", "linsert K before a b",
            "lrem K 0 a", "ltrim K 0 1", "lpos K a", "lmove K list left right", "rpoplpush K list", "lpushx K a", "mget str K",
        ].flatMap { line in
            ["str", "set", "hash", "zset", "list"].filter { key in
                // What is right for a kind, or takes away what the next line needs, is tried elsewhere.
                let command = line.prefix { $0 != " " }
                let isRight = switch key {
                case "str":
                    ["get", "incr", "append", "getrange", "setrange", "strlen", "getset", "getdel", "getex", "set", "incrbyfloat", "mget"]
                        .contains(command)
                case "set": command.hasPrefix("s") && !["set", "setrange", "strlen"].contains(command) || command == "zunion"
                case "hash": command.hasPrefix("h")
                case "zset": command.hasPrefix("z")
                default: command.hasPrefix("l") || command == "rpoplpush"
                }
                return !isRight
            }.map { line.replacing("K", with: $0) }
        }.joined(separator: "\n")

    /// Every command with too few words, and those of a fixed number with too many.
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
