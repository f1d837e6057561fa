// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// One gRPC connection to another node, for one call.
struct LinkClient {
    typealias Stream = RPCStream<
        RPCAsyncSequence<RPCResponsePart<GRPCNIOTransportBytes>, any Error>,
        RPCWriter<RPCRequestPart<GRPCNIOTransportBytes>>.Closable
    >

    let record: SocketRecord
    private let transport: HTTP2ClientTransport.WrappedChannel

    /// Connects, with TLS whose other side `check` accepts.
    ///
    /// - Throws: `BrumeError` (`invalid`) if the address is none, else why the connection failed.
    static func connect(
        to address: String, context: NIOSSLContext, settings: LinkSettings, meter: SocketMeter, group: any EventLoopGroup,
        check: @escaping @Sendable ([NIOSSLCertificate]) throws(BrumeError) -> CertifiedNode
    ) async throws -> LinkClient {
        let (host, port) = try LinkAddress.split(address)
        let made = Mutex<SocketRecord?>(nil)
        let transport = try await HTTP2ClientTransport.WrappedChannel.wrapping(config: GRPCLink.clientConfiguration(settings)) {
            configure in
            try await ClientBootstrap(group: group)
                .connectTimeout(TimeAmount(settings.handshakeTimeout))
                .channelOption(.socketOption(.tcp_nodelay), value: 1)
                .channelOption(SocketOptions.unsentLowWater, value: SocketOptions.unsentBytesMax)
                .connect(host: host, port: port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let record = SocketRecord(number: 0, channel: channel)
                        made.withLock { $0 = record }
                        let tls = try NIOSSLClientHandler(
                            context: context, serverHostname: nil,
                            customVerificationCallback: { certificates, promise in
                                do throws(BrumeError) {
                                    record.certify(try check(certificates))
                                    promise.succeed(.certificateVerified)
                                } catch {
                                    record.fail(error.message)
                                    promise.succeed(.failed)
                                }
                            })
                        try channel.pipeline.syncOperations.addHandlers(
                            MeterHandler(meter, record, silenceMax: settings.keepalive.interval + settings.keepalive.timeout), tls,
                            RecordJoiner(), GuardHandler(record, timeout: settings.handshakeTimeout))
                    }.flatMap { configure(channel) }
                }
        }
        guard let record = made.withLock({ $0 }) else { throw ChannelError.ioOnClosedChannel }
        return LinkClient(record: record, transport: transport)
    }

    /// Runs one call, and closes the connection after it.
    ///
    /// - Throws: what `body` throws, or the better reason that TLS or the guard knows.
    func call(_ method: MethodDescriptor, _ body: @escaping @Sendable (Stream) async throws -> Void) async throws {
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await transport.connect() }
                do {
                    try await transport.withStream(descriptor: method, options: GRPCLink.callOptions) { stream, _ in try await body(stream)
                    }
                } catch {
                    record.end(FailureText.sentence(error))
                    throw error
                }
                transport.beginGracefulShutdown()
                record.channel.close(promise: nil)
                try? await group.waitForAll()
            }
        } catch {
            guard let reason = record.failure, !(error is BrumeError) else { throw error }
            throw BrumeError(.unavailable, reason, cause: error)
        }
    }

    /// The next message, or nil at a good end.
    ///
    /// - Throws: `BrumeError` with the sentence of a peer that refuses.
    static func message(
        _ parts: inout RPCAsyncSequence<RPCResponsePart<GRPCNIOTransportBytes>, any Error>.AsyncIterator
    ) async throws -> [UInt8]? {
        while let part = try await parts.next(isolation: #isolation) {
            switch part {
            case .metadata: continue
            case .message(let bytes): return unsafe bytes.withUnsafeBytes { unsafe Array($0) }
            case .status(let status, _):
                guard status.code != .ok else { return nil }
                throw BrumeError(code(status.code), status.message.isEmpty ? "The peer refused (\(status.code))." : status.message)
            }
        }
        return nil
    }

    private static func code(_ code: Status.Code) -> BrumeError.Code {
        switch code {
        case .permissionDenied, .unauthenticated: .permission
        case .invalidArgument: .invalid
        case .alreadyExists: .conflict
        case .failedPrecondition, .unimplemented: .unsupported
        case .resourceExhausted: .tooLarge
        default: .unavailable
        }
    }
}

/// Addresses of nodes: `HOST:PORT`, with brackets round IPv6.
enum LinkAddress {
    /// - Throws: `BrumeError` (`invalid`).
    static func split(_ address: String) throws(BrumeError) -> (host: String, port: Int) {
        guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]), (1...65_535).contains(port)
        else {
            throw BrumeError(.invalid, "'\(address.prefix(100))' is no address of a node; give HOST:PORT.")
        }
        var host = String(address[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty else { throw BrumeError(.invalid, "'\(address.prefix(100))' lacks the host; give HOST:PORT.") }
        return (host, port)
    }
}
