// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Testing

@testable import BrumeRedis

/// Programs that people use, unmodified.
@Suite("Clients of Redis work", .serialized)
struct ClientTests {
    /// Runs a program with its output in a file; answers with what it wrote and how it ended.
    private static func run(_ words: [String], environment: [String] = []) throws -> (output: String, status: Int32) {
        let folder = try TemporaryFolder()
        let file = folder.path + "/output"
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, file, O_WRONLY | O_CREAT, 0o600)
        unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
        let arguments = unsafe words.map { unsafe strdup($0) }
        let inherited = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
        let variables = unsafe (inherited + environment).map { unsafe strdup($0) }
        defer { unsafe (arguments + variables).forEach { unsafe free($0) } }
        var process: pid_t = 0
        let result = unsafe posix_spawn(&process, words[0], &actions, nil, arguments + [nil], variables + [nil])
        guard result == 0 else { throw ClientFailure(description: "\(words[0]) cannot be started: \(result)") }
        var status: Int32 = 0
        _ = unsafe waitpid(process, &status, 0)
        return (try String(contentsOfFile: file, encoding: .utf8), status >> 8 & 0xff)
    }

    @Test("redis-cli, with what it asks at its start", .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/redis-cli")))
    func commandLine() async throws {
        try await BrumeServer.with { server in
            let asked = { (words: [String]) -> String in
                do { return try Self.run(["/usr/bin/redis-cli", "-s", server.socket] + words).output } catch { return "\(error)" }
            }
            #expect(asked(["set", "k", "v"]) == "OK\n")
            #expect(asked(["-3", "hset", "h", "f", "1"]) == "1\n")
            #expect(asked(["-3", "--json", "hgetall", "h"]) == "{\"f\":\"1\"}\n")
            #expect(asked(["--scan"]).split(separator: "\n").sorted() == ["h", "k"])
            #expect(asked(["-n", "3", "dbsize"]) == "0\n")
            #expect(asked(["command", "docs", "get"]).contains("summary"))
            #expect(asked(["info"]).contains("redis_version:7.0.15"))
            #expect(asked(["bogus"]).contains("ERR unknown command 'bogus'"))
            #expect(asked(["--bigkeys"]).contains("Sampled 2 keys"))
        }
    }

    @Test(
        "redis-benchmark, all its tests of what is supported",
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/redis-benchmark")))
    func benchmark() async throws {
        try await BrumeServer.with { server in
            let tests = "ping_inline,ping_mbulk,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100,mset"
            let result = try Self.run([
                "/usr/bin/redis-benchmark", "-s", server.socket, "-t", tests, "-n", "300", "-c", "10", "-P", "4", "-r", "100", "--csv",
            ])
            #expect(result.status == 0)
            #expect(!result.output.contains("ERR"), "\(result.output)")
            #expect(result.output.split(separator: "\n").count >= 17)
        }
    }

    @Test(
        "Python's redis, in RESP2 and RESP3",
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3")), arguments: [2, 3])
    func python(_ version: Int) async throws {
        let library = try Self.installed()
        try await BrumeServer.with { server in
            let result = try Self.run(
                ["/usr/bin/python3", "-c", Self.script, server.socket, "\(version)"],
                environment: ["PYTHONPATH=\(library)", "PYTHONDONTWRITEBYTECODE=1"])
            #expect(result.status == 0 && result.output.hasSuffix("done\n"), "\(result.output)")
        }
    }

    @Test("Node's redis", .enabled(if: FileManager.default.fileExists(atPath: "/usr/share/nodejs/redis/package.json")))
    func node() async throws {
        try await BrumeServer.with { server in
            let result = try Self.run(
                ["/usr/bin/node", "-e", Self.nodeScript, server.socket], environment: ["NODE_PATH=/usr/share/nodejs"])
            #expect(result.status == 0 && result.output.hasSuffix("done\n"), "\(result.output)")
        }
    }

    /// The package, installed once into a cache outside of the tree.
    private static func installed() throws -> String {
        let package = "redis==8.1.0"
        let caches = try FileManager.default.url(for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        let library = caches.appendingPathComponent("brume-test-clients").appendingPathComponent(package).path
        if FileManager.default.fileExists(atPath: library) { return library }
        let fresh = library + ".\(ProcessInfo.processInfo.processIdentifier)"
        let result = try run([
            "/usr/bin/python3", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--target", fresh, package,
        ])
        try #require(result.status == 0, "pip: \(result.output)")
        // Another run that does the same at the same time does no harm: the first rename wins.
        try? FileManager.default.moveItem(atPath: fresh, toPath: library)
        return library
    }

    private static let script = """
        import sys, threading, redis
        r = redis.Redis(unix_socket_path=sys.argv[1], protocol=int(sys.argv[2]), decode_responses=True)
        assert r.ping()
        assert r.set("k", "v", ex=100) and r.get("k") == "v" and 0 < r.ttl("k") <= 100
        assert r.incrby("n", 5) == 5 and r.incrbyfloat("f", 1.5) == 1.5
        assert r.mset({"a": 1, "b": 2}) and r.mget("a", "b", "c") == ["1", "2", None]
        assert r.sadd("s", "x", "y") == 2 and r.smembers("s") == {"x", "y"} and r.sismember("s", "x")
        assert r.hset("h", mapping={"f": "1", "g": "2"}) == 2 and r.hgetall("h") == {"f": "1", "g": "2"}
        assert r.hincrby("h", "f", 4) == 5
        assert r.zadd("z", {"one": 1, "two": 2.5}) == 2 and r.zscore("z", "two") == 2.5
        assert [m for m, s in r.zrange("z", 0, -1, withscores=True)] == ["one", "two"]
        assert r.rpush("l", "a", "b", "c") == 3 and r.lrange("l", 0, -1) == ["a", "b", "c"] and r.lpop("l") == "a"
        assert r.pfadd("p", "a", "b") == 1 and r.pfcount("p") == 2
        assert sorted(r.scan_iter(match="?")) == sorted(["k", "n", "f", "a", "b", "s", "h", "z", "l", "p"])
        with r.pipeline(transaction=True) as pipe:
            assert pipe.set("x", 1).incr("x").get("x").execute() == [True, 2, "2"]
        with r.pipeline(transaction=False) as pipe:
            for i in range(1000): pipe.incr("many")
            assert pipe.execute() == list(range(1, 1001))
        with r.pipeline() as pipe:
            pipe.watch("x")
            r.set("x", "changed")
            pipe.multi()
            pipe.set("x", "lost")
            try:
                pipe.execute()
                assert False
            except redis.WatchError:
                pass
        try:
            r.lpush("k", "x")
            assert False
        except redis.ResponseError as error:
            assert "WRONGTYPE" in str(error)
        p = r.pubsub()
        p.subscribe("news")
        assert p.get_message(timeout=5)["type"] == "subscribe"
        assert r.publish("news", "hi") == 1
        assert p.get_message(timeout=5)["data"] == "hi"
        p.close()
        lock = r.lock("lock", timeout=10)
        assert r.set("lock2", "t", nx=True, px=1000) and not r.set("lock2", "u", nx=True)
        def push():
            redis.Redis(unix_socket_path=sys.argv[1]).rpush("queue", "job")
        threading.Timer(0.1, push).start()
        assert list(r.blpop(["queue"], timeout=5)) == ["queue", "job"]
        assert r.execute_command("BRUME.CONSISTENCY") == "local"
        assert r.client_setname("me") and r.client_getname() == "me" and r.info()["redis_version"] == "7.0.15"
        assert r.flushdb() and r.dbsize() == 0
        print("done")
        """

    private static let nodeScript = """
        const assert = require('assert');
        const redis = require('redis');
        async function main() {
            const r = redis.createClient({ socket: { path: process.argv[1] } });
            await r.connect();
            assert.equal(await r.ping(), 'PONG');
            assert.equal(await r.set('k', 'v', { EX: 100 }), 'OK');
            assert.equal(await r.get('k'), 'v');
            assert(await r.ttl('k') > 0);
            assert.equal(await r.incrBy('n', 5), 5);
            assert.deepEqual(await r.mGet(['k', 'n', 'none']), ['v', '5', null]);
            assert.equal(await r.sAdd('s', ['x', 'y']), 2);
            assert.deepEqual((await r.sMembers('s')).sort(), ['x', 'y']);
            assert.equal(await r.hSet('h', { f: '1', g: '2' }), 2);
            assert.deepEqual({ ...await r.hGetAll('h') }, { f: '1', g: '2' });
            assert.equal(await r.zAdd('z', [{ score: 1, value: 'one' }, { score: 2.5, value: 'two' }]), 2);
            assert.deepEqual(await r.zRangeWithScores('z', 0, -1), [{ score: 1, value: 'one' }, { score: 2.5, value: 'two' }]);
            assert.equal(await r.rPush('l', ['a', 'b', 'c']), 3);
            assert.deepEqual(await r.lRange('l', 0, -1), ['a', 'b', 'c']);
            assert.equal(await r.pfAdd('p', ['a', 'b']), 1);
            assert.equal(await r.pfCount('p'), 2);
            const found = [];
            for await (const key of r.scanIterator({ MATCH: '?' })) found.push(key);
            assert.deepEqual(found.sort(), ['h', 'k', 'l', 'n', 'p', 's', 'z']);
            assert.deepEqual(await r.multi().set('x', '1').incr('x').get('x').exec(), ['OK', 2, '2']);
            const many = await Promise.all(Array.from({ length: 1000 }, () => r.incr('many')));
            assert.deepEqual(many, Array.from({ length: 1000 }, (_, i) => i + 1));
            await assert.rejects(r.executeIsolated(async client => {
                await client.watch('x');
                await r.set('x', 'changed');
                return client.multi().set('x', 'lost').exec();
            }), redis.WatchError);
            await assert.rejects(r.lPush('k', 'x'), /WRONGTYPE/);
            const listener = r.duplicate();
            await listener.connect();
            const heard = new Promise(resolve => listener.subscribe('news', resolve).then(() => r.publish('news', 'hi')));
            assert.equal(await heard, 'hi');
            await listener.quit();
            const popped = r.executeIsolated(client => client.blPop('queue', 5));
            await r.rPush('queue', 'job');
            assert.deepEqual({ ...await popped }, { key: 'queue', element: 'job' });
            assert.equal(await r.flushDb(), 'OK');
            assert.equal(await r.dbSize(), 0);
            await r.quit();
            console.log('done');
        }
        main().catch(error => { console.log(error); process.exit(1); });
        """
}
