// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Synchronization
import Testing

@testable import BrumeRedis

/// What comes without being asked for, and what has to be waited for.
@Suite("Channels, sessions and consistency", .serialized)
struct ChannelTests {
    private static func strings(_ reply: RedisReply) -> [String] {
        guard case .list(_, let items?) = reply else { return [] }
        return items.map { item in
            switch item {
            case .bulk(let bytes): bytes.map { String(decoding: $0, as: UTF8.self) } ?? "nil"
            case .line(_, let text): text
            case .list: "list"
            }
        }
    }

    @Test("carry messages to channels and patterns, in RESP2 as arrays and in RESP3 as pushes")
    func messages() async throws {
        try await BrumeServer.with { server in
            let two = try server.client()
            let three = try server.client()
            _ = try three.call("hello", "3")
            #expect(Self.strings(try two.call("subscribe", "news")) == ["subscribe", "news", "1"])
            #expect(Self.strings(try three.call("psubscribe", "n*")) == ["psubscribe", "n*", "1"])
            let sender = try server.client()
            #expect(try sender.call("publish", "news", "hi") == .line(UInt8(ascii: ":"), "2"))
            let first = try two.rawReply()
            #expect(first.raw.first == UInt8(ascii: "*"))
            #expect(Self.strings(first.reply) == ["message", "news", "hi"])
            let second = try three.rawReply()
            #expect(second.raw.first == UInt8(ascii: ">"))
            #expect(Self.strings(second.reply) == ["pmessage", "n*", "news", "hi"])
            #expect(try two.call("get", "x").isError)
            #expect(Self.strings(try two.call("ping")) == ["pong", ""])
            #expect(try three.call("get", "x") == .line(UInt8(ascii: "_"), ""))
            #expect(Self.strings(try two.call("unsubscribe")) == ["unsubscribe", "news", "0"])
            #expect(try two.call("get", "x") == .bulk(nil))
        }
    }

    @Test("tell of changes of objects by key and by event")
    func changes() async throws {
        try await BrumeServer.with { server in
            let listener = try server.client()
            _ = try listener.call("subscribe", "__keyspace@0__:k")
            _ = try listener.call("psubscribe", "__keyevent@0__:*")
            let writer = try server.client()
            // The key space is known to the server from the first use on.
            _ = try writer.call("set", "k", "v")
            var seen: Set<String> = []
            for _ in 0..<2 { seen.insert(Self.strings(try listener.reply()).dropFirst().joined(separator: " ")) }
            #expect(seen == ["__keyspace@0__:k set", "__keyevent@0__:* __keyevent@0__:set k"])
            _ = try writer.call("del", "k")
            seen = []
            for _ in 0..<2 { seen.insert(Self.strings(try listener.reply()).dropFirst().joined(separator: " ")) }
            #expect(seen == ["__keyspace@0__:k del", "__keyevent@0__:* __keyevent@0__:del k"])
        }
    }

    @Test("of a client that publishes to itself come after its reply")
    func itself() async throws {
        try await BrumeServer.with { server in
            let client = try server.client()
            _ = try client.call("hello", "3")
            _ = try client.call("subscribe", "c")
            #expect(try client.call("publish", "c", "m") == .line(UInt8(ascii: ":"), "1"))
            #expect(Self.strings(try client.reply()) == ["message", "c", "m"])
        }
    }

    @Test("in a quorum or exclusively, requests wait for what they need, in order")
    func consistency() async throws {
        try await BrumeServer.with { server in
            let client = try server.client()
            #expect(try client.call("brume.consistency") == .bulk(Array("local".utf8)))
            #expect(try client.call("brume.consistency", "exclusive") == .line(UInt8(ascii: "+"), "OK"))
            try client.send("set k v\r\nget k\r\nincr n\r\nmulti\r\nset k w\r\nget k\r\nexec\r\nping\r\n")
            #expect(try client.reply() == .line(UInt8(ascii: "+"), "OK"))
            #expect(try client.reply() == .bulk([UInt8(ascii: "v")]))
            #expect(try client.reply() == .line(UInt8(ascii: ":"), "1"))
            for _ in 0..<3 { _ = try client.reply() }
            #expect(Self.strings(try client.reply()) == ["OK", "w"])
            #expect(try client.reply() == .line(UInt8(ascii: "+"), "PONG"))
            server.state.refusal.withLock { $0 = StateError(.unavailable, "Another node owns it.") }
            #expect(try client.call("set", "k", "z") == .line(UInt8(ascii: "-"), "UNAVAILABLE Another node owns it."))
            #expect(try client.call("ping") == .line(UInt8(ascii: "+"), "PONG"))
            server.state.refusal.withLock { $0 = nil }
            #expect(try client.call("get", "k") == .bulk([UInt8(ascii: "w")]))
            // One node alone is no quorum of two, and the write is not called done.
            #expect(try client.call("brume.consistency", "quorum", "2") == .line(UInt8(ascii: "+"), "OK"))
            #expect(try client.call("set", "k", "q") == .line(UInt8(ascii: "-"), "UNAVAILABLE There is one node only."))
            #expect(try client.call("get", "k") == .bulk([UInt8(ascii: "q")]))
            #expect(try client.call("brume.consistency", "bogus").isError)
            #expect(try client.call("brume.consistency", "quorum", "0").isError)
        }
    }

