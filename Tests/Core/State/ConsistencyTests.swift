// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// What a call may ask for beyond the node it comes to.
struct ConsistencyTests {
    @Test("a session that moves between nodes reads its writes, and never less than before", arguments: 1...40 as ClosedRange<UInt64>)
    func sessions(seed: UInt64) throws {
        let net = try StateNetwork(4, seed: seed)
        net.link = .init(lossPerMille: 50, repeatPerMille: 30, delay: .milliseconds(20), jitter: .milliseconds(60))
        net.run(.seconds(2))
        var random = SeededGenerator(seed: seed)
        var token = SessionToken()
        var written: Int64 = 0
        var seen: Int64 = 0
        for round in 0..<40 {
            let index = random.below(4)
            // Others write too.
            let other = random.below(4)
            let noise = try net.key(other, "noise")
            _ = try net.act(other) { try $0.increment(noise, by: Int64(1), $1) }
            let carried = try SessionToken(text: token.text)
            #expect(carried == token)
            #expect(try net.need(index, .session(token), within: .seconds(20)) == nil, "seed \(seed), round \(round)")
            let key = try net.key(index, "mine")
            let shared = try net.key(index, "noise")
            let value = try net.act(index) { try $0.get(key, $1) }?.decimal ?? 0
            #expect(value == written, "seed \(seed), round \(round): a session did not read its writes")
            let count = try net.act(index) { try $0.get(shared, $1) }?.decimal ?? 0
            #expect(count >= seen, "seed \(seed), round \(round): a session read less than before")
            seen = count
            if random.chance(1, in: 2) {
                _ = try net.act(index) { try $0.increment(key, by: Int64(1), $1) }
                written += 1
            }
            net.act(index) { replica, _ in token.merge(replica.token()) }
            net.run(.milliseconds(Int64(random.below(10))))
        }
        net.link = .init()
        net.run(.seconds(10))
        #expect(net.act(0) { replica, _ in replica.token() }.text.utf8.count < 300)
    }

    @Test("a session's wait on the cut side ends with an error, not with a lie")
    func sessionsInPartitions() throws {
        let net = try StateNetwork(2, seed: 1)
        net.run(.seconds(1))
        net.partition([1])
        let key = try net.key(0, "k")
        try net.act(0) { try $0.set(key, "v", $1) }
        let token = net.act(0) { replica, _ in replica.token() }
        #expect(try net.need(1, .session(token), within: .milliseconds(500))?.kind == .unavailable)
        net.partition([])
        #expect(try net.need(1, .session(token)) == nil)
        let other = try net.key(1, "k")
        #expect(try net.act(1) { try $0.get(other, $1) } == "v")
        #expect(throws: StateError.self) { try SessionToken(text: "not a token!") }
    }

    @Test("a write and a read by majorities see each other, also where deltas are lost", arguments: 1...5 as ClosedRange<UInt64>)
    func quorums(seed: UInt64) throws {
        let net = try StateNetwork(5, seed: seed)
        net.link = .init(lossPerMille: 100, repeatPerMille: 50, delay: .milliseconds(5), jitter: .milliseconds(30))
        net.run(.seconds(2))
        var random = SeededGenerator(seed: seed)
        for round in 1...15 {
            let writer = random.below(5)
            let reader = random.below(5)
            let key = try net.key(writer, "q")
            try net.act(writer) { try $0.set(key, Bytes(decimal: Int64(round)), $1) }
            let mark = net.act(writer) { replica, _ in replica.mark }
            #expect(try net.settle(writer, mark, .replicas(3), within: .seconds(20)) == nil, "seed \(seed), round \(round)")
            let other = try net.key(reader, "q")
            // A question may be lost like any frame; then the call is repeated.
            var error = try net.need(reader, .quorum([other], 3), within: .seconds(2))
            for _ in 0..<5 where error != nil { error = try net.need(reader, .quorum([other], 3), within: .seconds(2)) }
            #expect(error == nil)
            #expect(try net.act(reader) { try $0.get(other, $1) }?.decimal == Int64(round), "seed \(seed), round \(round)")
        }
    }

