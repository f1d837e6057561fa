// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore

/// Hands whole requests to functions straight to the ``FunctionHandler``; everything else goes on to the HTTP decoder.
///
/// What the decoder has got a part of it gets all of: from the first byte that is passed on, the connection's requests go that way.
final class PlainRequestHandler<Node: NodeOperations>: ChannelInboundHandler where Node.Payload == ByteBuffer {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let functions: FunctionHandler<Node>
    private var isOpen = true
    /// Whether the handlers behind have to know of the end of this read.
    private var hasPassed = false
    /// The beginning of a request, at most ``PlainHead/bytesMax``.
    private var begun = ByteBuffer()

    init(functions: FunctionHandler<Node>) { self.functions = functions }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard isOpen else {
            hasPassed = true
            context.fireChannelRead(data)
            return
        }
        var bytes = unwrapInboundIn(data)
        if begun.readableBytes > 0 {
            begun.writeBuffer(&bytes)
            bytes = begun
            begun = ByteBuffer()
        }
        while bytes.readableBytes > 0 {
            switch functions.takePlain(&bytes) {
            case .taken: break
            case .unfinished:
                begun = bytes
                return
            case .other:
                pass(bytes, context)
                return
            }
        }
    }

    private func pass(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        isOpen = false
        hasPassed = true
        begun = ByteBuffer()
        context.fireChannelRead(wrapInboundOut(bytes))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard hasPassed else { return }
        hasPassed = false
        context.fireChannelReadComplete()
    }

    // What was kept comes before whatever else happens to the connection.

    private func passBegun(_ context: ChannelHandlerContext) {
        guard begun.readableBytes > 0 else { return }
        pass(begun, context)
        channelReadComplete(context: context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        passBegun(context)
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        passBegun(context)
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        passBegun(context)
        context.fireChannelInactive()
    }
}
