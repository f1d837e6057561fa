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
                headers: head.headers.lazy.map { ($0.name, $0.value) }, remote: remote, label: label,
                at: now)
            if front.cors.isEnabled, head.method == .OPTIONS, head.headers.contains(name: "access-control-request-method") {
                turn = .discarding
                write(front.preflight(origin: arrival.origin, date: dateText(now)), request, context)
                return
            }
            guard length ?? 0 <= front.settings.bodyBytesMax else { throw tooLarge() }
            if length ?? 1 > 0 { answerExpectation(head, context) }
            turn = .collecting(.init(head: request, arrival: arrival))
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

    func collect(_ part: HTTPServerRequestPart, _ collection: ConnectionTurn.Collection, _ context: ChannelHandlerContext) {
        var collection = collection
        // The stored turn lets go of the buffer, so that appending to it copies nothing.
        turn = .discarding
        switch part {
        case .head: return
        case .body(var bytes):
            collection.head.received += bytes.readableBytes
            lastActivity = NIODeadline.now()
            guard collection.head.received <= front.settings.bodyBytesMax else {
                refuse(tooLarge(), collection.head, label: collection.arrival.request.label, context)
                return
            }
            if collection.body == nil { collection.body = bytes } else { collection.body?.writeBuffer(&bytes) }
            turn = .collecting(collection)
        case .end:
            if let body = collection.body { collection.arrival.request.body = .whole(body) }
            start(collection.arrival, collection.head, source: nil)
        }
    }

    func beginStreaming(_ collection: ConnectionTurn.Collection, _ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let loop = context.eventLoop
        let inbound = InboundBody {
            loop.execute {
                bound.value.wantsBody = true
                bound.value.resumeReading()
            }
        }
        var arrival = collection.arrival
        arrival.request.body = .stream(inbound.chunks)
        if let first = collection.body { _ = inbound.source.yield(first) }
        start(arrival, collection.head, source: inbound.source)
    }

    func forward(_ part: HTTPServerRequestPart, _ calling: ConnectionTurn.Calling, _ context: ChannelHandlerContext) {
        var calling = calling
        switch part {
        case .head: break
        case .body(let bytes):
            calling.head.received += bytes.readableBytes
            turn = .calling(calling)
            if calling.head.received > front.settings.bodyBytesMax {
                exceed(calling, context)
            } else if let source = calling.source, case .stopProducing = source.yield(bytes) {
                wantsBody = false
            }
        case .end:
            calling.source?.finish()
            calling.source = nil
            turn = .calling(calling)
        }
    }

    /// A body of unknown length turned out to be too long: the call ends, and so does the connection.
    func exceed(_ calling: ConnectionTurn.Calling, _ context: ChannelHandlerContext) {
        calling.source?.finish(tooLarge())
        turn = .discarding
        abandon(calling)
        if calling.replyBegun {
            turn = .closing
            context.close(promise: nil)
        } else {
            refuse(tooLarge(), calling.head, label: calling.arrival.request.label, context)
        }
    }
}
