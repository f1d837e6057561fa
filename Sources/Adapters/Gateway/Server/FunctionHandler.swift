// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOHTTP1

/// Serves `/function/*` where the bytes arrive, and passes every other request on to the router.
///
/// It sits between the HTTP decoder and the router's own handlers. A call runs in one task on the connection's event loop; the task is
/// owned by the connection's turn and cancelled when the client goes away.
final class FunctionHandler<Node: NodeOperations>: ChannelDuplexHandler where Node.Payload == ByteBuffer {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// Up to this size a body is handed over whole; a longer one is streamed so that it is never held in memory.
    static var wholeBodyBytesMax: Int { 256 << 10 }
    /// Parts of pipelined requests that are kept while an earlier one runs; beyond it the connection is not read.
    static var heldPartsMax: Int { 64 }
    /// How long a client may go on sending after the reply that ends the connection, before it is cut off.
    static var lingerTime: TimeAmount { .seconds(2) }

    private let front: FunctionFront<Node>
    private var labels = CallLabels()
    private var date = DateField()
    private var remote = ""
    private var executor: LoopExecutor?
    private var context: ChannelHandlerContext?

    private var turn = ConnectionTurn.idle
    private var held = CircularBuffer<HTTPServerRequestPart>()
    private var isReleasing = false
    private var callNumber: UInt64 = 0
    private var readIsPending = false
    private var wantsBody = true
    private var closesAfterReply = false
    private var lastActivity = NIODeadline.now()
    private var idleCheck: Scheduled<Void>?

    init(front: FunctionFront<Node>) { self.front = front }

