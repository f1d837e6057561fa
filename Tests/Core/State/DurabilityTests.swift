// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// Logs, snapshots, crashes and identities.
struct DurabilityTests {
    @Test("a node that crashed comes back with what was on its disk, under a new identity", arguments: 1...4 as ClosedRange<UInt64>)
    func recovers(seed: UInt64) throws {
        let net = try StateNetwork(1, seed: seed)
        var load = Load(seed: seed)
        for _ in 0..<200 {
            try load.step(net, on: [0])
            net.run(.milliseconds(3))
        }
        net.act(0) { $0.flush($1) }
        net.run(.milliseconds(200))
        let digest = net.act(0) { replica, _ in replica.digest() }
        let site = net.act(0) { replica, _ in replica.site }
        net.stop(0, losingTail: true)
        net.start(0)
        #expect(net.act(0) { replica, _ in replica.digest() } == digest)
        #expect(net.act(0) { replica, _ in replica.site } != site)
        try load.checkSums(net, "after a crash, seed \(seed)")
    }

    @Test("a node that ended cleanly goes on under its identity and its numbers")
    func continues() throws {
        let net = try StateNetwork(2, seed: 5)
        net.run(.seconds(1))
        for number in 0..<10 {
            let key = try net.key(0, "n")
            _ = try net.act(0) { try $0.increment(key, by: Int64(number), $1) }
            net.run(.milliseconds(5))
        }
        let site = net.act(0) { replica, _ in replica.site }
        net.stop(0, losingTail: false)
        net.run(.milliseconds(100))
        net.start(0, clean: true)
        #expect(net.act(0) { replica, _ in replica.site } == site)
        let key = try net.key(0, "n")
        _ = try net.act(0) { try $0.increment(key, by: Int64(100), $1) }
        #expect(net.run(upTo: .seconds(5)) { net.isConverged() })
        let other = try net.key(1, "n")
        #expect(try net.act(1) { try $0.get(other, $1) } == "145")
    }

    @Test("snapshot and later records together are the state", arguments: 1...6 as ClosedRange<UInt64>)
    func snapshots(seed: UInt64) throws {
        let net = try StateNetwork(2, seed: seed)
        net.run(.seconds(1))
        var load = Load(seed: seed)
        for round in 0..<5 {
            for _ in 0..<80 {
                try load.step(net, on: [0, 1])
                net.run(.milliseconds(round == 2 ? 200 : 3))
            }
            net.snapshot(0)
        }
        for _ in 0..<20 {
            try load.step(net, on: [0, 1])
            net.run(.milliseconds(3))
        }
        net.run(.milliseconds(500))
        let digest = net.act(0) { replica, _ in replica.digest() }
        net.stop(0, losingTail: true)
        net.stop(1, losingTail: true)
        net.start(0)
        #expect(net.act(0) { replica, _ in replica.digest() } == digest, "seed \(seed)")
        try load.checkSums(net, "seed \(seed)")
    }

    @Test("records that an older part of the snapshot holds already do not bring back what was deleted or deleted what came anew")
    func replaysOldRecords() throws {
        let net = try StateNetwork(1, seed: 3)
        let key = try net.key(0, "k")
        try net.act(0) { try $0.set(key, "old", $1) }
        net.run(.milliseconds(200))
        _ = net.act(0) { $0.delete([key], $1) }
        net.run(.seconds(5))
        #expect(net.act(0) { replica, _ in replica.figures }.shells == 0)
        let records = net.nodes[0].disk
        _ = try net.act(0) { try $0.increment(key, by: Int64(1), $1) }
        net.run(.milliseconds(200))
        net.snapshot(0)
        // The log was not forgotten after the snapshot: the old records are read again, behind it.
        net.nodes[0].disk = records
        net.stop(0, losingTail: true)
        net.start(0)
        let again = try net.key(0, "k")
        #expect(try net.act(0) { try $0.get(again, $1) } == "1")
    }

    @Test("what was acknowledged at sync is there after every crash", arguments: 1...8 as ClosedRange<UInt64>)
    func keepsSynced(seed: UInt64) throws {
        let net = try StateNetwork(1, seed: seed) { settings, _ in settings.standard.durability = .sync }
        var random = SeededGenerator(seed: seed)
        var sum: Int64 = 0
        var isExact = true
        for _ in 0..<60 {
            let key = try net.key(0, "n")
            _ = try net.act(0) { try $0.increment(key, by: Int64(1), $1) }
            let mark = net.act(0) { replica, _ in replica.mark }
            if random.chance(1, in: 4) {
                net.run(.microseconds(Int64(random.below(4_000))))
                net.stop(0, losingTail: true)
                net.start(0)
                let key = try net.key(0, "n")
                let value = try net.act(0) { try $0.get(key, $1) }?.decimal ?? 0
                #expect(value == sum || value == sum + 1, "seed \(seed): \(value) after \(sum)")
                sum = value
                isExact = false
            } else {
                #expect(try net.settle(0, mark, .durable) == nil)
                sum += 1
            }
        }
        #expect(!isExact)
    }

