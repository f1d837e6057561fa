// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// What a comparison costs, and what it may leave out.
struct CatchingUpTests {
    /// A large object of some kind: how it is made, and how one write changes it.
    enum Large: String, CaseIterable, Sendable {
        case set, hash, scores, list, text, removeWins

        static let count = 20_000

        func fill(_ replica: inout Replica, _ key: ObjectKey, _ now: StateTime) throws {
            switch self {
            case .set: for number in 0..<Self.count { _ = try replica.setAdd(key, Bytes("element-\(number)"), now) }
            case .hash: for number in 0..<Self.count { _ = try replica.hashSet(key, Bytes("field-\(number)"), "value", now) }
            case .scores:
                for number in 0..<Self.count { _ = try replica.scoreIncrement(key, Bytes("m-\(number)"), by: 1, ScoreOptions(), now) }
            case .list:
                let elements = (0..<Self.count).map { Bytes("element-\($0)") }
                _ = try replica.listPush(key, elements, atHead: false, onlyIfExists: false, now)
            case .text: _ = try replica.textInsert(key, String(repeating: "wörter ", count: Self.count / 7), at: 0, now)
            case .removeWins: for number in 0..<Self.count { _ = try replica.removeWinsAdd(key, [Bytes("element-\(number)")], now) }
            }
        }

        /// Adds something and takes something away.
        func change(_ replica: inout Replica, _ key: ObjectKey, _ word: String, _ now: StateTime) throws {
            switch self {
            case .set:
                _ = try replica.setAdd(key, Bytes(word), now)
                _ = try replica.setRemove(key, ["element-17"], now)
            case .hash:
                _ = try replica.hashSet(key, Bytes(word), "value", now)
                _ = try replica.hashRemove(key, ["field-17"], now)
            case .scores:
                _ = try replica.scoreIncrement(key, Bytes(word), by: 1, ScoreOptions(), now)
                _ = try replica.scoreRemove(key, ["m-17"], now)
            case .list:
                _ = try replica.listPush(key, [Bytes(word)], atHead: false, onlyIfExists: false, now)
                _ = try replica.listPop(key, count: 1, fromHead: true, now)
            case .text: _ = try replica.textInsert(key, word, at: 5_000, now)
            case .removeWins:
                _ = try replica.removeWinsAdd(key, [Bytes(word)], now)
                _ = try replica.removeWinsRemove(key, ["element-17"], now)
            }
        }
    }

    /// A network of two that compares after every cut, because it keeps hardly any batches.
    private func pair(_ seed: UInt64, _ count: Int = 2) throws -> StateNetwork {
        try StateNetwork(count, seed: seed) { settings, _ in
            settings.ringBatchesMax = 1
            settings.repairInterval = .seconds(3_600)
        }
    }

