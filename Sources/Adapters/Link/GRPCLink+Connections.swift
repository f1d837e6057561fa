// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import Synchronization

extension GRPCLink {
    /// Writes and reads on a connection that stands, until it ends.
    ///
    /// - Parameters:
    ///   - finish: ends this side of the stream.
    ///   - end: waits for the end of the other side: what comes before it does not pass through gRPC.
    /// - Returns: why it ended.
    func run(
        _ connection: Connection, finish: @escaping @Sendable () async -> Void, end: () async throws -> [UInt8]?
    ) async -> String {
        delivery.call()
        let loop = connection.socket.channel.eventLoop
        let seconds = max(1, connection.expires - WallClock.now())
        let expiry = loop.scheduleTask(in: .seconds(seconds)) {
            connection.socket.end("A certificate has expired and no newer one came in time.")
        }
        defer { expiry.cancel() }
        return await withTaskGroup(of: Void.self) { group in
            group.addTask { if await connection.written.wait() { await finish() } }
            loop.execute {
                connection.tap.value.tellWritable { connection.writer.call() }
                connection.writer.answer { self.write(connection) }
                connection.writer.call()
            }
            let reason = await self.read(connection, end)
            if connection.isEmptied, connection.socket.failure == nil {
                // Succeeded: the writer ends by itself once its last packet has left, and the client closes the socket after that.
                await group.waitForAll()
                return reason
            }
            connection.socket.end(reason)
            connection.writer.finish()
            connection.written.give(false)
            return connection.socket.failure ?? reason
        }
    }

    /// Packets that leave before others have the loop: a megabyte.
    private static let packetsPerTurn = 16

    /// Writes what waits, as far as the stream takes it; on the loop.
    private func write(_ connection: Connection) {
        let tap = connection.tap.value
        var left = Self.packetsPerTurn
        while tap.isWritable {
            guard left > 0 else { return connection.writer.call() }
            left -= 1
            guard let work = table.withLock({ $0.work(for: connection) }) else { return }
            if !work.packet.control.isEmpty || !work.packet.frames.isEmpty { tap.write(work.packet.encoded) }
            if work.hasNews { delivery.call() }
            work.call?.writer.call()
            if work.isLast || work.packet.control.contains(where: \.isGoodbye) {
                connection.writer.finish()
                return connection.written.give(true)
            }
        }
    }

    private func read(_ connection: Connection, _ end: () async throws -> [UInt8]?) async -> String {
        do {
            guard await connection.mayRead.wait() else { return "The connection ended before it was used." }
            connection.socket.channel.eventLoop.execute {
                let reader = PacketTap.Reader(take: { self.take($0, on: connection) }, fail: { connection.socket.end($0) })
                connection.tap.value.read(with: reader)
            }
            guard try await end() == nil else { return "The peer sent a message past the link." }
            return connection.socket.failure ?? "The peer closed the connection."
        } catch {
            return connection.socket.failure ?? FailureText.sentence(error)
        }
    }

    /// Takes in a packet, and tells the owner of its frames at once; on the loop.
    private func take(_ bytes: [UInt8], on connection: Connection) {
        // What comes behind the end does not count.
        guard connection.socket.failure == nil else { return }
        do throws(BrumeError) {
            let packet = try Packet(decoding: bytes)
            if !packet.frames.isEmpty {
                try table.withLock { table throws(BrumeError) in try table.receive(packet.frames, on: connection) }
                deliverWaiting()
            }
            for message in packet.control {
                if let end = take(message, on: connection) { return connection.socket.end(end) }
            }
        } catch {
            connection.socket.end(FailureText.sentence(error))
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
