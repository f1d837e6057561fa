// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Joins what is written until a flush, so that it leaves in one TLS record; above TLS in its pipeline.
///
/// HTTP/2 writes the nine bytes of a frame's head apart from its content. Each would be encrypted, sent, decrypted and looked at by itself.
final class RecordJoiner: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// 16 KiB: what a TLS record holds. What is longer is not copied for this.
    static let joinedBytesMax = 16 << 10

    private var joined: ByteBuffer?
    private var promise: EventLoopPromise<Void>?

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var next = unwrapOutboundIn(data)
        if let joined, joined.readableBytes + next.readableBytes > Self.joinedBytesMax { pass(context) }
        guard joined != nil else {
            joined = next
            self.promise = promise
            return
        }
        joined?.writeBuffer(&next)
        guard let promise else { return }
        if let first = self.promise { first.futureResult.cascade(to: promise) } else { self.promise = promise }
    }

    func flush(context: ChannelHandlerContext) {
        pass(context)
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        pass(context)
        context.close(mode: mode, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        promise?.fail(ChannelError.ioOnClosedChannel)
        promise = nil
        joined = nil
    }

    private func pass(_ context: ChannelHandlerContext) {
        guard let bytes = joined else { return }
        joined = nil
        let told = promise
        promise = nil
        context.write(wrapOutboundOut(bytes), promise: told)
    }
}
