// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOHTTP1

/// Running a call, whose reply comes back to the connection's event loop.
extension FunctionHandler {
    func start(_ function: FunctionTurn) {
        guard let context, let bound else { return }
        front.begin(function.arrival)
        turn = .calling(function)
        let loop = context.eventLoop
        let turnOfCall = NIOLoopBound(function, eventLoop: loop)
        let call = front.node.call(function.arrival.request) { reply in
            if loop.inEventLoop {
                bound.value.deliver(reply, to: turnOfCall.value)
            } else {
                loop.execute { bound.value.deliver(reply, to: turnOfCall.value) }
            }
        }
        // A node that answers without waiting has ended the turn already.
        function.call = call
    }

    /// Ends a call that runs for nobody any more.
    func abandon(_ function: FunctionTurn) {
        function.sending?.cancel()
        if let call = function.call { front.node.abandon(call) }
    }

    /// Whether the connection still waits for the reply to this call.
    private func isCalling(_ function: FunctionTurn) -> Bool {
        if case .calling(let current) = turn { current === function } else { false }
    }

    /// Writes a reply, or its head where the body is still coming.
    private func deliver(_ reply: CallReply<ByteBuffer>, to function: FunctionTurn) {
        guard let context, isCalling(function) else { return }
        let now = NIODeadline.now()
        lastActivity = now
        let answer = front.answer(to: function.arrival, with: reply, at: now, date: dateText(now))
        guard case .stream(let rest) = answer.body, !function.head.isHead else {
            turn = function.source == nil ? .idle : .discarding
            write(answer, function.head, context)
            return
        }
        function.replyBegun = true
        function.remaining = answer.contentLength
        if function.head.version != .http1_1 { function.head.keepsAlive = false }
        let head = responseHead(answer, function.head, contentLength: answer.contentLength)
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
        // The write may have found the client gone.
        guard isCalling(function), let bound else { return }
        let turnOfCall = NIOLoopBound(function, eventLoop: context.eventLoop)
        // What was there already has been sent when this returns.
        function.sending = Task.immediate(executorPreference: executor) { await bound.value.send(rest, to: turnOfCall.value) }
    }

    /// Sends a streamed body at the speed at which the client takes it.
    private func send(_ stream: any AsyncSequence<ByteBuffer, any Error> & Sendable, to function: FunctionTurn) async {
        do {
            for try await chunk in stream {
                guard let written = write(chunk, to: function) else { return }
                try await written.get()
            }
            finish(function, succeeded: true)
        } catch {
            finish(function, succeeded: false)
        }
    }

    private func write(_ chunk: ByteBuffer, to function: FunctionTurn) -> EventLoopFuture<Void>? {
        guard let context, isCalling(function) else { return nil }
        if let remaining = function.remaining {
            // More than was announced would be read as the next reply.
            guard chunk.readableBytes <= remaining else {
                finish(function, succeeded: false)
                return nil
            }
            function.remaining = remaining - chunk.readableBytes
        }
        let promise = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(chunk))), promise: promise)
        return promise.futureResult
    }

    /// Ends a streamed reply. One that broke off is cut, so that the client cannot take it for whole.
    private func finish(_ function: FunctionTurn, succeeded: Bool) {
        guard let context, isCalling(function) else { return }
        guard succeeded, function.remaining ?? 0 == 0 else {
            turn = .closing
            context.close(promise: nil)
            return
        }
        turn = function.source == nil ? .idle : .discarding
        end(function.head, context) { context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: $0) }
    }
}
