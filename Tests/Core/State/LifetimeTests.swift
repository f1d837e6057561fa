// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// Ends of objects, namespaces and members.
struct LifetimeTests {
    @Test("what was deleted is forgotten once everybody knows, and nothing comes back", arguments: 1...6 as ClosedRange<UInt64>)
    func collects(seed: UInt64) throws {
        let net = try StateNetwork(4, seed: seed)
        net.link = .init(lossPerMille: 50, repeatPerMille: 100, delay: .milliseconds(2), jitter: .milliseconds(30))
        net.run(.seconds(1))
        var load = Load(seed: seed)
        for _ in 0..<200 {
            try load.step(net, on: Array(0..<4))
            net.run(.milliseconds(4))
        }
        net.link = .init()
        #expect(net.run(upTo: .seconds(60)) { net.isConverged() })
        for index in 0..<4 {
            let space = try net.space(index)
            _ = net.act(index) { $0.clear(space, $1) }
        }
        net.run(.seconds(30))
        for index in 0..<4 {
            let figures = net.act(index) { replica, _ in replica.figures }
            #expect(figures.objects == 0, "seed \(seed)")
            #expect(figures.shells == 0, "seed \(seed): \(figures.shells) shells on node \(index)")
            #expect(figures.pendingBatches == 0)
        }
        // A new life under the old names, on nodes that forgot and nodes that may not have.
        load = Load(seed: seed &+ 1)
        for _ in 0..<100 {
            try load.step(net, on: Array(0..<4))
            net.run(.milliseconds(4))
        }
        #expect(net.run(upTo: .seconds(60)) { net.isConverged() }, "seed \(seed)")
        try load.checkSums(net, "second life, seed \(seed)")
    }

    @Test("nothing that was deleted comes back by a node that was away, and it holds up forgetting meanwhile")
    func doesNotResurrect() throws {
        let net = try StateNetwork(3, seed: 3)
        net.run(.seconds(1))
        let keys = try (0..<20).map { try net.key(0, "k\($0)") }
        for (number, key) in keys.enumerated() {
            if number % 2 == 0 {
                try net.act(0) { try $0.set(key, "v", $1) }
            } else {
                _ = try net.act(0) { try $0.setAdd(key, ["a", "b"], $1) }
            }
        }
        net.run(.seconds(1))
        net.partition([2])
        _ = net.act(0) { $0.delete(keys, $1) }
        net.run(.seconds(3_600))
        #expect(net.act(0) { replica, _ in replica.figures }.shells == 20)
        net.partition([])
        net.run(.seconds(30))
        for index in 0..<3 {
            let figures = net.act(index) { replica, _ in replica.figures }
            #expect(figures.objects == 0 && figures.shells == 0)
        }
    }

    @Test("a member that left for good is not waited for")
    func retires() throws {
        let net = try StateNetwork(3, seed: 3)
        net.run(.seconds(1))
        let key = try net.key(0, "k")
        try net.act(0) { try $0.set(key, "v", $1) }
        net.run(.seconds(1))
        net.stop(2, losingTail: true)
        _ = net.act(0) { $0.delete([key], $1) }
        net.run(.seconds(60))
        #expect(net.act(0) { replica, _ in replica.figures }.shells == 1)
        net.setMembers([0, 1])
        net.run(.seconds(10))
        #expect(net.act(0) { replica, _ in replica.figures }.shells == 0)
        #expect(net.act(0) { replica, _ in replica.figures }.pendingBatches == 0)
    }

