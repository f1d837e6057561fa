// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
package import BrumeState
package import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Serves state to clients of Redis, on Unix sockets and TCP: one loop of one thread, since the replica is under one lock anyway.
package final class RedisServer: Service {
    private let settings: RedisSettings
    private let logger: Logger
    private let loop: any EventLoop
    private let group: MultiThreadedEventLoopGroup
    /// Confined to the loop.
    private let core: NIOLoopBound<ServerCore>
    private let sockets = Mutex(Sockets())
    private let first: [RedisListener]
    private let onListening: @Sendable (RedisListener.Address) -> Void

    private struct Sockets {
        var open: [RedisListener.Address: any Channel] = [:]
        var isClosed = false
    }

    /// - Parameters:
    ///   - listeners: Opened by ``run()``; more can be opened and closed at any time.
    ///   - onListening: Told each address that was bound, with its port.
    package init(
        access: any StateAccess, settings: RedisSettings, listeners: [RedisListener], logger: Logger,
        onListening: @escaping @Sendable (RedisListener.Address) -> Void = { _ in }
    ) throws(BrumeError) {
        try settings.validate()
        self.settings = settings
        self.logger = logger
        self.first = listeners
        self.onListening = onListening
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        self.loop = loop
        let mailbox = Mailbox()
        do {
            core = try loop.submit {
                let core = ServerCore(
                    access: access, settings: settings, clock: { Instant(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds)) },
                    post: { event in mailbox.post(event, on: loop) },
                    postLater: { delay, event in
                        loop.scheduleTask(in: .nanoseconds(delay.wholeNanoseconds)) { mailbox.post(event, on: loop) }
                    })
                let bound = NIOLoopBound(core, eventLoop: loop)
                mailbox.open { bound.value.handle($0) }
                return bound
            }.wait()
        } catch {
            throw BrumeError(.failed, "The loop of the Redis server could not be started.", cause: error)
        }
    }

    /// Serves until the service group shuts down gracefully; then every connection is closed.
    ///
    /// - Throws: `BrumeError` (`conflict` where a port or a path is taken, `invalid` for an address that is none of this machine's).
    package func run() async throws {
        do {
            for listener in first { try await open(listener) }
            try? await gracefulShutdown()
        } catch {
            await shutDown()
            throw error
        }
        await shutDown()
    }

    /// Listens on a further socket; answers with the address that was bound.
    ///
    /// - Throws: `BrumeError`.
    @discardableResult
    package func open(_ listener: RedisListener) async throws(BrumeError) -> RedisListener.Address {
        try checkExposure(listener)
        let channel: any Channel
        do {
            channel = try await bind(listener)
        } catch {
            throw BrumeError(
                .conflict, "The Redis server cannot listen on \(listener.address); is another program there, or the address wrong?",
                cause: error)
        }
        do throws(BrumeError) {
            try openToSandbox(listener)
        } catch {
            try? await channel.close()
            throw error
        }
        let address = bound(listener.address, channel)
        let isClosed = sockets.withLock { sockets in
            if !sockets.isClosed { sockets.open[address] = channel }
            return sockets.isClosed
        }
        if isClosed {
            try? await channel.close()
            throw BrumeError(.unavailable, "The Redis server has been shut down; start it again.")
        }
        logger.info("listening for Redis clients", metadata: ["address": "\(address)"])
        onListening(address)
        return address
    }

    /// Stops listening on a socket and closes nothing else.
    package func close(_ address: RedisListener.Address) async {
        let channel = sockets.withLock { $0.open.removeValue(forKey: address) }
        try? await channel?.close()
    }

    /// Closes every socket and every connection, and ends the loop.
    package func shutDown() async {
        let open = sockets.withLock { sockets in
            sockets.isClosed = true
            defer { sockets.open = [:] }
            return Array(sockets.open.values)
        }
        for channel in open { try? await channel.close() }
        try? await loop.submit { [core] in core.value.closeAll() }.get()
        try? await group.shutdownGracefully()
    }

    /// Without users, nobody but this machine may come in.
    private func checkExposure(_ listener: RedisListener) throws(BrumeError) {
        guard case .tcp(let host, _) = listener.address, settings.users.isEmpty else { return }
        let isLoopback = host == "localhost" || host == "::1" || host.hasPrefix("127.")
        guard isLoopback else {
            throw BrumeError(
                .invalid,
                "Without users, Redis is served on loopback only; give users and passwords, or listen on 127.0.0.1 instead of \(host).")
        }
    }

    /// A sandbox's program runs as a host user of its own and must be able to connect; who reaches the path is the folder's matter.
    private func openToSandbox(_ listener: RedisListener) throws(BrumeError) {
        guard case .unix(let path) = listener.address, case .namespace = listener.door else { return }
        guard unsafe chmod(path, 0o666) == 0 else {
            throw BrumeError(.permission, "The mode of the socket \(path) cannot be set; choose a folder that this user owns.")
        }
    }

    private func bind(_ listener: RedisListener) async throws -> any Channel {
        let core = core
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.writeBufferWaterMark, value: Self.waterMark)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionHandler(core: core.value, door: listener.door))
                }
            }
        switch listener.address {
        case .unix(let path): return try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        case .tcp(let host, let port): return try await bootstrap.bind(host: host, port: port).get()
        }
    }

    /// Connections that the kernel keeps until they are accepted; Redis' own 511, and a burst of sandboxes fits.
    private static let backlog: Int32 = 511
    /// Bytes that wait to leave: as many as ``RedisSettings/unreadBytesPause``, where reading stops, and half of it, where it goes on.
    private static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(
        low: RedisSettings.unreadBytesPause / 2, high: RedisSettings.unreadBytesPause)

    private func bound(_ address: RedisListener.Address, _ channel: any Channel) -> RedisListener.Address {
        guard case .tcp(let host, _) = address, let port = channel.localAddress?.port else { return address }
        return .tcp(host: channel.localAddress?.ipAddress ?? host, port: port)
    }
}

/// Events for the loop, taken in one go however many threads post them.
private final class Mailbox: Sendable {
    private struct State {
        var events: [ServerEvent] = []
        var isScheduled = false
    }

    // Bounded by the sessions, which wait for one thing each, and by the shell's batches of changes.
    private let state = Mutex(State())
    private let handler = Mutex<(@Sendable (ServerEvent) -> Void)?>(nil)

    func open(_ handle: @escaping @Sendable (ServerEvent) -> Void) { handler.withLock { $0 = handle } }

    func post(_ event: ServerEvent, on loop: any EventLoop) {
        let isFirst = state.withLock { state in
            state.events.append(event)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if isFirst { loop.execute { self.drain() } }
    }

    private func drain() {
        let events = state.withLock { state in
            defer { state = State() }
            return state.events
        }
        let handle = handler.withLock { $0 }
        for event in events { handle?(event) }
    }
}
