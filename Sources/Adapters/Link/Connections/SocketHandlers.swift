// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOSSL
import NIOTLS
import Synchronization

/// Bytes that crossed the sockets.
final class SocketMeter: Sendable {
    let sent = Atomic<Int>(0)
    let received = Atomic<Int>(0)
}

/// Counts what crosses a socket, and ends one over which nothing comes any more; first in its pipeline, below TLS.
///
/// Both sides ping each other over HTTP/2, so a peer that lives is heard of all the time, however slowly its owner reads. The socket is
/// closed from here, because TLS above would wait for the silent peer's farewell.
final class MeterHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let meter: SocketMeter
    private let record: SocketRecord
    private let silenceMax: TimeAmount
    private var heardAt = NIODeadline.now()
    private var lookedAt = NIODeadline.now()
    private var watch: RepeatedTask?

    /// - Parameter silenceMax: time after which a member that is not heard of counts as gone.
    init(_ meter: SocketMeter, _ record: SocketRecord, silenceMax: Duration) {
        self.meter = meter
        self.record = record
        self.silenceMax = TimeAmount(silenceMax)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let step = TimeAmount.nanoseconds(max(1_000_000, silenceMax.nanoseconds / 8))
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        watch = context.eventLoop.scheduleRepeatedTask(initialDelay: step, delay: step) { _ in
            let (handler, context) = bound.value
            handler.look(context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { watch?.cancel() }

    func channelInactive(context: ChannelHandlerContext) {
        watch?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        heardAt = .now()
        meter.received.add(unwrapInboundIn(data).readableBytes, ordering: .relaxed)
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        meter.sent.add(unwrapOutboundIn(data).readableBytes, ordering: .relaxed)
        context.write(data, promise: promise)
    }

    private func look(_ context: ChannelHandlerContext) {
        let now = NIODeadline.now()
        // A machine that slept, or had no time for this thread, has not listened: that is not the peer's silence.
        if now - lookedAt > TimeAmount.nanoseconds(silenceMax.nanoseconds / 2) { heardAt = now }
        lookedAt = now
        guard record.isSettled, now - heardAt > silenceMax else { return }
        watch?.cancel()
        record.fail("The peer no longer answers.")
        context.close(promise: nil)
    }
}

/// Ends a socket over which no member greets in time, and keeps the reason why TLS failed; above TLS in its pipeline.
final class GuardHandler: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    let record: SocketRecord
    private let timeout: Duration
    private var alarm: Scheduled<Void>?
    private var isAlone = true

    init(_ record: SocketRecord, timeout: Duration) {
        self.record = record
        self.timeout = timeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let record = record
        let timeout = timeout
        alarm = context.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
            if !record.isSettled { record.end("No member greeted within \(timeout).") }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { alarm?.cancel() }

    func channelInactive(context: ChannelHandlerContext) {
        alarm?.cancel()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { isAlone = false }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        record.fail(FailureText.sentence(error))
        context.fireErrorCaught(error)
        // TLS that failed leaves nothing to say; its alert has been sent by now.
        if isAlone { context.close(promise: nil) }
    }
}

/// Writes the numbers of socket and stream into the head of each stream, over whatever the client wrote there: the stream's reader finds
/// the certificate and the tap by them.
final class StampHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias InboundOut = HTTP2Frame.FramePayload

    static let name = "brume-socket"
    private let socket: UInt64
    var stream: UInt64 = 0

    init(socket: UInt64) { self.socket = socket }

    /// The numbers that a stamp tells.
    static func numbers(_ stamp: String) -> (socket: UInt64, stream: UInt64)? {
        let words = stamp.split(separator: "-").map { UInt64($0) }
        guard words.count == 2, let socket = words[0], let stream = words[1] else { return nil }
        return (socket, stream)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .headers(var content) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        content.headers.replaceOrAdd(name: Self.name, value: "\(socket)-\(stream)")
        context.fireChannelRead(wrapInboundOut(.headers(content)))
    }
}
