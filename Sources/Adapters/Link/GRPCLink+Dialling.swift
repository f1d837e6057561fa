// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

extension GRPCLink {
    /// Makes one connection and serves it to its end.
    func dial(_ plan: DialPlan) async {
        let stood = Mutex(false)
        do {
            try await dial(plan) { stood.withLock { $0 = true } }
        } catch {
            // The library wraps what is thrown in its calls, so the table is asked what came of the connection.
            if stood.withLock({ $0 }) || error is CancellationError {
            } else if table.withLock({ $0.isNeedless(plan) }) {
                notices(.unneeded(plan.peer, address: plan.address))
            } else {
                notices(.unreachable(plan.peer, address: plan.address, reason: FailureText.sentence(error)))
            }
        }
        if !stood.withLock({ $0 }) { dialEnded(plan, failed: true) }
    }

    /// The peer has connected to us meanwhile, or nobody wants it any more.
    private struct NotNeeded: Error {}

    private func dialEnded(_ plan: DialPlan, failed: Bool) {
        let stuck = table.withLock { table -> Connection? in
            table.dialEnded(plan.peer, failed: failed, backoff: settings.backoff, chance: .random(in: 0...1), now: .now)
            // The peer has moved to a connection that never stood: nothing will come on the old one.
            guard failed, let peer = table.peers[plan.peer], peer.movedIn, peer.next == nil else { return nil }
            return peer.active
        }
        if let stuck { closed(stuck, "The connection that should have succeeded it failed.") }
        dialler.call()
    }

    private func dial(_ plan: DialPlan, stood: @escaping @Sendable () -> Void) async throws {
        let client = try await LinkClient.connect(
            to: plan.address, context: credentials.clientContext, settings: settings, meter: meter, group: loop
        ) { [credentials] certificates throws(BrumeError) in
            guard let der = try? certificates.first?.toDERBytes() else { throw BrumeError(.permission, "The peer shows no certificate.") }
            let node = try CertificateProfile.verify(der, by: credentials.authority, now: WallClock.now())
            guard node.id == plan.peer else {
                throw BrumeError(.permission, "At \(plan.address) is node \(node.id), not \(plan.peer).")
            }
            return node
        }
        try await client.call(LinkMethods.open) { stream in
            try await self.open(plan, stream, client.record, stood: stood)
        }
    }

    private func open(
        _ plan: DialPlan, _ stream: LinkClient.Stream, _ record: SocketRecord, stood: @Sendable () -> Void
    ) async throws {
        guard table.withLock({ $0.mayGreet(plan.peer, succeeding: plan.succeeding) }) else { throw NotNeeded() }
        let number = UInt64.random(in: 1 ... .max)
        var greeting = ownGreeting(connection: number)
        greeting.succeeds = plan.succeeding
        try await stream.outbound.write(contentsOf: [
            .metadata([:]), .message(GRPCNIOTransportBytes(Packet(control: [.greeting(greeting)]).encoded)),
        ])
        var parts = stream.inbound.makeAsyncIterator()
        guard let first = try await LinkClient.message(&parts) else {
            throw BrumeError(.unavailable, "The peer ended the connection without a word.")
        }
        guard case .greeting(let answer)? = try Packet(decoding: first).control.first, let certified = record.certified else {
            throw BrumeError(.invalid, "The peer's first message was no greeting.")
        }
        try check(answer, certified)
        guard answer.connection == number else { throw BrumeError(.invalid, "The peer's greeting answers another connection.") }
        guard let tap = record.tap(1) else { throw BrumeError(.unavailable, "The stream has ended.") }
        let connection = Connection(
            greeting: answer, number: number, peer: plan.peer, isDialled: true, socket: record, tap: tap,
            ownCertificate: credentials.certified, peerCertificate: certified, now: WallClock.now())
        switch table.withLock({ $0.open(connection, succeeds: plan.succeeding, now: .now) }) {
        case .stands: connection.mayRead.give(true)
        case .succeeds(let active, let isReadable):
            if isReadable { connection.mayRead.give(true) }
            active.writer.call()
        case .ask, .replaces: throw BrumeError(.unavailable, "The peer has connected meanwhile.")
        case .refused(let reason): throw BrumeError(.unavailable, reason)
        }
        record.settle()
        stood()
        dialEnded(plan, failed: false)
        greeted(connection, answer)
        let outbound = stream.outbound
        let reason = await run(connection, finish: { await outbound.finish() }) { try await LinkClient.message(&parts) }
        closed(connection, reason)
    }
}
