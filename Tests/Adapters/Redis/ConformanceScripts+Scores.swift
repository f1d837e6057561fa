// SPDX-License-Identifier: Apache-2.0

extension ConformanceScripts {
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
}
