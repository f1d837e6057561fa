// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// What was written and has reached nobody may make room for what is written next; what has reached somebody may not.
@Suite("Writes that nobody knows of")
struct UnsentWritesTests {
    private static let site = SiteID(rawValue: 1)
    private static let other = SiteID(rawValue: 2)
    private static let field = Bytes("field")

    private static func time(_ number: UInt64) -> HybridTime { HybridTime(rawValue: number << 16) }

    /// How an object's content, or a part of it, may become known elsewhere.
    enum Leak: CaseIterable, Sendable {
        case delta, whole, part

        func write(_ object: StateObject) -> [UInt8] {
            var writer = ByteWriter()
            switch self {
            case .delta: object.encodeDelta(into: &writer)
            case .whole: object.encodeContent(into: &writer)
            case .part: object.encodeContent(lacking: CausalContext(), into: &writer)
            }
            return writer.bytes
        }
    }

    @Test("of one field make one write, which has the last value, also in the delta")
    func oneWrite() throws {
        let hash = HashObject(name: "h", hash: 1, space: SpaceID(0))
        // The first one finds out where the unsent ones begin.
        for number in 1...100 as ClosedRange<UInt64> {
            #expect(hash.set(Self.field, to: Bytes("\(number)"), at: Self.time(number), by: Self.site) == (number == 1))
        }
        #expect(hash.content.context.last(of: Self.site) == 1)
        #expect(hash.content == hash.delta)
        var peer = HashContent()
        peer.merge(hash.delta)
        #expect(peer.field(Self.field) == "100")
        #expect(peer.digest == hash.content.digest)
    }

    @Test("become known by whatever is written out, and then another write follows them", arguments: Leak.allCases)
    func leaks(_ leak: Leak) throws {
        let hash = HashObject(name: "h", hash: 1, space: SpaceID(0))
        for number in 1...3 as ClosedRange<UInt64> {
            _ = hash.set(Self.field, to: Bytes("\(number)"), at: Self.time(number), by: Self.site)
        }
        var reader = ByteReader(leak.write(hash))
        var peer = try HashContent(from: &reader)
        // Somebody who has it overwrites it, and does not yet know of what comes here.
        var reply = HashContent()
        peer.set(Self.field, to: "theirs", at: Self.time(4), by: Self.other, into: &reply)
        for number in 5...7 as ClosedRange<UInt64> {
            _ = hash.set(Self.field, to: Bytes("\(number)"), at: Self.time(number), by: Self.site)
        }
        #expect(hash.content.context.last(of: Self.site) == 2)
        var rest = ByteReader(Leak.delta.write(hash))
        peer.merge(try HashContent(from: &rest))
        hash.content.merge(reply)
        #expect(hash.content == peer)
        #expect(peer.field(Self.field) == "7")
    }

    @Test("of a set are known by its parts too: what is removed elsewhere and added again stays", arguments: Leak.allCases)
    func sets(_ leak: Leak) throws {
        let set = SetObject(name: "s", hash: 1, space: SpaceID(0))
        let add = { (member: Bytes) in
            if !set.isAdded(member, by: Self.site) { _ = set.change { content, delta in content.add(member, by: Self.site, into: &delta) } }
        }
        add("first")
        add("again")
        var reader = ByteReader(leak.write(set))
        var peer = try SetContent(from: &reader)
        var removal = SetContent()
        _ = peer.remove("again", into: &removal)
        add("again")
        set.content.merge(removal)
        #expect(set.content.contains("again"))
    }

    @Test("count as later than what they take the place of, and lose against what is later than they are", arguments: UInt64(1)...50)
    func concurrent(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let hashes = (0..<2).map { _ in HashObject(name: "h", hash: 1, space: SpaceID(0)) }
        let sites = [Self.site, Self.other]
        let fields = (0..<4).map { Bytes("field \($0)") }
        var clock: UInt64 = 0
        var expected: [Bytes: (time: UInt64, value: Bytes)] = [:]
        for step in 0..<200 {
            clock += UInt64(random.below(3)) + 1
            let writer = random.below(2)
            let field = fields[random.below(fields.count)]
            switch random.below(10) {
            case 0..<8:
                _ = hashes[writer].set(field, to: Bytes("\(step)"), at: Self.time(clock), by: sites[writer])
                expected[field] = (clock, Bytes("\(step)"))
            default:
                var reader = ByteReader((random.below(2) == 0 ? Leak.delta : .whole).write(hashes[writer]))
                try hashes[1 - writer].mergeContent(from: &reader)
            }
        }
        for (one, two) in [(0, 1), (1, 0)] {
            var reader = ByteReader(Leak.whole.write(hashes[one]))
            try hashes[two].mergeContent(from: &reader)
        }
        #expect(hashes[0].content == hashes[1].content, "seed \(seed)")
        // Whoever writes has seen no later write than its own here: the clock is one for both.
        for field in fields { #expect(hashes[0].content.field(field) == expected[field]?.value, "seed \(seed)") }
    }
}
