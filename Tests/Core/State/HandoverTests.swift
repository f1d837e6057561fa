// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// A node that leaves gives away all that it has first.
struct HandoverTests {
    private static func handedOver(_ net: StateNetwork, _ index: Int, within limit: Duration = .seconds(30)) -> Bool {
        net.act(index) { $0.handOver($1) }
        return net.run(upTo: limit) { net.act(index) { replica, _ in replica.handoverProgress?.isDone ?? false } }
    }

    @Test(
        "what a node has is on the disks of others before it leaves, also what it got from members that are gone",
        arguments: 1...10 as ClosedRange<UInt64>)
    func everything(seed: UInt64) throws {
        let net = try StateNetwork(4, seed: seed) { settings, _ in settings.ringBatchesMax = 8 }
        net.link = .init(lossPerMille: 50, repeatPerMille: 30, delay: .milliseconds(3), jitter: .milliseconds(30))
        net.run(.seconds(2))
        // Node 3 tells node 0 alone, and is gone.
        net.partition([0, 3])
        for number in 0..<30 {
            let key = try net.key(3, "gone-\(number)")
            try net.act(3) { try $0.set(key, Bytes("v\(number)"), $1) }
            net.run(.milliseconds(5))
        }
        net.run(.seconds(15))
        net.stop(3, losingTail: true)
        net.setMembers([0, 1, 2])
        // Node 0 has some of its own besides.
        for number in 0..<30 {
            let key = try net.key(0, "own-\(number)")
            _ = try net.act(0) { try $0.setAdd(key, Bytes("w\(number)"), $1) }
            net.run(.milliseconds(5))
        }
        net.act(0) { $0.handOver($1) }
        net.run(.seconds(5))
        let before = try #require(net.act(0) { replica, _ in replica.handoverProgress })
        #expect(!before.isDone && before.objects == 60 && before.namespaces == ["test"] && before.unreachable.count == 2, "seed \(seed)")
        net.partition([])
        let isDone = net.run(upTo: .seconds(60)) { net.act(0) { replica, _ in replica.handoverProgress?.isDone ?? false } }
        #expect(isDone, "seed \(seed): \(String(describing: net.act(0) { r, _ in r.handoverProgress }))")
        // At this very moment its disk burns, and the others lose their power.
        net.stop(0, losingTail: true)
        net.nodes[0].disk = []
        for index in [1, 2] { net.stop(index, losingTail: true) }
        net.setMembers([1, 2])
        for index in [1, 2] { net.start(index) }
        for index in [1, 2] {
            for number in 0..<30 {
                let gone = try net.key(index, "gone-\(number)")
                #expect(try net.act(index) { try $0.get(gone, $1) } == Bytes("v\(number)"), "seed \(seed), node \(index)")
                let own = try net.key(index, "own-\(number)")
                #expect(try net.act(index) { try $0.setMembers(own, $1) } == [Bytes("w\(number)")], "seed \(seed), node \(index)")
            }
        }
    }

    @Test("what nobody else keeps is given to a node that keeps it from then on")
    func unwanted() throws {
        let net = try StateNetwork(3, seed: 4) { settings, _ in settings.standard.interest = .used }
        net.run(.seconds(2))
        let key = try net.key(0, "k")
        try net.act(0) { try $0.set(key, "v", $1) }
        net.run(.seconds(2))
        #expect(Self.handedOver(net, 0))
        net.stop(0, losingTail: true)
        net.setMembers([1, 2])
        net.run(.seconds(20_000))
        let holders = [1, 2].filter { index in net.act(index) { replica, _ in replica.figures }.objects == 1 }
        #expect(!holders.isEmpty)
        for index in [1, 2] {
            let key = try net.key(index, "k")
            #expect(try net.need(index, .present([key])) == nil)
            #expect(try net.act(index) { try $0.get(key, $1) } == "v")
        }
    }

    @Test("what it owns and its rights of bounded counters go to who stays")
    func rights() throws {
        let net = try StateNetwork(3, seed: 4)
        net.run(.seconds(6))
        let stock = try (0..<3).map { try net.key($0, "stock") }
        try net.act(0) { replica, now in
            try replica.boundedCreate(stock[0], bound: 0, now)
            _ = try replica.boundedAdd(stock[0], 100, now)
        }
        let owned = try (0..<3).map { try net.key($0, "x") }
        #expect(try net.need(0, .exclusive(owned[0])) == nil)
        net.run(.seconds(1))
        #expect(Self.handedOver(net, 0))
        #expect(!net.act(0) { $0.owns(owned[0], $1) })
        net.stop(0, losingTail: true)
        net.setMembers([1, 2])
        // At once: no lease has to run out.
        #expect(try net.need(1, .exclusive(owned[1]), within: .milliseconds(1_500)) == nil)
        let rights = try [1, 2].map { index in try net.act(index) { try $0.boundedRights(stock[index], $1) } }
        #expect(rights.reduce(0, +) == 100)
        let receiver = rights[0] > 0 ? 1 : 2
        #expect(try net.act(receiver) { try $0.boundedAdd(stock[receiver], -100, $1) } == 0)
    }

    @Test("writes that come meanwhile are handed over too, and a node may stay after all")
    func busy() throws {
        let net = try StateNetwork(3, seed: 4)
        net.run(.seconds(2))
        net.act(0) { $0.handOver($1) }
        for number in 0..<400 {
            for index in 0..<3 {
                let key = try net.key(index, "n\(number % 20)-\(index)")
                try net.act(index) { try $0.set(key, Bytes("\(number)"), $1) }
            }
            net.run(.milliseconds(5))
        }
        // Nothing has to stand still for it.
        let end = net.now + .seconds(5)
        #expect(net.run(upTo: .seconds(5)) { net.act(0) { replica, _ in replica.handoverProgress?.isDone ?? false } }, "until \(end)")
        net.act(0) { replica, _ in replica.cancelHandover() }
        #expect(net.act(0) { replica, _ in replica.handoverProgress } == nil)
    }

    @Test("a node whom nobody answers hands over nothing, and says what is left")
    func alone() throws {
        let net = try StateNetwork(2, seed: 4)
        net.run(.seconds(2))
        let key = try net.key(0, "k")
        try net.act(0) { try $0.set(key, "v", $1) }
        net.run(.seconds(2))
        net.stop(1, losingTail: false)
        #expect(!Self.handedOver(net, 0, within: .seconds(20)))
        let left = try #require(net.act(0) { replica, _ in replica.handoverProgress })
        #expect(left.objects == 1 && left.bytes > 0 && left.unreachable == [net.nodes[1].id] && left.done.isEmpty && left.behind.isEmpty)
        net.start(1)
        #expect(net.run(upTo: .seconds(10)) { net.act(0) { replica, _ in replica.handoverProgress?.isDone ?? false } })
    }
}
