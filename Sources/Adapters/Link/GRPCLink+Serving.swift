// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore
import NIOPosix
import Synchronization

extension GRPCLink {
    /// One call from the outside.
    func serve(_ stream: ServerStream) async {
        var parts = stream.inbound.makeAsyncIterator()
        var status = Status(code: .ok, message: "")
        do {
            guard case .metadata(let head)? = try await parts.next(isolation: #isolation),
                let stamp = head[stringValues: StampHandler.name].first(where: { _ in true }),
                let numbers = StampHandler.numbers(stamp), let record = listener.record(numbers.socket)
            else { throw BrumeError(.failed, "The call does not belong to a connection.") }
            switch stream.descriptor.method {
            case LinkMethods.open.method:
                guard let tap = record.tap(numbers.stream) else { throw BrumeError(.failed, "The stream has ended.") }
                try await serveLink(&parts, stream.outbound, record, tap)
            case LinkMethods.enrol.method: try await serveEnrolment(&parts, stream.outbound, record)
            default: status = Status(code: .unimplemented, message: "There is no such call.")
            }
        } catch {
            status = Status(code: Self.code(error), message: FailureText.sentence(error))
        }
        try? await stream.outbound.write(.status(status, [:]))
        await stream.outbound.finish()
    }

    private static func code(_ error: any Error) -> Status.Code {
        switch (error as? BrumeError)?.code {
        case .permission?: .permissionDenied
        case .invalid?: .invalidArgument
        case .conflict?: .alreadyExists
        case .unavailable?: .unavailable
        case .unsupported?: .failedPrecondition
        case .tooLarge?: .resourceExhausted
        default: .aborted
        }
    }

    /// A member's stream, from its greeting to its end.
    private func serveLink(
        _ parts: inout RPCAsyncSequence<RPCRequestPart<GRPCNIOTransportBytes>, any Error>.AsyncIterator,
        _ outbound: RPCWriter<RPCResponsePart<GRPCNIOTransportBytes>>.Closable, _ record: SocketRecord,
        _ tap: NIOLoopBound<PacketTap>
    ) async throws {
        guard let certified = record.certified else {
            throw BrumeError(.permission, "Only members may open a link; join first.")
        }
        guard let first = try await Self.message(&parts), case .greeting(let greeting)? = try Packet(decoding: first).control.first else {
            throw BrumeError(.invalid, "The first message was no greeting.")
        }
        let connection: Connection
        do {
            connection = try await accept(greeting, certified, record, tap)
        } catch {
            notices(.refused(certified.id, from: record.remote, reason: FailureText.sentence(error)))
            throw error
        }
        var answer = ownGreeting(connection: greeting.connection)
        answer.succeeds = greeting.succeeds
        do {
            try await outbound.write(contentsOf: [
                .metadata([:]), .message(GRPCNIOTransportBytes(Packet(control: [.greeting(answer)]).encoded)),
            ])
        } catch {
            closed(connection, FailureText.sentence(error))
            throw error
        }
        greeted(connection, greeting)
        let reason = await run(connection, finish: {}) { try await Self.message(&parts) }
        closed(connection, reason)
    }

    private static func message(
        _ parts: inout RPCAsyncSequence<RPCRequestPart<GRPCNIOTransportBytes>, any Error>.AsyncIterator
    ) async throws -> [UInt8]? {
        while let part = try await parts.next(isolation: #isolation) {
            if case .message(let bytes) = part { return unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
        }
        return nil
    }

    /// Checks a member's greeting, and makes its connection stand.
    private func accept(
        _ greeting: Greeting, _ certified: CertifiedNode, _ record: SocketRecord, _ tap: NIOLoopBound<PacketTap>
    ) async throws -> Connection {
        try check(greeting, certified)
        let connection = Connection(
            greeting: greeting, number: greeting.connection, peer: certified.id, isDialled: false, socket: record, tap: tap,
            ownCertificate: credentials.certified, peerCertificate: certified, now: WallClock.now())
        // Twice at most: once for a dead connection in the way, once more if another one came in between.
        for _ in 0..<3 {
            switch table.withLock({ $0.open(connection, succeeds: greeting.succeeds, now: .now) }) {
            case .stands:
                record.settle()
                connection.mayRead.give(true)
                return connection
            case .succeeds(let active, let isReadable):
                record.settle()
                if isReadable { connection.mayRead.give(true) }
                active.writer.call()
                return connection
            case .ask(let active):
                let isAlive = await active.ask(.random(in: 1 ... .max)).wait(atMost: settings.probeTimeout, on: loop)
                guard !isAlive else {
                    notices(.duplicateIdentity(certified.id, from: record.remote))
                    throw BrumeError(
                        .conflict,
                        """
                        Another running node has the identity \(certified.id): its data directory was copied. \
                        Give each node a directory of its own, and let it join.
                        """)
                }
                closed(active, "The node started anew.")
            case .replaces(let active):
                closed(active, "The peer connected anew.")
            case .refused(let reason):
                throw BrumeError(.unavailable, reason)
            }
        }
        throw BrumeError(.unavailable, "Too many connections of this node came at once.")
    }

    /// - Throws: `BrumeError`: `unsupported` for other versions, `permission` for removed nodes and wrong names.
    func check(_ greeting: Greeting, _ certified: CertifiedNode) throws(BrumeError) {
        guard greeting.versionMin <= WireLimits.versionMax, greeting.versionMax >= WireLimits.versionMin else {
            let isNewer = greeting.versionMin > WireLimits.versionMax
            throw BrumeError(
                .unsupported,
                """
                Node \(certified.id) speaks versions \(greeting.versionMin) to \(greeting.versionMax) of the link, node \(id) speaks \
                \(WireLimits.versionMin) to \(WireLimits.versionMax): update \(isNewer ? id : certified.id).
                """)
        }
        guard greeting.node == certified.id.description else {
            throw BrumeError(.permission, "The greeting names \(greeting.node.prefix(40)), the certificate \(certified.id).")
        }
        guard certified.id != id else {
            throw BrumeError(.conflict, "This is node \(id) itself, or one with a copy of its data directory.")
        }
        guard !credentials.revocations.contains(certified.id) else {
            throw BrumeError(.permission, "Node \(certified.id) was removed from the cluster.")
        }
        guard greeting.instance != 0, greeting.connection != 0 else {
            throw BrumeError(.invalid, "The greeting lacks its numbers.")
        }
    }

    func ownGreeting(connection: UInt64) -> Greeting {
        Greeting(
            node: id.description, instance: instance, connection: connection, address: settings.advertised ?? "",
            revocationsDigest: credentials.revocations.digest, signs: authority != nil)
    }

    /// A node that wants to join.
    private func serveEnrolment(
        _ parts: inout RPCAsyncSequence<RPCRequestPart<GRPCNIOTransportBytes>, any Error>.AsyncIterator,
        _ outbound: RPCWriter<RPCResponsePart<GRPCNIOTransportBytes>>.Closable, _ record: SocketRecord
    ) async throws {
        guard let bytes = try await Self.message(&parts) else { throw BrumeError(.invalid, "The request is empty.") }
        let reply = try enrolments.answer(bytes, from: record.remote)
        try await outbound.write(contentsOf: [.metadata([:]), .message(GRPCNIOTransportBytes(reply))])
    }
}
