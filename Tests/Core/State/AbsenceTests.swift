// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// A node that was away for a month, while the others lived on.
struct AbsenceTests {
    /// How a node is away.
    enum Absence: String, CaseIterable, Sendable {
        /// Its network is cut, and it works on alone.
        case cut
        /// It was ended, and its log is whole.
        case off
        /// Its power failed: it begins a new incarnation, and what had not reached the disk is lost.
        case failed
    }

    @Test(
        "A node that returns after a month catches up: all are alike, nothing removed comes back, and what it wrote alone is there",
        arguments: Absence.allCases, 1...4 as ClosedRange<UInt64>)
    func month(absence: Absence, seed: UInt64) throws {
        var month = try Month(absence, seed: seed)
        try month.begin()
        try month.leave()
        for day in 1...30 { try month.live(day: day) }
        try month.comeBack()
        try month.check()
    }
}

/// What happens in a month, and what must be there at its end.
///
/// Nodes 0 to 2 stay, 3 is away, 4 comes and goes, 5 comes and stays.
private struct Month {
    private static let away = 3
    private static let fromOutside = 4
    private static let fresh = 5

    private let absence: AbsenceTests.Absence
    private let net: StateNetwork
    private var random: SeededGenerator
    private let comment: Comment
    private var present = [0, 1, 2]
    /// What must be there, by name; and the names of what must not.
    private var expected: [(name: String, value: Bytes)] = []
    private var gone: [String] = []
    private var sum: Int64 = 0
    private var number = 0
    private var awayTask = 0

    init(_ absence: AbsenceTests.Absence, seed: UInt64) throws {
        self.absence = absence
        comment = "\(absence), seed \(seed)"
        random = SeededGenerator(seed: seed)
        net = try StateNetwork(6, seed: seed) { settings, _ in
            // Nobody keeps a month's batches: who was away must compare.
            settings.ringBatchesMax = 32
        }
        net.link = .init(lossPerMille: 20, repeatPerMille: 20, delay: .milliseconds(2), jitter: .milliseconds(20))
        net.stop(4, losingTail: true)
        net.stop(5, losingTail: true)
        net.setMembers([0, 1, 2, 3])
    }

    // MARK: Before

