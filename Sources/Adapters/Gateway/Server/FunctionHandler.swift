// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOHTTP1

/// Serves `/function/*` where the bytes arrive, and passes every other request on to the router.
///
/// It sits between the HTTP decoder and the router's own handlers. A call belongs to the connection's turn and is abandoned when the
/// client goes away; only a streamed reply needs a task, which runs on the connection's event loop.
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

    let front: FunctionFront<Node>
    var labels = CallLabels()
    var date = DateField()
    var remote = ""
    var executor: LoopExecutor?
    var context: ChannelHandlerContext?
    /// The handler as others may hold it, made once for each connection.
    var bound: NIOLoopBound<FunctionHandler>?
    /// Where replies that are bytes already go down the pipeline: past the encoder.
    var wire: ChannelHandlerContext?
    var replyBytes = ByteBuffer()
    var known = KnownHead()

    var turn = ConnectionTurn.idle
    var held = CircularBuffer<HTTPServerRequestPart>()
    var isReleasing = false
    var readIsPending = false
    var wantsBody = true
    private var discarded = 0
    var closesAfterReply = false
    var lastActivity = NIODeadline.now()
    var idleCheck: Scheduled<Void>?

    init(front: FunctionFront<Node>) { self.front = front }

    // MARK: Life of the connection

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        wire = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
        executor = front.executors.executor(of: context.eventLoop)
        remote = context.remoteAddress?.ipAddress ?? ""
        scheduleIdleCheck(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        idleCheck?.cancel()
        abandon()
        self.context = nil
        bound = nil
        wire = nil
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
            quiesce(context, event: event)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    /// The gateway shuts down: what runs is finished first.
    private func quiesce(_ context: ChannelHandlerContext, event: Any) {
        closesAfterReply = true
        switch turn {
        case .collecting, .calling, .closing: break
        case .discarding:
            turn = .closing
            linger(context)
        case .idle, .routed: context.fireUserInboundEventTriggered(event)
        }
    }

    func inputClosed(_ context: ChannelHandlerContext, event: Any) {
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
        case .collecting(let function): breakOff(error, function, context)
        case .calling(let function) where !function.replyBegun: breakOff(error, function, context)
        case .calling, .discarding, .closing:
            abandon()
            context.close(promise: nil)
        }
    }

    /// The connection failed, or what came is not HTTP: the client is told, if it still listens.
    private func breakOff(_ error: any Error, _ function: FunctionTurn, _ context: ChannelHandlerContext) {
        abandon()
        guard error is HTTPParserError else {
            context.close(promise: nil)
            return
        }
        function.head.keepsAlive = false
        let notHTTP = BrumeError(.invalid, "The request is not valid HTTP: \(error).")
        refuse(notHTTP, function.head, label: function.arrival.request.label, context)
    }

    /// Ends a running call whose reply nobody will read.
    func abandon() {
        if case .calling(let function) = turn {
            function.source?.finish(ChannelError.inputClosed)
            turn = .closing
            abandon(function)
        }
        turn = .closing
    }

    func scheduleIdleCheck(_ context: ChannelHandlerContext) {
        let timeout = TimeAmount.nanoseconds(front.settings.idleTimeout.wholeNanoseconds)
        guard let bound else { return }
        idleCheck = context.eventLoop.scheduleTask(deadline: lastActivity + timeout) { bound.value.checkIdle() }
    }

    func checkIdle() {
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

    func resumeReading() {
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
        if case .collecting(let function) = turn, function.head.contentLength ?? .max > Self.wholeBodyBytesMax {
            beginStreaming(function, context)
        }
        context.fireChannelReadComplete()
    }

    /// Whether a part belongs to the present turn; otherwise it waits.
    func accepts(_ part: HTTPServerRequestPart) -> Bool {
        switch turn {
        case .idle, .collecting, .discarding, .closing: true
        case .routed(let requestEnded, _): !requestEnded
        case .calling(let function): function.source != nil
        }
    }

    func accept(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch turn {
        case .idle:
            if case .head(let head) = part { begin(head, context) }
        case .routed(_, let replyEnded):
            lastActivity = NIODeadline.now()
            if case .end = part { turn = replyEnded ? .idle : .routed(requestEnded: true, replyEnded: false) }
            context.fireChannelRead(wrapInboundOut(part))
        case .collecting(let function): collect(part, function, context)
        case .calling(let function): forward(part, function, context)
        case .discarding: discard(part, context)
        case .closing: break
        }
    }

    /// What is left of a request that is answered already; more than any body may have ends the connection.
    private func discard(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        case .head: break
        case .body(let bytes):
            discarded += bytes.readableBytes
            if discarded > front.settings.bodyBytesMax {
                turn = .closing
                context.close(promise: nil)
            }
        case .end: becomeIdle(context)
        }
    }

    /// Lets the parts in that had to wait.
    func release(_ context: ChannelHandlerContext) {
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

    func becomeIdle(_ context: ChannelHandlerContext) {
        turn = .idle
        discarded = 0
        wantsBody = true
        if closesAfterReply {
            turn = .closing
            context.close(promise: nil)
            return
        }
        release(context)
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
    func wantsRelease(_ context: ChannelHandlerContext) {
        guard !held.isEmpty, let bound else { return }
        context.eventLoop.execute { if let context = bound.value.context { bound.value.release(context) } }
    }
}
