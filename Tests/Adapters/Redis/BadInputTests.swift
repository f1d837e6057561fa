// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeRedis

/// What no client should send: an error or a closed connection, and everything else works on.
@Suite("Bad input is refused and contained", .serialized)
struct BadInputTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let bytes: String
        let error: String

        var testDescription: String { String(bytes.prefix(40).debugDescription) }
    }

    static let cases = [
        Case(bytes: "*1\r\n*1\r\n$4\r\nping\r\n", error: "ERR Protocol error: expected '$', got '*'"),
        Case(bytes: "*abc\r\n", error: "ERR Protocol error: invalid multibulk length"),
        Case(bytes: "*2147483648\r\n", error: "ERR Protocol error: invalid multibulk length"),
        Case(bytes: "*99999999999999999999\r\n", error: "ERR Protocol error: invalid multibulk length"),
        Case(bytes: "*1\r\n:5\r\n", error: "ERR Protocol error: expected '$', got ':'"),
        Case(bytes: "*1\r\n$-1\r\n", error: "ERR Protocol error: invalid bulk length"),
        Case(bytes: "*1\r\n$-5\r\n", error: "ERR Protocol error: invalid bulk length"),
        Case(bytes: "*1\r\n$abc\r\n", error: "ERR Protocol error: invalid bulk length"),
        Case(bytes: "*1\r\n$\r\n", error: "ERR Protocol error: invalid bulk length"),
        Case(bytes: "*2\r\n$3\r\nget\r\n$999999999\r\n", error: "ERR Protocol error: invalid bulk length"),
        Case(bytes: "*1\r\n$00004\r\nping\r\n", error: "ERR Protocol error: invalid bulk length"),
        Case(bytes: "set \"unbalanced\r\n", error: "ERR Protocol error: unbalanced quotes in request"),
        Case(bytes: "set 'a'b\r\n", error: "ERR Protocol error: unbalanced quotes in request"),
        Case(bytes: "*" + String(repeating: "1", count: 70_000), error: "ERR Protocol error: too big mbulk count string"),
        Case(bytes: "*1\r\n$" + String(repeating: "1", count: 70_000), error: "ERR Protocol error: too big bulk count string"),
        Case(bytes: String(repeating: "x", count: 70_000), error: "ERR Protocol error: too big inline request"),
    ]

    @Test("that is no RESP: one error, then the connection ends, and others go on", arguments: cases)
    func malformed(_ bad: Case) async throws {
        try await BrumeServer.with { server in
            let other = try server.client()
            let client = try server.client()
            try client.send("*1\r\n$4\r\nping\r\n" + bad.bytes)
            #expect(try client.reply() == .line(UInt8(ascii: "+"), "PONG"))
            #expect(try client.reply() == .line(UInt8(ascii: "-"), bad.error))
            #expect(client.isClosed())
            #expect(try other.call("ping") == .line(UInt8(ascii: "+"), "PONG"))
        }
    }

    @Test("that is nothing is skipped: empty lines, empty and negative arrays")
    func nothing() async throws {
        try await BrumeServer.with { server in
            let client = try server.client()
            try client.send("\r\n\r\n*0\r\n*-1\r\n   \r\nPING\r\n")
            #expect(try client.reply() == .line(UInt8(ascii: "+"), "PONG"))
        }
    }

    @Test("split anywhere is understood all the same")
    func split() async throws {
        let whole = Array(
            "*3\r\n$3\r\nset\r\n$3\r\nkey\r\n$5\r\nv\r\n\0w\r\nget key\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\nset k 'a b' \r\nget \"k\"\r\n"
                .utf8)
        try await BrumeServer.with { server in
            for cut in 1..<whole.count {
                let client = try server.client()
                try client.send(Array(whole[..<cut]))
                try client.send(Array(whole[cut...]))
                let replies = try (0..<5).map { _ in try client.reply() }
                #expect(replies[0] == .line(UInt8(ascii: "+"), "OK"))
                #expect(replies[1] == .bulk(Array("v\r\n\0w".utf8)))
                #expect(replies[2] == .bulk(Array("v\r\n\0w".utf8)))
                #expect(replies[4] == .bulk(Array("a b".utf8)))
            }
        }
    }

    @Test("of random bytes ends no server", arguments: UInt64(1)...20)
    func noise(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let parts = [
            "*1\r\n", "*3\r\n", "$3\r\n", "get", "\r\n", "\"", "$-1\r\n", "*-1\r\n", "\0", "PING\r\n", "hello 3\r\n", "multi\r\n",
            "exec\r\n", "*2\r\n$4\r\necho\r\n$1\r\n",
        ]
        try await BrumeServer.with { server in
            for _ in 0..<20 {
                let client = try server.client()
                var bytes: [UInt8] = []
                for _ in 0..<generator.below(40) {
                    bytes += generator.below(4) == 0 ? [UInt8(generator.below(256))] : Array(parts[generator.below(parts.count)].utf8)
                }
                // The server may have closed by then, which is an answer too.
                try? client.send(bytes)
            }
            #expect(try server.client().call("ping") == .line(UInt8(ascii: "+"), "PONG"))
        }
    }

    @Test("too large a value is refused with its limit")
    func large() async throws {
        var settings = RedisSettings()
        settings.valueBytesMax = 1_000
        try await BrumeServer.with(settings: settings) { server in
            let client = try server.client()
            let fits = String(repeating: "x", count: 1_000)
            #expect(try client.call("set", "k", fits) == .line(UInt8(ascii: "+"), "OK"))
            #expect(try client.call("append", "k", "y").isError)
            #expect(try client.call("strlen", "k") == .line(UInt8(ascii: ":"), "1000"))
            #expect(try client.call("set", "k", fits + "y") == .line(UInt8(ascii: "-"), "ERR Protocol error: invalid bulk length"))
        }
    }

    @Test("a client that does not read is read from no more, and harms nobody")
    func slow() async throws {
        try await BrumeServer.with { server in
            let slow = try server.client()
            _ = try slow.call("set", "big", String(repeating: "x", count: 1 << 20))
            for _ in 0..<200 { try slow.send(words: ["get", "big"]) }
            let other = try server.client()
            #expect(try other.call("ping") == .line(UInt8(ascii: "+"), "PONG"))
            // Everything comes once it reads.
            for _ in 0..<200 {
                guard case .bulk(let value?) = try slow.reply() else {
                    Issue.record("a reply is missing")
                    return
                }
                #expect(value.count == 1 << 20)
            }
        }
    }

    @Test("who listens to a channel and does not read is closed; who publishes goes on")
    func deaf() async throws {
        try await BrumeServer.with { server in
            let deaf = try server.client()
            _ = try deaf.call("subscribe", "news")
            let sender = try server.client()
            let message = String(repeating: "x", count: 1 << 20)
            var reached = 0
            for _ in 0..<60 {
                guard case .line(_, let count) = try sender.call("publish", "news", message) else { return }
                reached += Int(count) ?? 0
            }
            // The limit, what the kernel holds, and not all of it.
            #expect((RedisSettings.unreadBytesMax >> 20)...(RedisSettings.unreadBytesMax >> 20 + 10) ~= reached, "\(reached)")
            #expect(try sender.call("ping") == .line(UInt8(ascii: "+"), "PONG"))
        }
    }

    @Test("more clients than allowed are told so; those that are there stay")
    func crowd() async throws {
        var settings = RedisSettings()
        settings.clientsMax = 2
        try await BrumeServer.with(settings: settings) { server in
            let first = try server.client()
            let second = try server.client()
            _ = try first.call("ping")
            _ = try second.call("ping")
            let third = try server.client()
            #expect(try third.reply() == .line(UInt8(ascii: "-"), "ERR max number of clients reached"))
            #expect(third.isClosed())
            #expect(try first.call("ping") == .line(UInt8(ascii: "+"), "PONG"))
        }
    }

    @Test("a silent client is closed after the idle time, a listening one is not")
    func idle() async throws {
        var settings = RedisSettings()
        settings.idleTimeout = .milliseconds(200)
        try await BrumeServer.with(settings: settings) { server in
            let listener = try server.client()
            _ = try listener.call("subscribe", "news")
            let silent = try server.client()
            _ = try silent.call("ping")
            #expect(silent.isClosed())
            #expect(try server.client().call("publish", "news", "x") == .line(UInt8(ascii: ":"), "1"))
            guard case .list(_, let message?) = try listener.reply() else { return }
            #expect(message.last == .bulk([UInt8(ascii: "x")]))
        }
    }

    @Test("a stranger may send little before it has said who it is")
    func stranger() async throws {
        let user = try RedisUser(name: "ann", passwordSHA256: AccessTests.digest, namespace: "a")
        try await AccessTests.withDoor([user]) { port in
            let client = try RawClient(port: port)
            try client.send("*11\r\n")
            #expect(try client.reply() == .line(UInt8(ascii: "-"), "ERR Protocol error: unauthenticated multibulk length"))
            let other = try RawClient(port: port)
            try other.send("*2\r\n$20000\r\n")
            #expect(try other.reply() == .line(UInt8(ascii: "-"), "ERR Protocol error: unauthenticated bulk length"))
        }
    }
}
