// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// Frames that nobody should send, and how much is on the wire.
struct FrameTests {
    /// Frames of many kinds, as they go between two replicas.
    private func recorded() throws -> [[UInt8]] {
        let net = try StateNetwork(3, seed: 1) { settings, _ in settings.ringBatchesMax = 4 }
        net.run(.seconds(1))
        var load = Load(seed: 1)
        for round in 0..<60 {
            if round == 20 { net.partition([1]) }
            if round == 50 { net.partition([]) }
            try load.step(net, on: [0, 1, 2])
            net.run(.milliseconds(5))
        }
        net.run(.seconds(4))
        let key = try net.key(0, "x")
        _ = try net.need(0, .exclusive(key))
        _ = try net.need(0, .quorum([key], 3))
        net.run(.seconds(2))
        return net.recordedFrames
    }

    @Test("frames of any bytes change nothing but a count, and the peer goes on", arguments: 1...3 as ClosedRange<UInt64>)
    func fuzz(seed: UInt64) throws {
        let frames = try recorded()
        #expect(Set(frames.map { $0[1] }).count >= 10, "most kinds of frames are among them")
        let net = try StateNetwork(2, seed: seed)
        net.run(.seconds(1))
        var random = SeededGenerator(seed: seed)
        for _ in 0..<6_000 {
            var frame = frames[random.below(frames.count)]
            switch random.below(4) {
            case 0: frame = Array(frame.prefix(random.below(frame.count + 1)))
            case 1: for _ in 0...random.below(4) where !frame.isEmpty { frame[random.below(frame.count)] = UInt8(random.below(256)) }
            case 2:
                let at = random.below(frame.count + 1)
                frame.insert(contentsOf: (0...random.below(9)).map { _ in UInt8(random.below(256)) }, at: at)
            default: frame = [1, UInt8(random.below(20))] + (0..<random.below(60)).map { _ in UInt8(random.below(256)) }
            }
            let sender = net.nodes[1].id
            net.act(0) { $0.receive(frame, from: sender, $1) }
        }
        #expect(net.act(0) { replica, _ in replica.counts.refusedFrames } > 1_000)
        // Whatever got through was well formed; the replica works, and agrees with others after a comparison.
        net.run(.seconds(40))
        let key = try net.key(0, "after")
        let other = try net.key(1, "after")
        _ = try net.act(0) { try $0.increment(key, by: Int64(7), $1) }
        #expect(try net.run(upTo: .seconds(30)) { try net.act(1) { try $0.get(other, $1) } == "7" }, "seed \(seed)")
    }

    @Test("a peer of a newer version is told apart and hurts nobody")
    func newerVersion() throws {
        let net = try StateNetwork(2, seed: 1)
        net.run(.seconds(1))
        let sender = net.nodes[1].id
        net.act(0) { $0.receive([Frame.version + 1, 1, 2, 3], from: sender, $1) }
        net.act(0) { $0.receive([], from: sender, $1) }
        #expect(net.nodes[0].notes.contains(.newerPeer(sender, version: Frame.version + 1)))
        let key = try net.key(0, "k")
        try net.act(0) { try $0.set(key, "v", $1) }
        net.run(.milliseconds(50))
        let other = try net.key(1, "k")
        #expect(try net.act(1) { try $0.get(other, $1) } == "v")
    }

    @Test("a value longer than a frame travels in parts, also by comparison")
    func longValues() throws {
        let net = try StateNetwork(2, seed: 1)
        net.run(.seconds(1))
        let bytes = (0..<(7 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let key = try net.key(0, "long")
        let other = try net.key(1, "long")
        try net.act(0) { try $0.set(key, Bytes(bytes), $1) }
        #expect(try net.run(upTo: .seconds(5)) { try net.act(1) { try $0.get(other, $1) }?.count == 7 << 20 })
        #expect(net.recordedSizes.allSatisfy { $0 <= PeerLinkLimits.frameBytesMax })
        net.stop(1, losingTail: true)
        net.nodes[1].disk = []
        net.start(1)
        let again = try net.key(1, "long")
        #expect(try net.run(upTo: .seconds(10)) { try net.act(1) { try $0.get(again, $1) }?.count == 7 << 20 })
    }

    @Test("bytes on the wire for an increment grow with the nodes that get it, and by nothing else")
    func bytesPerOperation() throws {
        var perReceiver: [Double] = []
        for count in [2, 5, 10, 30] {
            let net = try StateNetwork(count, seed: 1) { settings, _ in settings.repairInterval = .seconds(3_600) }
            net.run(.seconds(5))
            let before = net.wireBytes
            let rounds = 30
            for _ in 0..<rounds {
                // Each node is busy: some hundred operations in each flush.
                for index in 0..<count {
                    let keys = try (0..<5).map { try net.key(index, "counter\($0)") }
                    net.act(index) { replica, now in
                        for number in 0..<200 { _ = try? replica.increment(keys[number % 5], by: Int64(1), now) }
                    }
                }
                net.run(.milliseconds(5))
            }
            net.run(.seconds(1))
            let operations = rounds * count * 200
            let bytes = Double(net.wireBytes - before) / Double(operations)
            perReceiver.append(bytes / Double(count - 1))
            let key = try net.key(count - 1, "counter0")
            #expect(try net.act(count - 1) { try $0.get(key, $1) } == Bytes(decimal: Int64(rounds * count * 40)))
        }
        // 200 operations share a frame, so well under two bytes each; and 30 nodes cost a receiver no more than 2 do.
        #expect(perReceiver.allSatisfy { $0 < 2 }, "\(perReceiver)")
        #expect((perReceiver.last ?? 9) < (perReceiver.first ?? 0) * 1.5, "\(perReceiver)")
    }
}
