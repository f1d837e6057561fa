// SPDX-License-Identifier: Apache-2.0

extension ConformanceScripts {
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
        pexpireat noexp 9999999999999
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
}
