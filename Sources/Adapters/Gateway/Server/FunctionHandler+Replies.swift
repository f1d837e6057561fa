// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOHTTP1

/// Writing a reply and going on to the next request.
extension FunctionHandler {
    func dateText(_ now: NIODeadline) -> String { date.text(at: front.clock.instant(at: now)) }

    func refuse(
        _ error: BrumeError, _ head: ConnectionTurn.RequestHead, label: String, _ context: ChannelHandlerContext
    ) {
        var head = head
        if error.code == .tooLarge { head.keepsAlive = false }
        turn = .discarding
        let answer = front.refusal(error, label: label, origin: nil, date: dateText(NIODeadline.now()))
        write(answer, head, context)
    }

    /// Writes a whole reply and goes on to the next request.
    func write(_ answer: Answer, _ head: ConnectionTurn.RequestHead, _ context: ChannelHandlerContext) {
        var bytes = ByteBuffer()
        if case .whole(let whole) = answer.body { bytes = whole }
        // The reply to HEAD tells the length of what GET would bring.
        let length = head.isHead ? answer.contentLength ?? bytes.readableBytes : bytes.readableBytes
        context.write(wrapOutboundOut(.head(responseHead(answer, head, contentLength: length))), promise: nil)
        if !head.isHead, bytes.readableBytes > 0, answer.status != 204, answer.status != 304 {
            context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
        }
        end(head, context)
    }

    func responseHead(_ answer: Answer, _ head: ConnectionTurn.RequestHead, contentLength: Int?) -> HTTPResponseHead {
        var fields = answer.fields
        if let contentLength { fields.append(("Content-Length", "\(contentLength)")) }
        if !head.keepsAlive || closesAfterReply {
            fields.append(("Connection", "close"))
        } else if head.version != .http1_1 {
            fields.append(("Connection", "keep-alive"))
        }
        // A status below 200 would announce that another reply follows.
        let status = (200...999).contains(answer.status) ? answer.status : 502
        return HTTPResponseHead(version: head.version, status: HTTPResponseStatus(statusCode: status), headers: HTTPHeaders(fields))
    }

    /// Ends a reply: the next request may come, or the connection closes once the reply is through.
    func end(_ head: ConnectionTurn.RequestHead, _ context: ChannelHandlerContext) {
        guard !head.keepsAlive || closesAfterReply else {
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            wantsBody = true
            if case .idle = turn { release(context) } else { resumeReading() }
            return
        }
        let requestEnded = if case .idle = turn { true } else { false }
        turn = .closing
        wantsBody = true
        held.removeAll()
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let promise = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
        promise.futureResult.whenComplete { _ in
            guard let context = bound.value.context else { return }
            if requestEnded { context.close(promise: nil) } else { bound.value.linger(context) }
        }
    }

    /// Says that nothing more will come, and lets the client finish sending, so that it reads the reply instead of a reset.
    func linger(_ context: ChannelHandlerContext) {
        context.close(mode: .output, promise: nil)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.lingerTime) { bound.value.context?.close(promise: nil) }
        resumeReading()
    }
}
