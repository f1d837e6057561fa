// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import Synchronization

/// Hands one encoded packet to the stream; waits while the peer does not read.
typealias PacketWriter = @Sendable ([UInt8]) async throws -> Void

extension GRPCLink {
    /// Writes and reads on a connection that stands, until it ends.
    ///
    /// - Parameter read: the next message, or nil at the stream's end.
    /// - Returns: why it ended.
    func run(
        _ connection: Connection, write: @escaping PacketWriter, finish: @escaping @Sendable () async -> Void,
        read: () async throws -> [UInt8]?
    ) async -> String {
        delivery.call()
        let seconds = max(1, connection.expires - WallClock.now())
        let expiry = connection.socket.channel.eventLoop.scheduleTask(in: .seconds(seconds)) {
            connection.socket.end("A certificate has expired and no newer one came in time.")
        }
        defer { expiry.cancel() }
        return await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.write(connection, write, finish) }
            connection.writer.call()
            let reason = await self.read(connection, read)
            if connection.isEmptied, connection.socket.failure == nil {
                // Succeeded: the writer ends by itself once its last packet has left, and the client closes the socket after that.
                await group.waitForAll()
                return reason
            }
            connection.socket.end(reason)
            connection.writer.finish()
            return connection.socket.failure ?? reason
        }
    }

    private func write(_ connection: Connection, _ write: PacketWriter, _ finish: @Sendable () async -> Void) async {
        do {
            for await _ in connection.writer.calls {
                while let work = table.withLock({ $0.work(for: connection) }) {
                    if !work.packet.control.isEmpty || !work.packet.frames.isEmpty { try await write(work.packet.encoded) }
                    if work.hasNews { delivery.call() }
                    work.call?.writer.call()
                    if work.isLast || work.packet.control.contains(where: \.isGoodbye) { return await finish() }
                }
            }
        } catch {
            connection.socket.end(FailureText.sentence(error))
        }
    }

    private func read(_ connection: Connection, _ next: () async throws -> [UInt8]?) async -> String {
        do {
            guard await connection.mayRead.wait() else { return "The connection ended before it was used." }
            while let bytes = try await next() {
                let packet = try Packet(decoding: bytes)
                let waiting = try table.withLock { table throws(BrumeError) in
                    try table.receive(packet.frames, on: connection)
                    return table.eventBytes
                }
                if !packet.frames.isEmpty { delivery.call() }
                for message in packet.control {
                    if let end = take(message, on: connection) { return end }
                }
                await yieldToOwner(waiting)
            }
            return connection.socket.failure ?? "The peer closed the connection."
        } catch {
            return connection.socket.failure ?? FailureText.sentence(error)
        }
    }

    /// Takes a connection out of the table, tells the owner, and ends what depends on it.
    func closed(_ connection: Connection, _ reason: String) {
        let other = table.withLock { $0.close(connection, reason: reason, now: .now) }
        dismiss(connection, reason)
        if let other { closed(other, reason) }
        delivery.call()
        dialler.call()
    }

    /// Ends a connection's socket and lets go of the tasks that wait for it.
    func dismiss(_ connection: Connection, _ reason: String) {
        connection.socket.end(reason)
        connection.end()
    }

    /// What both sides do once the greetings are exchanged.
    func greeted(_ connection: Connection, _ greeting: Greeting) {
        if !greeting.address.isEmpty { notices(.address(connection.peer, greeting.address)) }
        let revocations = credentials.revocations
        if !revocations.entries.isEmpty, greeting.revocationsDigest != revocations.digest {
            var rest = revocations.entries[...]
            while !rest.isEmpty {
                connection.post(.revocations(Array(rest.prefix(WireLimits.revocationsMax))))
                rest = rest.dropFirst(WireLimits.revocationsMax)
            }
        }
        if greeting.signs { renewer.call() }
        delivery.call()
    }
}

extension ControlMessage {
    var isGoodbye: Bool { if case .goodbye = self { true } else { false } }
}