    @Test("what a quorum acknowledged survives the loss of its writer", arguments: 1...6 as ClosedRange<UInt64>)
    func keepsQuorum(seed: UInt64) throws {
        let net = try StateNetwork(3, seed: seed) { settings, _ in settings.standard.durability = .sync }
        net.link = .init(lossPerMille: 50, repeatPerMille: 20, delay: .milliseconds(1), jitter: .milliseconds(5))
        net.run(.seconds(1))
        var sum: Int64 = 0
        for round in 0..<12 {
            let index = round % 3
            let key = try net.key(index, "n")
            _ = try net.act(index) { try $0.increment(key, by: Int64(1), $1) }
            let mark = net.act(index) { replica, _ in replica.mark }
            #expect(try net.settle(index, mark, .replicas(2)) == nil)
            sum += 1
            // Its disk burns.
            net.stop(index, losingTail: true)
            net.nodes[index].disk = []
            net.nodes[index].parts = [:]
            net.nodes[index].partOrder = []
            net.run(.milliseconds(20))
            net.start(index)
            #expect(net.run(upTo: .seconds(30)) { net.isConverged() }, "seed \(seed), round \(round)")
            net.run(.seconds(3))
        }
        for index in 0..<3 {
            let key = try net.key(index, "n")
            #expect(try net.act(index) { try $0.get(key, $1) } == Bytes(decimal: sum), "seed \(seed)")
        }
    }

    @Test(
        "nodes that crash and lose their last records converge, and lose nothing that others had", arguments: 1...8 as ClosedRange<UInt64>)
    func crashes(seed: UInt64) throws {
        let net = try StateNetwork(4, seed: seed)
        net.link = .init(lossPerMille: 20, repeatPerMille: 20, delay: .milliseconds(1), jitter: .milliseconds(4))
        net.run(.seconds(1))
        var load = Load(seed: seed)
        var random = SeededGenerator(seed: seed &+ 77)
        for _ in 0..<12 {
            for _ in 0..<30 {
                try load.step(net, on: Array(0..<4))
                net.run(.milliseconds(3))
            }
            let victim = random.below(4)
            if random.chance(1, in: 3) { net.snapshot(victim) }
            // What it wrote reaches the others first, so that sums can be told.
            net.run(.milliseconds(300))
            net.stop(victim, losingTail: random.chance(1, in: 2))
            for _ in 0..<10 {
                try load.step(net, on: Array(0..<4))
                net.run(.milliseconds(5))
            }
            net.start(victim)
        }
        net.link = .init()
        #expect(net.run(upTo: .seconds(60)) { net.isConverged() }, "seed \(seed)")
        try load.checkSums(net, "seed \(seed)")
    }

    @Test("a record or a part of which any byte was changed is refused")
    func checksums() throws {
        let net = try StateNetwork(1, seed: 1)
        let key = try net.key(0, "k")
        try net.act(0) { try $0.set(key, "value", $1) }
        net.run(.milliseconds(300))
        net.snapshot(0)
        let other = try net.key(0, "l")
        try net.act(0) { try $0.set(other, "value", $1) }
        net.run(.milliseconds(300))
        let record = try #require(net.nodes[0].disk.first)
        let name = try #require(net.nodes[0].partOrder.first)
        let part = try #require(net.nodes[0].parts[name])
        for index in record.indices {
            var changed = record
            changed[index] ^= 0x10
            var recovery = StateRecovery(node: net.nodes[0].id, settings: StateSettings(), seed: 1, now: net.time(0))
            let isRead = recovery.record(changed)
            #expect(!isRead)
        }
        for index in part.indices {
            var changed = part
            changed[index] ^= 0x10
            var recovery = StateRecovery(node: net.nodes[0].id, settings: StateSettings(), seed: 1, now: net.time(0))
            let isRead = recovery.part(name, changed)
            #expect(!isRead)
        }
    }

    @Test("two nodes with one identity find out, say so, and go on as two")
    func duplicates() throws {
        let net = try StateNetwork(3, seed: 4)
        net.run(.seconds(1))
        let key = try net.key(0, "a")
        try net.act(0) { try $0.set(key, "v", $1) }
        net.run(.milliseconds(500))
        net.stop(0, losingTail: false)
        net.stop(1, losingTail: true)
        // Somebody copied a data directory.
        net.nodes[1].disk = net.nodes[0].disk
        net.nodes[1].parts = net.nodes[0].parts
        net.nodes[1].incarnation = net.nodes[0].incarnation
        net.start(0, clean: true)
        net.start(1, clean: true)
        net.run(.seconds(3))
        let sites = (0..<3).map { index in net.act(index) { replica, _ in replica.site } }
        #expect(Set(sites).count == 3)
        let told = net.nodes.contains { node in
            node.notes.contains { note in
                if case .duplicateIdentity = note { return true }
                return false
            }
        }
        #expect(told)
        for index in 0..<3 {
            let key = try net.key(index, "n")
            _ = try net.act(index) { try $0.increment(key, by: Int64(1), $1) }
        }
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() })
        for index in 0..<3 {
            let key = try net.key(index, "n")
            #expect(try net.act(index) { try $0.get(key, $1) } == "3")
        }
    }
}
