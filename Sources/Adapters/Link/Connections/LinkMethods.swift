// SPDX-License-Identifier: Apache-2.0

import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore

/// The two calls of `link.proto`.
enum LinkMethods {
    static let open = MethodDescriptor(
        fullyQualifiedService: "brume.link.v1.Link", method: "Open", type: .bidirectionalStreaming)
    static let enrol = MethodDescriptor(fullyQualifiedService: "brume.link.v1.Enrolment", method: "Enrol", type: .unary)
}

/// What gRPC is told about its connections, on both sides.
enum LinkHTTP2 {
    /// Bytes under way to one peer that it has not taken in: urgent frames wait behind no more. 100 Mbit/s over 40 ms need as much.
    static let windowBytes = 512 << 10
    /// Longest HTTP/2 frame: a packet fits into one with its heads.
    static let frameBytesMax = 128 << 10
    /// Streams a peer may open at once: the link's own, one more while connections change, one for enrolment.
    static let streamsMax = 4
}

extension GRPCLink {
    /// Messages are answered by the same transport they come in by, without gRPC's layers for generated code: the payload is bytes.
    typealias ServerStream = RPCStream<
        RPCAsyncSequence<RPCRequestPart<GRPCNIOTransportBytes>, any Error>,
        RPCWriter<RPCResponsePart<GRPCNIOTransportBytes>>.Closable
    >

    static func serverConfiguration(_ settings: LinkSettings) -> HTTP2ServerTransport.Custom<Listener>.Config {
        var configuration = HTTP2ServerTransport.Custom<Listener>.Config.defaults
        // The writer gathers what waits into one packet; waiting for more would only cost time.
        configuration.connection.flushCoalescing = nil
        configuration.connection.keepalive = HTTP2ServerTransport.Config.Keepalive(
            time: settings.keepalive.interval, timeout: settings.keepalive.timeout,
            clientBehavior: HTTP2ServerTransport.Config.ClientKeepaliveBehavior(
                minPingIntervalWithoutCalls: .milliseconds(100), allowWithoutCalls: true))
        configuration.http2 = HTTP2ServerTransport.Config.HTTP2(
            maxFrameSize: LinkHTTP2.frameBytesMax, targetWindowSize: LinkHTTP2.windowBytes, maxConcurrentStreams: LinkHTTP2.streamsMax)
        configuration.rpc.maxRequestPayloadSize = WireLimits.requestBytesMax
        configuration.channelDebuggingCallbacks.onAcceptHTTP2Stream = { stream in
            stream.eventLoop.makeCompletedFuture {
                guard let socket = stream.parent else { throw ChannelError.ioOnClosedChannel }
                let guardian = try socket.pipeline.syncOperations.handler(type: GuardHandler.self)
                let stamp = StampHandler(socket: guardian.record.number)
                try stream.pipeline.syncOperations.addHandler(stamp, position: .first)
                stamp.stream = try guardian.record.addTap(to: stream)
            }
        }
        return configuration
    }

    static func clientConfiguration(_ settings: LinkSettings) -> HTTP2ClientTransport.WrappedChannel.Config {
        .defaults { configuration in
            configuration.connection.flushCoalescing = nil
            configuration.connection.maxIdleTime = nil
            configuration.connection.keepalive = HTTP2ClientTransport.Config.Keepalive(
                time: settings.keepalive.interval, timeout: settings.keepalive.timeout, allowWithoutCalls: true)
            configuration.http2.maxFrameSize = LinkHTTP2.frameBytesMax
            configuration.http2.targetWindowSize = LinkHTTP2.windowBytes
            configuration.channelDebuggingCallbacks.onCreateHTTP2Stream = { stream in
                stream.eventLoop.makeCompletedFuture {
                    guard let socket = stream.parent else { throw ChannelError.ioOnClosedChannel }
                    _ = try socket.pipeline.syncOperations.handler(type: GuardHandler.self).record.addTap(to: stream)
                }
            }
        }
    }

    static var callOptions: CallOptions {
        var options = CallOptions.defaults
        // The transport takes the first for what it reads, too.
        options.maxRequestMessageBytes = WireLimits.answerBytesMax
        options.maxResponseMessageBytes = WireLimits.answerBytesMax
        return options
    }
}
