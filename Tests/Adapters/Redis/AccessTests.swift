// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Foundation
import Logging
import Testing

@testable import BrumeRedis

/// Who may come in, and what they may do where.
@Suite("Users and namespaces", .serialized)
struct AccessTests {
    /// SHA-256 of `secret`.
    static let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"

    /// Runs a body with a server on a TCP port of loopback.
    static func withDoor(_ users: [RedisUser], _ body: (Int) async throws -> Void) async throws {
        var quiet = Logger(label: "redis")
        quiet.logLevel = .warning
        let server = try RedisServer(access: try LocalState(), settings: RedisSettings(users: users), listeners: [], logger: quiet)
        do {
            let address = try await server.open(
                RedisListener(.tcp(host: "127.0.0.1", port: 0), door: .users(unauthenticated: "default")))
            guard case .tcp(_, let port) = address else { throw ClientFailure(description: "no port was bound") }
            try await body(port)
        } catch {
            await server.shutDown()
            throw error
        }
        await server.shutDown()
    }

    private static func users() throws -> [RedisUser] {
        [
            try RedisUser(name: "ann", passwordSHA256: digest, namespace: "a"),
            try RedisUser(name: "bob", passwordSHA256: digest, namespace: "b"),
            try RedisUser(name: "eve", passwordSHA256: digest.uppercased(), namespace: "a", isReadOnly: true),
            try RedisUser(name: "few", passwordSHA256: digest, namespace: "a", categories: ["set"]),
        ]
    }

    private static func error(_ text: String) -> RedisReply { .line(UInt8(ascii: "-"), text) }
    private static let ok = RedisReply.line(UInt8(ascii: "+"), "OK")

    @Test("must say who they are, with the right password")
    func authentication() async throws {
        try await Self.withDoor(try Self.users()) { port in
            let client = try RawClient(port: port)
            for words in [["get", "k"], ["ping"], ["bogus"], ["subscribe", "x"], ["multi"]] {
                try client.send(words: words)
                #expect(try client.reply() == Self.error("NOAUTH Authentication required."))
            }
            let wrong = Self.error("WRONGPASS invalid username-password pair or user is disabled.")
            #expect(try client.call("auth", "ann", "guess") == wrong)
            #expect(try client.call("auth", "nobody", "secret") == wrong)
            #expect(try client.call("auth", "secret") == wrong)
            guard case .line(_, let text) = try client.call("hello", "3") else { return }
            #expect(text.hasPrefix("NOAUTH HELLO must be called with the client already authenticated"))
            #expect(try client.call("auth", "ann", "secret") == Self.ok)
            #expect(try client.call("acl", "whoami") == .bulk(Array("ann".utf8)))
            #expect(try client.call("set", "k", "v") == Self.ok)
            #expect(try client.call("reset") == .line(UInt8(ascii: "+"), "RESET"))
            #expect(try client.call("get", "k") == Self.error("NOAUTH Authentication required."))
            #expect(try !client.call("hello", "3", "auth", "ann", "secret").isError)
        }
    }

    @Test("see their own namespace alone: keys, channels and clients")
    func isolation() async throws {
        try await Self.withDoor(try Self.users()) { port in
            let ann = try RawClient(port: port)
            let bob = try RawClient(port: port)
            _ = try ann.call("auth", "ann", "secret")
            _ = try bob.call("auth", "bob", "secret")
            _ = try ann.call("set", "k", "ann's")
            #expect(try bob.call("get", "k") == .bulk(nil))
            #expect(try bob.call("dbsize") == .line(UInt8(ascii: ":"), "0"))
            _ = try bob.call("flushall")
            #expect(try ann.call("get", "k") == .bulk(Array("ann's".utf8)))
            // A pipeline that changes the user in its midst changes the namespace from there on.
            try bob.send(
                "*3\r\n$3\r\nset\r\n$1\r\nx\r\n$1\r\n1\r\n*3\r\n$4\r\nauth\r\n$3\r\nann\r\n$6\r\nsecret\r\n*2\r\n$3\r\nget\r\n$1\r\nk\r\n")
            #expect(try bob.reply() == Self.ok)
            #expect(try bob.reply() == Self.ok)
            #expect(try bob.reply() == .bulk(Array("ann's".utf8)))
            #expect(try ann.call("exists", "x") == .line(UInt8(ascii: ":"), "0"))
            let other = try RawClient(port: port)
            _ = try other.call("auth", "bob", "secret")
            _ = try other.call("subscribe", "news")
            #expect(try ann.call("publish", "news", "x") == .line(UInt8(ascii: ":"), "0"))
            guard case .bulk(let list?) = try ann.call("client", "list") else { return }
            #expect(!String(decoding: list, as: UTF8.self).contains("user=bob"))
        }
    }

    @Test("may do what their rules say, also within transactions")
    func rules() async throws {
        try await Self.withDoor(try Self.users()) { port in
            let eve = try RawClient(port: port)
            _ = try eve.call("auth", "eve", "secret")
            let refusal = Self.error("NOPERM this user has no permissions to run the 'set' command")
            #expect(try eve.call("set", "k", "v") == refusal)
            #expect(try eve.call("get", "k") == .bulk(nil))
            #expect(try eve.call("flushall").isError)
            _ = try eve.call("multi")
            #expect(try eve.call("set", "k", "v") == refusal)
            #expect(try eve.call("exec") == Self.error("EXECABORT Transaction discarded because of previous errors."))
            let few = try RawClient(port: port)
            _ = try few.call("auth", "few", "secret")
            #expect(try few.call("sadd", "s", "x") == .line(UInt8(ascii: ":"), "1"))
            #expect(try few.call("get", "s").isError)
            #expect(try few.call("ping") == .line(UInt8(ascii: "+"), "PONG"))
        }
    }

    @Test("are refused on other addresses than loopback where there are none, and on a sandbox's socket do not matter")
    func doors() async throws {
        let server = try RedisServer(access: try LocalState(), settings: RedisSettings(), listeners: [], logger: Logger(label: "redis"))
        await #expect(throws: BrumeError.self) {
            try await server.open(RedisListener(.tcp(host: "0.0.0.0", port: 0), door: .users(unauthenticated: "default")))
        }
        await server.shutDown()
        var settings = RedisSettings()
        settings.users = try Self.users()
        try await BrumeServer.with(settings: settings, namespace: "openfaas-fn/hello") { server in
            // The sandbox's user is another one than the node's.
            let mode = try FileManager.default.attributesOfItem(atPath: server.socket)[.posixPermissions] as? Int
            #expect(mode == 0o666)
            let client = try server.client()
            #expect(try client.call("set", "k", "v") == Self.ok)
            #expect(try client.call("auth", "ann", "secret").isError)
            #expect(try client.call("get", "k") == .bulk([UInt8(ascii: "v")]))
        }
    }

    @Test("need digests, names and categories that are some", arguments: ["", "abc", String(repeating: "g", count: 64)])
    func settings(_ digest: String) {
        #expect(throws: BrumeError.self) { try RedisUser(name: "x", passwordSHA256: digest, namespace: "a") }
        #expect(throws: BrumeError.self) { try RedisUser(name: "a b", passwordSHA256: Self.digest, namespace: "a") }
        #expect(throws: BrumeError.self) {
            try RedisUser(name: "x", passwordSHA256: Self.digest, namespace: "a", categories: ["bogus"])
        }
    }
}
