// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import HTTPTypes
import HummingbirdTesting
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Synchronization
import Testing

@testable import BrumeGateway

/// What happens on the connection itself: pipelining, half a request, a client that leaves, a gateway that stops.
@Suite(.timeLimit(.minutes(1)))
struct ConnectionTests {
    private func connected<Value: Sendable>(
        _ harness: GatewayHarness, _ test: @escaping @Sendable (inout WireClient.Wire) async throws -> Value
    ) async throws -> Value {
        try await harness.live { client in
            let port = try #require(client.port)
            return try await WireClient.connect(port: port) { try await test(&$0) }
        }
    }

    @Test("pipelined requests are answered in order, calls and routes mixed")
    func pipelining() async throws {
        let text = try await connected(try GatewayHarness()) { wire in
            try await wire.send(
                "POST /function/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
                    + "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
                    + "POST /function/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\ntwo"
                    + "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n"
                    + "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
                    + "POST /function/echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nthree")
            return try await wire.readToEnd()
        }
        let order = ["\r\n\r\none", "\r\n\r\nOK", "\r\n\r\ntwo", "\r\n\r\nThere is nothing", "\r\n\r\nOK", "\r\n\r\nthree"]
        var rest = text[...]
        for part in order {
            let range = try #require(rest.firstRange(of: part), "\(part) is missing or out of order in \(text)")
            rest = rest[range.upperBound...]
        }
        #expect(rest.isEmpty)
        #expect(text.contains("Connection: close"))
    }