    @Test("at sync durability, an error of the log takes the place of every reply of the run")
    func durability() async throws {
        var settings = StateSettings()
        settings.standard.durability = .sync
        try await BrumeServer.with(state: settings) { server in
            let client = try server.client()
            try client.send("set a 1\r\nset b 2\r\nget a\r\n")
            #expect(try client.reply() == .line(UInt8(ascii: "+"), "OK"))
            #expect(try client.reply() == .line(UInt8(ascii: "+"), "OK"))
            #expect(try client.reply() == .bulk([UInt8(ascii: "1")]))
            server.state.refusal.withLock { $0 = StateError(.unavailable, "The disk is full.") }
            #expect(try client.call("set", "a", "2") == .line(UInt8(ascii: "-"), "UNAVAILABLE The disk is full."))
            // What only reads waits for nothing.
            #expect(try client.call("get", "b") == .bulk([UInt8(ascii: "2")]))
        }
    }

    @Test("travel with a session's token")
    func sessions() async throws {
        try await BrumeServer.with { server in
            let client = try server.client()
            _ = try client.call("set", "k", "v")
            guard case .bulk(let token?) = try client.call("brume.session") else { return }
            let other = try server.client()
            #expect(try other.call("brume.session", String(decoding: token, as: UTF8.self)) == .line(UInt8(ascii: "+"), "OK"))
            #expect(try other.call("brume.session", "!!").isError)
            server.state.refusal.withLock { $0 = StateError(.unavailable, "Not here yet.") }
            #expect(
                try other.call("brume.session", String(decoding: token, as: UTF8.self))
                    == .line(UInt8(ascii: "-"), "UNAVAILABLE Not here yet."))
            #expect(try client.call("wait", "1", "10") == .line(UInt8(ascii: ":"), "0"))
        }
    }

    @Test("a client that waits for a list gets the element that somebody pushes, the one that waits longest first")
    func blocking() async throws {
        try await BrumeServer.with { server in
            let first = try server.client()
            let second = try server.client()
            try first.send("blpop q other 5\r\nping\r\n")
            // The order of the two is that of their arrival, which the first one's id makes sure of.
            _ = try server.client().call("ping")
            let watcher = try server.client()
            while true {
                guard case .bulk(let text?) = try watcher.call("info", "clients") else { return }
                if String(decoding: text, as: UTF8.self).contains("blocked_clients:1") { break }
            }
            try second.send("brpop q 5\r\n")
            while true {
                guard case .bulk(let text?) = try watcher.call("info", "clients") else { return }
                if String(decoding: text, as: UTF8.self).contains("blocked_clients:2") { break }
            }
            #expect(try watcher.call("rpush", "q", "a", "b", "c") == .line(UInt8(ascii: ":"), "3"))
            #expect(Self.strings(try first.reply()) == ["q", "a"])
            #expect(try first.reply() == .line(UInt8(ascii: "+"), "PONG"))
            #expect(Self.strings(try second.reply()) == ["q", "c"])
            #expect(Self.strings(try watcher.call("lrange", "q", "0", "-1")) == ["b"])
        }
    }

    @Test("QUIT is answered before the connection ends, and what follows it is not executed")
    func quit() async throws {
        try await BrumeServer.with { server in
            let client = try server.client()
            try client.send("set k v\r\nquit\r\nset k w\r\n")
            #expect(try client.reply() == .line(UInt8(ascii: "+"), "OK"))
            #expect(try client.reply() == .line(UInt8(ascii: "+"), "OK"))
            #expect(client.isClosed())
            #expect(try server.client().call("get", "k") == .bulk([UInt8(ascii: "v")]))
        }
    }

    @Test("a client may turn replies off")
    func silence() async throws {
        try await BrumeServer.with { server in
            let client = try server.client()
            try client.send("client reply off\r\nset a 1\r\nget a\r\nclient reply on\r\nget a\r\nclient reply skip\r\nget a\r\nping\r\n")
            #expect(try client.reply() == .line(UInt8(ascii: "+"), "OK"))
            #expect(try client.reply() == .bulk([UInt8(ascii: "1")]))
            #expect(try client.reply() == .line(UInt8(ascii: "+"), "PONG"))
        }
    }

    @Test("SCAN meets every key, whatever comes and goes meanwhile")
    func scan() async throws {
        try await BrumeServer.with { server in
            let client = try server.client()
            for index in 0..<2_000 { _ = try client.call("set", "key\(index)", "v") }
            var cursor = "0"
            var seen: Set<String> = []
            var rounds = 0
            repeat {
                guard case .list(_, let parts?) = try client.call("scan", cursor, "count", "50"), case .bulk(let next?) = parts[0] else {
                    return
                }
                cursor = String(decoding: next, as: UTF8.self)
                seen.formUnion(Self.strings(parts[1]))
                rounds += 1
                _ = try client.call("set", "new\(rounds)", "v")
                _ = try client.call("del", "new\(rounds - 1)")
            } while cursor != "0"
            #expect(rounds > 5)
            #expect((0..<2_000).allSatisfy { seen.contains("key\($0)") })
            // A large set is walked through by hashes.
            try client.send(words: ["sadd", "big"] + (0..<1_000).map { "m\($0)" })
            _ = try client.reply()
            seen = []
            rounds = 0
            repeat {
                guard case .list(_, let parts?) = try client.call("sscan", "big", cursor, "count", "100"), case .bulk(let next?) = parts[0]
                else { return }
                cursor = String(decoding: next, as: UTF8.self)
                seen.formUnion(Self.strings(parts[1]))
                rounds += 1
                _ = try client.call("srem", "big", "gone\(rounds)")
            } while cursor != "0"
            #expect(seen.count == 1_000)
        }
    }
}
