// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// Exclusive owners whose clocks are wrong: a later owner's write must never lose against one that an earlier owner made alone.
struct FencingTests {
    private static let hour: Int64 = 3_600_000

    @Test(
        "what an owner wrote that was cut off loses against a later owner's, however wrong their clocks are",
        arguments: [-24 * hour, -hour, -70_000, 0, 20_000, 70_000, hour, 24 * hour], [0, 1])
    func fences(skew: Int64, wrong: Int) throws {
        let net = try StateNetwork(3, seed: 7)
        // Of the first owner, or of the later one.
        net.nodes[wrong].skew = skew
        net.run(.seconds(6))
        let keys = try (0..<3).map { try net.key($0, "x") }
        #expect(try net.need(0, .exclusive(keys[0])) == nil)
        net.partition([0])
        net.run(.seconds(1))
        try Self.write("old owner", 0, keys[0], net)
        net.run(.seconds(6))
        #expect(try net.need(1, .exclusive(keys[1])) == nil)
        try Self.write("new owner", 1, keys[1], net)
        let mark = net.act(1) { replica, _ in replica.mark }
        #expect(try net.settle(1, mark, .replicas(2)) == nil)
        net.partition([])
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() })
        net.run(.seconds(5))
        for index in 0..<3 { #expect(try net.act(index) { try $0.get(keys[index], $1) } == "new owner", "node \(index)") }
    }

    @Test("an owner's deletions, many of them and from a clock hours ahead, lose against a later owner's count", arguments: [0, 2 * hour])
    func deletions(skew: Int64) throws {
        let net = try StateNetwork(3, seed: 9)
        net.nodes[0].skew = skew
        net.run(.seconds(6))
        let keys = try (0..<3).map { try net.key($0, "count") }
        #expect(try net.need(0, .exclusive(keys[0])) == nil)
        net.partition([0])
        net.run(.seconds(1))
        for _ in 0..<20 {
            try net.act(0) { replica, now in
                try replica.exclusively(keys[0], now) { replica throws(StateError) in
                    _ = try replica.counterAdd(keys[0], 100, now)
                    _ = replica.delete([keys[0]], now)
                }
            }
            net.run(.milliseconds(10))
        }
        net.run(.seconds(6))
        #expect(try net.need(1, .exclusive(keys[1])) == nil)
        try net.act(1) { replica, now in
            _ = try replica.exclusively(keys[1], now) { replica throws(StateError) in try replica.counterAdd(keys[1], 5, now) }
        }
        net.partition([])
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() })
        net.run(.seconds(5))
        for index in 0..<3 { #expect(try net.act(index) { try $0.counterValue(keys[index], $1) } == 5, "node \(index)") }
    }

    @Test("what expired by the clock of an owner that was cut off does not undo what a later owner counted")
    func expiry() throws {
        let net = try StateNetwork(3, seed: 9)
        net.nodes[0].skew = 2 * Self.hour
        net.run(.seconds(6))
        let keys = try (0..<3).map { try net.key($0, "count") }
        #expect(try net.need(0, .exclusive(keys[0])) == nil)
        net.partition([0])
        try net.act(0) { replica, now in
            _ = try replica.exclusively(keys[0], now) { replica throws(StateError) in
                _ = try replica.counterAdd(keys[0], 100, now)
                return try replica.expire(keys[0], at: Int64(now.wallMilliseconds) + 1_000, .always, now)
            }
        }
        net.run(.seconds(60))
        #expect(net.act(0) { !$0.exists(keys[0], $1) })
        #expect(try net.need(1, .exclusive(keys[1])) == nil)
        try net.act(1) { replica, now in
            _ = try replica.exclusively(keys[1], now) { replica throws(StateError) in try replica.counterAdd(keys[1], 5, now) }
        }
        net.partition([])
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() })
        net.run(.seconds(5))
        for index in 0..<3 { #expect(try net.act(index) { try $0.counterValue(keys[index], $1) } == 5, "node \(index)") }
    }

    @Test("a word of giving back that comes late takes nothing from a new ownership")
    func lateRelease() throws {
        let net = try StateNetwork(3, seed: 5)
        net.run(.seconds(6))
        let keys = try (0..<3).map { try net.key($0, "x") }
        #expect(try net.need(0, .exclusive(keys[0])) == nil)
        // The word is on its way for a second; the same node asks anew and is answered meanwhile.
        net.link.delay = .seconds(1)
        net.act(0) { $0.release(keys[0], $1) }
        net.link.delay = .milliseconds(1)
        #expect(try net.need(0, .exclusive(keys[0])) == nil)
        net.run(.milliseconds(1_500))
        #expect(net.act(0) { $0.owns(keys[0], $1) })
        #expect(try net.need(1, .exclusive(keys[1]), within: .milliseconds(500)) != nil)
        #expect(!net.act(1) { $0.owns(keys[1], $1) } || !net.act(0) { $0.owns(keys[0], $1) }, "two owners")
    }

    @Test(
        "clocks that jump by hours, cuts, crashes and loss: never two owners, and nothing later is lost",
        arguments: 1...24 as ClosedRange<UInt64>)
    func jumps(seed: UInt64) throws {
        let net = try StateNetwork(5, seed: seed)
        net.link = .init(lossPerMille: 20, repeatPerMille: 30, delay: .milliseconds(3), jitter: .milliseconds(40))
        net.run(.seconds(5))
        var random = SeededGenerator(seed: seed)
        var written = 0
        var acknowledged = 0
        var owned = 0
        for round in 0..<40 {
            let node = random.below(5)
            switch random.below(6) {
            case 0, 1: net.nodes[node].skew = Int64(random.draw(0...14_400_000)) - 7_200_000
            case 2: net.partition([random.below(5), random.below(5)])
            case 3: net.partition([])
            case 4 where round % 3 == 0:
                net.stop(node, losingTail: random.chance(1, in: 2))
                // The clock of a machine that starts may have jumped as well.
                if random.chance(1, in: 3) { net.nodes[node].skew -= Self.hour }
                net.run(.milliseconds(Int64(random.below(1_000))))
                net.start(node)
            default: break
            }
            let index = random.below(5)
            let key = try net.key(index, "x")
            guard try net.need(index, .exclusive(key), within: .seconds(5)) == nil else { continue }
            owned += 1
            let at = "seed \(seed), round \(round), node \(index)"
            try Self.checkOwner(index, net, at)
            let seen = try net.act(index) { try $0.get(key, $1) }?.decimal ?? 0
            #expect(seen >= acknowledged, "\(at): an owner had not seen an earlier owner's write")
            // Some think for long before they write, and are cut off meanwhile.
            if random.chance(1, in: 3) { net.partition([index]) }
            net.run(.milliseconds(Int64(random.below(2_500))))
            guard net.act(index, { $0.owns(key, $1) }) else { continue }
            written += 1
            try Self.write(Bytes(decimal: Int64(written)), index, key, net)
            let mark = net.act(index) { replica, _ in replica.mark }
            if try net.settle(index, mark, .replicas(3), within: .seconds(2)) == nil { acknowledged = written }
            if random.chance(1, in: 2) { net.act(index) { $0.release(key, $1) } }
        }
        #expect(owned > 8 && acknowledged > 2, "seed \(seed): \(owned) owned, \(acknowledged) of \(written) acknowledged")
        net.partition([])
        net.link = .init()
        #expect(net.run(upTo: .seconds(60)) { net.isConverged() }, "seed \(seed)")
        net.run(.seconds(5))
        for index in 0..<5 {
            let key = try net.key(index, "x")
            let value = try net.act(index) { try $0.get(key, $1) }?.decimal ?? 0
            #expect(value >= acknowledged, "seed \(seed): node \(index) has \(value) of \(acknowledged)")
        }
    }

    @Test("an owner's clock may be hours off, and the others own by turns with it", arguments: [-2 * hour, 2 * hour])
    func turns(skew: Int64) throws {
        let net = try StateNetwork(3, seed: 3)
        net.nodes[2].skew = skew
        net.run(.seconds(6))
        for round in 0..<9 {
            let key = try net.key(round % 3, "x")
            #expect(try net.need(round % 3, .exclusive(key), within: .seconds(5)) == nil, "round \(round)")
            #expect(try net.act(round % 3) { try $0.get(key, $1) }?.decimal ?? -1 == Int64(round) - 1, "round \(round)")
            try Self.write(Bytes(decimal: Int64(round)), round % 3, key, net)
            let mark = net.act(round % 3) { replica, _ in replica.mark }
            #expect(try net.settle(round % 3, mark, .replicas(2)) == nil)
            net.act(round % 3) { $0.release(key, $1) }
            net.run(.milliseconds(100))
        }
    }

    private static func write(_ value: Bytes, _ index: Int, _ key: ObjectKey, _ net: StateNetwork) throws {
        try net.act(index) { replica, now in
            try replica.exclusively(key, now) { replica throws(StateError) in try replica.set(key, value, now) }
        }
    }

    private static func checkOwner(_ index: Int, _ net: StateNetwork, _ at: String) throws {
        let owners = try (0..<5).filter { other in
            guard net.nodes[other].isUp else { return false }
            let key = try net.key(other, "x")
            return net.act(other) { $0.owns(key, $1) }
        }
        #expect(owners == [index], "\(at): owners \(owners)")
    }
}
