// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

/// Asynchronous calls end to end: acceptance, callback, retries, dead letters, restarts.
@Suite(.serialized)
struct AsynchronousCallTests {
    @Test("a call is accepted with 202 and its result is posted to the callback URL")
    func callback() async throws {
        let receiver = try await CallbackReceiver()
        try await withNode { node in
            try await node.deployFork("upper", "tr a-z A-Z")
            let accepted = try await node.http(
                .POST, "/async-function/upper", headers: [("X-Callback-Url", receiver.url), ("X-Call-Id", "call-1")], body: "hello")
            #expect(accepted.status == 202)
            #expect(accepted.text.isEmpty)
            #expect(accepted.headers.first(name: "X-Call-Id") == "call-1")
            #expect(try await eventually { receiver.posts.count == 1 })
            let post = try #require(receiver.posts.first)
            #expect(post.body == "HELLO")
            #expect(post.headers.first(name: "X-Call-Id") == "call-1")
            #expect(post.headers.first(name: "X-Function-Status") == "200")
            #expect(post.headers.first(name: "X-Function-Name") == "upper.openfaas-fn")
            #expect(Double(post.headers.first(name: "X-Duration-Seconds") ?? "") != nil)
        }
        try await receiver.close()
    }

    @Test("a failing call is tried again with pauses, becomes a dead letter, and can be redriven")
    func deadLetter() async throws {
        try await withNode { node in
            try await node.deployFork("bad", "sh -c 'exit 1'")
            try await node.http(.POST, "/async-function/bad", headers: [("X-Call-Id", "dead-1")], body: "x")
            let dead = try await eventually(.seconds(30)) { (try await node.json("/v1/queue/dead") as? [[String: Any]])?.count == 1 }
            #expect(dead)
            let letters = try #require(try await node.json("/v1/queue/dead") as? [[String: Any]])
            #expect(letters[0]["call"] as? String == "dead-1")
            #expect(letters[0]["attempts"] as? Int == 3)
            let attempts = try await node.json("/v1/calls?function=bad") as? [[String: Any]]
            #expect(attempts?.count == 3)

            try await node.deployFork("bad", "cat")
            let redriven = try await node.http(.POST, "/v1/queue/dead/redrive", body: "{}")
            #expect(redriven.text.contains("1"))
            let succeeded = try await eventually {
                let calls = try await node.json("/v1/calls?function=bad&outcome=succeeded") as? [[String: Any]]
                return calls?.count == 1
            }
            #expect(succeeded)
            let queue = try await node.json("/v1/queue") as? [String: Any]
            #expect(queue?["dead"] as? Int == 0)
        }
    }

    @Test("kill -9 loses no accepted call, repeats no finished one, and every result reaches its callback")
    func restart() async throws {
        let folder = NSTemporaryDirectory() + "brume-async-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // Slow, so that each kill hits results whose call has ended and whose post nobody has taken.
        let receiver = try await CallbackReceiver(delay: .milliseconds(400))
        var node = try await NodeUnderTest()
        let data = node.dataDirectory
        try await node.deployFork("echo", "sh -c 'sleep 0.02; cat'", labels: ["com.openfaas.scale.max": "2"])
        var accepted: [String] = []
        for round in 0..<4 {
            for index in 0..<40 {
                let label = "r\(round)-\(index)"
                let answer = try await node.http(
                    .POST, "/async-function/echo", headers: [("X-Call-Id", label), ("X-Callback-Url", receiver.url)], body: label)
                if answer.status == 202 { accepted.append(label) }
            }
            let finishedBefore = try await node.json("/v1/calls?function=echo&outcome=succeeded&limit=1000") as? [[String: Any]] ?? []
            await node.killHard()
            node = try await NodeUnderTest(dataDirectory: data)
            let finished = Set(finishedBefore.compactMap { $0["id"] as? String })
            _ = try await eventually(.seconds(40)) {
                let queue = try await node.json("/v1/queue") as? [String: Any]
                return queue?["waiting"] as? Int == 0 && queue?["running"] as? Int == 0
            }
            let calls = try await node.json("/v1/calls?function=echo&outcome=succeeded&limit=1000") as? [[String: Any]] ?? []
            let counts = calls.reduce(into: [String: Int]()) { $0[$1["id"] as? String ?? "", default: 0] += 1 }
            for label in finished { #expect(counts[label] == 1, "\(label) had finished and ran \(counts[label] ?? 0) times") }
            for label in accepted { #expect(counts[label] ?? 0 >= 1, "\(label) was accepted and lost") }
        }
        func unheard() -> Set<String> { Set(accepted).subtracting(receiver.posts.compactMap { $0.headers.first(name: "X-Call-Id") }) }
        _ = try await eventually(.seconds(30)) { unheard().isEmpty }
        #expect(unheard().isEmpty, "accepted calls whose results never arrived")
        for post in receiver.posts { #expect(post.body == post.headers.first(name: "X-Call-Id")) }
        await node.stop()
        try await receiver.close()
    }
}

/// A real HTTP server that keeps what is posted to it, if the sender is still there after the delay.
final class CallbackReceiver: Sendable {
    struct Post: Sendable {
        let headers: HTTPHeaders
        let body: String
    }

    private let channel: any Channel
    private let received: Received

    private final class Received: Sendable {
        let posts = Mutex<[Post]>([])
    }

    init(delay: TimeAmount = .zero) async throws {
        let received = Received()
        self.received = received
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.pipeline.configureHTTPServerPipeline().flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(Handler(received: received, delay: delay))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    var url: String { "http://127.0.0.1:\(channel.localAddress?.port ?? 0)/result" }
    var posts: [Post] { received.posts.withLock { $0 } }

    func close() async throws { try await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        private let received: Received
        private var headers = HTTPHeaders()
        private var body = ByteBuffer()

        private let delay: TimeAmount

        init(received: Received, delay: TimeAmount) {
            self.received = received
            self.delay = delay
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                headers = head.headers
                body.clear()
            case .body(var part): body.writeBuffer(&part)
            case .end:
                let post = Post(headers: headers, body: String(buffer: body))
                let channel = context.channel
                channel.eventLoop.scheduleTask(in: delay) { [received] in
                    guard channel.isActive else { return }
                    received.posts.withLock { $0.append(post) }
                    channel.write(
                        HTTPServerResponsePart.head(HTTPResponseHead(version: .http1_1, status: .ok, headers: ["content-length": "0"])),
                        promise: nil)
                    channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
                }
            }
        }
    }
}
