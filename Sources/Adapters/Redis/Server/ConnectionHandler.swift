// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore

/// One connection: what the channel reads goes to a session, what the session writes goes to the channel.
final class ConnectionHandler: ChannelInboundHandler, SessionTransport {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let core: ServerCore
    private let door: RedisListener.Door
    private var session: Session?
    private var context: ChannelHandlerContext?
    private var isEnding = false
    private var idle: Scheduled<Void>?

    init(core: ServerCore, door: RedisListener.Door) {
        self.core = core
        self.door = door
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        let addresses = (peer: Self.text(context.remoteAddress), own: Self.text(context.localAddress))
        guard let session = core.open(door: door, addresses: addresses) else {
            send(Array("-ERR max number of clients reached\r\n".utf8))
            closeWhenSent()
            return
        }
        session.transport = self
        self.session = session
        watchIdle(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let session else { return }
        unsafe unwrapInboundIn(data).withUnsafeReadableBytes { unsafe session.receive($0) }
    }

    func channelInactive(context: ChannelHandlerContext) { end() }

    func handlerRemoved(context: ChannelHandlerContext) {
        end()
        self.context = nil
    }

    /// Everything that was written has left when the channel can be written to again: sessions may read on.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { session?.pauseIfFull() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func end() {
        idle?.cancel()
        idle = nil
        guard let session else { return }
        self.session = nil
        core.ended(session)
    }

    private func watchIdle(_ context: ChannelHandlerContext) {
        guard let limit = core.settings.idleTimeout else { return }
        let silent = core.now - (session?.lastHeard ?? core.now)
        let left = max(limit - silent, .milliseconds(1))
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        idle = context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(left.wholeNanoseconds)) {
            bound.value.checkIdle(limit)
        }
    }

    private func checkIdle(_ limit: Duration) {
        guard let session, let context else { return }
        if core.now - session.lastHeard >= limit, !session.isListening {
            core.statistics.idleClosed &+= 1
            context.close(promise: nil)
        } else {
            watchIdle(context)
        }
    }

    // MARK: SessionTransport

    /// Counted by the channel, and asked only past the mark where it matters.
    var unsentBytes: Int {
        guard let channel = context?.channel, !channel.isWritable else { return 0 }
        return (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? RedisSettings.unreadBytesPause + 1
    }

    func send(_ bytes: [UInt8]) {
        guard let context, !isEnding else { return }
        let buffer = context.channel.allocator.buffer(bytes: bytes)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    func closeWhenSent() {
        guard let context, !isEnding else { return }
        isEnding = true
        // The other end may never read; what it does not take in time is dropped with the connection.
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        idle?.cancel()
        idle = context.eventLoop.assumeIsolated().scheduleTask(in: Self.farewell) { bound.value.abort() }
        let empty = context.channel.allocator.buffer(capacity: 0)
        context.writeAndFlush(wrapOutboundOut(empty)).assumeIsolated().whenComplete { _ in bound.value.abort() }
    }

    /// How long a client has for reading the last reply.
    private static let farewell = TimeAmount.seconds(5)

    func abort() { context?.close(promise: nil) }

    func setReading(_ isReading: Bool) {
        guard let context else { return }
        // Fails only on a channel that is closed, where nothing is read any more.
        try? context.channel.syncOptions?.setOption(.autoRead, value: isReading)
    }

    private static func text(_ address: SocketAddress?) -> String {
        guard let address else { return "?:0" }
        if let path = address.pathname { return path.isEmpty ? "unix:0" : "\(path):0" }
        let host = address.ipAddress ?? "?"
        return host.contains(":") ? "[\(host)]:\(address.port ?? 0)" : "\(host):\(address.port ?? 0)"
    }
}
