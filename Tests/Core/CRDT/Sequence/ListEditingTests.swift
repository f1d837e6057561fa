// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

@Suite("Sequences: editing")
struct ListEditingTests {
    private let site = SiteID(rawValue: 7)

    @Test("edits of one site do what they do to an array, and their deltas do it to a copy", arguments: 0..<8)
    func likeAnArray(seed: Int) {
        var draw = Draw(seed: 10_000 + UInt64(seed))
        var list = ReplicatedList<Bytes>()
        var copy = ReplicatedList<Bytes>()
        var array: [Bytes] = []
        for step in 0..<600 {
            let new = (0..<draw.below(4)).map { Bytes("\(step).\($0)") }
            let from = draw.below(array.count + 1)
            let range = from..<from + draw.below(min(5, array.count - from + 1))
            switch draw.below(6) {
            case 0, 1:
                copy.merge(list.insert(new, at: from, by: site))
                array.insert(contentsOf: new, at: from)
            case 2:
                copy.merge(list.remove(range, by: site))
                array.removeSubrange(range)
            case 3:
                copy.merge(list.replace(range, with: new, by: site))
                array.replaceSubrange(range, with: new)
            case 4 where from < array.count:
                copy.merge(list.set(Bytes("set \(step)"), at: from, by: site))
                array[from] = Bytes("set \(step)")
            default:
                copy.merge(list.append(new, by: site))
                array += new
            }
            #expect(list.count == array.count, "seed \(seed), step \(step)")
            if !array.isEmpty {
                let at = draw.below(array.count)
                #expect(list[at] == array[at], "seed \(seed), step \(step)")
                let part = at..<at + draw.below(array.count - at + 1)
                #expect(list.elements(in: part) == Array(array[part]), "seed \(seed), step \(step)")
            }
        }
        #expect(list.elements == array, "seed \(seed)")
        #expect(copy == list, "seed \(seed)")
    }

    @Test("a cursor follows its element, and keeps the place of a removed one")
    func cursors() {
        var text = Text()
        _ = text.append("one two three", by: site)
        let two = text.dot(at: 4)
        _ = text.insert("zero ", at: 0, by: site)
        #expect(text.position(of: two) == 9)
        _ = text.remove(7..<12, by: site)
        #expect(text.string == "zero on three")
        #expect(text.position(of: two) == 7)
        #expect(text.position(of: Dot(site: site, sequence: 1_000)) == nil)
    }

    @Test("a delta of nothing is nothing, and a delta is no list")
    func emptyEdits() {
        var list = ReplicatedList<Bytes>()
        #expect(list.insert([], at: 0, by: site).isBottom)
        #expect(list.remove(0..<0, by: site).isBottom)
        #expect(list.isBottom)
        let delta = list.append(["a", "b"], by: site)
        #expect(delta.isEmpty && !delta.isBottom)
        var collected = ReplicatedList<Bytes>()
        collected.join(delta)
        collected.join(list.remove(0..<1, by: site))
        #expect(collected.isEmpty)
        var other = ReplicatedList<Bytes>()
        other.merge(collected)
        #expect(other.elements == ["b"])
        #expect(other == list)
    }

    @Test("copies are values: editing one leaves the other as it was")
    func values() {
        var list = ReplicatedList<Bytes>()
        _ = list.append(["a", "b", "c"], by: site)
        let before = list
        _ = list.remove(1..<2, by: site)
        #expect(before.elements == ["a", "b", "c"])
        #expect(list.elements == ["a", "c"])
    }

    @Test("two sites that set one position at the same time leave both values there, and remove the old one once")
    func concurrentSet() {
        var one = ReplicatedList<Bytes>()
        var other = ReplicatedList<Bytes>()
        other.merge(one.append(["a", "b", "c"], by: site))
        let first = one.set("x", at: 1, by: site)
        let second = other.set("y", at: 1, by: SiteID(rawValue: 3))
        one.merge(second)
        other.merge(first)
        #expect(one == other)
        #expect(one.count == 4)
        #expect(one[0] == "a" && one[3] == "c")
        #expect(Set([one[1], one[2]]) == ["x", "y"])
    }

    @Test("a list that takes the place of a forgotten one uses none of its numbers")
    func skipping() {
        var old = ReplicatedList<Bytes>()
        _ = old.append(["a", "b"], by: site)
        for _ in 0..<2 { _ = old.remove(0..<1, by: site) }
        let floor = old.last(of: site)
        var new = ReplicatedList<Bytes>()
        var copy = ReplicatedList<Bytes>()
        copy.merge(new.skip(floor + 1, by: site))
        copy.merge(new.append(["c", "d"], by: site))
        copy.merge(new.remove(0..<1, by: site))
        #expect(copy == new)
        #expect(new.context.subtracting(old.context) == new.context)
        new.merge(old)
        #expect(new.elements == ["d"])
    }
}