    @Test("a request that comes in two pieces is answered as one, wherever it was cut")
    func pieces() async throws {
        let node = try InMemoryNode()
        let settings = GatewaySettings(credentials: nil, version: "9.9", commit: "abc")
        let front = FunctionFront(node: node, settings: settings, metrics: GatewayMetrics(), clock: GatewayClock())
        let channel = try await NIOAsyncTestingChannel { channel in
            let functions = FunctionHandler(front: front)
            let decoder = ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes))
            try channel.pipeline.syncOperations.addHandlers([
                HTTPResponseEncoder(), PlainRequestHandler(functions: functions), decoder, functions,
            ])
        }
        let head = "POST /function/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"
        for cut in 1..<head.utf8.count + 3 {
            let text = head + "\(100 + cut)"
            try await channel.writeInbound(ByteBuffer(bytes: text.utf8.prefix(cut)))
            try await channel.writeInbound(ByteBuffer(bytes: text.utf8.dropFirst(cut)))
            let reply = String(buffer: try await channel.waitForOutboundWrite(as: ByteBuffer.self))
            #expect(reply.hasPrefix("HTTP/1.1 200 OK\r\n") && reply.hasSuffix("\r\n\r\n\(100 + cut)"), "cut after \(cut) bytes")
        }
        _ = try await channel.finish(acceptAlreadyClosed: true)
    }

    @Test("requests of every form follow one another on one connection")
    func forms() async throws {
        let text = try await connected(try GatewayHarness()) { wire in
            let plain = { (body: String) in "PUT /function/echo HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)" }
            try await wire.send(plain("first"))
            try await wire.read(until: "first")
            try await wire.send(plain("other") + plain("third"))
            try await wire.read(until: "third")
            try await wire.send("POST /function/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n")
            try await wire.read(until: "four")
            try await wire.send(plain("fifth"))
            try await wire.read(until: "fifth")
            try await wire.send("GET /function/none HTTP/1.1\r\nHost: h\r\n\r\nGET /function/echo HTTP/1.1\r\nConnection: close\r\n\r\n")
            return try await wire.readToEnd()
        }
        #expect(text.ranges(of: "HTTP/1.1 200 OK").count == 6)
        #expect(text.ranges(of: "HTTP/1.1 404").count == 1)
    }

    @Test("a client that leaves in the middle of its request has called nothing", arguments: [3, 40, 65])
    func halfRequest(length: Int) async throws {
        let harness = try GatewayHarness()
        try await connected(harness) { wire in
            let text = "POST /function/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"
            try await wire.send(String(decoding: text.utf8.prefix(length), as: UTF8.self))
            wire.finish()
            _ = try await wire.readToEnd()
        }
        #expect(harness.node.state.withLock { $0.requests.isEmpty })
    }

    @Test("a chunked body streams in while the reply streams out")
    func duplex() async throws {
        try await connected(try GatewayHarness()) { wire in
            try await wire.send("POST /function/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nping\r\n")
            // The function answers the first chunk before the second is sent.
            try await wire.read(until: "ping")
            #expect(wire.received.contains("X-Body: stream"))
            try await wire.send("4\r\npong\r\n")
            try await wire.read(until: "pong")
            try await wire.send("0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
            try await wire.read(until: "0\r\n\r\n")
            try await wire.read(until: "\r\n\r\nOK")
        }
    }

    @Test("a client that closes in the middle of a call abandons it", arguments: [true, false])
    func disconnect(half: Bool) async throws {
        let harness = try GatewayHarness(functions: ["hang"])
        try await connected(harness) { wire in
            try await wire.send("POST /function/hang HTTP/1.1\r\nHost: h\r\nX-Call-Id: left\r\nContent-Length: 1\r\n\r\nx")
            var waiting = harness.node.waiting.makeAsyncIterator()
            #expect(await waiting.next() == "left")
            if half { wire.finish() } else { try await wire.channel.close() }
            var abandoned = harness.node.abandoned.makeAsyncIterator()
            #expect(await abandoned.next() == "left")
        }
    }

    @Test("a client that leaves a log stream ends it, though the function is silent")
    func leavingLogs() async throws {
        let harness = try GatewayHarness()
        harness.node.state.withLock { state in
            state.lines = state.functions.keys.map { LogLine(function: $0, instance: "r1", time: .zero, stream: .stdout, text: "first") }
        }
        try await connected(harness) { wire in
            try await wire.send("GET /system/logs?name=echo&follow=1 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YWRtaW46czNjcmV0\r\n\r\n")
            // The line comes at once, and the stream stays open.
            try await wire.read(until: "\"text\":\"first\"")
            wire.finish()
            var abandoned = harness.node.abandoned.makeAsyncIterator()
            #expect(await abandoned.next() == "logs")
        }
    }

    @Test("a body that says that it is too long is refused with 413 before it is read")
    func tooLongByLength() async throws {
        let text = try await connected(try GatewayHarness(bodyBytesMax: 1000)) { wire in
            try await wire.send("POST /function/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\nx")
            try await wire.read(until: "1000 bytes")
            wire.finish()
            return try await wire.readToEnd()
        }
        #expect(text.hasPrefix("HTTP/1.1 413 "))
        #expect(text.contains("Connection: close"))
        #expect(text.contains("X-Brume-Failure: too-large"))
    }

    @Test("a body of unknown length is cut at the limit, and the call with it")
    func tooLongByChunks() async throws {
        let harness = try GatewayHarness(functions: ["hang"], bodyBytesMax: 1000)
        let text = try await connected(harness) { wire in
            try await wire.send("POST /function/hang HTTP/1.1\r\nHost: h\r\nX-Call-Id: long\r\nTransfer-Encoding: chunked\r\n\r\n")
            var waiting = harness.node.waiting.makeAsyncIterator()
            _ = await waiting.next()
            for _ in 0..<11 { try await wire.send("64\r\n\(String(repeating: "a", count: 100))\r\n") }
            try await wire.read(until: "1000 bytes")
            var abandoned = harness.node.abandoned.makeAsyncIterator()
            #expect(await abandoned.next() == "long")
            wire.finish()
            return try await wire.readToEnd()
        }
        #expect(text.hasPrefix("HTTP/1.1 413 "), "\(text)")
    }

    @Test("a routed body that is too long is refused with 413")
    func tooLongRouted() async throws {
        try await GatewayHarness(bodyBytesMax: 1000).live { client async throws -> Void in
            #expect(try await client.call("/async-function/echo", body: String(repeating: "a", count: 1001)).status == .contentTooLarge)
            #expect(try await client.call("/async-function/echo", body: String(repeating: "a", count: 1000)).status == .accepted)
        }
    }

    @Test("a package may be larger than a request body, up to a limit of its own that is told before anything is sent")
    func package() async throws {
        try await GatewayHarness(bodyBytesMax: 1000).live { client async throws -> Void in
            let body = ByteBuffer(repeating: 1, count: 1 << 20)
            let response = try await client.execute(uri: "/v1/code", method: .post, headers: GatewayHarness.authorization, body: body)
            #expect(response.status == .created)
        }
        let text = try await connected(try GatewayHarness(bodyBytesMax: 1000)) { wire in
            let head = "POST /v1/code HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YWRtaW46czNjcmV0\r\n"
            try await wire.send(head + "Expect: 100-continue\r\nContent-Length: \(FunctionSpec.packageBytesMax)\r\n\r\n")
            try await wire.read(until: "HTTP/1.1 100 Continue\r\n\r\n")
            wire.finish()
            return try await wire.readToEnd()
        }
        #expect(!text.contains("413"))
        let refused = try await connected(try GatewayHarness()) { wire in
            let head = "POST /v1/code HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YWRtaW46czNjcmV0\r\n"
            try await wire.send(head + "Content-Length: \(FunctionSpec.packageBytesMax + 1)\r\n\r\nx")
            try await wire.read(until: "--image")
            wire.finish()
            return try await wire.readToEnd()
        }
        #expect(refused.hasPrefix("HTTP/1.1 413 "))
        #expect(refused.contains("256 MiB"))
    }

    @Test("a client that waits for leave to send gets it, for calls and for routes", arguments: ["/function/echo", "/async-function/echo"])
    func expectation(path: String) async throws {
        try await connected(try GatewayHarness()) { wire in
            try await wire.send("POST \(path) HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            try await wire.read(until: "HTTP/1.1 100 Continue\r\n\r\n")
            try await wire.send("hello")
            try await wire.read(until: path.contains("async") ? "HTTP/1.1 202 " : "hello")
        }
    }

    @Test(
        "what is not HTTP gets 400 and the end of the connection",
        arguments: ["NONSENSE\r\n\r\n", "POST /function/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"])
    func notHTTP(text: String) async throws {
        let reply = try await connected(try GatewayHarness()) { wire in
            try await wire.send(text)
            return try await wire.readToEnd()
        }
        #expect(reply.hasPrefix("HTTP/1.1 400 ") || reply.hasPrefix("HTTP/1.0 400 "), "\(reply)")
    }

    @Test("an HTTP/1.0 client gets its reply unchunked and the connection closed")
    func oldClient() async throws {
        let streamed = try await connected(try GatewayHarness(functions: ["stream"])) { wire in
            try await wire.send("GET /function/stream HTTP/1.0\r\n\r\n")
            return try await wire.readToEnd()
        }
        #expect(streamed.hasSuffix("\r\n\r\npart0;part1;part2;"), "\(streamed)")
        #expect(!streamed.lowercased().contains("chunked"))
        let kept = try await connected(try GatewayHarness()) { wire in
            try await wire.send("POST /function/echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx")
            try await wire.read(until: "\r\n\r\nx")
            try await wire.send("POST /function/echo HTTP/1.0\r\nContent-Length: 1\r\n\r\ny")
            return try await wire.readToEnd()
        }
        #expect(kept.contains("Connection: keep-alive"))
        #expect(kept.hasSuffix("\r\n\r\ny"))
    }

    @Test("a streamed reply keeps the length that the function gave, and HEAD tells it")
    func announcedLength() async throws {
        let text = try await connected(try GatewayHarness(functions: ["file"])) { wire in
            try await wire.send("HEAD /function/file HTTP/1.1\r\nHost: h\r\n\r\n")
            try await wire.send("GET /function/file HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            return try await wire.readToEnd()
        }
        #expect(text.components(separatedBy: "Content-Length: 16\r\n").count == 3, "\(text)")
        #expect(text.hasSuffix("\r\n\r\n1234123412341234"))
        #expect(!text.contains("chunked"))
    }

    @Test("a streamed reply that is longer or shorter than announced is cut", arguments: ["/more", "/less"])
    func wrongLength(path: String) async throws {
        let text = try await connected(try GatewayHarness(functions: ["liar"])) { wire in
            try await wire.send("GET /function/liar\(path) HTTP/1.1\r\nHost: h\r\n\r\n")
            return try await wire.readToEnd()
        }
        #expect(text.hasSuffix(path == "/more" ? "\r\n\r\n" : "\r\n\r\nfour"), "\(text)")
    }

    @Test("a client that sends without end after its reply is cut off")
    func endless() async throws {
        try await connected(try GatewayHarness(functions: ["full"], bodyBytesMax: 1000)) { wire in
            try await wire.send("POST /function/full HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            try await wire.read(until: "429")
            // The gateway may close in the middle of this.
            for _ in 0..<11 { try? await wire.send("64\r\n\(String(repeating: "a", count: 100))\r\n") }
            _ = try? await wire.readToEnd()
        }
    }

    @Test("a streamed reply that breaks off is cut, so that nobody takes it for whole")
    func brokenStream() async throws {
        let text = try await connected(try GatewayHarness(functions: ["cut"])) { wire in
            try await wire.send("GET /function/cut HTTP/1.1\r\nHost: h\r\n\r\n")
            return try await wire.readToEnd()
        }
        #expect(text.contains("half"))
        #expect(!text.contains("0\r\n\r\n"))
    }

    @Test("a shutdown finishes the call that runs, tells the client, and takes no further one")
    func gracefulShutdown() async throws {
        let harness = try GatewayHarness(functions: ["slow"])
        let (ports, portSource) = AsyncStream<Int>.makeStream()
        let gateway = Gateway(
            node: harness.node, settings: GatewaySettings(port: 0), renderMetrics: { "" }, logger: quiet,
            onListening: { _, port in portSource.yield(port) })
        let group = ServiceGroup(configuration: .init(services: [gateway], logger: quiet))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            let text = try await WireClient.connect(port: port) { wire in
                try await wire.send("POST /function/slow HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
                var waiting = harness.node.waiting.makeAsyncIterator()
                _ = await waiting.next()
                await group.triggerGracefulShutdown()
                harness.node.gateSource.yield()
                return try await wire.readToEnd()
            }
            #expect(text.hasPrefix("HTTP/1.1 200 OK"), "\(text)")
            #expect(text.hasSuffix("\r\n\r\ndone"))
            try await tasks.waitForAll()
            await #expect(throws: (any Error).self) { try await WireClient.connect(port: port) { _ in } }
        }
    }

    @Test("a port in use is told with its number and what to do")
    func portInUse() async throws {
        let harness = try GatewayHarness()
        let holder = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(holder.localAddress?.port)
        let gateway = Gateway(node: harness.node, settings: GatewaySettings(port: port), renderMetrics: { "" }, logger: quiet)
        let error = try await #require(throws: BrumeError.self) { try await gateway.run() }
        #expect(error.code == .conflict)
        #expect(error.message.contains("\(port)") && error.message.contains("--port"))
        try await holder.close()
    }

    @Test("an address or a port that cannot be used is told", arguments: [("192.0.2.1", 0), ("127.0.0.1", 70_000), ("no such host", 0)])
    func badAddress(host: String, port: Int) async throws {
        let harness = try GatewayHarness()
        let gateway = Gateway(node: harness.node, settings: GatewaySettings(host: host, port: port), renderMetrics: { "" }, logger: quiet)
        let error = try await #require(throws: BrumeError.self) { try await gateway.run() }
        #expect(error.code == .invalid)
    }

    private var quiet: Logger {
        var logger = Logger(label: "gateway-tests")
        logger.logLevel = .critical
        return logger
    }
}
