// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// Who keeps what.
struct InterestTests {
    private func held(_ net: StateNetwork, _ index: Int, _ names: [String]) throws -> Int {
        var count = 0
        for name in names {
            let key = try net.key(index, name)
            if net.act(index, { $0.exists(key, $1) }) { count += 1 }
        }
        return count
    }

    @Test("a namespace that is kept where it is used is not sent to others, and is pulled at first use")
    func pullsAtFirstUse() throws {
        let net = try StateNetwork(4, seed: 1) { settings, _ in settings.standard.interest = .used }
        net.run(.seconds(1))
        let space = try net.space(0)
        net.act(0) { $0.use(space, $1) }
        net.run(.seconds(2))
        let names = (0..<50).map { "k\($0)" }
        for name in names {
            let key = try net.key(0, name)
            try net.act(0) { try $0.set(key, "v", $1) }
        }
        net.run(.seconds(2))
        #expect(net.act(1) { replica, _ in replica.counts.mergedBatches } == 0)
        #expect(net.act(0) { replica, _ in replica.figures }.pendingBatches == 0, "nobody is waited for that nothing is sent to")
        #expect(try held(net, 1, names) == 0)
        // The key itself comes at once, the rest behind it.
        let key = try net.key(1, "k7")
        #expect(try net.need(1, .present([key])) == nil)
        #expect(try net.act(1) { try $0.get(key, $1) } == "v")
        net.run(.seconds(2))
        #expect(try held(net, 1, names) == 50)
        #expect(net.act(1) { replica, _ in replica.isPresent(key.space) })
        // From now on it gets what changes, and the others still do not.
        let first = try net.key(0, "new")
        try net.act(0) { try $0.set(first, "v", $1) }
        net.run(.milliseconds(100))
        #expect(try held(net, 1, ["new"]) == 1)
        #expect(try held(net, 2, ["new"]) == 0)
        #expect(net.act(0) { replica, _ in replica.holders(of: space) }.count == 2)
    }

    @Test("policies: the edge, the cloud, a number of copies that all nodes agree on")
    func policies() throws {
        let net = try StateNetwork(5, seed: 2) { settings, index in
            settings.tier = index < 3 ? .edge : .cloud
            settings.namespaces["edge"] = NamespaceSettings.kept(.edge)
            settings.namespaces["cloud"] = NamespaceSettings.kept(.cloud)
            settings.namespaces["two"] = NamespaceSettings.kept(.copies(2))
        }
        net.run(.seconds(2))
        for name in ["edge", "cloud", "two"] {
            let key = try net.key(0, "k", in: name)
            net.act(0) { $0.use(key.space, $1) }
            try net.act(0) { try $0.set(key, "v", $1) }
        }
        net.run(.seconds(2))
        func nodes(_ name: String) throws -> [Int] {
            try (0..<5).filter { index in
                let key = try net.key(index, "k", in: name)
                return net.act(index) { $0.exists(key, $1) }
            }
        }
        #expect(try nodes("edge") == [0, 1, 2])
        #expect(try nodes("cloud") == [0, 3, 4])
        let copies = try nodes("two")
        #expect(copies.contains(0) && (2...3).contains(copies.count))
    }

    @Test("what nobody uses is dropped where another node keeps it, and never by the last one", arguments: 1...4 as ClosedRange<UInt64>)
    func drops(seed: UInt64) throws {
        let net = try StateNetwork(3, seed: seed) { settings, _ in
            settings.standard.interest = .used
            settings.standard.idle = .seconds(30)
        }
        net.run(.seconds(1))
        let names = (0..<20).map { "k\($0)" }
        for index in 0..<3 {
            let space = try net.space(index)
            net.act(index) { $0.use(space, $1) }
        }
        net.run(.seconds(2))
        for (number, name) in names.enumerated() {
            let key = try net.key(number % 3, name)
            _ = try net.act(number % 3) { try $0.increment(key, by: Int64(number + 1), $1) }
        }
        net.run(.seconds(2))
        for index in 0..<3 { #expect(try held(net, index, names) == 20) }
        // All three want to let go, at the same time.
        net.run(.seconds(600))
        let holders = try (0..<3).filter { try held(net, $0, names) == 20 }
        #expect(holders.count == 1, "seed \(seed): kept by \(holders)")
        for index in 0..<3 where !holders.contains(index) { #expect(try held(net, index, names) == 0) }
        // Who dropped it uses it again, and counts on.
        let user = try #require((0..<3).first { !holders.contains($0) })
        let key = try net.key(user, "k4")
        #expect(try net.need(user, .present([key])) == nil)
        #expect(try net.act(user) { try $0.increment(key, by: Int64(100), $1) } == 105)
        net.run(.seconds(5))
        // The former holder may have let go by now, since another one keeps it.
        let values = try (0..<3).map { index in
            let key = try net.key(index, "k4")
            return try net.act(index) { try $0.get(key, $1) }
        }
        #expect(values.contains("105") && values.allSatisfy { $0 == nil || $0 == "105" }, "seed \(seed): \(values)")
    }

    @Test("a node remembers over a restart what it keeps and what it dropped")
    func remembers() throws {
        let net = try StateNetwork(2, seed: 5) { settings, index in
            settings.standard.interest = index == 1 ? .all : .used
            settings.standard.idle = .seconds(30)
        }
        net.run(.seconds(1))
        let key = try net.key(0, "k")
        try net.act(0) { try $0.set(key, "v", $1) }
        net.run(.seconds(1))
        net.stop(0, losingTail: false)
        net.stop(1, losingTail: false)
        net.start(0)
        let kept = try net.key(0, "k")
        #expect(try net.act(0) { try $0.get(kept, $1) } == "v")
        #expect(net.act(0) { replica, _ in replica.isPresent(kept.space) })
        net.start(1)
        net.run(.seconds(100))
        #expect(net.act(0) { replica, _ in replica.counts.droppedNamespaces } == 1)
        net.stop(0, losingTail: false)
        net.start(0)
        let dropped = try net.key(0, "k")
        #expect(try net.act(0) { try $0.get(dropped, $1) } == nil)
        #expect(try net.need(0, .present([dropped])) == nil)
        #expect(try net.act(0) { try $0.get(dropped, $1) } == "v")
    }

    @Test("a node that joins gets everything, and one that leaves and comes back anew too")
    func churn() throws {
        let net = try StateNetwork(4, seed: 3)
        net.setMembers([0, 1, 2])
        net.run(.seconds(1))
        var load = Load(seed: 3)
        for _ in 0..<100 {
            try load.step(net, on: [0, 1, 2])
            net.run(.milliseconds(4))
        }
        net.setMembers([0, 1, 2, 3])
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() })
        net.stop(1, losingTail: false)
        net.setMembers([0, 2, 3])
        for _ in 0..<100 {
            try load.step(net, on: [0, 2, 3])
            net.run(.milliseconds(4))
        }
        net.nodes[1].disk = []
        net.setMembers([0, 1, 2, 3])
        net.start(1)
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() })
        try load.checkSums(net, "after churn")
    }
}

extension NamespaceSettings {
    static func kept(_ policy: InterestPolicy) -> NamespaceSettings {
        var settings = NamespaceSettings()
        settings.interest = policy
        return settings
    }
}
