// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Glibc
import Logging
import Synchronization
import Testing

@testable import BrumeRedis

/// What sockets do that requests do not: come and go, stop reading, end halfway, and run out.
@Suite("The server's loop", .serialized)
struct LoopTests {
    private static let ok = RedisReply.line(UInt8(ascii: "+"), "OK")
    private static let pong = RedisReply.line(UInt8(ascii: "+"), "PONG")

    /// A number that INFO tells.
    private static func figure(_ name: String, _ client: RawClient) throws -> Int? {
        guard case .bulk(let text?) = try client.call("info") else { return nil }
        let line = String(decoding: text, as: UTF8.self).split(separator: "\r\n").first { $0.hasPrefix(name + ":") }
        return line.flatMap { Int($0.dropFirst(name.count + 1)) }
    }

    private static func descriptors() -> Int {
        var count = 0
        guard let folder = unsafe opendir("/proc/self/fd") else { return -1 }
        while unsafe readdir(folder) != nil { count += 1 }
        unsafe closedir(folder)
        return count
    }

    @Test("executes no more of a client that does not read than its replies may wait, and the rest once it reads")
    func slowReader() async throws {
        try await BrumeServer.with { server in
            let slow = try server.client()
            let size = 64 << 10
            _ = try slow.call("set", "big", String(repeating: "x", count: size))
            // All of it in one read: what is executed of it is the server's choice.
            let count = 2_000
            try slow.send(String(repeating: "get big\r\n", count: count))
            let other = try server.client()
            #expect(try other.call("ping") == Self.pong)
            let executed = try #require(try Self.figure("total_commands_processed", other))
            // What may wait, what the kernel holds on both sides, and not all of it.
            #expect((RedisSettings.unreadBytesPause / size)...(count / 4) ~= executed, "\(executed)")
            for _ in 0..<count {
                guard case .bulk(let value?) = try slow.reply() else {
                    Issue.record("a reply is missing")
                    return
                }
                #expect(value.count == size)
            }
            #expect(try slow.call("ping") == Self.pong)
        }
    }

