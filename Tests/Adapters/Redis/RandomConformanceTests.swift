// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeRedis

/// Sequences of requests drawn from a seed over a few keys, to Redis and to Brume.
@Suite("Random requests are answered as by Redis 7.0", .enabled(if: RealRedis.isInstalled, "redis-server is not installed"), .serialized)
struct RandomConformanceTests {
    /// Kinds of requests: `K` is a key of the kind, `E` an element, `I` an index, `N` a small number, `F` a score.
    private static let shapes: [String: [String]] = [
        "s": [
            "set K E", "get K", "append K E", "incr K", "incrby K N", "decrby K N", "setrange K N E", "getrange K I I", "strlen K",
            "set K N", "set K E nx", "set K E xx", "getset K E", "getdel K", "del K", "exists K", "setnx K E", "mget K K K", "mset K E K N",
            "msetnx K E K E", "incrbyfloat K F", "type K", "rename K K", "copy K K", "copy K K replace", "set K E get",
        ],
        "t": [
            "sadd K E", "sadd K E E E", "srem K E", "srem K E E", "smembers K", "sismember K E", "smismember K E E", "scard K",
            "smove K K E",
            "sunion K K", "sinter K K", "sdiff K K", "sunionstore K K K", "sinterstore K K K", "sdiffstore K K K", "sintercard 2 K K",
            "del K", "rename K K", "sscan K 0", "spop K 100",
        ],
        "h": [
            "hset K E E", "hset K E N E E", "hget K E", "hdel K E", "hdel K E E", "hgetall K", "hlen K", "hexists K E", "hincrby K E N",
            "hincrbyfloat K E F", "hsetnx K E E", "hmget K E E", "hkeys K", "hvals K", "hstrlen K E", "del K", "rename K K", "copy K K",
            "hscan K 0",
        ],
        "z": [
            "zadd K F E", "zadd K F E F E F E", "zadd K nx F E", "zadd K xx ch F E", "zadd K gt ch F E", "zadd K lt F E", "zincrby K F E",
            "zrem K E", "zscore K E", "zrange K I I", "zrange K I I withscores", "zrange K I I rev withscores", "zrangebyscore K F F",
            "zrevrangebyscore K F F withscores", "zrank K E", "zrevrank K E", "zcard K", "zcount K F F", "zremrangebyrank K I I",
            "zremrangebyscore K F F", "zpopmin K", "zpopmax K N", "zunionstore K 2 K K", "zinterstore K 2 K K aggregate max",
            "zdiff 2 K K withscores", "zrange K F F byscore limit N N", "zrangestore K K I I", "del K", "zmscore K E E",
            "zadd K incr F E", "zscan K 0", "zinter 2 K K withscores",
        ],
        "l": [
            "rpush K E", "rpush K E E E", "lpush K E", "lpush K E E", "lpop K", "rpop K", "lpop K N", "rpop K N", "lrange K I I", "llen K",
            "lindex K I", "lset K I E", "linsert K before E E", "linsert K after E E", "lrem K I E", "ltrim K I I", "lpos K E",
            "lpos K E rank I count N", "lmove K K left right", "lmove K K right left", "rpoplpush K K", "lpushx K E", "rpushx K E", "del K",
            "copy K K", "lrange K 0 -1",
        ],
    ]

    private static func request(_ kinds: [String], _ generator: inout SeededGenerator) -> String {
        let kind = kinds[generator.below(kinds.count)]
        let list = shapes[kind] ?? []
        // Now and then a key of another kind.
        let owner = generator.below(20) == 0 ? kinds[generator.below(kinds.count)] : kind
        return list[generator.below(list.count)].split(separator: " ").map { word -> String in
            switch word {
            case "K": "\(owner)\(generator.below(4))"
            case "E": ["a", "b", "c", "dd", "\"\"", "1", "20", "a-longer-element-of-a-list"][generator.below(8)]
            case "I": "\(generator.below(12) - 6)"
            case "N": "\(generator.below(5))"
            case "F": ["0", "1", "-1", "2.5", "10", "0.25", "1e3"][generator.below(7)]
            default: String(word)
            }
        }.joined(separator: " ")
    }

    @Test("of one kind of object, and of all kinds", arguments: [["s"], ["t"], ["h"], ["z"], ["l"], ["s", "t", "h", "z", "l"]], [2, 3])
    func sequences(_ kinds: [String], _ version: Int) async throws {
        let redis = try RealRedis()
        try await BrumeServer.with { server in
            let real = try redis.client()
            let ours = try server.client()
            for client in [real, ours] { _ = try client.call("hello", "\(version)") }
            for seed in UInt64(1)...8 {
                for client in [real, ours] { _ = try client.call("flushall") }
                var generator = SeededGenerator(seed: seed)
                let script = (0..<250).map { _ in Self.request(kinds, &generator) }
                // What differs first decides: everything after it may follow from it.
                for (index, line) in script.enumerated() {
                    let found = try ConformanceTests.differences(line, real, ours)
                    guard found.isEmpty else {
                        Issue.record("seed \(seed), line \(index): \(found[0])\nbefore: \(script[max(0, index - 12)..<index])")
                        break
                    }
                }
            }
        }
    }
}
