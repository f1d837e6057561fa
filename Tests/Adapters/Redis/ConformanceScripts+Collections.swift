// SPDX-License-Identifier: Apache-2.0

extension ConformanceScripts {
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
        rpush q1 a b
        blpop none q1 0
        brpop q1 1
        blpop none 0.01
        brpoplpush none t 0.01
        blmove none t left right 0.01
        rpush q1 z
        blmove q1 q2 left right 0
        brpoplpush q2 q1 0
        blpop q1 abc
        blpop q1 -1
        multi
        blpop none 0
        blmove none q1 left right 0
        exec
        blmove none q1 up down 0
        hset notalist f v
        blpop notalist 0
        lpush l
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
}
