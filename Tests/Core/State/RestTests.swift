// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// What removed parts of lists, texts and remove-wins sets leave behind, and how long.
struct RestTests {
    private static let names = ["list", "text", "set"]

    private func edit(_ net: StateNetwork, _ index: Int, _ random: inout SeededGenerator) throws {
        let keys = try Self.names.map { try net.key(index, $0) }
        let words = (0..<3).map { _ in Bytes("w\(random.below(40))") }
        try net.act(index) { replica, now in
            switch random.below(6) {
            case 0: _ = try replica.listPush(keys[0], words, atHead: random.chance(1, in: 2), onlyIfExists: false, now)
            case 1: _ = try replica.listPop(keys[0], count: 2, fromHead: true, now)
            case 2:
                let count = try replica.textCount(keys[1], now)
                try replica.textInsert(keys[1], "abc", at: random.below(count + 1), now)
            case 3:
                let count = try replica.textCount(keys[1], now)
                if count > 4 { try replica.textRemove(keys[1], 1..<4, now) }
            case 4: _ = try replica.removeWinsAdd(keys[2], words, now)
            default: _ = try replica.removeWinsRemove(keys[2], words, now)
            }
        }
    }

    private func rests(_ net: StateNetwork, _ index: Int) throws -> Int {
        let keys = try Self.names.map { try net.key(index, $0) }
        return net.act(index) { replica, _ in
            keys.reduce(0) { sum, key in
                let space = replica.spaces[key.space.index]
                return sum + (space.table.find(space.hash(key.name), key.name)?.restCount ?? 0)
            }
        }
    }

    /// What readers see.
    private func contents(_ net: StateNetwork, _ index: Int) throws -> [[Bytes]] {
        let keys = try Self.names.map { try net.key(index, $0) }
        return try net.act(index) { replica, now in
            [
                try replica.listRange(keys[0], start: 0, end: -1, now), [Bytes(try replica.textValue(keys[1], now))],
                try replica.removeWinsMembers(keys[2], now).sorted(),
            ]
        }
    }

