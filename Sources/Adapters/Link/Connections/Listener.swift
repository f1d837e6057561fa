// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import GRPCNIOTransportHTTP2Posix
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Accepts sockets for gRPC: a meter, TLS with the certificate of the moment, and a guard against those who never greet.
final class Listener: HTTP2ServerTransport.ListenerFactory {
    let eventLoopGroup: any EventLoopGroup
    private let settings: LinkSettings
    private let credentials: NodeCredentials
    private let meter: SocketMeter
    private let refused: @Sendable (NodeID?, String, String) -> Void
    private struct Sockets {
        var records: [UInt64: SocketRecord] = [:]
        var isClosed = false
    }
    private let sockets = Mutex(Sockets())
    private let strangers = Atomic<Int>(0)
    private let numbers = Atomic<UInt64>(1)

    init(
        settings: LinkSettings, credentials: NodeCredentials, meter: SocketMeter, group: any EventLoopGroup,
        refused: @escaping @Sendable (NodeID?, String, String) -> Void
    ) {
        self.settings = settings
        self.credentials = credentials
        self.meter = meter
        self.refused = refused
        eventLoopGroup = group
    }

    /// The socket a stream's stamp names.
    func record(_ number: UInt64) -> SocketRecord? { sockets.withLock { $0.records[number] } }

    /// Closes every socket that was accepted, and those still to come.
    func close() {
        let records = sockets.withLock { sockets in
            sockets.isClosed = true
            return sockets.records.values.map { $0 }
        }
        for record in records { record.end("The link is stopping.") }
    }

    func makeListeningChannel(
        listenerConfigurator: HTTP2ServerTransport.ListenerConfigurator,
        connectionConfigurator: HTTP2ServerTransport.ConnectionConfigurator
    ) async throws -> NIOAsyncChannel<HTTP2ServerTransport.ConnectionConfigurator.ConnectionChannel, Never> {
        let bootstrap = ServerBootstrap(group: eventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelOption(SocketOptions.unsentLowWater, value: SocketOptions.unsentBytesMax)
            .serverChannelInitializer { listenerConfigurator.configure(channel: $0) }
        do {
            return try await bootstrap.bind(host: settings.host, port: settings.port) { channel in
                channel.eventLoop.makeCompletedFuture { try self.prepare(channel) }
                    .flatMap { connectionConfigurator.configure(channel: channel, tls: .configured(requireALPN: true)) }
                    .flatMapErrorThrowing { error in
                        // Nobody else closes a socket whose preparation failed.
                        channel.close(promise: nil)
                        throw error
                    }
            }
        } catch {
            throw BrumeError(
                .conflict,
                "The link cannot listen on \(settings.host):\(settings.port): \(FailureText.sentence(error)) Choose another with --link.",
                cause: error)
        }
    }

    private func prepare(_ channel: any Channel) throws {
        let record = SocketRecord(number: numbers.add(1, ordering: .relaxed).oldValue, channel: channel)
        guard strangers.add(1, ordering: .relaxed).newValue <= settings.strangersMax else {
            strangers.subtract(1, ordering: .relaxed)
            throw BrumeError(.unavailable, "There are \(settings.strangersMax) connections without a certificate already.")
        }
        // A stranger counts until its certificate has been checked or its socket is gone, whichever comes first.
        let counted = Counted()
        let isClosed = sockets.withLock { sockets in
            sockets.records[record.number] = record
            return sockets.isClosed
        }
        channel.closeFuture.whenComplete { _ in
            self.sockets.withLock { $0.records[record.number] = nil }
            if counted.end() { self.strangers.subtract(1, ordering: .relaxed) }
        }
        guard !isClosed else { throw BrumeError(.unavailable, "The link is stopping.") }
        let check: NIOSSLCustomVerificationCallback = { certificates, promise in
            do throws(BrumeError) {
                let node = try self.verified(certificates)
                record.certify(node)
                if counted.end() { self.strangers.subtract(1, ordering: .relaxed) }
                promise.succeed(.certificateVerified)
            } catch {
                self.refused(nil, record.remote, error.message)
                record.fail(error.message)
                promise.succeed(.failed)
            }
        }
        let tls = NIOSSLServerHandler(context: credentials.serverContext, customVerificationCallback: check)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandlers(
            MeterHandler(meter, record, silenceMax: settings.keepalive.interval + settings.keepalive.timeout), tls,
            RecordJoiner(), GuardHandler(record, timeout: settings.handshakeTimeout))
    }

    private func verified(_ certificates: [NIOSSLCertificate]) throws(BrumeError) -> CertifiedNode {
        guard let der = try? certificates.first?.toDERBytes() else { throw BrumeError(.permission, "The certificate cannot be read.") }
        return try CertificateProfile.verify(der, by: credentials.authority, now: WallClock.now())
    }
}

/// Something that ends once, whoever ends it first.
private final class Counted: Sendable {
    private let isOver = Atomic<Bool>(false)

    /// - Returns: whether this call ended it.
    func end() -> Bool { !isOver.exchange(true, ordering: .relaxed) }
}

/// What is set on every socket.
enum SocketOptions {
    /// Bytes the kernel may hold that it has not sent: more would let urgent frames wait behind others.
    static let unsentBytesMax: SocketOptionValue = 256 << 10
    #if canImport(Glibc)
    static let unsentLowWater = ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_NOTSENT_LOWAT))
    #else
    static let unsentLowWater = ChannelOptions.socketOption(.tcp_nodelay)
    #endif
}
