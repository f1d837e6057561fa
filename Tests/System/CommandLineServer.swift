// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A gateway that speaks just enough of the API to hold the command line against: it keeps functions, secrets and packages, and records
/// every request. What a function answers is scripted.
final class CommandLineServer: Sendable {
    struct Request: Sendable {
        var method: String
        var uri: String
        var headers: HTTPHeaders
        var body: ByteBuffer

        var path: String { String(uri.prefix { $0 != "?" }) }
        var query: [String: String] {
            var pairs: [String: String] = [:]
            for word in uri.drop(while: { $0 != "?" }).dropFirst().split(separator: "&") {
                let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                pairs[String(parts[0])] = parts.count == 2 ? String(parts[1]) : ""
            }
            return pairs
        }
        /// The body as a JSON object.
        func json<Document: Decodable>(_ type: Document.Type) throws -> Document {
            try JSONDecoder().decode(type, from: Data(body.readableBytesView))
        }
        var text: String { String(buffer: body) }
    }

    struct Reply: Sendable {
        var status: HTTPResponseStatus
        var headers: [(String, String)]
        /// Written one after another, each in its own chunk.
        var chunks: [String]
        /// Closes the connection in the middle of the body.
        var breaksOff = false
        /// Closes the connection instead of answering.
        var saysNothing = false
        /// Waits so long before the head.
        var delay = TimeAmount.zero

        init(_ status: HTTPResponseStatus, _ text: String = "", headers: [(String, String)] = []) {
            self.status = status
            self.headers = headers
            chunks = text.isEmpty ? [] : [text]
        }

        static func json(_ text: String) -> Reply { Reply(.ok, text, headers: [("content-type", "application/json")]) }
    }

    /// Answers a request; nil is a 404. Its body is empty where `answersAtHead` is set.
    typealias Script = @Sendable (Request) -> Reply?

    private struct State {
        var requests: [Request] = []
    }

    static let user = "admin"
    static let password = "s3cr3t"
    static var authorization: String { "Basic " + Data("\(user):\(password)".utf8).base64EncodedString() }

    private let channel: any Channel
    private let state: Box<State>
    let port: Int

    var url: String { "http://127.0.0.1:\(port)" }
    var requests: [Request] { state.value.withLock { $0.requests } }
    func requests(_ method: String, _ path: String) -> [Request] { requests.filter { $0.method == method && $0.path == path } }

    private init(channel: any Channel, state: Box<State>, port: Int) {
        self.channel = channel
        self.state = state
        self.port = port
    }

    /// Runs `body` beside a server on a free port of loopback.
    ///
    /// - Parameter answersAtHead: answers, and closes, without waiting for the body.
    static func run<Result>(
        answersAtHead: Bool = false, _ script: @escaping Script, _ body: (CommandLineServer) async throws -> Result
    ) async throws -> Result {
        let state = Box(State())
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(
                        Handler(answersAtHead: answersAtHead) { request in
                            state.value.withLock { $0.requests.append(request) }
                            return Self.answer(request, script)
                        })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = CommandLineServer(channel: channel, state: state, port: channel.localAddress?.port ?? 0)
        do {
            let result = try await body(server)
            try await channel.close()
            return result
        } catch {
            try? await channel.close()
            throw error
        }
    }

    /// Basic auth on the node's own routes, as a real gateway has it.
    private static func answer(_ request: Request, _ script: Script) -> Reply {
        let needsCredentials = request.path.hasPrefix("/system/") || request.path.hasPrefix("/v1/")
        if needsCredentials, request.headers.first(name: "authorization") != authorization {
            return Reply(.unauthorized, "invalid credentials", headers: [("www-authenticate", "Basic realm=\"Restricted\"")])
        }
        return script(request) ?? Reply(.notFound, "Nothing is at \(request.path).")
    }

    private final class Box<Value>: Sendable {
        let value: Mutex<Value>
        init(_ value: sending Value) { self.value = Mutex(value) }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let answer: @Sendable (Request) -> Reply
        private var head: HTTPRequestHead?
        private var body = ByteBuffer()

        private let answersAtHead: Bool

        init(answersAtHead: Bool, _ answer: @escaping @Sendable (Request) -> Reply) {
            self.answersAtHead = answersAtHead
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                self.head = head
                body = ByteBuffer()
                if answersAtHead { respond(to: head, on: context) }
            case .body(var part): body.writeBuffer(&part)
            case .end:
                if let head, !answersAtHead { respond(to: head, on: context) }
            }
        }

        private func respond(to head: HTTPRequestHead, on context: ChannelHandlerContext) {
            let reply = answer(Request(method: head.method.rawValue, uri: head.uri, headers: head.headers, body: body))
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: reply.delay) { bound.value.0.write(reply, on: bound.value.1) }
        }

        private func write(_ reply: Reply, on context: ChannelHandlerContext) {
            if reply.saysNothing { return context.close(promise: nil) }
            var headers = HTTPHeaders(reply.headers)
            if reply.chunks.isEmpty { headers.add(name: "content-length", value: "0") }
            context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: reply.status, headers: headers))), promise: nil)
            for chunk in reply.chunks {
                context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: chunk)))), promise: nil)
            }
            if reply.breaksOff { return context.close(promise: nil) }
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}