    @Test("keeps no descriptor of thousands of clients that came and went, in peace, halfway or with a reset")
    func comingAndGoing() async throws {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let server = try LoopTests.server()
            let path = folder.path + "/brume.sock"
            try await server.open(RedisListener(.unix(path), door: .namespace("default")))
            guard case .tcp(_, let port) = try await server.open(LoopTests.anyPort) else { return }
            let before = LoopTests.descriptors()
            for round in 0..<300 {
                var clients: [RawClient] = []
                for number in 0..<10 { clients.append(try number % 2 == 0 ? RawClient(unix: path) : RawClient(port: port)) }
                for (number, client) in clients.enumerated() {
                    switch number % 5 {
                    case 0: #expect(try client.call("set", "k", "\(round)") == LoopTests.ok)
                    case 1: try client.send("blpop nothing 0\r\n")
                    case 2: try client.send("*2\r\n$3\r\nge")
                    case 3:
                        try client.send(String(repeating: "get k\r\n", count: 100))
                        client.resetAtEnd()
                    default: break
                    }
                }
            }
            let last = try RawClient(unix: path)
            // Ends that the kernel has told come before what is asked afterwards, but for those that fit no more into one turn.
            for _ in 0..<100 where try LoopTests.figure("connected_clients", last) != 1 {}
            #expect(try LoopTests.figure("connected_clients", last) == 1)
            #expect(try LoopTests.figure("total_connections_received", last) == 3_001)
            #expect(LoopTests.descriptors() == before + 2)
            await server.shutDown()
            #expect(LoopTests.descriptors() < before)
        }
    }

    @Test("without a descriptor for one more client goes on with those it has, does not spin, and accepts who waits afterwards")
    func noDescriptors() async throws {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let server = try LoopTests.server()
            let path = folder.path + "/brume.sock"
            try await server.open(RedisListener(.unix(path), door: .namespace("default")))
            let first = try RawClient(unix: path)
            #expect(try first.call("ping") == LoopTests.pong)
            var few = rlimit(rlim_cur: 128, rlim_max: 128)
            #expect(unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &few) == 0)
            var hoard: [Int32] = []
            while true {
                let copy = dup(0)
                guard copy >= 0 else { break }
                hoard.append(copy)
            }
            #expect(close(hoard.removeLast()) == 0)
            // The one that is left is the client's own.
            let second = try RawClient(unix: path)
            try second.send("ping\r\n")
            for _ in 0..<2_000 { #expect(try first.call("ping") == LoopTests.pong) }
            let pauses = try #require(try LoopTests.figure("accept_pauses", first))
            #expect(1...100 ~= pauses, "\(pauses)")
            for copy in hoard { close(copy) }
            #expect(try second.reply() == LoopTests.pong)
            await server.shutDown()
        }
    }

    private static func server() throws -> RedisServer {
        var quiet = Logger(label: "redis")
        quiet.logLevel = .error
        return try RedisServer(access: try LocalState(), settings: RedisSettings(), listeners: [], logger: quiet)
    }

    private static let anyPort = RedisListener(.tcp(host: "127.0.0.1", port: 0), door: .users(unauthenticated: "default"))

    // MARK: Ends

    @Test("answers a client that will send no more, and then ends the connection")
    func halfClosed() async throws {
        try await BrumeServer.with { server in
            let client = try server.client()
            _ = try client.call("set", "big", String(repeating: "x", count: 1 << 20))
            // Far more than may wait: what is left of it is executed after the client's end was heard.
            try client.send(String(repeating: "get big\r\n", count: 20) + "ping\r\nget b")
            client.finishSending()
            for _ in 0..<20 {
                guard case .bulk(let value?) = try client.reply() else {
                    Issue.record("a reply is missing")
                    return
                }
                #expect(value.count == 1 << 20)
            }
            #expect(try client.reply() == Self.pong)
            #expect(client.isClosed())
        }
    }

    @Test("answers it also where a write has still to settle")
    func halfClosedAtSync() async throws {
        var settings = StateSettings()
        settings.standard.durability = .sync
        try await BrumeServer.with(state: settings) { server in
            let (waits, listener) = AsyncStream.makeStream(
                of: (@Sendable (StateError?) -> Void).self, bufferingPolicy: .bufferingNewest(8))
            server.state.settlements.withLock { $0 = listener }
            let client = try server.client()
            try client.send("set k v\r\n")
            client.finishSending()
            for await done in waits {
                done(nil)
                break
            }
            #expect(try client.reply() == Self.ok)
            #expect(client.isClosed())
        }
    }

    @Test("does not wait on behalf of who has gone while waiting for a list")
    func goneWhileWaiting() async throws {
        try await BrumeServer.with { server in
            let other = try server.client()
            do {
                let client = try server.client()
                try client.send("blpop q 0\r\n")
                while try Self.figure("blocked_clients", other) != 1 {}
            }
            // Its end may be told in the turn of the question, and is seen to at the end of it.
            for _ in 0..<10 where try Self.figure("connected_clients", other) != 1 {}
            #expect(try Self.figure("connected_clients", other) == 1)
            #expect(try other.call("rpush", "q", "a") == .line(UInt8(ascii: ":"), "1"))
            #expect(try other.call("llen", "q") == .line(UInt8(ascii: ":"), "1"))
        }
    }

    @Test("closes every connection when it is shut down, whatever a client waits for, and opens none afterwards")
    func shutDown() async throws {
        let folder = try TemporaryFolder()
        let server = try Self.server()
        let listener = RedisListener(.unix(folder.path + "/brume.sock"), door: .namespace("default"))
        try await server.open(listener)
        let clients = try (0..<4).map { _ in try RawClient(unix: folder.path + "/brume.sock") }
        for client in clients { #expect(try client.call("ping") == Self.pong) }
        try clients[0].send("blpop q 0\r\n")
        _ = try clients[1].call("subscribe", "news")
        _ = try clients[2].call("set", "big", String(repeating: "x", count: 1 << 20))
        try clients[2].send(String(repeating: "get big\r\n", count: 20))
        await server.shutDown()
        for client in [clients[0], clients[1], clients[3]] { #expect(client.isClosed()) }
        #expect(throws: ClientFailure.self) { for _ in 0..<20 { _ = try clients[2].reply() } }
        await #expect(throws: BrumeError.self) { try await server.open(listener) }
        await server.shutDown()
    }

    // MARK: Listeners

    @Test("stops listening on one socket, keeps who came by it, and listens there again")
    func reopened() async throws {
        let folder = try TemporaryFolder()
        let server = try Self.server()
        let path = RedisListener(.unix(folder.path + "/brume.sock"), door: .namespace("default"))
        let port = try await server.open(Self.anyPort)
        for listener in [path, RedisListener(port, door: .users(unauthenticated: "default"))] {
            if listener == path { try await server.open(listener) }
            let connect = { () throws -> RawClient in
                switch listener.address {
                case .unix(let path): try RawClient(unix: path)
                case .tcp(_, let port): try RawClient(port: port)
                }
            }
            let first = try connect()
            #expect(try first.call("ping") == Self.pong)
            // What is listened on is not taken away from who listens.
            await #expect(throws: BrumeError.self) { try await server.open(listener) }
            await server.close(listener.address)
            #expect(throws: ClientFailure.self) { try connect() }
            #expect(try first.call("ping") == Self.pong)
            #expect(try await server.open(listener) == listener.address)
            #expect(try connect().call("ping") == Self.pong)
            #expect(try first.call("ping") == Self.pong)
        }
        await server.shutDown()
    }

    @Test("takes no path that is something else, or too long")
    func paths() async throws {
        let folder = try TemporaryFolder()
        let server = try Self.server()
        let file = folder.path + "/file"
        let descriptor = unsafe open(file, O_CREAT | O_WRONLY, 0o600)
        try #require(descriptor >= 0)
        close(descriptor)
        for path in [file, folder.path + "/none/brume.sock", folder.path + "/" + String(repeating: "x", count: 100), ""] {
            await #expect(throws: BrumeError.self) {
                try await server.open(RedisListener(.unix(path), door: .namespace("default")))
            }
        }
        #expect(unsafe access(file, F_OK) == 0)
        await server.shutDown()
    }

    @Test("serves the sixth version of the Internet protocol, where the machine has it", .enabled(if: Self.hasSix))
    func six() async throws {
        let server = try Self.server()
        let address = try await server.open(RedisListener(.tcp(host: "::1", port: 0), door: .users(unauthenticated: "default")))
        guard case .tcp("::1", let port) = address else {
            Issue.record("bound \(address)")
            return
        }
        #expect(address.description == "[::1]:\(port)")
        let client = try RawClient(six: port)
        guard case .bulk(let text?) = try client.call("client", "info") else { return }
        #expect(String(decoding: text, as: UTF8.self).contains("laddr=[::1]:\(port)"))
        await server.shutDown()
    }

    private static var hasSix: Bool { unsafe access("/proc/net/if_inet6", F_OK) == 0 }
}
