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

    /// Up to this size a body is copied behind its head, so that one system call sends both.
    private static var copiedBodyBytesMax: Int { 16 << 10 }

    /// Writes a whole reply and goes on to the next request.
    func write(_ answer: Answer, _ head: ConnectionTurn.RequestHead, _ context: ChannelHandlerContext) {
        var body = ByteBuffer()
        if case .whole(let whole) = answer.body { body = whole }
        // The reply to HEAD tells the length of what GET would bring.
        var length = head.isHead ? answer.contentLength ?? body.readableBytes : body.readableBytes
        if answer.status == 304 { length = answer.contentLength ?? 0 }
        replyBytes.clear()
        replyBytes.write(statusOf: answer, version: head.version)
        replyBytes.write(fields: answer.fields)
        if answer.status != 204 { replyBytes.write(field: "Content-Length", "\(length)") }
        if let word = connectionWord(head) { replyBytes.write(field: "Connection", word) }
        replyBytes.writeStaticString("\r\n")
        guard let wire else { return }
        let hasBody = !head.isHead && body.readableBytes > 0 && answer.status != 204 && answer.status != 304
        if hasBody, body.readableBytes > Self.copiedBodyBytesMax {
            wire.write(NIOAny(replyBytes), promise: nil)
            end(head, context) { wire.writeAndFlush(NIOAny(body), promise: $0) }
        } else {
            if hasBody { replyBytes.writeImmutableBuffer(body) }
            end(head, context) { wire.writeAndFlush(NIOAny(self.replyBytes), promise: $0) }
        }
    }

    private func connectionWord(_ head: ConnectionTurn.RequestHead) -> String? {
        if !head.keepsAlive || closesAfterReply { return "close" }
        return head.version == .http1_1 ? nil : "keep-alive"
    }

    func responseHead(_ answer: Answer, _ head: ConnectionTurn.RequestHead, contentLength: Int?) -> HTTPResponseHead {
        var fields = answer.fields
        if let contentLength { fields.append(("Content-Length", "\(contentLength)")) }
        if let word = connectionWord(head) { fields.append(("Connection", word)) }
        return HTTPResponseHead(version: head.version, status: answer.httpStatus, headers: HTTPHeaders(fields))
    }

    /// Ends a reply with its last write: the next request may come, or the connection closes once the reply is through.
    func end(_ head: ConnectionTurn.RequestHead, _ context: ChannelHandlerContext, write: (EventLoopPromise<Void>?) -> Void) {
        guard !head.keepsAlive || closesAfterReply else {
            write(nil)
            wantsBody = true
            if case .idle = turn { release(context) } else { resumeReading() }
            return
        }
        let requestEnded = if case .idle = turn { true } else { false }
        turn = .closing
        wantsBody = true
        held.removeAll()
        guard let bound else { return }
        let promise = context.eventLoop.makePromise(of: Void.self)
        write(promise)
        promise.futureResult.whenComplete { _ in
            guard let context = bound.value.context else { return }
            if requestEnded { context.close(promise: nil) } else { bound.value.linger(context) }
        }
    }

    /// Says that nothing more will come, and lets the client finish sending, so that it reads the reply instead of a reset.
    func linger(_ context: ChannelHandlerContext) {
        context.close(mode: .output, promise: nil)
        guard let bound else { return }
        context.eventLoop.scheduleTask(in: Self.lingerTime) { bound.value.context?.close(promise: nil) }
        resumeReading()
    }
}

extension Answer {
    /// A status below 200 would announce that another reply follows.
    fileprivate var httpStatus: HTTPResponseStatus { HTTPResponseStatus(statusCode: (200...999).contains(status) ? status : 502) }
}

extension ByteBuffer {
    fileprivate mutating func write(statusOf answer: Answer, version: HTTPVersion) {
        if answer.status == 200, version == .http1_1 {
            writeStaticString("HTTP/1.1 200 OK\r\n")
            return
        }
        let status = answer.httpStatus
        writeString("HTTP/\(version.major).\(version.minor) \(status.code) \(status.reasonPhrase)\r\n")
    }

    /// All at once: growing the buffer piece by piece would be a good part of what a reply costs.
    fileprivate mutating func write(fields: [(String, String)]) {
        var size = 0
        for (name, value) in fields { size += name.utf8.count + value.utf8.count + 4 }
        _ = unsafe writeWithUnsafeMutableBytes(minimumWritableBytes: size) { target in
            var end = 0
            for (name, value) in fields {
                end = unsafe HeaderBytes.put(name, into: target, at: end)
                end = unsafe HeaderBytes.put(": ", into: target, at: end)
                end = unsafe HeaderBytes.put(value, into: target, at: end)
                end = unsafe HeaderBytes.put("\r\n", into: target, at: end)
            }
            return end
        }
    }

    fileprivate mutating func write(field name: String, _ value: String) {
        writeString(name)
        writeStaticString(": ")
        writeString(value)
        writeStaticString("\r\n")
    }
}
