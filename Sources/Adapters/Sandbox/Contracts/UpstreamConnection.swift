// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc
import NIOCore

/// The client side of one HTTP/1.1 connection to a replica; carries one call at a time.
///
/// Small replies go to the caller in one piece, straight from the event loop; others become a ``ReplyStream``.
final class UpstreamConnection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let eventLoop: any EventLoop
    private let owner: UpstreamChannel
    private let limits: ContractLimits
    private var context: ChannelHandlerContext?
    private var exchange: Exchange?
    private var isReused = false
    private var isPaused = false
    private var wantsRead = false
    private var writer: RequestWriter

    init(channel: any Channel, owner: UpstreamChannel) {
        eventLoop = channel.eventLoop
        writer = RequestWriter(allocator: channel.allocator)
        self.owner = owner
        limits = owner.limits
    }

    // MARK: From any thread

    /// Sends a call. The owner has made sure that the connection is free.
    func start(_ call: UpstreamCall) {
        if eventLoop.inEventLoop { begin(call) } else { eventLoop.execute { self.begin(call) } }
    }

    /// The caller no longer waits for this call.
    func cancel(_ id: CallID) {
        eventLoop.execute {
            guard self.exchange?.call.id == id else { return }
            self.abandon(CallFailure(.abandoned, "The caller went away."))
        }
    }

    /// The replica is gone: what it still said is read, then the call ends with the cause, and the connection.
    func terminate(_ failure: CallFailure) {
        eventLoop.execute {
            guard let exchange = self.exchange else {
                self.context?.close(promise: nil)
                return
            }
            guard exchange.phase != .lost else {
                self.fail(failure)
                return
            }
            let id = exchange.call.id
            exchange.cause = failure
            self.resume(id)
            // Somebody who outlived the process may hold its end of the connection.
            self.eventLoop.scheduleTask(in: self.limits.causeGrace) {
                guard self.exchange?.call.id == id else { return }
                self.fail(failure)
            }
        }
    }

    /// Closes an idle connection.
    func close() {
        eventLoop.execute { self.context?.close(promise: nil) }
    }

    // MARK: Sending

    private func begin(_ call: UpstreamCall) {
        guard let context, context.channel.isActive else {
            owner.lost(self, call: call.id)
            owner.invoke(call)
            return
        }
        let exchange = Exchange(
            call: call, parser: ReplyParser(headBytesMax: limits.headBytesMax, answersHead: call.request.method == "HEAD"))
        switch call.request.body {
        case .whole(let bytes):
            // If the write itself finds the other side gone, the connection ends inside the flush below.
            exchange.isUnread = call.isOnePiece
            self.exchange = exchange
            let (first, second) = writer.whole(call.request, bytes)
            if let second {
                context.write(wrapOutboundOut(first), promise: nil)
                context.writeAndFlush(wrapOutboundOut(second), promise: nil)
            } else {
                context.writeAndFlush(wrapOutboundOut(first), promise: nil)
            }
            exchange.isUnread = false
        case .stream(let chunks):
            exchange.unsent = call.announcedLength
            exchange.upload = Task { [self] in await upload(chunks, of: call.id) }
            self.exchange = exchange
            context.writeAndFlush(wrapOutboundOut(writer.head(of: call.request, length: exchange.unsent)), promise: nil)
        }
    }

    private func upload(_ chunks: any AsyncSequence<ByteBuffer, any Error> & Sendable, of id: CallID) async {
        do {
            for try await chunk in chunks {
                try await eventLoop.flatSubmit { self.send(chunk, of: id) }.get()
            }
            eventLoop.execute { self.endUpload(of: id) }
        } catch {
            eventLoop.execute {
                guard let exchange = self.exchange, exchange.call.id == id, exchange.upload != nil else { return }
                // A failed write shows as a closed connection, which has its own story to tell.
                guard !(error is ChannelError), !(error is IOError) else { return }
                self.abandon(CallFailure(.abandoned, "The caller's request body ended too early."))
            }
        }
    }

    private func send(_ chunk: ByteBuffer, of id: CallID) -> EventLoopFuture<Void> {
        guard let context, let exchange, exchange.call.id == id, exchange.upload != nil else {
            return eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        if let unsent = exchange.unsent {
            guard chunk.readableBytes <= unsent else { return eventLoop.makeFailedFuture(UploadError()) }
            exchange.unsent = unsent - chunk.readableBytes
            return context.writeAndFlush(wrapOutboundOut(chunk))
        }
        // An empty chunk would end the body.
        guard chunk.readableBytes > 0 else { return eventLoop.makeSucceededVoidFuture() }
        return context.writeAndFlush(wrapOutboundOut(writer.chunk(chunk)))
    }

    private func endUpload(of id: CallID) {
        guard let context, let exchange, exchange.call.id == id, exchange.upload != nil else { return }
        if let unsent = exchange.unsent, unsent > 0 {
            abandon(CallFailure(.abandoned, "The caller's request body ended too early."))
            return
        }
        exchange.upload = nil
        if exchange.unsent == nil { context.writeAndFlush(wrapOutboundOut(writer.lastChunk()), promise: nil) }
    }

    /// More bytes than the length that the caller announced.
    private struct UploadError: Error {}

    // MARK: Receiving

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let exchange else {
            context.close(promise: nil)
            return
        }
        exchange.parser.feed(unwrapInboundIn(data))
        readParts(of: exchange)
    }

    /// Takes what is complete by now, as long as it belongs to the same call.
    private func readParts(of exchange: Exchange) {
        do throws(CallFailure) {
            while self.exchange === exchange, let part = try exchange.parser.next() {
                switch part {
                case .head(let head): receiveHead(head)
                case .body(let bytes): receiveBody(bytes)
                case .end(let trailers): receiveEnd(trailers)
                }
            }
        } catch {
            fail(error)
        }
    }

    private func receiveHead(_ head: ReplyHead) {
        guard let exchange else { return }
        let status = head.status
        guard (200...599).contains(status) else {
            fail(CallFailure(.badReply, "The function answered with the status \(status); 200 to 599 are possible here."))
            return
        }
        exchange.status = status
        exchange.isKeepAlive = head.isKeepAlive
        exchange.length = head.contentLength
        exchange.headers = head.fields
        if owner.trustsFailureHeader, let index = head.fields.firstIndex(where: { Header.equal($0.name, Header.failure) }) {
            exchange.failure = Header.parseFailure(exchange.headers.remove(at: index).value)
        }
        let isEventStream = head.fields.contains { Header.equal($0.name, "content-type") && $0.value.hasPrefix("text/event-stream") }
        let hasBody = exchange.call.request.method != "HEAD" && status != 204 && status != 304
        if !hasBody, let length = exchange.length { exchange.headers.append(HeaderField("Content-Length", String(length))) }
        exchange.phase = .collecting
        let declared = hasBody ? exchange.length ?? 0 : 0
        if declared > limits.replyBytesMax {
            failOverLimit()
        } else if declared > limits.wholeReplyBytesMax || (hasBody && isEventStream) {
            stream()
        }
    }

    private func receiveBody(_ bytes: ByteBuffer) {
        guard let exchange else { return }
        exchange.received += bytes.readableBytes
        guard exchange.received <= limits.replyBytesMax else {
            failOverLimit()
            return
        }
        switch exchange.phase {
        case .collecting:
            if exchange.collected == nil {
                exchange.collected = bytes
            } else {
                var bytes = bytes
                exchange.collected?.writeBuffer(&bytes)
            }
            if exchange.received > limits.wholeReplyBytesMax { stream() }
        case .streaming:
            yield(bytes)
        case .awaitingHead, .discarding, .lost:
            break
        }
    }

    private func receiveEnd(_ trailers: [HeaderField]) {
        guard let exchange else { return }
        exchange.grace?.cancel()
        var failure = exchange.failure
        if owner.trustsFailureHeader, let field = trailers.first(where: { Header.equal($0.name, Header.failure) }) {
            failure = Header.parseFailure(field.value)
        }
        // A request that is still being sent makes the connection useless for the next one.
        let isReusable =
            exchange.isKeepAlive && exchange.upload == nil && exchange.phase != .discarding && exchange.parser.rest == 0
            && !exchange.parser.endsWithConnection
        exchange.upload?.cancel()
        self.exchange = nil
        isPaused = false
        isReused = true
        let next: UpstreamCall?
        if isReusable {
            next = owner.release(self, call: exchange.call.id)
        } else {
            next = nil
            owner.lost(self, call: exchange.call.id)
            context?.close(promise: nil)
        }
        if let source = exchange.source {
            if let failure, exchange.failure == nil { source.finish(failure) } else { source.finish() }
        } else {
            exchange.call.reply(
                .success(
                    CallResponse(
                        status: exchange.status, headers: exchange.headers, body: .whole(exchange.collected ?? ByteBuffer()),
                        failure: failure)))
        }
        exchange.call.finished(failure)
        if let next { begin(next) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        // The length is not known and the end did not come with the same read: give it a moment, then stream.
        guard let exchange, exchange.phase == .collecting, exchange.length == nil, exchange.grace == nil else { return }
        let id = exchange.call.id
        exchange.grace = eventLoop.scheduleTask(in: limits.collectGrace) {
            guard self.exchange?.call.id == id, self.exchange?.phase == .collecting else { return }
            self.stream()
        }
    }

    // MARK: Streaming

    private func stream() {
        guard let exchange else { return }
        guard !exchange.isCancelled else {
            fail(CallFailure(.abandoned, "The caller went away."))
            return
        }
        let id = exchange.call.id
        let stream = ReplyStream(limits) {
            self.eventLoop.execute { self.resume(id) }
        } onEnd: {
            self.eventLoop.execute { self.readerIsGone(id) }
        }
        if let length = exchange.length { exchange.headers.append(HeaderField("Content-Length", String(length))) }
        let collected = exchange.collected
        exchange.collected = nil
        exchange.phase = .streaming
        exchange.source = stream.source
        exchange.call.reply(
            .success(
                CallResponse(status: exchange.status, headers: exchange.headers, body: stream.body, failure: exchange.failure)))
        if let collected { yield(collected) }
    }

    private func yield(_ bytes: ByteBuffer) {
        switch exchange?.source?.yield(bytes) {
        case .stopProducing: isPaused = true
        case .produceMore, .dropped, nil: break
        }
    }

    private func resume(_ id: CallID) {
        guard exchange?.call.id == id else { return }
        isPaused = false
        guard wantsRead else { return }
        wantsRead = false
        context?.read()
    }

    private func readerIsGone(_ id: CallID) {
        guard let exchange, exchange.call.id == id, exchange.phase == .streaming else { return }
        abandon(CallFailure(.abandoned, "The caller went away in the middle of the reply."))
    }

    func read(context: ChannelHandlerContext) {
        if isPaused { wantsRead = true } else { context.read() }
    }

    // MARK: Ending badly

    /// Nobody wants the reply. Work that can be ended is ended; other work is let finish, so that the replica is idle when it says so.
    private func abandon(_ failure: CallFailure) {
        guard let exchange, !exchange.isCancelled else { return }
        exchange.isCancelled = true
        if owner.endsWorkByClosing {
            // The agent kills the child, waits for its end and then closes its side, which is the news that this slot is idle.
            exchange.upload?.cancel()
            exchange.grace?.cancel()
            exchange.source?.finish(failure)
            exchange.upload = nil
            exchange.isReplied = exchange.source != nil
            exchange.source = nil
            exchange.phase = .discarding
            exchange.failure = failure
            isPaused = false
            context?.close(mode: .output, promise: nil)
            if wantsRead {
                wantsRead = false
                context?.read()
            }
        } else if exchange.phase == .streaming || exchange.upload != nil {
            fail(failure)
        }
    }

    private func failOverLimit() {
        fail(CallFailure(.outputLimit, "The function's reply is larger than \(limits.replyBytesMax) bytes."))
    }

    /// Ends the call and the connection.
    private func fail(_ failure: CallFailure) {
        let exchange = self.exchange
        self.exchange = nil
        isPaused = false
        exchange?.upload?.cancel()
        exchange?.grace?.cancel()
        owner.lost(self, call: exchange?.call.id)
        context?.close(promise: nil)
        guard let exchange else { return }
        if let source = exchange.source {
            source.finish(failure)
        } else if !exchange.isReplied {
            exchange.call.reply(.failure(failure))
        }
        exchange.call.finished(failure)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is IOError || error is ChannelError {
            // A Unix socket is reset when its other side closed with something unread.
            if owner.trustsFailureHeader, (error as? IOError)?.errnoCode == ECONNRESET, exchange?.call.isOnePiece == true {
                exchange?.isUnread = true
            }
            context.close(promise: nil)
        } else {
            fail(CallFailure(.badReply, "The connection to the function failed: \(error)."))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        defer { context.fireChannelInactive() }
        if let exchange, exchange.phase == .collecting || exchange.phase == .streaming, exchange.parser.endsWithConnection {
            receiveEnd([])
            return
        }
        guard let exchange, exchange.phase != .lost else {
            if self.exchange == nil { owner.lost(self, call: nil) }
            return
        }
        if exchange.phase == .discarding {
            fail(exchange.failure ?? CallFailure(.abandoned, "The caller went away."))
            return
        }
        let id = exchange.call.id
        let mayRepeat = exchange.isUnread ? !exchange.call.isRepeated : isReused && exchange.call.mayRepeat
        if exchange.phase == .awaitingHead, exchange.cause == nil, owner.mayRepeat, mayRepeat {
            self.exchange = nil
            owner.lost(self, call: id)
            owner.invoke(exchange.call.repeated())
            return
        }
        if exchange.phase == .awaitingHead, exchange.isUnread {
            fail(.unsentToReplica)
            return
        }
        if let cause = exchange.cause {
            fail(cause)
            return
        }
        exchange.upload?.cancel()
        exchange.grace?.cancel()
        exchange.phase = .lost
        // The process may be dying: its exit tells more than the closed connection.
        eventLoop.scheduleTask(in: limits.causeGrace) {
            guard self.exchange?.call.id == id else { return }
            self.fail(CallFailure(.badReply, "The function closed its connection before its reply was complete."))
        }
    }
}

// Every mutable property is used on `eventLoop` alone.
extension UpstreamConnection: @unchecked Sendable {}

/// One call in the middle of a connection; used on its event loop alone.
private final class Exchange {
    enum Phase { case awaitingHead, collecting, streaming, discarding, lost }

    let call: UpstreamCall
    var parser: ReplyParser
    var phase = Phase.awaitingHead
    var status = 0
    var headers: [HeaderField] = []
    var failure: CallFailure?
    /// The Content-Length of the reply.
    var length: Int?
    var received = 0
    var collected: ByteBuffer?
    var source: ReplyStream.Sequence.Source?
    var upload: Task<Void, Never>?
    /// Bytes that the announced length still owes.
    var unsent: Int?
    var grace: Scheduled<Void>?
    var isKeepAlive = true
    var isCancelled = false
    var isReplied = false
    /// Why the process ended, where that is known before the connection has ended.
    var cause: CallFailure?
    /// Nothing of the request was read.
    var isUnread = false

    init(call: UpstreamCall, parser: ReplyParser) {
        self.call = call
        self.parser = parser
    }
}