    @Test("what was added to a counter without having seen its deletion goes with it, on both sides")
    func refusesOldEpochs() throws {
        let net = try StateNetwork(2, seed: 3)
        net.run(.seconds(1))
        let keys = try (0..<2).map { try net.key($0, "c") }
        _ = try net.act(0) { try $0.counterAdd(keys[0], 5, $1) }
        net.run(.milliseconds(100))
        net.partition([1])
        _ = net.act(0) { $0.delete([keys[0]], $1) }
        _ = try net.act(1) { try $0.counterAdd(keys[1], 7, $1) }
        net.run(.milliseconds(100))
        net.partition([])
        #expect(net.run(upTo: .seconds(20)) { net.isConverged() })
        for index in 0..<2 { #expect(net.act(index) { !$0.exists(keys[index], $1) }) }
        // What was counted in the old epoch may come after both are alike.
        net.run(.seconds(1))
        #expect(net.act(0) { replica, _ in replica.counts.refusedEpochs } > 0)
        // Counting begins anew from nothing.
        #expect(try net.act(1) { try $0.counterAdd(keys[1], 2, $1) } == 2)
    }

    @Test("an object that expires is gone everywhere without a word, and forgotten")
    func expires() throws {
        let net = try StateNetwork(3, seed: 3)
        net.nodes[1].skew = 900
        net.nodes[2].skew = -800
        net.run(.seconds(1))
        let names = ["s", "h", "l", "t", "c"]
        let keys = try names.map { try net.key(0, $0) }
        try net.act(0) { replica, now in
            _ = try replica.setAdd(keys[0], "a", now)
            _ = try replica.hashSet(keys[1], "f", "v", now)
            _ = try replica.listPush(keys[2], ["a"], atHead: true, onlyIfExists: false, now)
            try replica.set(keys[3], "v", now)
            _ = try replica.counterAdd(keys[4], 3, now)
            for key in keys { _ = try replica.expire(key, at: Int64(now.wallMilliseconds) + 5_000, .always, now) }
        }
        net.run(.seconds(2))
        for index in 0..<3 { #expect(net.act(index) { replica, _ in replica.figures }.objects == 5) }
        let sent = (0..<3).map { index in net.act(index) { replica, _ in replica.counts.batches } }
        net.run(.seconds(20))
        for index in 0..<3 {
            let figures = net.act(index) { replica, _ in replica.figures }
            #expect(figures.objects == 0 && figures.shells == 0, "node \(index)")
        }
        #expect(sent == (0..<3).map { index in net.act(index) { replica, _ in replica.counts.batches } })
    }

    @Test("an extension of an expiry that comes before the end counts, and the later of two stays")
    func extends() throws {
        let net = try StateNetwork(2, seed: 3)
        net.run(.seconds(1))
        let key = try net.key(0, "k")
        let other = try net.key(1, "k")
        try net.act(0) { try $0.set(key, "v", $1) }
        net.run(.milliseconds(100))
        let start = Int64(net.time(0).wallMilliseconds)
        _ = try net.act(0) { try $0.expire(key, at: start + 2_000, .always, $1) }
        net.run(.milliseconds(500))
        net.partition([1])
        _ = try net.act(1) { try $0.expire(other, at: start + 60_000, .always, $1) }
        net.run(.milliseconds(2_000))
        #expect(try net.act(0) { try $0.get(key, $1) } == nil)
        // Within the grace it comes back.
        net.partition([])
        net.run(.milliseconds(300))
        #expect(try net.act(0) { try $0.get(key, $1) } == "v")
        net.run(.seconds(10))
        #expect(net.isConverged())
    }

    @Test("clocks that are hours off neither lose writes nor drag the others along")
    func clocks() throws {
        let net = try StateNetwork(3, seed: 3)
        net.nodes[1].skew = 5 * 3_600_000
        net.run(.seconds(1))
        let keys = try (0..<3).map { try net.key($0, "k") }
        try net.act(1) { try $0.set(keys[1], "ahead", $1) }
        net.run(.milliseconds(100))
        #expect(try net.act(0) { try $0.get(keys[0], $1) } == "ahead")
        // Whoever overwrites what is seen wins, whatever the clocks say.
        try net.act(0) { try $0.set(keys[0], "later", $1) }
        net.run(.milliseconds(100))
        for index in 0..<3 { #expect(try net.act(index) { try $0.get(keys[index], $1) } == "later") }
        let own = Int64(net.time(0).wallMilliseconds)
        #expect(net.act(0) { replica, now in replica.milliseconds(now) } < own + 120_000)
        // The wall clock jumps back.
        net.nodes[0].skew = -7_200_000
        try net.act(0) { try $0.set(keys[0], "back", $1) }
        net.run(.milliseconds(100))
        for index in 0..<3 { #expect(try net.act(index) { try $0.get(keys[index], $1) } == "back") }
    }

    @Test("one key made with two kinds at once shows the same kind everywhere, and the other one after its deletion")
    func kindConflicts() throws {
        let net = try StateNetwork(2, seed: 3)
        net.run(.seconds(1))
        net.partition([1])
        let keys = try (0..<2).map { try net.key($0, "k") }
        _ = try net.act(0) { try $0.setAdd(keys[0], "a", $1) }
        try net.act(1) { try $0.set(keys[1], "v", $1) }
        net.run(.seconds(1))
        net.partition([])
        #expect(net.run(upTo: .seconds(20)) { net.isConverged() })
        for index in 0..<2 {
            #expect(net.act(index) { $0.kind(of: keys[index], $1) } == .string)
            #expect(throws: StateError.self) { try net.act(index) { try $0.setAdd(keys[index], "b", $1) } }
            let space = keys[index].space
            #expect(net.act(index) { $0.scan(space, cursor: 0, count: 100, $1) }.keys.count == 1)
        }
        #expect(net.nodes.contains { $0.notes.contains { if case .kindConflict = $0 { true } else { false } } })
        #expect(net.act(0) { $0.delete([keys[0]], $1) } == 1)
        net.run(.seconds(1))
        for index in 0..<2 { #expect(net.act(index) { $0.kind(of: keys[index], $1) } == nil) }
    }

    @Test("a removed node that comes back with its old disk is refused, and brings nothing back")
    func refusesRemovedNodes() throws {
        let net = try StateNetwork(3, seed: 11)
        net.run(.seconds(1))
        let key = try net.key(0, "k")
        _ = try net.act(0) { try $0.setAdd(key, ["a", "b"], $1) }
        net.run(.seconds(2))
        net.stop(2, losingTail: false)
        net.setMembers([0, 1])
        _ = net.act(0) { $0.delete([key], $1) }
        net.run(.seconds(20))
        #expect(net.act(0) { replica, _ in replica.figures }.shells == 0, "nobody waits for it")
        // It still takes itself for a member, and its frames arrive.
        net.startAlone(2, believing: [0, 1, 2])
        let theirs = try net.key(2, "k")
        _ = try net.act(2) { try $0.setAdd(theirs, ["c"], $1) }
        net.run(.seconds(30))
        for index in 0..<2 {
            let key = try net.key(index, "k")
            #expect(net.act(index) { !$0.exists(key, $1) }, "node \(index)")
            #expect(net.act(index) { replica, _ in replica.counts.removedFrames } > 0)
        }
        // Admitted again with an empty replica, it is one of them.
        net.stop(2, losingTail: true)
        net.nodes[2].disk = []
        net.setMembers([0, 1, 2])
        net.start(2)
        _ = try net.act(0) { try $0.setAdd(key, ["d"], $1) }
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() })
        let again = try net.key(2, "k")
        #expect(try net.act(2) { try $0.setMembers(again, $1) } == ["d"])
    }

    /// A kind that numbers its writes.
    enum Numbering: String, CaseIterable, Sendable {
        case set, hash, list

        func add(_ replica: inout Replica, _ key: ObjectKey, _ word: String, _ now: StateTime) throws {
            switch self {
            case .set: _ = try replica.setAdd(key, Bytes(word), now)
            case .hash: _ = try replica.hashSet(key, Bytes(word), "v", now)
            case .list: _ = try replica.listPush(key, [Bytes(word)], atHead: false, onlyIfExists: false, now)
            }
        }

        func contents(_ replica: borrowing Replica, _ key: ObjectKey, _ now: StateTime) throws -> [Bytes] {
            switch self {
            case .set: try replica.setMembers(key, now).sorted()
            case .hash: try replica.hashFields(key, now).sorted()
            case .list: try replica.listRange(key, start: 0, end: -1, now).sorted()
            }
        }
    }

    @Test("what is written to an object that was forgotten here is numbered after all that went before", arguments: Numbering.allCases)
    func numbersOn(kind: Numbering) throws {
        let net = try StateNetwork(2, seed: 6)
        net.run(.seconds(1))
        let keys = try (0..<2).map { try net.key($0, "k") }
        for word in ["a", "b", "c"] {
            try net.act(0) { try kind.add(&$0, keys[0], word, $1) }
            net.run(.milliseconds(20))
        }
        _ = net.act(0) { $0.delete([keys[0]], $1) }
        net.run(.milliseconds(100))
        // The other node keeps what it knows, because it writes; this one forgets.
        net.partition([1])
        try net.act(1) { try kind.add(&$0, keys[1], "theirs", $1) }
        net.act(0) { replica, _ in
            replica.adopt(forgettable: replica.clock.last)
            replica.collectShells()
        }
        #expect(net.act(0) { replica, _ in replica.figures }.shells == 0)
        try net.act(0) { try kind.add(&$0, keys[0], "ours", $1) }
        net.partition([])
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() })
        for index in 0..<2 {
            // Numbers that were used before would be taken for those of what was deleted.
            #expect(try net.act(index) { try kind.contents($0, keys[index], $1) } == ["ours", "theirs"], "node \(index)")
        }
    }

    @Test("how far each member is behind is told: batches, bytes, age and silence")
    func tellsLags() throws {
        let net = try StateNetwork(3, seed: 2)
        net.run(.seconds(5))
        net.partition([2])
        for number in 0..<10 {
            let key = try net.key(0, "k\(number)")
            try net.act(0) { try $0.set(key, "v", $1) }
            net.run(.milliseconds(10))
        }
        net.run(.seconds(3))
        let lags = net.act(0) { $0.lags($1) }
        #expect(lags.map(\.node) == [net.nodes[1].id, net.nodes[2].id])
        #expect(lags[0].batches == 0 && lags[0].bytes == 0 && lags[0].oldest == nil && lags[0].isUp)
        #expect(lags[1].batches == 10 && lags[1].bytes > 300 && !lags[1].isUp)
        let oldest = try #require(lags[1].oldest)
        #expect(oldest > .seconds(3) && oldest < .seconds(4))
        let silence = try #require(lags[1].silence)
        #expect(silence > .seconds(3) && silence < .seconds(5))
        net.partition([])
        net.run(.seconds(3))
        #expect(net.act(0) { $0.lags($1) }.allSatisfy { $0.batches == 0 && $0.oldest == nil })
    }
}
