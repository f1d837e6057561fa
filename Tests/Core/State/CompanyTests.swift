// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// What waits for company, and what many writes to one place cost the others.
struct CompanyTests {
    private func numbers(_ net: StateNetwork, _ key: ObjectKey) throws -> UInt64 {
        try net.act(0) { replica, now in
            try replica.reading(key, SetContent.self, now)?.content.context.last(of: replica.site) ?? 0
        }
    }

    @Test("adding an element again before anybody knows of it takes no further number; after that it does")
    func addsOnce() throws {
        let net = try StateNetwork(2, seed: 41)
        net.run(.seconds(1))
        let key = try net.key(0, "s")
        let answers = try net.act(0) { replica, now in try (0..<1_000).map { _ in try replica.setAdd(key, "a", now) } }
        #expect(answers.filter { $0 }.count == 1)
        #expect(try numbers(net, key) == 1)
        net.run(.milliseconds(20))
        #expect(try net.act(0) { try $0.setAdd(key, "a", $1) } == false)
        #expect(try numbers(net, key) == 2)
        #expect(try net.act(0) { try $0.setAdd(key, "a", $1) } == false)
        #expect(try numbers(net, key) == 2)
        net.run(.milliseconds(50))
        #expect(net.isConverged())
    }

    @Test("an element that was added again wins over a removal elsewhere, however its first add became known")
    func stillWins() throws {
        let net = try StateNetwork(2, seed: 42)
        net.run(.seconds(1))
        let (here, there) = (try net.key(0, "s"), try net.key(1, "s"))
        _ = try net.act(0) { try $0.setAdd(here, "a", $1) }
        net.run(.milliseconds(20))
        net.partition([0])
        _ = try net.act(0) { try $0.setAdd(here, "a", $1) }
        #expect(try net.act(1) { try $0.setRemove(there, ["a"], $1) } == 1)
        net.partition([])
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() })
        #expect(try net.act(1) { try $0.setContains(there, "a", $1) })
    }

    @Test("an add that a comparison has shown does not stand for a later one")
    func shownByComparison() throws {
        let net = try StateNetwork(1, seed: 43)
        let key = try net.key(0, "s")
        _ = try net.act(0) { replica, now in
            _ = try replica.setAdd(key, "a", now)
            var writer = ByteWriter()
            let object = try #require(try replica.reading(key, SetContent.self, now))
            replica.encodeWhole(object, into: &writer)
            _ = try replica.setAdd(key, "a", now)
        }
        #expect(try numbers(net, key) == 2)
    }

    @Test("batches that follow one another are acknowledged together, and none is sent twice for that")
    func acknowledgesTogether() throws {
        let net = try StateNetwork(2, seed: 44)
        net.run(.seconds(1))
        let key = try net.key(0, "k")
        let before = net.act(1) { replica, _ in replica.counts.sentStatuses }
        for number in 0..<100 {
            try net.act(0) { try $0.set(key, Bytes("v\(number)"), $1) }
            net.run(.milliseconds(5))
        }
        let statuses = net.act(1) { replica, _ in replica.counts.sentStatuses } - before
        // 500 ms: one in 100 ms, and what a heartbeat adds.
        #expect(statuses >= 4 && statuses <= 8, "\(statuses) acknowledgements")
        net.run(.milliseconds(200))
        let counts = net.act(0) { replica, _ in replica.counts }
        #expect(counts.resendRounds == 0 && counts.resentBatches == 0)
    }

    @Test("the end of a stream of batches is acknowledged soon, and so is much at once")
    func acknowledgesEnds() throws {
        let net = try StateNetwork(2, seed: 45)
        net.run(.seconds(1))
        let key = try net.key(0, "k")
        func bytesUnderWay() -> Int { net.act(0) { replica, _ in replica.peers[0].flyingBytes } }
        for number in 0..<7 {
            try net.act(0) { try $0.set(key, Bytes("v\(number)"), $1) }
            net.run(.milliseconds(5))
        }
        #expect(bytesUnderWay() > 0)
        net.run(.milliseconds(30))
        #expect(bytesUnderWay() == 0)
        let large = Bytes([UInt8](repeating: 1, count: 1 << 20))
        for _ in 0..<8 {
            try net.act(0) { try $0.set(key, large, $1) }
            net.run(.milliseconds(5))
        }
        #expect(bytesUnderWay() <= 2 << 20)
        let counts = net.act(0) { replica, _ in replica.counts }
        #expect(counts.resendRounds == 0 && counts.resentBatches == 0)
    }
}
