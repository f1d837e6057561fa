// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// One connection of a program to the Lambda runtime API.
final class RuntimeAPIHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    enum Route: Equatable {
        case next, initError, unknown, wrongMethod
        case response(String)
        case error(String)

        static func parse(_ method: HTTPMethod, _ uri: String) -> Route {
            let path = uri.prefix { $0 != "?" }
            let root = "/2018-06-01/runtime/"
            guard path.hasPrefix(root) else { return .unknown }
            let parts = path.dropFirst(root.count).split(separator: "/", omittingEmptySubsequences: false)
            switch (parts.count, parts.first, parts.last) {
            case (2, "invocation", "next"): return method == .GET ? .next : .wrongMethod
            case (2, "init", "error"): return method == .POST ? .initError : .wrongMethod
            case (3, "invocation", "response"): return method == .POST ? .response(String(parts[1])) : .wrongMethod
            case (3, "invocation", "error"): return method == .POST ? .error(String(parts[1])) : .wrongMethod
            default: return .unknown
            }
        }
    }

    /// What becomes of the body that is arriving.
    private enum Receiving {
        case nothing
        /// Kept until its end.
        case whole(Route)
        /// Before the body of a streamed answer: JSON with status and headers, then eight NUL bytes.
        case prelude(String)
        case stream(String, ReplyStream.Sequence.Source)
        /// Read and dropped; then this is answered.
        case refused(HTTPResponseStatus, type: String, message: String)
        /// The caller is gone or the answer failed: read and dropped, then accepted.
        case dropped(String)
    }

    /// Separates a prelude from the body.
    private static let separatorLength = 8
    /// Status and headers; more than any HTTP client takes.
    private static let preludeMax = 128 << 10

    private let owner: LambdaChannel
    private let eventLoop: any EventLoop
    private var context: ChannelHandlerContext?
    private var receiving = Receiving.nothing
    private var head: HTTPRequestHead?
    private var gathered = ByteBuffer()
    private var received = 0
    private var isPaused = false
    private var wantsRead = false

    init(_ owner: LambdaChannel, _ eventLoop: any EventLoop) {
        self.owner = owner
        self.eventLoop = eventLoop
    }

    // MARK: Receiving

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        owner.opened(context.channel)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            gathered.clear()
            received = 0
            receiving = begin(head)
        case .body(let bytes): receive(bytes)
        case .end(let trailers): end(trailers)
        }
    }

    private func begin(_ head: HTTPRequestHead) -> Receiving {
        let route = Route.parse(head.method, head.uri)
        switch route {
        case .next, .initError: return .whole(route)
        case .unknown: return .refused(.notFound, type: "NotFound", message: "404 page not found")
        case .wrongMethod: return .refused(.methodNotAllowed, type: "MethodNotAllowed", message: "405 method not allowed")
        case .response(let id), .error(let id):
            let mode = head.headers.first(name: "lambda-runtime-function-response-mode")
            if let mode, mode != "streaming" {
                return .refused(.badRequest, type: "InvalidFunctionResponseMode", message: "Invalid function response mode")
            }
            switch owner.beginAnswer(id) {
            case .unknownID: return .refused(.badRequest, type: "InvalidRequestID", message: "Invalid request ID")
            case .wrongState: return Self.wrongState("the answer to an invocation")
            case .good: break
            }
            guard case .response = route, mode != nil else { return .whole(route) }
            let type = head.headers.first(name: "content-type")
            if type == "application/vnd.awslambda.http-integration-response" { return .prelude(id) }
            return startStream(id, status: 200, headers: [HeaderField("Content-Type", type ?? "application/octet-stream")])
        }
    }

    private static func wrongState(_ what: String) -> Receiving {
        .refused(.forbidden, type: "InvalidStateTransition", message: "State transition failed: this is not the time for \(what).")
    }

    private func receive(_ bytes: ByteBuffer) {
        received += bytes.readableBytes
        switch receiving {
        case .nothing, .refused: break
        case .dropped:
            // Nobody reads this; an endless answer must not be read for ever.
            if received > owner.limits.replyBytesMax { context?.close(promise: nil) }
        case .whole(let route):
            var bytes = bytes
            gathered.writeBuffer(&bytes)
            guard gathered.readableBytes > owner.limits.lambdaReplyBytesMax else { return }
            gathered.clear()
            let limit = owner.limits.lambdaReplyBytesMax
            if case .response(let id) = route { failAnswer(id, .outputLimit, "The function's answer is larger than \(limit) bytes.") }
            if case .error(let id) = route { failAnswer(id, .handlerError, "The function's error is larger than \(limit) bytes.") }
            receiving = .refused(
                .payloadTooLarge, type: "RequestEntityTooLarge", message: "Exceeded maximum allowed payload size (\(limit) bytes).")
        case .prelude(let id):
            var bytes = bytes
            gathered.writeBuffer(&bytes)
            readPrelude(id)
        case .stream(let id, let source):
            guard received <= owner.limits.replyBytesMax else {
                let failure = CallFailure(.outputLimit, "The function's answer is larger than \(owner.limits.replyBytesMax) bytes.")
                source.finish(failure)
                owner.endAnswer(id)
                receiving = .dropped(id)
                isPaused = false
                context?.close(promise: nil)
                return
            }
            if case .stopProducing = source.yield(bytes) { isPaused = true }
        }
    }

    private func failAnswer(_ id: String, _ kind: CallFailure.Kind, _ message: String) {
        owner.reply(id, .failure(CallFailure(kind, message)))
        owner.endAnswer(id)
    }

    private func readPrelude(_ id: String) {
        let view = gathered.readableBytesView
        var zeros = 0
        var end: Int?
        for index in view.indices {
            zeros = view[index] == 0 ? zeros + 1 : 0
            if zeros == Self.separatorLength {
                end = index + 1
                break
            }
        }
        guard let end else {
            if gathered.readableBytes > Self.preludeMax {
                dropAfter(id, "The function's streamed answer does not begin with its status and headers.")
            }
            return
        }
        let text = gathered.readSlice(length: end - gathered.readerIndex - Self.separatorLength) ?? ByteBuffer()
        gathered.moveReaderIndex(forwardBy: Self.separatorLength)
        guard let answer = try? JSONDecoder().decode(GatewayAnswer.self, from: Data(text.readableBytesView)),
            (200...599).contains(answer.statusCode ?? 200)
        else {
            dropAfter(id, "The status and headers before the function's streamed answer are not valid.")
            return
        }
        receiving = startStream(id, status: answer.statusCode ?? 200, headers: answer.fields)
        let rest = gathered.slice()
        gathered.clear()
        if rest.readableBytes > 0, case .stream(_, let source) = receiving, case .stopProducing = source.yield(rest) { isPaused = true }
    }

    private func dropAfter(_ id: String, _ message: String) {
        failAnswer(id, .badReply, message)
        receiving = .dropped(id)
        gathered.clear()
    }

    private func startStream(_ id: String, status: Int, headers: [HeaderField]) -> Receiving {
        let stream = ReplyStream(owner.limits) {
            self.eventLoop.execute { self.resume() }
        } onEnd: {
            self.eventLoop.execute { self.readerIsGone(id) }
        }
        owner.reply(id, .success(CallResponse(status: status, headers: headers, body: stream.body)))
        return .stream(id, stream.source)
    }

    private func readerIsGone(_ id: String) {
        guard case .stream(id, _) = receiving else { return }
        receiving = .dropped(id)
        resume()
    }

    private func resume() {
        isPaused = false
        guard wantsRead else { return }
        wantsRead = false
        context?.read()
    }

    func read(context: ChannelHandlerContext) {
        if isPaused { wantsRead = true } else { context.read() }
    }

    // MARK: Ends of requests

    private func end(_ trailers: HTTPHeaders?) {
        let receiving = receiving
        self.receiving = .nothing
        isPaused = false
        switch receiving {
        case .nothing: break
        case .refused(let status, let type, let message): refuse(status, type, message)
        case .dropped(let id):
            owner.endAnswer(id)
            accept()
        case .prelude(let id):
            failAnswer(id, .badReply, "The function's streamed answer ended before its status and headers did.")
            accept()
        case .stream(let id, let source):
            if let type = trailers?.first(name: "lambda-runtime-function-error-type") {
                let body = trailers?.first(name: "lambda-runtime-function-error-body").flatMap { Data(base64Encoded: $0) } ?? Data()
                source.finish(CallFailure(.handlerError, LambdaError.sentence(ByteBuffer(bytes: body), header: type)))
            } else {
                source.finish()
            }
            owner.endAnswer(id)
            accept()
        case .whole(let route): endWhole(route)
        }
    }

    private func endWhole(_ route: Route) {
        let errorType = head?.headers.first(name: "lambda-runtime-function-error-type")
        switch route {
        case .next:
            if owner.next(self) != .good { refuse(.forbidden, "InvalidStateTransition", "The last invocation has not been answered.") }
        case .response(let id):
            owner.reply(id, .success(owner.form.reply(gathered.slice(), contentType: head?.headers.first(name: "content-type"))))
            owner.endAnswer(id)
            accept()
        case .error(let id):
            let failure = CallFailure(.handlerError, LambdaError.sentence(gathered, header: errorType))
            let headers = [HeaderField("Content-Type", "application/json"), HeaderField("X-Amz-Function-Error", "Unhandled")]
            owner.reply(id, .success(CallResponse(status: 500, headers: headers, body: .whole(gathered.slice()), failure: failure)))
            owner.endAnswer(id)
            accept()
        case .initError:
            if owner.initError(LambdaError.sentence(gathered, header: errorType)) == .good {
                accept()
            } else {
                refuse(.forbidden, "InvalidStateTransition", "The function has initialised already.")
            }
        case .unknown, .wrongMethod: break
        }
        gathered = ByteBuffer()
    }

    func channelInactive(context: ChannelHandlerContext) {
        owner.closed(context.channel, handler: self)
        switch receiving {
        case .whole(.response(let id)), .whole(.error(let id)), .prelude(let id): owner.broken(id, on: eventLoop, nil)
        case .stream(let id, let source): owner.broken(id, on: eventLoop, source)
        case .dropped(let id): owner.endAnswer(id)
        case .whole, .refused, .nothing: break
        }
        receiving = .nothing
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: Answering

    /// Answers `next` with an event; from any thread.
    func deliver(_ delivery: LambdaDelivery) {
        eventLoop.execute {
            var headers: HTTPHeaders = [
                "Content-Type": "application/json", "Lambda-Runtime-Aws-Request-Id": delivery.id,
                "Lambda-Runtime-Deadline-Ms": String(delivery.deadlineMilliseconds),
                "Lambda-Runtime-Invoked-Function-Arn": delivery.arn,
            ]
            if let trace = delivery.trace, Header.isSafe(trace) { headers.add(name: "Lambda-Runtime-Trace-Id", value: trace) }
            self.answer(.ok, headers, delivery.event)
        }
    }

    func close() {
        eventLoop.execute { self.context?.close(promise: nil) }
    }

    private func accept() { answer(.accepted, ["Content-Type": "application/json"], ByteBuffer(string: #"{"status":"OK"}"#)) }

    private func refuse(_ status: HTTPResponseStatus, _ type: String, _ message: String) {
        let body = ByteBuffer(string: #"{"errorMessage":"\#(message)","errorType":"\#(type)"}"#)
        answer(status, ["Content-Type": "application/json"], body)
    }

    private func answer(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, _ body: ByteBuffer) {
        guard let context else { return }
        var headers = headers
        headers.add(name: "Content-Length", value: String(body.readableBytes))
        let keepsAlive = head?.isKeepAlive ?? true
        if !keepsAlive { headers.add(name: "Connection", value: "close") }
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !keepsAlive {
            let channel = context.channel
            written.whenComplete { _ in channel.close(promise: nil) }
        }
    }
}

// Every mutable property is used on `eventLoop` alone.
extension RuntimeAPIHandler: @unchecked Sendable {}
