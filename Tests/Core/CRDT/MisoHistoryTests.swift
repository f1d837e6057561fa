// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

private let a = SiteID(rawValue: 11)
private let b = SiteID(rawValue: 22)
private let c = SiteID(rawValue: 33)

/// The six orders in which three states can be joined.
private func joins<State: Lattice>(_ states: [State]) -> [State] {
    [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].map { order in
        order.reduce(into: State()) { $0.merge(states[$1]) }
    }
}

@Suite("Histories that went wrong in MISO")
struct MisoHistoryTests {
    @Test("an element that was added, spread, removed elsewhere and spread again stays removed on both")
    func removeIsNotUndone() {
        var left = Causal<AddWinsSet>()
        var right = Causal<AddWinsSet>()
        _ = left.add("x", by: a)
        right.merge(left)
        _ = right.remove("x")
        left.merge(right)
        right.merge(left)
        #expect(left.elements.isEmpty)
        #expect(right.elements.isEmpty)
        #expect(left == right)
    }

    @Test("0 of 20,000 removes of a site's newest add are lost, in sets of 1 to 8 elements (MISO: 6,831)")
    func noRemoveOfTheNewestDotIsLost() {
        var draw = Draw(seed: 6831)
        var lost = 0
        for _ in 0..<20_000 {
            var left = Causal<AddWinsSet>()
            let count = 1 + draw.below(8)
            for index in 0..<count { _ = left.add(Bytes("e\(index)"), by: a) }
            var right = left
            let victim = Bytes("e\(draw.below(count))")
            _ = right.remove(victim)
            left.merge(right)
            if left.contains(victim) || left.count != count - 1 || left != right { lost += 1 }
        }
        #expect(lost == 0)
    }

    @Test("a register gets the same values by every order: {1}@A1, {2}@B1, {3}@{A1,C1}")
    func registerIsAssociative() {
        var one = Causal<MVRegister>()
        _ = one.set("1", by: a)
        var two = Causal<MVRegister>()
        _ = two.set("2", by: b)
        var three = one
        _ = three.set("3", by: c)
        for joined in joins([one, two, three]) {
            #expect(joined.values == ["2", "3"])
            #expect(joined == joins([one, two, three])[0])
        }
    }

    @Test("a flag gets the same value by every order: enable@A1, disable@B1, disable@{A1,C1}")
    func flagIsAssociative() {
        var one = Causal<EnableWinsFlag>()
        _ = one.set(true, by: a)
        var two = Causal<EnableWinsFlag>()
        _ = two.set(false, by: b)
        var three = one
        _ = three.set(false, by: c)
        #expect(joins([one, two, three]).allSatisfy { !$0.isOn && $0 == joins([one, two, three])[0] })

        var oneDisabling = Causal<DisableWinsFlag>()
        _ = oneDisabling.set(true, by: a)
        var twoDisabling = Causal<DisableWinsFlag>()
        _ = twoDisabling.set(false, by: b)
        var threeDisabling = oneDisabling
        _ = threeDisabling.set(false, by: c)
        let all = joins([oneDisabling, twoDisabling, threeDisabling])
        #expect(all.allSatisfy { !$0.isOn && $0 == all[0] })
    }

    @Test("a flag is off before it was switched (MISO: on)")
    func freshFlagIsOff() {
        #expect(!Causal<EnableWinsFlag>().isOn)
        #expect(!Causal<DisableWinsFlag>().isOn)
    }

    @Test("an object that arrives ten times is once in the set")
    func identicalObjectsAreOne() {
        let object: Bytes = #"{"id": 1, "name": "an object of more than fifteen bytes"}"#
        var left = Causal<AddWinsSet>()
        var right = Causal<AddWinsSet>()
        let delta = left.add(object, by: a)
        for _ in 0..<10 {
            right.merge(left)
            right.merge(delta)
        }
        #expect(right.elements == [object])

        var grown = GSet()
        for _ in 0..<10 {
            var other = GSet()
            _ = other.add(Bytes(object.array))
            grown.merge(other)
        }
        #expect(grown.count == 1)
    }

    @Test("an element added on two sites at once has the same dots on both afterwards")
    func concurrentAddConverges() {
        var left = Causal<AddWinsSet>()
        var right = Causal<AddWinsSet>()
        let one = left.add("x", by: a)
        let other = right.add("x", by: b)
        left.merge(other)
        right.merge(one)
        #expect(left.store.dots(of: "x") == [Dot(site: a, sequence: 1), Dot(site: b, sequence: 1)])
        #expect(left == right)
        #expect(left.digest == right.digest)
        // One remove takes both away.
        right.merge(left.remove("x"))
        #expect(right.elements.isEmpty)
        #expect(left == right)
    }

    @Test("a map that was cleared stays empty after a merge with what it was")
    func clearedMapStaysEmpty() {
        var map = Causal<FieldMap>()
        _ = map.set("k", to: "v", at: HybridTime(rawValue: 1), by: a)
        let before = map
        _ = map.removeAll()
        map.merge(before)
        #expect(map.store.isEmpty)
    }

    @Test("looking a key up leaves it in the map")
    func lookingUpChangesNothing() {
        var map = Causal<FieldMap>()
        _ = map.set("k", to: "v", at: HybridTime(rawValue: 1), by: a)
        #expect(map.store.contains("k"))
        #expect(map.store.contains("k"))
        #expect(map.field("k") == "v")
    }

    @Test("nothing stays behind for removed elements: a set emptied of 10,000 is as large as one range per site")
    func noTombstones() {
        var set = Causal<AddWinsSet>()
        var delta = Causal<AddWinsSet>()
        for index in 0..<10_000 { set.add(Bytes("element \(index)"), by: a, into: &delta) }
        for index in 0..<10_000 { set.remove(Bytes("element \(index)"), into: &delta) }
        #expect(set.encoded.count < 30)
        #expect(set.memoryBytes < 4096)
        #expect(delta.encoded.count < 30)
    }
}
