// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOHTTP1

/// Running a call: one task, owned by the turn.
extension FunctionHandler {
    func start(_ arrival: Arrival, _ head: ConnectionTurn.RequestHead, source: InboundBody.Chunks.Source?) {
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
    func deliver(_ reply: CallReply<ByteBuffer>, to number: UInt64) -> (any AsyncSequence<ByteBuffer, any Error> & Sendable)? {
        guard let context, case .calling(var calling) = turn, calling.number == number else { return nil }
        let now = NIODeadline.now()
        lastActivity = now
        let answer = front.answer(to: calling.arrival, with: reply, at: now, date: dateText(now))
        if case .stream(let rest) = answer.body, !calling.head.isHead {
            calling.replyBegun = true
            calling.remaining = answer.contentLength
            if calling.head.version != .http1_1 { calling.head.keepsAlive = false }
            turn = .calling(calling)
            let head = responseHead(answer, calling.head, contentLength: answer.contentLength)
            context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
            return rest
        }
        turn = calling.source == nil ? .idle : .discarding
        write(answer, calling.head, context)
        return nil
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
        end(calling.head, context)
    }
}
