// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Crypto
import Testing

@testable import BrumeLink

@Suite("The messages on the wire")
struct WireTests {
    static let packets: [Packet] = [
        Packet(),
        Packet(control: [
            .greeting(
                Greeting(
                    versionMin: 1, versionMax: 300, node: "0123456789abcdef0123456789abcdef", instance: .max, connection: 1,
                    succeeds: 1 << 40,
                    address: "[::1]:7", revocationsDigest: [1, 2, 3], signs: true))
        ]),
        Packet(control: [
            .moved, .probe(7), .probed(.max), .goodbye("bye ü"), .certificateRequest([1]), .goodbye(""), .authorityKey([7, 8]), .signs,
        ]),
        Packet(control: [
            .certificateReply(certificate: [9, 8], refusal: ""), .certificateReply(certificate: [], refusal: "no"), .revocations([]),
        ]),
        Packet(
            frames: LinkKind.allCases.flatMap { kind in
                [0, 1, 127, 128, 20_000].map {
                    FramePiece(kind: kind, payload: [UInt8](repeating: kind.rawValue, count: $0)[...], more: $0 > 1)
                }
            }),
    ]

    @Test("Packets come back as they were", arguments: packets)
    func roundTrip(packet: Packet) throws {
        #expect(try Packet(decoding: packet.encoded) == packet)
    }

    @Test("Enrolment's messages come back as they were")
    func enrolment() throws {
        let request = EnrolRequest(tokenNumber: [1], tokenSecret: [2, 3], request: [4], address: "h:1")
        #expect(try EnrolRequest(decoding: request.encoded) == request)
        let node = NodeID(publicKey: Curve25519.Signing.PrivateKey().publicKey)
        let reply = EnrolReply(
            certificate: [1], members: [LinkMember(id: node, address: "a:1")],
            revocations: [Revocation(node: node, at: 5, signature: [1, 2])])
        #expect(try EnrolReply(decoding: reply.encoded) == reply)
    }

    @Test("Fields of a later version are skipped, and frames of an unknown kind dropped")
    func unknown() throws {
        var writer = ProtobufWriter()
        writer.field(15, [1, 2, 3])
        writer.field(14, UInt64(5))
        writer.fixed(13, 7)
        writer.message(2) {
            $0.field(1, UInt64(9))
            $0.field(2, [1])
        }
        writer.message(2) {
            $0.field(1, UInt64(1))
            $0.field(2, [1])
            $0.field(9, UInt64(1))
        }
        let packet = try Packet(decoding: writer.bytes)
        #expect(packet == Packet(frames: [FramePiece(kind: .call, payload: [1], more: false)]))
    }

    @Test("Malformed bytes are refused with a reason")
    func malformed() throws {
        for bytes: [UInt8] in [
            [0], [0x0A], [0x0A, 5, 1], [0x12, 0xFF], [0x17], [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
            [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80], [0x10, 1], [0x08], [0x09, 1, 2],
        ] {
            #expect(throws: BrumeError.self) { _ = try Packet(decoding: bytes) }
        }
    }

    @Test("Random and mutated bytes never trap and never grow", arguments: [1, 2, 3] as [UInt64])
    func fuzz(seed: UInt64) throws {
        var chance = SeededGenerator(seed: seed)
        for round in 0..<4_000 {
            var bytes: [UInt8]
            if round.isMultiple(of: 2) {
                bytes = (0..<chance.below(60)).map { _ in UInt8(chance.below(256)) }
            } else {
                bytes = Self.packets[chance.below(Self.packets.count - 1)].encoded
                for _ in 0..<(1 + chance.below(3)) where !bytes.isEmpty { bytes[chance.below(bytes.count)] = UInt8(chance.below(256)) }
            }
            guard let packet = try? Packet(decoding: bytes) else { continue }
            #expect(packet.frames.reduce(0) { $0 + $1.payload.count } <= bytes.count, "seed \(seed), round \(round)")
            _ = try? EnrolRequest(decoding: bytes)
            _ = try? EnrolReply(decoding: bytes)
        }
    }
}

@Suite("Queues and pieces")
struct SendQueueTests {
    @Test("The most urgent kind leaves first, a long frame in pieces that others pass between")
    func order() throws {
        var queues = SendQueues(limits: LinkSettings.QueueLimits())
        expect(queues.append([UInt8](repeating: 1, count: 200_000), kind: .bulk), true)
        expect(queues.append([2], kind: .state), true)
        var order: [LinkKind] = []
        var assembly = FrameAssembly()
        var frames: [[UInt8]] = []
        for round in 0..<10 where !queues.isEmpty {
            let batch = queues.next(bytesWanted: 64 << 10)
            order += batch.pieces.map(\.kind)
            for piece in batch.pieces { if let frame = try assembly.add(piece) { frames.append(frame) } }
            if round == 1 { expect(queues.append([3], kind: .membership), true) }
        }
        #expect(order == [.state, .bulk, .bulk, .membership, .bulk, .bulk])
        #expect(frames.map(\.count) == [1, 1, 200_000])
    }