    // MARK: Life of the connection

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        executor = LoopExecutor(context.eventLoop)
        remote = context.remoteAddress?.ipAddress ?? ""
        scheduleIdleCheck(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        idleCheck?.cancel()
        abandon()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        idleCheck?.cancel()
        abandon()
        held.removeAll()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            inputClosed(context, event: event)
        case is ChannelShouldQuiesceEvent:
            closesAfterReply = true
            switch turn {
            case .collecting, .calling: break
            case .idle, .routed, .discarding, .closing: context.fireUserInboundEventTriggered(event)
            }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    private func inputClosed(_ context: ChannelHandlerContext, event: Any) {
        switch turn {
        case .collecting, .calling, .closing, .discarding:
            // Whoever stops sending in the middle of a call does not wait for its reply: browsers, curl and Go clients close like this.
            abandon()
            context.close(promise: nil)
        case .idle, .routed: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch turn {
        case .idle, .routed: context.fireErrorCaught(error)
        case .collecting(let collection): breakOff(error, collection.head, collection.arrival, context)
        case .calling(let calling) where !calling.replyBegun: breakOff(error, calling.head, calling.arrival, context)
        case .calling, .discarding, .closing:
            abandon()
            context.close(promise: nil)
        }
    }

    /// The connection failed, or what came is not HTTP: the client is told, if it still listens.
    private func breakOff(_ error: any Error, _ head: ConnectionTurn.RequestHead, _ arrival: Arrival, _ context: ChannelHandlerContext) {
        abandon()
        guard error is HTTPParserError else {
            context.close(promise: nil)
            return
        }
        var head = head
        head.keepsAlive = false
        refuse(BrumeError(.invalid, "The request is not valid HTTP: \(error)."), head, label: arrival.request.label, context)
    }

    /// Ends a running call whose reply nobody will read.
    private func abandon() {
        if case .calling(let calling) = turn {
            calling.source?.finish(ChannelError.inputClosed)
            calling.task?.cancel()
        }
        turn = .closing
    }

    private func scheduleIdleCheck(_ context: ChannelHandlerContext) {
        let timeout = TimeAmount.nanoseconds(front.settings.idleTimeout.wholeNanoseconds)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        idleCheck = context.eventLoop.scheduleTask(deadline: lastActivity + timeout) { bound.value.checkIdle() }
    }

    private func checkIdle() {
        guard let context else { return }
        let timeout = TimeAmount.nanoseconds(front.settings.idleTimeout.wholeNanoseconds)
        switch turn {
        case .idle, .collecting, .discarding, .closing, .routed(requestEnded: false, _):
            if NIODeadline.now() - lastActivity >= timeout {
                abandon()
                context.close(promise: nil)
                return
            }
        case .calling, .routed: lastActivity = NIODeadline.now()
        }
        scheduleIdleCheck(context)
    }

    // MARK: Reading

    func read(context: ChannelHandlerContext) {
        if held.count >= Self.heldPartsMax || !wantsBody { readIsPending = true } else { context.read() }
    }

    private func resumeReading() {
        guard readIsPending, held.count < Self.heldPartsMax, wantsBody else { return }
        readIsPending = false
        context?.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if !held.isEmpty || !accepts(part) { held.append(part) } else { accept(part, context) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // A body that did not come whole in one go, and whose length nobody told, is streamed.
        if case .collecting(let collection) = turn, collection.head.contentLength ?? .max > Self.wholeBodyBytesMax {
            beginStreaming(collection, context)
        }
        context.fireChannelReadComplete()
    }

    /// Whether a part belongs to the present turn; otherwise it waits.
    private func accepts(_ part: HTTPServerRequestPart) -> Bool {
        switch turn {
        case .idle, .collecting, .discarding, .closing: true
        case .routed(let requestEnded, _): !requestEnded
        case .calling(let calling): calling.source != nil
        }
    }

    private func accept(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch turn {
        case .idle:
            if case .head(let head) = part { begin(head, context) }
        case .routed(_, let replyEnded):
            if case .end = part { turn = replyEnded ? .idle : .routed(requestEnded: true, replyEnded: false) }
            context.fireChannelRead(wrapInboundOut(part))
        case .collecting(let collection): collect(part, collection, context)
        case .calling(let calling): forward(part, calling, context)
        case .discarding:
            if case .end = part { becomeIdle(context) }
        case .closing: break
        }
    }

    /// Lets the parts in that had to wait.
    private func release(_ context: ChannelHandlerContext) {
        guard !isReleasing else { return }
        isReleasing = true
        var released = false
        while let part = held.first, accepts(part) {
            held.removeFirst()
            accept(part, context)
            released = true
        }
        isReleasing = false
        if released { channelReadComplete(context: context) }
        resumeReading()
    }

    private func becomeIdle(_ context: ChannelHandlerContext) {
        turn = .idle
        wantsBody = true
        if closesAfterReply {
            turn = .closing
            context.close(promise: nil)
            return
        }
        release(context)
    }

    // MARK: Requests

    private static var functionPrefix: StaticString { "/function/" }

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let now = NIODeadline.now()
        lastActivity = now
        guard head.uri.utf8.starts(with: "/function/".utf8) else {
            answerExpectation(head, context)
            turn = .routed(requestEnded: false, replyEnded: false)
            context.fireChannelRead(wrapInboundOut(.head(head)))
            return
        }
        let isChunked = head.headers.contains(name: "transfer-encoding")
        let length = head.headers.first(name: "content-length").map { Int($0) ?? .max } ?? (isChunked ? nil : 0)
        let request = ConnectionTurn.RequestHead(
            version: head.version, isHead: head.method == .HEAD, keepsAlive: head.isKeepAlive, contentLength: length)
        let label = labels.next()
        do throws(BrumeError) {
            let arrival = try front.arrival(
                method: head.method.rawValue, target: head.uri, prefix: Self.functionPrefix, headers: head.headers.lazy.map { ($0.name, $0.value) }, remote: remote, label: label,
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

    private func tooLarge() -> BrumeError {
        BrumeError(.tooLarge, "The request body is larger than the \(front.settings.bodyBytesMax) bytes that this gateway accepts.")
    }

    /// curl and Go wait for this before they send a large body.
    private func answerExpectation(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard head.headers.first(name: "expect")?.lowercased() == "100-continue" else { return }
        let length = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
        guard length <= front.settings.bodyBytesMax else { return }
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: .continue))), promise: nil)
    }

    private func collect(_ part: HTTPServerRequestPart, _ collection: ConnectionTurn.Collection, _ context: ChannelHandlerContext) {
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

    private func beginStreaming(_ collection: ConnectionTurn.Collection, _ context: ChannelHandlerContext) {
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

    private func forward(_ part: HTTPServerRequestPart, _ calling: ConnectionTurn.Calling, _ context: ChannelHandlerContext) {
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
    private func exceed(_ calling: ConnectionTurn.Calling, _ context: ChannelHandlerContext) {
        calling.source?.finish(tooLarge())
        calling.task?.cancel()
        if calling.replyBegun {
            turn = .closing
            context.close(promise: nil)
        } else {
            refuse(tooLarge(), calling.head, label: calling.arrival.request.label, context)
        }
    }

    // MARK: Calls

    private func start(_ arrival: Arrival, _ head: ConnectionTurn.RequestHead, source: InboundBody.Chunks.Source?) {
        guard let context else { return }
        callNumber += 1
        let number = callNumber
        var arrival = arrival
        front.begin(&arrival)
        turn = .calling(.init(number: number, head: head, arrival: arrival, source: source))
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let front = front
        let request = arrival.request
        let task = Task.immediate(executorPreference: executor) {
            let reply = await front.node.invoke(request)
            guard let stream = bound.value.deliver(reply, to: number) else { return }
            await bound.value.send(stream, to: number)
        }
        // A node that answers without waiting has ended the turn already.
        if case .calling(var calling) = turn, calling.number == number {
            calling.task = task
            turn = .calling(calling)
        }
    }

    /// Writes a reply, or its head where the body is still coming.
    ///
    /// - Returns: The rest of the body, to be sent.
    private func deliver(_ reply: CallReply<ByteBuffer>, to number: UInt64) -> (any AsyncSequence<ByteBuffer, any Error> & Sendable)? {
        guard let context, case .calling(var calling) = turn, calling.number == number else { return nil }
        let now = NIODeadline.now()
        lastActivity = now
        let answer = front.answer(to: calling.arrival, with: reply, at: now, date: dateText(now))
        if case .stream(let rest) = answer.body, !calling.head.isHead {
            calling.replyBegun = true
            if calling.head.version != .http1_1 { calling.head.keepsAlive = false }
            turn = .calling(calling)
            let head = responseHead(answer, calling.head, contentLength: nil)
            context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
            return rest
        }
        turn = calling.source == nil ? .idle : .discarding
        write(answer, calling.head, context)
        return nil
    }

    /// Sends a streamed body at the speed at which the client takes it.
    private func send(_ stream: any AsyncSequence<ByteBuffer, any Error> & Sendable, to number: UInt64) async {
        do {
            for try await chunk in stream {
                guard let written = write(chunk, to: number) else { return }
                try await written.get()
            }
            finish(number, succeeded: true)
        } catch {
            finish(number, succeeded: false)
        }
    }

    private func write(_ chunk: ByteBuffer, to number: UInt64) -> EventLoopFuture<Void>? {
        guard let context, case .calling(let calling) = turn, calling.number == number else { return nil }
        let promise = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(chunk))), promise: promise)
        return promise.futureResult
    }

    /// Ends a streamed reply. One that broke off is cut, so that the client cannot take it for whole.
    private func finish(_ number: UInt64, succeeded: Bool) {
        guard let context, case .calling(let calling) = turn, calling.number == number else { return }
        guard succeeded else {
            turn = .closing
            context.close(promise: nil)
            return
        }
        turn = calling.source == nil ? .idle : .discarding
        end(calling.head, context)
    }

    // MARK: Replies

    private func dateText(_ now: NIODeadline) -> String { date.text(at: front.clock.instant(at: now)) }

    private func refuse(
        _ error: BrumeError, _ head: ConnectionTurn.RequestHead, label: String, _ context: ChannelHandlerContext
    ) {
        var head = head
        if error.code == .tooLarge { head.keepsAlive = false }
        turn = .discarding
        let answer = front.refusal(error, label: label, origin: nil, date: dateText(NIODeadline.now()))
        write(answer, head, context)
    }

    /// Writes a whole reply and goes on to the next request.
    private func write(_ answer: Answer, _ head: ConnectionTurn.RequestHead, _ context: ChannelHandlerContext) {
        var bytes = ByteBuffer()
        if case .whole(let whole) = answer.body { bytes = whole }
        context.write(wrapOutboundOut(.head(responseHead(answer, head, contentLength: bytes.readableBytes))), promise: nil)
        if !head.isHead, bytes.readableBytes > 0, answer.status != 204, answer.status != 304 {
            context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
        }
        end(head, context)
    }

    private func responseHead(_ answer: Answer, _ head: ConnectionTurn.RequestHead, contentLength: Int?) -> HTTPResponseHead {
        var fields = answer.fields
        if let contentLength { fields.append(("Content-Length", "\(contentLength)")) }
        if !head.keepsAlive || closesAfterReply {
            fields.append(("Connection", "close"))
        } else if head.version != .http1_1 {
            fields.append(("Connection", "keep-alive"))
        }
        // The network's older half cannot say a status outside of this range.
        let status = (200...999).contains(answer.status) ? answer.status : 502
        return HTTPResponseHead(version: head.version, status: HTTPResponseStatus(statusCode: status), headers: HTTPHeaders(fields))
    }

    /// Ends a reply: the next request may come, or the connection closes once the reply is through.
    private func end(_ head: ConnectionTurn.RequestHead, _ context: ChannelHandlerContext) {
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
    private func linger(_ context: ChannelHandlerContext) {
        context.close(mode: .output, promise: nil)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.lingerTime) { bound.value.context?.close(promise: nil) }
        resumeReading()
    }

    // MARK: The router's replies

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let part = unwrapOutboundIn(data)
        context.write(data, promise: promise)
        guard case .end = part, case .routed(let requestEnded, _) = turn else { return }
        lastActivity = NIODeadline.now()
        if requestEnded {
            turn = .idle
            wantsRelease(context)
        } else {
            turn = .routed(requestEnded: false, replyEnded: true)
        }
    }

    /// The next pipelined request has to wait until this write is through the pipeline.
    private func wantsRelease(_ context: ChannelHandlerContext) {
        guard !held.isEmpty else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { if let context = bound.value.context { bound.value.release(context) } }
    }
}
