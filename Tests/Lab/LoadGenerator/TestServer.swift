// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An HTTP server that answers, stalls and breaks as a test asks.
final class TestServer: Sendable {
    enum Behaviour: Sendable {
        /// 200 with the request's body.
        case echo
        /// Answers with these statuses in turn.
        case statuses([Int])
        /// Echoes, but answers nothing from `from` to `until` after the first request; what came meanwhile is answered then.
        case stall(from: Duration, until: Duration)
        /// Answers nothing until this many requests are there, then all.
        case barrier(Int)
        /// Closes instead of answering.
        case close
        /// Resets the connection instead of answering.
        case reset
        /// Answers with bytes that are not HTTP.
        case garbage
        /// Never answers.
        case silence
        /// Echoes and then closes, saying so.
        case closeAfterEach
    }

    let port: Int
    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup
    let state: ServerState

    private init(channel: any Channel, group: MultiThreadedEventLoopGroup, state: ServerState) {
        self.channel = channel
        self.group = group
        self.state = state
        port = channel.localAddress?.port ?? 0
    }

    /// Starts a server, hands it to `body` and stops it, whatever happens.
    static func run<Result>(
        _ behaviour: Behaviour, unixSocket: String? = nil, _ body: (TestServer) async throws -> Result
    ) async throws -> Result {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let state = ServerState(behaviour)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4096)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: false)
                    try channel.pipeline.syncOperations.addHandler(RequestHandler(state))
                }
            }
        do {
            let channel: any Channel
            if let unixSocket {
                channel = try await bootstrap.bind(unixDomainSocketPath: unixSocket).get()
            } else {
                channel = try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
            }
            let result = try await body(TestServer(channel: channel, group: group, state: state))
            try await channel.close()
            try await group.shutdownGracefully()
            return result
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    /// A port of this machine on which nobody listens.
    static func unusedPort() async throws -> Int { try await run(.echo) { $0.port } }
}

/// What a server has seen, and the answers it holds back.
final class ServerState: Sendable {
    struct Seen: Sendable {
        var requests = 0
        var inProgress = 0
        var mostInProgress = 0
        var connections = 0
    }

    let behaviour: TestServer.Behaviour
    private let guarded = Mutex((seen: Seen(), firstRequest: NIODeadline?.none, held: [@Sendable () -> Void]()))

    init(_ behaviour: TestServer.Behaviour) { self.behaviour = behaviour }

    var seen: Seen { guarded.withLock { $0.seen } }

    func connected() { guarded.withLock { $0.seen.connections += 1 } }

    /// Counts a request and returns its number, from 0, and the time since the first one.
    func arrived() -> (number: Int, age: TimeAmount) {
        guarded.withLock { state in
            let now = NIODeadline.now()
            let first = state.firstRequest ?? now
            state.firstRequest = first
            state.seen.requests += 1
            state.seen.inProgress += 1
            state.seen.mostInProgress = max(state.seen.mostInProgress, state.seen.inProgress)
            return (state.seen.requests - 1, now - first)
        }
    }

    func answered() { guarded.withLock { $0.seen.inProgress -= 1 } }

    /// Holds an answer back; returns how many are held.
    func hold(_ answer: @escaping @Sendable () -> Void) -> Int {
        guarded.withLock { state in
            state.held.append(answer)
            return state.held.count
        }
    }

    func releaseAll() {
        let held = guarded.withLock { state in
            defer { state.held = [] }
            return state.held
        }
        for answer in held { answer() }
    }
}

private final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let state: ServerState
    private var body = ByteBuffer()

    init(_ state: ServerState) { self.state = state }

    func channelActive(context: ChannelHandlerContext) { state.connected() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head: body.clear()
        case .body(var part): body.writeBuffer(&part)
        case .end: respond(context)
        }
    }

    private func respond(_ context: ChannelHandlerContext) {
        let (number, age) = state.arrived()
        let loop = context.eventLoop
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: loop)
        let answer: @Sendable () -> Void = { bound.value.handler.answer(bound.value.context, status: 200) }
        switch state.behaviour {
        case .echo: self.answer(context, status: 200)
        case .statuses(let statuses): self.answer(context, status: statuses[number % statuses.count])
        case .closeAfterEach: self.answer(context, status: 200, close: true)
        case .silence: break
        case .stall(let from, let until):
            let begin = TimeAmount(from)
            let end = TimeAmount(until)
            guard age >= begin && age < end else {
                self.answer(context, status: 200)
                return
            }
            if state.hold(answer) == 1 {
                let state = state
                loop.scheduleTask(in: end - age) { state.releaseAll() }
            }
        case .barrier(let count): if state.hold(answer) == count { state.releaseAll() }
        case .close: context.close(promise: nil)
        case .reset:
            // Closing with a linger time of zero sends RST.
            (context.channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in
                bound.value.context.close(promise: nil)
            }
        case .garbage:
            // From the head of the pipeline, past the HTTP encoder.
            let encoder = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
            encoder?.writeAndFlush(NIOAny(ByteBuffer(string: "SSH-2.0-OpenSSH_9.2\r\n")), promise: nil)
        }
    }

    private func answer(_ context: ChannelHandlerContext, status: Int, close: Bool = false) {
        state.answered()
        var headers = HTTPHeaders([("Content-Length", "\(body.readableBytes)")])
        if close { headers.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let done = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: done)
        if close {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            done.futureResult.whenComplete { _ in bound.value.close(promise: nil) }
        }
    }
}
