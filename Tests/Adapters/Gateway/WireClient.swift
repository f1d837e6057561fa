// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOPosix

/// A client that writes bytes and reads bytes, for what no HTTP library would send.
enum WireClient {
    /// Connects, runs the test and closes.
    static func connect<Value: Sendable>(
        port: Int, _ test: (inout Wire) async throws -> Value
    ) async throws -> Value {
        let connection = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
                }
            }
        return try await connection.executeThenClose { inbound, outbound in
            var wire = Wire(inbound: inbound.makeAsyncIterator(), outbound: outbound, channel: connection.channel)
            return try await test(&wire)
        }
    }

    struct Wire {
        fileprivate var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
        fileprivate let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
        let channel: any Channel
        /// Everything read so far.
        private(set) var received = ""

        fileprivate init(
            inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator, outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>,
            channel: any Channel
        ) {
            self.inbound = inbound
            self.outbound = outbound
            self.channel = channel
        }

        func send(_ text: String) async throws { try await outbound.write(ByteBuffer(string: text)) }

        /// Says that nothing more will be sent.
        func finish() { outbound.finish() }

        /// Reads until the text has come, or to the end of the connection; `received` keeps what follows.
        mutating func read(until text: String) async throws {
            while !received.contains(text) {
                guard let bytes = try await inbound.next(isolation: #isolation) else {
                    throw BrumeError(.failed, "The connection ended before '\(text)' came; so far: \(received)")
                }
                received += String(buffer: bytes)
            }
        }

        /// Reads to the end of the connection.
        mutating func readToEnd() async throws -> String {
            while let bytes = try await inbound.next(isolation: #isolation) { received += String(buffer: bytes) }
            return received
        }

        mutating func forget() { received = "" }
    }
}
