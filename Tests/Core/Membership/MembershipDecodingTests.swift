// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeMembership

@Suite("Frames of membership")
struct MembershipDecodingTests {
    static func record(_ chance: inout SeededGenerator) throws -> MemberRecord {
        let labels = (0..<chance.below(4)).map { MemberMeta.Label("key\($0)", "value é \(chance.below(100))") }
        let pairs = (0..<chance.below(3)).map { number in
            MemberMeta.Pair("p\(number)", (0..<chance.below(20)).map { _ in UInt8(chance.below(256)) })
        }
        let status = MemberStatus.allCases[chance.below(MemberStatus.allCases.count)]
        return MemberRecord(
            id: SimulatedCluster.node(chance.below(1_000)), status: status, incarnation: chance.next() >> UInt64(chance.draw(1...63)),
            session: chance.next(), ageMilliseconds: UInt64(chance.below(1 << 40)), isDraining: chance.chance(1, in: 2),
            accusers: (0..<chance.below(5)).map { _ in SimulatedCluster.node(chance.below(1_000)) },
            meta: try MemberMeta(address: "10.0.0.\(chance.below(256)):7070", version: "0.4", labels: labels, pairs: pairs))
    }

    static func message(_ chance: inout SeededGenerator) throws -> MembershipMessage {
        let bodies: [MembershipMessage.Body] = [
            .ping(chance.next()), .ack(chance.next()), .pingRequest(chance.next(), target: SimulatedCluster.node(chance.below(99))),
            .nack(chance.next()), .gossip, .digest(chance.next()), .list(wantsReply: chance.chance(1, in: 2)),
            .ask(drain: chance.chance(1, in: 2)),
        ]
        var records: [MemberRecord] = []
        for _ in 0..<chance.below(6) { records.append(try record(&chance)) }
        return MembershipMessage(bodies[chance.below(bodies.count)], session: chance.next(), records: records)
    }

    @Test("what is written is read", arguments: UInt64(1)...20)
    func roundTrip(seed: UInt64) throws {
        var chance = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let message = try Self.message(&chance)
            let read = try MembershipMessage(decoding: message.encoded())
            #expect(read == message, "seed \(seed)")
            for record in message.records {
                #expect(try MemberRecord(decoding: record.encoded()) == record)
                #expect(record.approximateBytes >= record.encoded().count - 1)
            }
        }
    }

    @Test("spoiled frames are refused or read as something that can be written, never worse", arguments: UInt64(1)...20)
    func spoiled(seed: UInt64) throws {
        var chance = SeededGenerator(seed: seed)
        var cluster = SimulatedCluster.formed(4, seed: seed)
        var refused = 0
        for _ in 0..<500 {
            var bytes = try Self.message(&chance).encoded()
            for _ in 0...chance.below(4) {
                switch chance.below(4) {
                case 0: bytes[chance.below(bytes.count)] = UInt8(chance.below(256))
                case 1: bytes.removeLast(chance.below(bytes.count))
                case 2: bytes.insert(UInt8(chance.below(256)), at: chance.below(bytes.count + 1))
                default: bytes[chance.below(bytes.count)] ^= 1 << UInt8(chance.below(8))
                }
                if bytes.isEmpty { bytes = [1] }
            }
            if let read = try? MembershipMessage(decoding: bytes) {
                #expect(try MembershipMessage(decoding: read.encoded()) == read, "seed \(seed)")
            } else {
                refused += 1
            }
            let frame = bytes
            cluster.step(0) { $0.receive(frame, from: SimulatedCluster.node(1), now: $1) }
        }
        #expect(refused > 100, "seed \(seed)")
        #expect(cluster.processes[0].membership.members.count <= 1_025)
    }

    @Test("every cut of a frame is refused")
    func cut() throws {
        var chance = SeededGenerator(seed: 5)
        let bytes = MembershipMessage(.ping(300), session: 7, records: [try Self.record(&chance)]).encoded()
        for length in 0..<bytes.count {
            #expect(throws: BrumeError.self) { try MembershipMessage(decoding: Array(bytes.prefix(length))) }
        }
        #expect(throws: BrumeError.self) { try MembershipMessage(decoding: bytes + [0]) }
    }

    @Test("a newer version's frame is refused with a sentence, and the rest works on")
    func newer() {
        var cluster = SimulatedCluster.formed(2, seed: 3)
        cluster.step(0) { $0.receive([9, 1, 2, 3], from: SimulatedCluster.node(1), now: $1) }
        let told = cluster.saw(0) { event in
            if case .refused(_, let reason) = event { return reason.contains("version 9") && reason.contains("update") }
            return false
        }
        #expect(told)
        cluster.run(for: .seconds(5))
        #expect(cluster.isWhole)
    }

    @Test(
        "descriptions that cannot be shown or sent are refused",
        arguments: [
            ("a\u{1B}[31m", "v", 1), (String(repeating: "x", count: 200), "v", 1),
            ("k", String(repeating: "x", count: 100), 16), ("k", "v", 17),
        ])
    func badMeta(key: String, value: String, count: Int) {
        let labels = (0..<count).map { MemberMeta.Label(key + "\($0)", value) }
        #expect(throws: BrumeError.self) { try MemberMeta(address: "", labels: labels) }
        #expect(throws: BrumeError.self) { try MemberMeta(address: "", labels: [.init("k", "1"), .init("k", "2")]) }
    }

    @Test("records heard in any order, however often, come to one list", arguments: UInt64(1)...40)
    func anyOrder(seed: UInt64) throws {
        var chance = SeededGenerator(seed: seed)
        var statements: [MemberRecord] = []
        for _ in 0..<120 {
            var record = try Self.record(&chance)
            // Few members, incarnations and processes, so that statements compete.
            record.id = SimulatedCluster.node(10 + chance.below(5))
            record.incarnation = UInt64(chance.below(4))
            record.session = UInt64(chance.below(2))
            // One process says one thing in one incarnation.
            record.isDraining = record.incarnation % 2 == 0
            record.meta = try MemberMeta(address: "10.0.0.\(record.incarnation):\(record.session)")
            statements.append(record)
        }
        var digests: Set<UInt64> = []
        for _ in 0..<4 {
            var cluster = SimulatedCluster(seed: 1)
            cluster.start(0)
            for record in (statements + statements).shuffled(using: &chance) {
                let frame = MembershipMessage(.gossip, session: 1, records: [record]).encoded()
                cluster.step(0) { $0.receive(frame, from: SimulatedCluster.node(99), now: $1) }
            }
            digests.insert(cluster.processes[0].membership.digest)
        }
        #expect(digests.count == 1, "seed \(seed)")
    }
}