    @Test("a quorum that cannot be had is refused at once or in time")
    func missingQuorums() throws {
        let net = try StateNetwork(3, seed: 1)
        net.run(.seconds(1))
        let key = try net.key(0, "k")
        #expect(throws: StateError.self) { try net.settle(0, WriteMark(batch: 99), .replicas(4)) }
        net.partition([0])
        try net.act(0) { try $0.set(key, "v", $1) }
        let mark = net.act(0) { replica, _ in replica.mark }
        #expect(try net.settle(0, mark, .replicas(2), within: .milliseconds(300))?.kind == .unavailable)
        #expect(throws: StateError.self) { try net.need(0, .quorum([key], 2)) }
        // The write is there all the same, and spreads when it can.
        net.partition([])
        #expect(try net.settle(0, mark, .replicas(3)) == nil)
    }

    @Test("an exclusive object never has two owners, and what an old owner did late is refused", arguments: 1...6 as ClosedRange<UInt64>)
    func exclusive(seed: UInt64) throws {
        let net = try StateNetwork(5, seed: seed)
        net.link = .init(lossPerMille: 50, repeatPerMille: 50, delay: .milliseconds(3), jitter: .milliseconds(10))
        net.run(.seconds(1))
        var random = SeededGenerator(seed: seed)
        var count = 0
        for round in 0..<30 {
            if round % 5 == 4 { net.partition([random.below(5), random.below(5)]) }
            if round % 5 == 1 { net.partition([]) }
            let index = random.below(5)
            let key = try net.key(index, "x")
            if try net.need(index, .exclusive(key), within: .seconds(6)) == nil {
                let owners = try (0..<5).filter { other in
                    let key = try net.key(other, "x")
                    return net.act(other) { $0.owns(key, $1) }
                }
                #expect(owners == [index], "seed \(seed), round \(round)")
                // Read, think, write: what only one may do at a time.
                let value = try net.act(index) { try $0.get(key, $1) }?.decimal ?? 0
                #expect(value >= Int64(count), "seed \(seed), round \(round): an owner had not seen an earlier owner's write")
                try net.act(index) { replica, now in
                    try replica.exclusively(key, now) { replica throws(StateError) in
                        try replica.set(key, Bytes(decimal: value + 1), now)
                    }
                }
                let mark = net.act(index) { replica, _ in replica.mark }
                if try net.settle(index, mark, .replicas(3), within: .seconds(3)) == nil { count = Int(value) + 1 }
            }
            net.run(.milliseconds(Int64(random.below(3_000))))
        }
        #expect(count > 3, "seed \(seed)")
        net.partition([])
        net.link = .init()
        #expect(net.run(upTo: .seconds(40)) { net.isConverged() })
        let key = try net.key(0, "x")
        #expect(try net.act(0) { try $0.get(key, $1) }?.decimal ?? 0 >= Int64(count), "seed \(seed)")
    }

    @Test("what an owner wrote that was cut off loses against a later owner's, even from a clock that is ahead")
    func fences() throws {
        let net = try StateNetwork(3, seed: 7)
        // Ahead by what a hybrid clock follows: by time alone its write would be the later one.
        net.nodes[0].skew = 20_000
        net.run(.seconds(6))
        let keys = try (0..<3).map { try net.key($0, "x") }
        #expect(try net.need(0, .exclusive(keys[0])) == nil)
        net.partition([0])
        net.run(.seconds(1))
        try net.act(0) { replica, now in
            try replica.exclusively(keys[0], now) { replica throws(StateError) in try replica.set(keys[0], "old owner", now) }
        }
        net.run(.seconds(6))
        #expect(try net.need(1, .exclusive(keys[1])) == nil)
        try net.act(1) { replica, now in
            try replica.exclusively(keys[1], now) { replica throws(StateError) in try replica.set(keys[1], "new owner", now) }
        }
        let mark = net.act(1) { replica, _ in replica.mark }
        #expect(try net.settle(1, mark, .replicas(2)) == nil)
        net.partition([])
        #expect(net.run(upTo: .seconds(30)) { net.isConverged() })
        net.run(.seconds(5))
        for index in 0..<3 { #expect(try net.act(index) { try $0.get(keys[index], $1) } == "new owner", "node \(index)") }
        #expect((0..<3).contains { index in net.act(index) { replica, _ in replica.counts.refusedEpochs } > 0 })
    }

    @Test("a side without a majority has no owner")
    func exclusiveInPartitions() throws {
        let net = try StateNetwork(5, seed: 2)
        net.run(.seconds(5))
        net.partition([0, 1])
        let minority = try net.key(0, "x")
        let majority = try net.key(3, "x")
        #expect(try net.need(0, .exclusive(minority), within: .seconds(3))?.kind == .unavailable)
        #expect(try net.need(3, .exclusive(majority), within: .seconds(3)) == nil)
        #expect(throws: StateError.self) {
            try net.act(0) { replica, now in
                try replica.exclusively(minority, now) { replica throws(StateError) in try replica.set(minority, "no", now) }
            }
        }
    }