    @Test("However many peers stall, no more waits for all of them together than the limit and a frame of each kind")
    func sumOfAllPeers() throws {
        var settings = LinkSettings()
        settings.queuedBytesMax = 1 << 20
        let own = try NodeID(String(repeating: "0", count: 32))
        var table = PeerTable(own: own, settings: settings)
        let now = ContinuousClock.now
        let peers = try (1...64).map { number in
            let hex = String(number, radix: 16)
            return try NodeID(String(repeating: "0", count: 32 - hex.count) + hex)
        }
        for peer in peers { table.connect(to: peer, at: "127.0.0.1:1", now: now) }
        let frame = [UInt8](repeating: 7, count: 4_096)
        for round in 0..<400 {
            for peer in peers.prefix(round < 200 ? 8 : 64) { _ = table.send(frame, kind: .state, to: peer, now: now) }
        }
        #expect(table.queued.bytes <= settings.queuedBytesMax + 64 * frame.count)
        #expect(table.queued.bytes > settings.queuedBytesMax / 2)
        #expect(table.queued.peers == 64, "a peer that has nothing waiting gets a frame whatever the others do")
        for peer in peers { _ = table.disconnect(from: peer) }
        #expect(table.queued.bytes == 0 && table.queued.peers == 0)
    }

    @Test("A kind that is passed over by a mebibyte gets its turn, and one that never waited gets no more than its turn")
    func starvation() {
        var queues = SendQueues(limits: LinkSettings.QueueLimits())
        expect(queues.append([UInt8](repeating: 1, count: 1 << 20), kind: .bulk), true)
        var bytes = [0, 0]
        for _ in 0..<160 {
            while queues.append([UInt8](repeating: 2, count: 64_000), kind: .state) {}
            for piece in queues.next(bytesWanted: 64 << 10).pieces { bytes[piece.kind == .bulk ? 1 : 0] += piece.payload.count }
        }
        #expect(bytes[1] > bytes[0] / 40)
        #expect(bytes[1] < bytes[0] / 10)
    }

    @Test("A full queue takes nothing until half of it has left, and says so once")
    func full() {
        var limits = LinkSettings.QueueLimits()
        limits.state = LinkSettings.QueueLimits.Limit(frames: 4, bytes: 100)
        var queues = SendQueues(limits: limits)
        // An empty queue takes any frame.
        expect(queues.append([UInt8](repeating: 0, count: 500), kind: .state), true)
        expect(queues.append([1], kind: .state), false)
        expect(queues.next(bytesWanted: 1_000).writable, [.state])
        for _ in 0..<4 { expect(queues.append([1], kind: .state), true) }
        expect(queues.append([1], kind: .state), false)
        expect(queues.next(bytesWanted: 1).writable, [])
        expect(queues.next(bytesWanted: 1).writable, [.state])
        expect(queues.next(bytesWanted: 1_000).writable, [])
    }

    @Test("Pieces that add up to more than a frame may have are refused")
    func tooLong() throws {
        var assembly = FrameAssembly()
        let piece = FramePiece(kind: .bulk, payload: [UInt8](repeating: 0, count: 1 << 20)[...], more: true)
        for _ in 0..<4 { expect(try assembly.add(piece), nil) }
        do {
            _ = try assembly.add(piece)
            Issue.record("A frame that is too long was taken.")
        } catch {
            #expect(error.message.contains("4194304"))
        }
    }
}

/// `#expect` cannot hold calls that change what they are called on.
private func expect<Value: Equatable>(_ value: Value, _ expected: Value, location: SourceLocation = #_sourceLocation) {
    #expect(value == expected, sourceLocation: location)
}
