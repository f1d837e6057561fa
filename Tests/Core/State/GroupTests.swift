// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// Objects that were written as one and must be seen as one, whatever lies between.
struct GroupTests {
    private static let triples = 6

    private func write(_ net: StateNetwork, _ index: Int, _ triple: Int) throws {
        let keys = try (0..<3).map { try net.key(index, "t\(triple)-\($0)") }
        try net.act(index) { replica, now in
            try replica.atomically { replica throws(StateError) in
                for key in keys { _ = try replica.increment(key, by: Int64(1), now) }
            }
        }
    }

    private func check(_ net: StateNetwork, _ index: Int, _ comment: String) throws {
        guard net.nodes[index].isUp else { return }
        for triple in 0..<Self.triples {
            let keys = try (0..<3).map { try net.key(index, "t\(triple)-\($0)") }
            let values = try net.act(index) { replica, now in try keys.map { try replica.get($0, now) } }
            #expect(Set(values).count == 1, "\(comment), node \(index), triple \(triple): \(values)")
        }
    }

    /// Three nodes that compare rather than send batches, a few objects at a time.
    private func network(_ seed: UInt64) throws -> StateNetwork {
        let net = try StateNetwork(3, seed: seed) { settings, _ in
            settings.ringBatchesMax = 1
            settings.repairBytes = 1
            settings.repairInterval = .seconds(2)
        }
        net.link = .init(lossPerMille: 50, repeatPerMille: 30, delay: .milliseconds(2), jitter: .milliseconds(6))
        net.run(.seconds(1))
        return net
    }

    @Test("after a start from a snapshot a comparison still gives all of a batch or nothing", arguments: 1...6 as ClosedRange<UInt64>)
    func keepsGroupsInSnapshots(seed: UInt64) throws {
        let net = try network(seed)
        net.partition([1])
        for number in 0..<30 {
            try write(net, number % 3 == 0 ? 2 : 0, number % Self.triples)
            net.run(.milliseconds(20))
        }
        net.run(.seconds(4))
        for index in [0, 2] {
            net.snapshot(index)
            net.stop(index, losingTail: true)
        }
        net.start(0)
        net.start(2)
        net.partition([])
        for _ in 0..<4_000 where !net.isConverged() {
            net.run(.milliseconds(1))
            try check(net, 1, "seed \(seed)")
        }
        net.link = .init()
        #expect(net.run(upTo: .seconds(60)) { net.isConverged() }, "seed \(seed)")
    }

    @Test("a crash in the middle of a snapshot leaves no half of a batch", arguments: 1...12 as ClosedRange<UInt64>)
    func survivesCrashesInSnapshots(seed: UInt64) throws {
        let net = try network(seed)
        var random = SeededGenerator(seed: seed)
        for round in 0..<8 {
            if round % 4 == 1 { net.partition([random.below(3)]) }
            if round % 4 == 3 { net.partition([]) }
            for _ in 0..<10 {
                try write(net, random.below(3), random.below(Self.triples))
                net.run(.milliseconds(Int64(random.below(30))))
            }
            let victim = random.below(3)
            var calls = random.below(20)
            try net.snapshot(victim, partBytesMax: 1) {
                // Others write on while it is made, and so does it.
                try self.write(net, random.below(3), random.below(Self.triples))
                calls -= 1
                return calls > 0
            }
            net.stop(victim, losingTail: true)
            net.start(victim)
            try check(net, victim, "seed \(seed), round \(round), from its disk")
            for _ in 0..<200 {
                net.run(.milliseconds(2))
                for index in 0..<3 { try check(net, index, "seed \(seed), round \(round)") }
            }
        }
        net.partition([])
        net.link = .init()
        #expect(net.run(upTo: .seconds(60)) { net.isConverged() }, "seed \(seed)")
    }

    @Test("what two nodes got by comparison is handed on whole")
    func handsOnWhole() throws {
        let net = try network(3)
        net.link = .init()
        net.partition([1, 2])
        for number in 0..<20 { try write(net, 0, number % Self.triples) }
        net.run(.seconds(2))
        // First 1 gets it by comparison, then it alone tells 2.
        net.stop(2, losingTail: false)
        net.partition([])
        #expect(net.run(upTo: .seconds(20)) { net.isConverged() })
        net.stop(0, losingTail: false)
        net.start(2)
        for _ in 0..<4_000 where !net.isConverged() {
            net.run(.milliseconds(1))
            try check(net, 2, "handed on")
        }
        #expect(net.isConverged())
        let key = try net.key(2, "t0-0")
        #expect(try net.act(2) { try $0.get(key, $1) } != nil)
    }
}
