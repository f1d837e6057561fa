// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

struct ReplicationTests {
    @Test("a write is on all of five nodes within some milliseconds")
    func spreads() throws {
        let net = try StateNetwork(5, seed: 1)
        net.run(.seconds(1))
        let key = try net.key(0, "k")
        try net.act(0) { try $0.set(key, "v", $1) }
        net.run(.milliseconds(10))
        for index in 0..<5 {
            let key = try net.key(index, "k")
            #expect(try net.act(index) { try $0.get(key, $1) } == "v", "node \(index)")
        }
    }

    @Test("increments on five nodes at once all count")
    func increments() throws {
        let net = try StateNetwork(5, seed: 2)
        net.run(.seconds(1))
        for round in 0..<20 {
            for index in 0..<5 {
                let key = try net.key(index, "n")
                _ = try net.act(index) { try $0.increment(key, by: Int64(round + index + 1), $1) }
            }
            net.run(.milliseconds(3))
        }
        net.run(.milliseconds(50))
        let expected = (0..<20).reduce(0) { $0 + (1...5).reduce($1 * 5, +) }
        for index in 0..<5 {
            let key = try net.key(index, "n")
            #expect(try net.act(index) { try $0.get(key, $1) } == Bytes(decimal: Int64(expected)))
        }
        #expect(net.isConverged())
    }

    @Test("nothing is sent back, and nothing twice where nothing is lost")
    func sendsOnce() throws {
        let net = try StateNetwork(4, seed: 3)
        net.run(.seconds(1))
        for number in 0..<50 {
            let key = try net.key(number % 4, "k\(number)")
            try net.act(number % 4) { try $0.set(key, "v", $1) }
            net.run(.milliseconds(5))
        }
        net.run(.milliseconds(100))
        for index in 0..<4 {
            let counts = net.act(index) { replica, _ in replica.counts }
            #expect(counts.sentBatches == counts.batches * 3)
            #expect(counts.duplicateBatches == 0 && counts.resentBatches == 0 && counts.resendRounds == 0)
        }
    }

    @Test("loss, repetition and disorder do no harm", arguments: 1...6 as ClosedRange<UInt64>)
    func survivesBadLinks(seed: UInt64) throws {
        let net = try StateNetwork(4, seed: seed)
        net.link = .init(lossPerMille: 100, repeatPerMille: 100, delay: .milliseconds(2), jitter: .milliseconds(20))
        net.run(.seconds(1))
        var load = Load(seed: seed)
        for _ in 0..<300 {
            try load.step(net, on: Array(0..<4))
            net.run(.milliseconds(2))
        }
        net.link = .init()
        let converged = net.run(upTo: .seconds(60)) { net.isConverged() }
        #expect(converged, "seed \(seed)")
        try load.checkSums(net, "seed \(seed)")
    }

    @Test("a node that was cut off catches up, both ways", arguments: 1...4 as ClosedRange<UInt64>)
    func healsPartitions(seed: UInt64) throws {
        let net = try StateNetwork(5, seed: seed)
        net.run(.seconds(1))
        var load = Load(seed: seed)
        for round in 0..<6 {
            net.partition(round % 2 == 0 ? [round % 5, (round + 2) % 5] : [])
            for _ in 0..<60 {
                try load.step(net, on: Array(0..<5))
                net.run(.milliseconds(5))
            }
        }
        net.partition([])
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() }, "seed \(seed)")
        try load.checkSums(net, "seed \(seed)")
    }

    @Test("a node for which no batches are kept any more is brought up to date by comparison")
    func comparesAfterLongAbsence() throws {
        let net = try StateNetwork(3, seed: 9) { settings, _ in
            settings.ringBatchesMax = 8
            settings.repairInterval = .seconds(3_600)
        }
        net.run(.seconds(1))
        net.partition([2])
        for number in 0..<500 {
            let key = try net.key(0, "k\(number)")
            try net.act(0) { try $0.set(key, "v", $1) }
            if number % 3 == 0 {
                let other = try net.key(1, "k\(number)")
                _ = net.act(1) { $0.delete([other], $1) }
            }
            net.run(.milliseconds(4))
        }
        // A month.
        net.run(.seconds(3_600))
        #expect(net.act(0) { replica, _ in replica.counts.lapsedPeers } > 0)
        net.partition([])
        #expect(net.run(upTo: .seconds(20)) { net.isConverged() })
        let key = try net.key(2, "after")
        let first = try net.key(0, "after")
        try net.act(0) { try $0.set(first, "w", $1) }
        net.run(.milliseconds(50))
        #expect(try net.act(2) { try $0.get(key, $1) } == "w", "new batches flow again after the comparison")
    }
}

/// Random operations on some keys, and what their sums must be in the end.
struct Load {
    var random: SeededGenerator
    var sums: [String: Int64] = [:]

    init(seed: UInt64) { random = SeededGenerator(seed: seed ^ 0xABCD) }

    mutating func step(_ net: StateNetwork, on nodes: [Int]) throws {
        let index = nodes[random.below(nodes.count)]
        guard net.nodes[index].isUp else { return }
        let number = random.below(6)
        let word = "\(random.below(8))"
        switch random.below(9) {
        case 0:
            let amount = Int64(random.draw(1...9)) * (random.chance(1, in: 3) ? -1 : 1)
            let key = try net.key(index, "sum\(number)")
            _ = try net.act(index) { try $0.increment(key, by: amount, $1) }
            sums["sum\(number)", default: 0] += amount
        case 1:
            let key = try net.key(index, "s\(number)")
            try net.act(index) { try $0.set(key, Bytes(word), $1) }
        case 2:
            let key = try net.key(index, "set\(number)")
            _ = try net.act(index) { try $0.setAdd(key, Bytes(word), $1) }
        case 3:
            let key = try net.key(index, "set\(number)")
            _ = try net.act(index) { try $0.setRemove(key, [Bytes(word)], $1) }
        case 4:
            let key = try net.key(index, "h\(number)")
            _ = try net.act(index) { try $0.hashSet(key, Bytes(word), "x", $1) }
        case 5:
            let key = try net.key(index, "h\(number)")
            _ = try net.act(index) { try $0.hashIncrement(key, "count", by: Int64(1), $1) }
        case 6:
            let key = try net.key(index, "l\(number)")
            _ = try net.act(index) { try $0.listPush(key, [Bytes(word)], atHead: false, onlyIfExists: false, $1) }
            _ = try net.act(index) { try $0.listPop(key, count: 1, fromHead: true, $1) }
        case 7:
            let key = try net.key(index, "z\(number)")
            _ = try net.act(index) { try $0.scoreIncrement(key, Bytes(word), by: 1, ScoreOptions(), $1) }
        default:
            let keys = try ["set", "h", "l", "z", "s"].map { try net.key(index, "\($0)\(number)") }
            _ = net.act(index) { $0.delete([keys[number % 5]], $1) }
        }
    }

    func checkSums(_ net: StateNetwork, _ comment: String) throws {
        for index in net.nodes.indices where net.nodes[index].isUp {
            for name in sums.keys.sorted() {
                let key = try net.key(index, name)
                let value = try net.act(index) { try $0.get(key, $1) }
                #expect(value?.decimal ?? 0 == sums[name], "\(name) on node \(index), \(comment)")
            }
        }
    }
}