    mutating func begin() throws {
        net.run(.seconds(2))
        for _ in 0..<20 { try make(on: random.below(4)) }
        try remember(["seen-1", "seen-2", "seen-3"], on: 0)
        for word in ["old", "kept"] { try add(word, to: "shared", on: 1) }
        for word in ["old", "kept"] { try add(word, to: "emptied", on: 1) }
        // Deleted with everybody's knowledge: forgotten before the absence begins.
        for name in ["early-1", "early-2"] {
            try set(name, "v", on: 2)
            net.run(.seconds(1))
            try delete(name, on: 0)
        }
        net.run(.seconds(20))
        #expect(net.isConverged(), comment)
        for index in 0..<4 { #expect(net.act(index) { replica, _ in replica.figures }.shells == 0, comment) }
    }

    /// The node goes, and writes some things that nobody hears of.
    mutating func leave() throws {
        net.partition([Self.away])
        for number in 0..<5 {
            try set("alone-\(number)", Bytes("mine \(number)"), on: Self.away)
            expected.append(("alone-\(number)", Bytes("mine \(number)")))
        }
        try add("mine", to: "shared", on: Self.away)
        try add("mine", to: "emptied", on: Self.away)
        try count(7, on: Self.away)
        net.run(.seconds(1))
        if absence == .failed {
            net.sync(Self.away)
            // In memory alone, and so are the numbers it used.
            try set("lost", "v", on: Self.away)
            gone.append("lost")
        }
        if absence != .cut { net.stop(Self.away, losingTail: absence == .failed) }
        pace(heartbeat: .seconds(7_200), repair: .seconds(28_800))
    }

    // MARK: Meanwhile

    mutating func live(day: Int) throws {
        for _ in 0..<6 {
            let index = present[random.below(present.count)]
            switch random.below(5) {
            case 0, 1: try make(on: index)
            case 2: try unmake(on: index)
            case 3: try count(Int64(random.draw(1...9)), on: index)
            default: try expiring(on: index)
            }
            net.run(.seconds(Int64(random.below(3_600))))
        }
        if absence == .cut, day % 7 == 0 {
            awayTask += 1
            try set("alone-later-\(awayTask)", "mine", on: Self.away)
            expected.append(("alone-later-\(awayTask)", "mine"))
        }
        switch day {
        case 3: try delete("seen-1", on: 1)
        case 4: come(Self.fromOutside)
        case 5: try remove("old", from: "shared", on: 0)
        case 6:
            // Everything that is seen of the set; what was added alone was not seen.
            try delete("emptied", on: 2)
            gone.removeAll { $0 == "emptied" }
        case 9: restart(1, losingTail: true)
        case 12: come(Self.fresh)
        case 14: net.snapshot(0)
        case 17: go(Self.fromOutside)
        case 20: try delete("seen-2", on: 0)
        case 22: restart(2, losingTail: false)
        case 25:
            // A new life of a name, which the node that is away knows by its first.
            try delete("seen-3", on: 1)
            net.run(.seconds(3_600))
            try set("seen-3", "anew", on: 2)
            gone.removeAll { $0 == "seen-3" }
            expected.append(("seen-3", "anew"))
        default: break
        }
        net.run(.seconds(86_400 - 6 * 1_800))
    }

    private mutating func come(_ index: Int) {
        present.append(index)
        net.setMembers((present + [Self.away]).sorted(), deaf: [Self.away])
        net.start(index)
        pace(heartbeat: .seconds(7_200), repair: .seconds(28_800))
        // What it makes is its own until then.
        net.run(.seconds(30))
    }

    private mutating func go(_ index: Int) {
        net.run(.seconds(30))
        present.removeAll { $0 == index }
        net.stop(index, losingTail: true)
        net.setMembers((present + [Self.away]).sorted(), deaf: [Self.away])
    }

    private func restart(_ index: Int, losingTail: Bool) {
        net.run(.seconds(30))
        net.stop(index, losingTail: losingTail)
        net.run(.seconds(60))
        net.start(index, clean: !losingTail)
        pace(heartbeat: .seconds(7_200), repair: .seconds(28_800))
    }

    // MARK: After

    mutating func comeBack() throws {
        #expect(present.allSatisfy { net.nodes[$0].isUp }, comment)
        pace(heartbeat: StateSettings().heartbeat, repair: StateSettings().repairInterval)
        net.setMembers((present + [Self.away]).sorted())
        if absence != .cut { net.start(Self.away, clean: absence == .off) }
        net.partition([])
        // It is busy at once.
        try count(3, on: Self.away)
        for _ in 0..<300 where !net.isConverged() { net.run(.milliseconds(100)) }
        #expect(net.isConverged(), comment)
    }

    mutating func check() throws {
        net.run(.seconds(60))
        #expect(net.isConverged(), comment)
        expected.append(("sum", Bytes(decimal: sum)))
        for index in present + [Self.away] {
            let at: Comment = "node \(index), \(comment)"
            for (name, value) in expected {
                let key = try net.key(index, name)
                #expect(try net.act(index) { try $0.get(key, $1) } == value, "\(name), \(at)")
            }
            for name in gone {
                let key = try net.key(index, name)
                #expect(net.act(index) { !$0.exists(key, $1) }, "\(name) came back, \(at)")
            }
            for (name, words) in [("shared", ["kept", "mine"]), ("emptied", ["mine"])] as [(String, [Bytes])] {
                let key = try net.key(index, name)
                #expect(try net.act(index) { try $0.setMembers(key, $1) }.sorted() == words, "\(name), \(at)")
            }
            let figures = net.act(index) { replica, _ in replica.figures }
            #expect(figures.objects == expected.count + 2, at)
            #expect(figures.shells == 0, "\(figures.shells) ends are not forgotten, \(at)")
        }
    }

    // MARK: What is done

    private mutating func make(on index: Int) throws {
        number += 1
        let value = Bytes("value \(number)")
        try set("made-\(number)", value, on: index)
        expected.append(("made-\(number)", value))
    }

    /// Deletes something that all have that are there.
    private mutating func unmake(on index: Int) throws {
        let candidates = expected.indices.filter { expected[$0].name.hasPrefix("made") }
        guard !candidates.isEmpty else { return }
        net.run(.seconds(1))
        try delete(expected[candidates[random.below(candidates.count)]].name, on: index)
    }

    private mutating func expiring(on index: Int) throws {
        number += 1
        let name = "short-\(number)"
        try set(name, "v", on: index)
        let key = try net.key(index, name)
        _ = try net.act(index) { try $0.expire(key, at: Int64($1.wallMilliseconds) + 3_600_000, .always, $1) }
        gone.append(name)
    }

    private mutating func remember(_ names: [String], on index: Int) throws {
        for name in names {
            try set(name, "first", on: index)
            expected.append((name, "first"))
        }
    }

    private func set(_ name: String, _ value: Bytes, on index: Int) throws {
        let key = try net.key(index, name)
        try net.act(index) { try $0.set(key, value, $1) }
    }

    private func add(_ word: String, to name: String, on index: Int) throws {
        let key = try net.key(index, name)
        _ = try net.act(index) { try $0.setAdd(key, Bytes(word), $1) }
    }

    private func remove(_ word: String, from name: String, on index: Int) throws {
        let key = try net.key(index, name)
        #expect(try net.act(index) { try $0.setRemove(key, [Bytes(word)], $1) } == 1, comment)
    }

    private mutating func count(_ amount: Int64, on index: Int) throws {
        let key = try net.key(index, "sum")
        _ = try net.act(index) { try $0.increment(key, by: amount, $1) }
        sum += amount
        net.run(.milliseconds(100))
    }

    private mutating func delete(_ name: String, on index: Int) throws {
        net.run(.seconds(1))
        let key = try net.key(index, name)
        #expect(net.act(index) { $0.delete([key], $1) } == 1, "\(name), \(comment)")
        expected.removeAll { $0.name == name }
        gone.append(name)
    }

    /// How often nodes tell how far they are: seldom while nothing else happens, or a month would be millions of messages.
    private func pace(heartbeat: Duration, repair: Duration) {
        for index in net.nodes.indices where net.nodes[index].isUp {
            net.act(index) { replica, now in
                replica.settings.heartbeat = heartbeat
                replica.settings.repairInterval = repair
                replica.nextHeartbeat = now.instant
                replica.nextRepair = now.instant
            }
        }
    }
}
