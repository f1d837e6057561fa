// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOHTTP1

/// Reading a request: its head, its limits, its body whole or streamed.
extension FunctionHandler {
    static var functionPrefix: StaticString { "/function/" }

    func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let now = NIODeadline.now()
        lastActivity = now
        guard head.uri.utf8.starts(with: "/function/".utf8) else {
            answerExpectation(head, context)
            turn = .routed(requestEnded: false, replyEnded: false)
            context.fireChannelRead(wrapInboundOut(.head(head)))
            return
        }
        let length = Self.bodyLength(head.headers)
        let request = ConnectionTurn.RequestHead(
            version: head.version, isHead: head.method == .HEAD, keepsAlive: head.isKeepAlive, contentLength: length)
        let label = labels.next()
        do throws(BrumeError) {
            let arrival = try front.arrival(
                method: head.method.rawValue, target: head.uri, prefix: Self.functionPrefix,
                headers: { (translation: inout HeaderTranslation) throws(BrumeError) in
                    for (name, value) in head.headers { try translation.add(name, value) }
                },
                remote: remote, label: label, at: now)
            if front.cors.isEnabled, head.method == .OPTIONS, head.headers.contains(name: "access-control-request-method") {
                turn = .discarding
                write(front.preflight(origin: arrival.origin, date: dateText(now)), request, context)
                return
            }
            guard length ?? 0 <= front.settings.bodyBytesMax else { throw tooLarge() }
            if length ?? 1 > 0 { answerExpectation(head, context) }
            turn = .collecting(FunctionTurn(head: request, arrival: arrival))
        } catch {
            refuse(error, request, label: label, context)
        }
    }

    /// Nil where the body comes in chunks.
    private static func bodyLength(_ headers: HTTPHeaders) -> Int? {
        if let length = headers.first(name: "content-length") { return Int(length) ?? .max }
        return headers.contains(name: "transfer-encoding") ? nil : 0
    }

    func tooLarge() -> BrumeError {
        BrumeError(.tooLarge, "The request body is larger than the \(front.settings.bodyBytesMax) bytes that this gateway accepts.")
    }

    /// curl and Go wait for this before they send a large body.
    func answerExpectation(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard head.headers.first(name: "expect")?.lowercased() == "100-continue" else { return }
        let length = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
        // What is behind the other routes has a limit of its own, for packages.
        guard length <= max(front.settings.bodyBytesMax, FunctionSpec.packageBytesMax) else { return }
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: .continue))), promise: nil)
    }

    func collect(_ part: HTTPServerRequestPart, _ function: FunctionTurn, _ context: ChannelHandlerContext) {
        switch part {
        case .head: return
        case .body(var bytes):
            function.head.received += bytes.readableBytes
            lastActivity = NIODeadline.now()
            guard function.head.received <= front.settings.bodyBytesMax else {
                refuse(tooLarge(), function.head, label: function.arrival.request.label, context)
                return
            }
            if function.body == nil { function.body = bytes } else { function.body?.writeBuffer(&bytes) }
        case .end:
            if let body = function.body { function.arrival.request.body = .whole(body) }
            function.body = nil
            start(function)
        }
    }

    func beginStreaming(_ function: FunctionTurn, _ context: ChannelHandlerContext) {
        guard let bound else { return }
        let loop = context.eventLoop
        let inbound = InboundBody {
            loop.execute {
                bound.value.wantsBody = true
                bound.value.resumeReading()
            }
        }
        function.arrival.request.body = .stream(inbound.chunks)
        if let first = function.body { _ = inbound.source.yield(first) }
        function.body = nil
        function.source = inbound.source
        start(function)
    }

    func forward(_ part: HTTPServerRequestPart, _ function: FunctionTurn, _ context: ChannelHandlerContext) {
        switch part {
        case .head: break
        case .body(let bytes):
            function.head.received += bytes.readableBytes
            if function.head.received > front.settings.bodyBytesMax {
                exceed(function, context)
            } else if let source = function.source, case .stopProducing = source.yield(bytes) {
                wantsBody = false
            }
        case .end:
            function.source?.finish()
            function.source = nil
        }
    }

    /// A body of unknown length turned out to be too long: the call ends, and so does the connection.
    func exceed(_ function: FunctionTurn, _ context: ChannelHandlerContext) {
        function.source?.finish(tooLarge())
        turn = .discarding
        abandon(function)
        if function.replyBegun {
            turn = .closing
            context.close(promise: nil)
        } else {
            refuse(tooLarge(), function.head, label: function.arrival.request.label, context)
        }
    }
}
