// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOHTTP2

/// Takes packets out of a stream, and puts them in, below gRPC's own layers; first in the stream's pipeline.
///
/// gRPC opens the stream, exchanges its heads and the first message each way, and ends it. What goes between is the same on the wire, a
/// message of gRPC for each packet, but it is read and written here, on the loop, at once: through gRPC's sequences a packet changed tasks
/// four times on its way, which was a third of what it cost its receiver.
///
/// Lives on the loop and is touched nowhere else.
final class PacketTap: ChannelDuplexHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias InboundOut = HTTP2Frame.FramePayload
    typealias OutboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    /// Who gets the packets.
    struct Reader {
        /// A packet's bytes, one after the other.
        var take: ([UInt8]) -> Void
        /// The peer sends what is no message of gRPC, in words.
        var fail: (String) -> Void
    }

    /// A flag and a length before each message.
    private static let headBytes = 5
    /// Bytes that wait for a reader; beyond that the stream is not read, and its window closes.
    static let waitingBytesMax = WireLimits.packetBytesWanted

    private var context: ChannelHandlerContext?
    private var reader: Reader?
    private var onWritable: (() -> Void)?
    /// The first message of each direction is gRPC's.
    private var firstIn = FirstMessage()
    private var firstOut = FirstMessage()
    private var waiting = ByteBuffer()
    private var isReadHeld = false
    private var isBroken = false

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        reader = nil
        onWritable = nil
    }

    // MARK: Reading

    /// Hands over what has come since the first message, and what comes.
    func read(with reader: Reader) {
        guard context != nil else { return }
        self.reader = reader
        deliver()
        if isReadHeld {
            isReadHeld = false
            context?.read()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .data(var content) = unwrapInboundIn(data), case .byteBuffer(var bytes) = content.data else {
            return context.fireChannelRead(data)
        }
        let first = firstIn.take(from: &bytes)
        if bytes.readableBytes == 0 { return context.fireChannelRead(data) }
        if first.readableBytes > 0 || content.endStream {
            content.data = .byteBuffer(first)
            let rest = content
            take(&bytes)
            context.fireChannelRead(wrapInboundOut(.data(rest)))
        } else {
            take(&bytes)
        }
    }

    private func take(_ bytes: inout ByteBuffer) {
        guard !isBroken else { return }
        if waiting.readableBytes == 0 { waiting = bytes } else { waiting.writeBuffer(&bytes) }
        deliver()
    }

    private func deliver() {
        while let reader, !isBroken, let head = waiting.getMultipleIntegers(at: waiting.readerIndex, as: (UInt8, UInt32).self) {
            guard head.0 == 0, Int(head.1) <= WireLimits.requestBytesMax else {
                isBroken = true
                return reader.fail("The peer sent a message that is compressed or longer than \(WireLimits.requestBytesMax) bytes.")
            }
            guard waiting.readableBytes >= Self.headBytes + Int(head.1) else { return }
            waiting.moveReaderIndex(forwardBy: Self.headBytes)
            reader.take(waiting.readBytes(length: Int(head.1)) ?? [])
            if waiting.readableBytes == 0 { waiting.clear() } else { waiting.discardReadBytes() }
        }
    }

    func read(context: ChannelHandlerContext) {
        if reader == nil, waiting.readableBytes > Self.waitingBytesMax { isReadHeld = true } else { context.read() }
    }

    // MARK: Writing

    /// Whether the stream takes a packet now; if not, or not yet, `onWritable` is called when it does.
    var isWritable: Bool {
        guard let context else { return false }
        return firstOut.isOver && context.channel.isWritable
    }

    func tellWritable(_ body: @escaping () -> Void) { if context != nil { onWritable = body } }

    /// Writes a packet as a message of gRPC.
    func write(_ packet: [UInt8]) {
        guard let context else { return }
        var bytes = context.channel.allocator.buffer(capacity: Self.headBytes + packet.count)
        bytes.writeMultipleIntegers(UInt8(0), UInt32(packet.count))
        bytes.writeBytes(packet)
        context.writeAndFlush(wrapOutboundOut(.data(HTTP2Frame.FramePayload.Data(data: .byteBuffer(bytes)))), promise: nil)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let wasOver = firstOut.isOver
        if !wasOver, case .data(let content) = unwrapOutboundIn(data), case .byteBuffer(var bytes) = content.data {
            _ = firstOut.take(from: &bytes)
        }
        context.write(data, promise: promise)
        if !wasOver, firstOut.isOver { onWritable?() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if isWritable { onWritable?() }
        context.fireChannelWritabilityChanged()
    }
}

/// Follows a stream of gRPC's messages to the end of the first.
private struct FirstMessage {
    private var head: [UInt8] = []
    private var left = 0
    private(set) var isOver = false

    /// Takes from the bytes what belongs to the first message.
    mutating func take(from bytes: inout ByteBuffer) -> ByteBuffer {
        let begin = bytes
        var count = 0
        while !isOver, let byte = bytes.readInteger(as: UInt8.self) {
            count += 1
            if head.count < 5 {
                head.append(byte)
                if head.count == 5 { left = head[1...].reduce(0) { $0 << 8 | Int($1) } }
            } else {
                left -= 1
                let rest = min(left, bytes.readableBytes)
                bytes.moveReaderIndex(forwardBy: rest)
                left -= rest
                count += rest
            }
            isOver = head.count == 5 && left == 0
        }
        return begin.getSlice(at: begin.readerIndex, length: count) ?? ByteBuffer()
    }
}
