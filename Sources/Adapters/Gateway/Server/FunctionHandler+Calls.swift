// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOHTTP1

/// Running a call, whose reply comes back to the connection's event loop.
extension FunctionHandler {
    func start(_ arrival: Arrival, _ head: ConnectionTurn.RequestHead, source: InboundBody.Chunks.Source?) {
        guard let context else { return }
        callNumber += 1
        let number = callNumber
        var arrival = arrival
        front.begin(&arrival)
        turn = .calling(.init(number: number, head: head, arrival: arrival, source: source))
        let loop = context.eventLoop
        let bound = NIOLoopBound(self, eventLoop: loop)
        let call = front.node.call(arrival.request) { reply in
            if loop.inEventLoop { bound.value.deliver(reply, to: number) } else { loop.execute { bound.value.deliver(reply, to: number) } }
        }
        // A node that answers without waiting has ended the turn already.
        if case .calling(var calling) = turn, calling.number == number {
            calling.call = call
            turn = .calling(calling)
        }
    }

    /// Ends a call that runs for nobody any more.
    func abandon(_ calling: ConnectionTurn.Calling) {
        calling.sending?.cancel()
        if let call = calling.call { front.node.abandon(call) }
    }

    /// Writes a reply, or its head where the body is still coming.
    private func deliver(_ reply: CallReply<ByteBuffer>, to number: UInt64) {
        guard let context, case .calling(var calling) = turn, calling.number == number else { return }
        let now = NIODeadline.now()
        lastActivity = now
        let answer = front.answer(to: calling.arrival, with: reply, at: now, date: dateText(now))
        guard case .stream(let rest) = answer.body, !calling.head.isHead else {
            turn = calling.source == nil ? .idle : .discarding
            write(answer, calling.head, context)
            return
        }
        calling.replyBegun = true
        calling.remaining = answer.contentLength
        if calling.head.version != .http1_1 { calling.head.keepsAlive = false }
        let head = responseHead(answer, calling.head, contentLength: answer.contentLength)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        turn = .calling(calling)
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
        // The write may have found the client gone.
        guard case .calling = turn else { return }
        let sending = Task.immediate(executorPreference: executor) { await bound.value.send(rest, to: number) }
        // What was there already has been sent by now.
        if case .calling(var calling) = turn, calling.number == number {
            calling.sending = sending
            turn = .calling(calling)
        }
    }

    /// Sends a streamed body at the speed at which the client takes it.
    func send(_ stream: any AsyncSequence<ByteBuffer, any Error> & Sendable, to number: UInt64) async {
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

    func write(_ chunk: ByteBuffer, to number: UInt64) -> EventLoopFuture<Void>? {
        guard let context, case .calling(var calling) = turn, calling.number == number else { return nil }
        if let remaining = calling.remaining {
            // More than was announced would be read as the next reply.
            guard chunk.readableBytes <= remaining else {
                finish(number, succeeded: false)
                return nil
            }
            calling.remaining = remaining - chunk.readableBytes
            turn = .calling(calling)
        }
        let promise = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(chunk))), promise: promise)
        return promise.futureResult
    }

    /// Ends a streamed reply. One that broke off is cut, so that the client cannot take it for whole.
    func finish(_ number: UInt64, succeeded: Bool) {
        guard let context, case .calling(let calling) = turn, calling.number == number else { return }
        guard succeeded, calling.remaining ?? 0 == 0 else {
            turn = .closing
            context.close(promise: nil)
            return
        }
        turn = calling.source == nil ? .idle : .discarding
        end(calling.head, context) { context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: $0) }
    }
}
