// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// What comes as an answer about single objects, before the batches that hold it: it must be as good for sessions and groups as those.
struct AnswerTests {
    /// By which way an object is asked for before it is read.
    enum Way: String, CaseIterable, Sendable {
        case quorum, exclusive, present

        func need(_ key: ObjectKey, _ random: inout SeededGenerator) -> StateNeed {
            switch self {
            case .quorum: .quorum([key], 2 + random.below(2))
            case .exclusive: .exclusive(key)
            case .present: .present([key])
            }
        }
    }

    @Test(
        "a session that reads what an answer brought, and goes to another node, never reads less", arguments: Way.allCases,
        1...12 as ClosedRange<UInt64>)
    func sessions(way: Way, seed: UInt64) throws {
        let net = try StateNetwork(4, seed: seed) { settings, index in
            if way == .present, index > 1 { settings.standard.interest = .used }
            settings.lease = .milliseconds(300)
            settings.leaseMargin = .milliseconds(20)
        }
        net.link = .init(lossPerMille: 150, repeatPerMille: 30, delay: .milliseconds(5), jitter: .milliseconds(60))
        net.run(.seconds(5))
        var random = SeededGenerator(seed: seed)
        var token = SessionToken()
        var seen: [Int64] = Array(repeating: 0, count: 60)
        for round in 0..<60 {
            // A new name now and then, so that nodes that keep only what they use begin to keep it in the middle of writes.
            let number = way == .present ? round / 6 : 0
            let place = "space-\(number)"
            for _ in 0..<3 {
                let writer = random.below(way == .present ? 2 : 4)
                let key = try net.key(writer, "n", in: place)
                _ = try net.act(writer) { try $0.increment(key, by: Int64(1), $1) }
                net.run(.milliseconds(Int64(random.below(8))))
            }
            let reader = random.below(4)
            let key = try net.key(reader, "n", in: place)
            // A question may be lost; the call then fails, and reads nothing.
            let isAsked = way == .present || random.chance(1, in: 2)
            if isAsked, try net.need(reader, way.need(key, &random), within: .milliseconds(400)) != nil { continue }
            if try net.need(reader, .session(token), within: .seconds(20)) != nil { continue }
            let value = try net.act(reader) { try $0.get(key, $1) }?.decimal ?? 0
            #expect(value >= seen[number], "seed \(seed), round \(round), node \(reader): a session read less than before")
            seen[number] = max(value, seen[number])
            net.act(reader) { replica, _ in token.merge(replica.token()) }
            if way == .exclusive { net.act(reader) { $0.release(key, $1) } }
        }
        net.link = .init()
        net.run(.seconds(30))
        #expect(net.isConverged() || way == .present, "seed \(seed)")
        for index in 0..<4 {
            #expect(net.act(index) { replica, _ in replica.token() }.text.utf8.count < 300, "seed \(seed), node \(index)")
        }
    }

    @Test("what an answer brought of an atomic batch is handed on whole", arguments: [Way.quorum, .exclusive], [false, true])
    func groups(way: Way, restarts: Bool) throws {
        let net = try StateNetwork(4, seed: 1) { settings, _ in
            settings.repairBytes = 1
            settings.repairInterval = .milliseconds(300)
        }
        net.run(.seconds(5))
        // The batch itself reaches nobody.
        let keys = try (0..<4).map { node in try (0..<3).map { try net.key(node, "key-\($0)") } }
        net.link.lossPerMille = 1_000
        try net.act(0) { replica, now in
            try replica.atomically { replica throws(StateError) in
                for key in keys[0] { _ = try replica.increment(key, by: Int64(1), now) }
            }
            replica.flush(now)
        }
        net.run(.milliseconds(5))
        net.link.lossPerMille = 0
        var random = SeededGenerator(seed: 1)
        #expect(try net.need(1, way == .quorum ? .quorum([keys[1][0]], 4) : way.need(keys[1][0], &random)) == nil)
        #expect(try net.act(1) { try $0.get(keys[1][0], $1) } == "1")
        // From now on it is one node alone that can hand it on, from memory or from its disk.
        net.stop(0, losingTail: true)
        if restarts {
            net.stop(1, losingTail: false)
            net.start(1)
        }
        var isSeen = false
        for _ in 0..<3_000 {
            net.run(.milliseconds(1))
            for index in 1..<4 {
                let values = try net.act(index) { replica, now in try keys[index].map { try replica.get($0, now) } }
                #expect(Set(values).count == 1, "node \(index): \(values)")
                isSeen = isSeen || index > 1 && values[0] == "1"
            }
        }
        #expect(isSeen)
    }
}