    @Test("a large object that differs by one write costs its difference, not its size", arguments: Large.allCases)
    func sendsDifferences(kind: Large) throws {
        let net = try pair(1)
        net.run(.seconds(1))
        let keys = try (0..<2).map { try net.key($0, "large") }
        try net.act(0) { try kind.fill(&$0, keys[0], $1) }
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() })
        net.run(.seconds(5))
        net.partition([1])
        for word in ["one", "two", "three"] {
            try net.act(0) { try kind.change(&$0, keys[0], word, $1) }
            net.run(.seconds(1))
        }
        try net.act(1) { try kind.change(&$0, keys[1], "other", $1) }
        net.run(.seconds(5))
        #expect(!net.isConverged())
        let before = net.wireBytes
        let pulled = (0..<2).map { index in net.act(index) { replica, _ in replica.counts.pulledObjects } }
        net.partition([])
        #expect(net.run(upTo: .seconds(10)) { net.isConverged() })
        let bytes = net.wireBytes - before
        #expect(bytes < 6_000, "\(kind): \(bytes) bytes")
        for index in 0..<2 {
            #expect(net.act(index) { replica, _ in replica.counts.pulledObjects } > pulled[index], "by comparison, not by batches")
        }
    }

    @Test("a node of before version 2 is given whole objects, and gives them")
    func servesOlderNodes() throws {
        let net = try pair(2, 3)
        net.oldNodes = [2]
        net.run(.seconds(1))
        let keys = try (0..<3).map { try net.key($0, "large") }
        try net.act(0) { try Large.set.fill(&$0, keys[0], $1) }
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() })
        net.run(.seconds(5))
        net.partition([2])
        for (number, word) in ["one", "two", "three"].enumerated() {
            try net.act(number) { try Large.set.change(&$0, keys[number], word, $1) }
            net.run(.seconds(2))
        }
        try net.act(2) { try Large.set.change(&$0, keys[2], "four", $1) }
        net.run(.seconds(2))
        net.partition([])
        #expect(net.run(upTo: .seconds(20)) { net.isConverged() })
        #expect(try net.act(2) { try $0.setCount(keys[2], $1) } == Large.count + 3)
        #expect(net.act(2) { replica, _ in replica.counts.answeredObjects } > 0)
        #expect(net.act(2) { replica, _ in replica.counts.answeredDifferences } == 0)
    }

    @Test("objects that differ by a part come to the same where deltas are lost and nodes crash", arguments: 1...4 as ClosedRange<UInt64>)
    func convergesByDifferences(seed: UInt64) throws {
        let net = try StateNetwork(4, seed: seed) { settings, _ in
            settings.ringBatchesMax = 2
            settings.repairInterval = .seconds(1)
            settings.repairBytes = 3_000
        }
        net.link = .init(lossPerMille: 150, repeatPerMille: 100, delay: .milliseconds(2), jitter: .milliseconds(20))
        net.run(.seconds(1))
        var random = SeededGenerator(seed: seed)
        let kinds: [Large] = [.set, .hash, .scores, .list, .text, .removeWins]
        func step(_ index: Int) throws {
            let kind = kinds[random.below(kinds.count)]
            let key = try net.key(index, "\(kind)")
            let words = (0..<30).map { _ in Bytes("word-\(random.below(400))") }
            try net.act(index) { replica, now in
                switch kind {
                case .set: _ = try random.chance(1, in: 3) ? replica.setRemove(key, words, now) : replica.setAdd(key, words, now)
                case .hash:
                    if random.chance(1, in: 3) { _ = try replica.hashRemove(key, words, now) }
                    for word in words { _ = try replica.hashIncrement(key, word, by: Int64(1), now) }
                case .scores:
                    if random.chance(1, in: 3) { _ = try replica.scoreRemove(key, words, now) }
                    for word in words { _ = try replica.scoreIncrement(key, word, by: 1, ScoreOptions(), now) }
                case .list:
                    _ = try replica.listPush(key, words, atHead: random.chance(1, in: 2), onlyIfExists: false, now)
                    _ = try replica.listPop(key, count: random.below(35), fromHead: true, now)
                case .text:
                    let count = try replica.textCount(key, now)
                    try replica.textInsert(key, "some words ", at: random.below(count + 1), now)
                    if count > 40 { try replica.textRemove(key, 10..<(10 + random.below(20)), now) }
                case .removeWins:
                    _ = try random.chance(1, in: 3) ? replica.removeWinsRemove(key, words, now) : replica.removeWinsAdd(key, words, now)
                }
            }
        }
        for round in 0..<100 {
            if round % 30 == 5 { net.partition([random.below(4), random.below(4)]) }
            if round % 30 == 25 { net.partition([]) }
            if round % 40 == 35 {
                let victim = random.below(4)
                net.stop(victim, losingTail: true)
                net.start(victim)
            }
            try step(random.below(4))
            net.run(.milliseconds(Int64(random.below(60))))
        }
        net.partition([])
        net.link = .init()
        #expect(net.run(upTo: .seconds(60)) { net.isConverged() }, "seed \(seed)")
        let differences = (0..<4).map { index in net.act(index) { replica, _ in replica.counts.answeredDifferences } }
        #expect(differences.reduce(0, +) > 0, "seed \(seed)")
    }
}