    @Test("when all is quiet, nothing of what was removed is left on any replica", arguments: 1...6 as ClosedRange<UInt64>)
    func forgetsEverywhere(seed: UInt64) throws {
        let net = try StateNetwork(4, seed: seed)
        net.link = .init(lossPerMille: 50, repeatPerMille: 100, delay: .milliseconds(2), jitter: .milliseconds(30))
        net.run(.seconds(1))
        var random = SeededGenerator(seed: seed)
        for round in 0..<250 {
            if round % 60 == 20 { net.partition([random.below(4)]) }
            if round % 60 == 50 { net.partition([]) }
            try edit(net, random.below(4), &random)
            net.run(.milliseconds(8))
        }
        net.partition([])
        #expect(net.run(upTo: .seconds(60)) { net.isConverged() }, "seed \(seed)")
        net.run(.seconds(30))
        let seen = try contents(net, 0)
        for index in 0..<4 {
            // A place that something visible hangs at stays; texts and lists have few of them.
            let count = try rests(net, index)
            let set = try net.key(index, "set")
            let remembered = net.act(index) { replica, _ in
                let space = replica.spaces[set.space.index]
                return space.table.find(space.hash(set.name), set.name)?.restCount ?? 0
            }
            #expect(remembered == 0, "seed \(seed), node \(index)")
            #expect(count < 60, "seed \(seed), node \(index): \(count)")
            #expect(try contents(net, index) == seen, "seed \(seed), node \(index)")
            #expect(net.act(index) { replica, _ in replica.counts.collectedRests } > 0, "seed \(seed), node \(index)")
        }
        // Without anything visible, nothing needs a place.
        for key in try Self.names.map({ try net.key(0, $0) }) {
            try net.act(0) { replica, now in
                switch replica.kind(of: key, now) {
                case .list?: try replica.listTrim(key, start: 1, end: 0, now)
                case .text?: try replica.textRemove(key, 0..<(try replica.textCount(key, now)), now)
                default: _ = try replica.removeWinsRemove(key, try replica.removeWinsMembers(key, now), now)
                }
            }
        }
        net.run(.seconds(30))
        for index in 0..<4 { #expect(try rests(net, index) == 0, "seed \(seed), node \(index)") }
    }

    @Test("a member that is away holds forgetting up, and a removed one does not")
    func waitsForMembers() throws {
        let net = try StateNetwork(3, seed: 5)
        net.run(.seconds(1))
        let key = try net.key(0, "set")
        _ = try net.act(0) { try $0.removeWinsAdd(key, ["a", "b", "c"], $1) }
        net.run(.seconds(2))
        net.partition([2])
        _ = try net.act(0) { try $0.removeWinsRemove(key, ["a"], $1) }
        // It adds what is removed at the same time: the removal wins, whenever the two meet.
        let theirs = try net.key(2, "set")
        _ = try net.act(2) { try $0.removeWinsAdd(theirs, ["a"], $1) }
        net.run(.seconds(600))
        #expect(try rests(net, 0) == 1)
        #expect(try rests(net, 1) == 1)
        net.partition([])
        net.run(.seconds(30))
        for index in 0..<3 {
            #expect(try rests(net, index) == 0)
            #expect(try contents(net, index)[2] == ["b", "c"], "the removal was forgotten before it had won, node \(index)")
        }
        _ = try net.act(0) { try $0.removeWinsRemove(key, ["b"], $1) }
        net.stop(2, losingTail: true)
        net.run(.seconds(60))
        #expect(try rests(net, 0) == 1)
        net.setMembers([0, 1])
        net.run(.seconds(30))
        #expect(try rests(net, 0) == 0)
    }

    @Test(
        "nothing that was removed comes back, with late, repeated and disordered messages and nodes that were away or crashed",
        arguments: 1...8 as ClosedRange<UInt64>)
    func doesNotResurrect(seed: UInt64) throws {
        let net = try StateNetwork(4, seed: seed) { settings, _ in
            settings.ringBatchesMax = 4
            settings.repairInterval = .seconds(2)
        }
        net.link = .init(lossPerMille: 100, repeatPerMille: 200, delay: .milliseconds(5), jitter: .milliseconds(900))
        net.run(.seconds(2))
        var random = SeededGenerator(seed: seed)
        // Each word is added once, by one node, and removed later: whatever is seen after its removal came back.
        var removed: Set<Bytes> = []
        var unlisted: Set<Bytes> = []
        var next = 0
        for round in 0..<80 {
            if round % 20 == 5 { net.partition([random.below(4)]) }
            if round % 20 == 15 { net.partition([]) }
            if round % 16 == 7 {
                let victim = random.below(4)
                net.snapshot(victim)
                net.stop(victim, losingTail: false)
                net.run(.seconds(Int64(random.below(20))))
                net.start(victim)
            }
            let index = random.below(4)
            let keys = try ["set", "list"].map { try net.key(index, $0) }
            let word = Bytes("word-\(next)")
            next += 1
            try net.act(index) { replica, now in
                try replica.atomically { replica throws(StateError) in
                    _ = try replica.removeWinsAdd(keys[0], [word], now)
                    _ = try replica.listPush(keys[1], [word], atHead: false, onlyIfExists: false, now)
                }
            }
            if random.chance(1, in: 2) {
                let other = random.below(4)
                let keys = try ["set", "list"].map { try net.key(other, $0) }
                try net.act(other) { replica, now in
                    let members = try replica.removeWinsMembers(keys[0], now).sorted()
                    if let first = members.first {
                        removed.insert(first)
                        try replica.atomically { replica throws(StateError) in
                            _ = try replica.removeWinsRemove(keys[0], [first], now)
                            // What it hangs at may be on its way still: then it is not to be seen yet.
                            if try replica.listRemove(keys[1], count: 0, first, now) > 0 { unlisted.insert(first) }
                        }
                    }
                }
            }
            net.run(.milliseconds(Int64(random.below(1_500))))
        }
        net.partition([])
        net.link = .init()
        #expect(net.run(upTo: .seconds(90)) { net.isConverged() }, "seed \(seed)")
        net.run(.seconds(30))
        #expect(net.isConverged(), "seed \(seed): forgetting made a difference")
        for index in 0..<4 {
            let members = Set(try contents(net, index)[2])
            let back = members.intersection(removed)
            #expect(back.isEmpty, "seed \(seed), node \(index): \(back.sorted())")
            let listed = Set(try contents(net, index)[0]).intersection(unlisted)
            #expect(listed.isEmpty, "seed \(seed), node \(index): \(listed.sorted())")
        }
        #expect(!removed.isEmpty)
    }

    @Test("an answer that was made before an object ended, and comes after everybody forgot it, brings nothing back")
    func refusesLateAnswers() throws {
        let net = try StateNetwork(2, seed: 1)
        net.run(.seconds(1))
        let key = try net.key(0, "k")
        try net.act(0) { try $0.set(key, "old", $1) }
        net.run(.seconds(1))
        let space = net.act(0) { replica, _ in replica.spaces[key.space.index].name }
        // The answer to a comparison as the other node makes it now; it will come much later.
        let (batch, head) = net.act(1) { replica, now -> (Batch, FrameHead) in
            guard let peer = replica.find(net.nodes[0].id), let number = replica.spaceNumbers[space] else { preconditionFailure("known") }
            var objects: [StateObject] = []
            replica.spaces[number].table.forEach { objects.append($0) }
            let time = replica.clock.now(wall: now.wallMilliseconds)
            return (replica.batch(of: objects, peer), FrameHead(version: 1, kind: .objects, site: replica.site, time: time))
        }
        net.run(.milliseconds(10))
        // Somebody waits for answers of this kind meanwhile.
        net.act(0) { replica, now in
            _ = replica.delete([key], now)
            replica.pulls.active.append(
                Pull(node: net.nodes[1].id, nonce: 7, isFull: false, startedAt: now.instant, deadline: now.instant + .seconds(60)))
        }
        net.run(.seconds(15))
        #expect(net.act(0) { replica, _ in replica.figures }.shells == 0)
        try net.act(0) { replica, _ in try replica.mergeAnswer(batch, head) }
        #expect(try net.act(0) { try $0.get(key, $1) } == nil)
        #expect(net.act(0) { replica, _ in replica.counts.lateAnswers } == 1)
    }
}