    @Test("a bounded counter never falls below its bound, in partitions neither", arguments: 1...8 as ClosedRange<UInt64>)
    func bounded(seed: UInt64) throws {
        let net = try StateNetwork(4, seed: seed)
        net.link = .init(lossPerMille: 30, repeatPerMille: 30, delay: .milliseconds(1), jitter: .milliseconds(10))
        net.run(.seconds(1))
        var random = SeededGenerator(seed: seed)
        let first = try net.key(0, "stock")
        try net.act(0) { replica, now in
            try replica.boundedCreate(first, bound: 10, now)
            _ = try replica.boundedAdd(first, 100, now)
        }
        net.run(.seconds(1))
        var sold: Int64 = 0
        for round in 0..<120 {
            if round % 20 == 10 { net.partition([random.below(4), random.below(4)]) }
            if round % 20 == 0 { net.partition([]) }
            let index = random.below(4)
            let key = try net.key(index, "stock")
            let amount = Int64(random.draw(1...6))
            do {
                _ = try net.act(index) { try $0.boundedAdd(key, -amount, $1) }
                sold += amount
            } catch let error as StateError {
                #expect(error.kind == .rights)
                if try net.need(index, .rights(key, amount: amount), within: .milliseconds(400)) == nil {
                    if (try? net.act(index) { try $0.boundedAdd(key, -amount, $1) }) != nil { sold += amount }
                }
            }
            net.run(.milliseconds(5))
        }
        #expect(sold <= 100, "seed \(seed): sold \(sold)")
        #expect(sold > 80, "seed \(seed): rights went to who needed them, sold \(sold)")
        net.partition([])
        net.link = .init()
        #expect(net.run(upTo: .seconds(40)) { net.isConverged() })
        for index in 0..<4 {
            let key = try net.key(index, "stock")
            #expect(try net.act(index) { try $0.boundedValue(key, $1) } == 110 - sold, "seed \(seed)")
        }
    }

    @Test("a batch is never seen half, whatever way it comes", arguments: 1...8 as ClosedRange<UInt64>)
    func atomic(seed: UInt64) throws {
        let net = try StateNetwork(4, seed: seed) { settings, _ in
            settings.ringBatchesMax = 4
            settings.repairBytes = 200
        }
        net.link = .init(lossPerMille: 80, repeatPerMille: 30, delay: .milliseconds(2), jitter: .milliseconds(10))
        net.run(.seconds(1))
        var random = SeededGenerator(seed: seed)
        for round in 0..<150 {
            let writer = random.below(4)
            if round % 30 == 10 { net.partition([random.below(4)]) }
            if round % 30 == 25 { net.partition([]) }
            let pair = random.below(5)
            let keys = try (0..<3).map { try net.key(writer, "pair\(pair)-\($0)") }
            try net.act(writer) { replica, now in
                try replica.atomically { replica throws(StateError) in
                    for key in keys { _ = try replica.increment(key, by: Int64(1), now) }
                }
            }
            net.run(.milliseconds(Int64(random.below(8))))
            for reader in 0..<4 {
                for pair in 0..<5 {
                    let keys = try (0..<3).map { try net.key(reader, "pair\(pair)-\($0)") }
                    let values = try net.act(reader) { replica, now in try keys.map { try replica.get($0, now) } }
                    #expect(Set(values).count == 1, "seed \(seed), round \(round), node \(reader): \(values)")
                }
            }
        }
        net.partition([])
        net.link = .init()
        #expect(net.run(upTo: .seconds(60)) { net.isConverged() }, "seed \(seed)")
    }
}
