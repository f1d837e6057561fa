// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

private let a = SiteID(rawValue: 11)
private let b = SiteID(rawValue: 22)
private let time = HybridTime(milliseconds: 1_790_000_000_000)

@Suite("Corners of the CRDTs")
struct CornerTests {
    @Test("two nodes that write under one identity by mistake still end up equal")
    func twins() {
        func agree<State: Lattice>(_ left: State, _ right: State) -> Bool {
            var one = left
            one.merge(right)
            var other = right
            other.merge(left)
            one.merge(other)
            other.merge(one)
            return one == other && one.digest == other.digest
        }
        var sets = [Causal<AddWinsSet>(), Causal<AddWinsSet>()]
        var maps = [Causal<FieldMap>(), Causal<FieldMap>()]
        var registers = [Causal<MVRegister>(), Causal<MVRegister>()]
        var strings = [StringRegister(), StringRegister()]
        for (index, word) in (["one", "two"] as [Bytes]).enumerated() {
            for round in 0..<3 {
                _ = sets[index].add(Bytes("\(word) \(round)"), by: a)
                _ = maps[index].set("k", to: word, at: time, by: a)
                _ = maps[index].set(word, to: word, at: time, by: a)
            }
            _ = registers[index].set(word, by: a)
            _ = strings[index].set(word, at: Stamp(time: time, site: a))
        }
        #expect(agree(sets[0], sets[1]))
        #expect(agree(maps[0], maps[1]))
        #expect(agree(registers[0], registers[1]))
        #expect(agree(strings[0], strings[1]))
    }

    @Test("a remove-wins set forgets the removes that everybody has seen, and nothing comes back")
    func forgetting() {
        var left = Causal<RemoveWinsSet>()
        var right = Causal<RemoveWinsSet>()
        for index in 0..<100 { right.merge(left.add(Bytes("\(index)"), by: a)) }
        // Concurrent with adds on the other side, which lose.
        let adds = (0..<50).map { right.add(Bytes("\($0)"), by: b) }
        let removes = (0..<50).map { left.remove(Bytes("\($0)"), by: a) }
        for delta in adds { left.merge(delta) }
        #expect(left.count == 50)
        #expect(left.store.rememberedCount == 50)
        var nothing = Causal<RemoveWinsSet>()
        left.forget(stable: right.context, into: &nothing)
        #expect(nothing.isBottom, "the other side has not seen the removes")
        for delta in removes { right.merge(delta) }
        var forgotten = Causal<RemoveWinsSet>()
        left.forget(stable: right.context.intersection(left.context), into: &forgotten)
        #expect(left.store.rememberedCount == 0)
        #expect(left.count == 50)
        right.merge(forgotten)
        #expect(left == right)
        for delta in adds + removes { left.merge(delta) }
        #expect(left == right)
        // A new add is an add like any other.
        right.merge(left.add("7", by: a))
        #expect(right.contains("7"))
    }

    @Test("a remove of what is absent here wins over an add elsewhere in a remove-wins set only")
    func blindRemove() {
        var removing = Causal<RemoveWinsSet>()
        var adding = Causal<RemoveWinsSet>()
        let added = adding.add("x", by: a)
        _ = removing.remove("x", by: b)
        removing.merge(added)
        #expect(!removing.contains("x"))
        var observed = Causal<AddWinsSet>()
        let nothing = observed.remove("x")
        #expect(nothing.isBottom)
    }

    @Test("a score that is no number is refused and changes nothing; opposite infinities make zero")
    func scores() throws {
        var left = Causal<ScoredSet>()
        var delta = Causal<ScoredSet>()
        #expect(throws: CRDTError.self) { try left.set("x", to: .nan, at: time, by: a, into: &delta) }
        #expect(throws: CRDTError.self) { try left.add(.nan, to: "x", by: a, into: &delta) }
        #expect(left.isBottom && delta.isBottom)
        try left.set("x", to: .infinity, at: time, by: a, into: &delta)
        let before = left
        #expect(throws: CRDTError.self) { try left.add(-.infinity, to: "x", by: a, into: &delta) }
        #expect(left == before)
        var right = Causal<ScoredSet>()
        var other = Causal<ScoredSet>()
        try right.add(-.infinity, to: "x", by: b, into: &other)
        left.merge(other)
        right.merge(delta)
        #expect(left.score(of: "x") == 0)
        #expect(left == right)
        #expect(left.store.rank(of: "x") == 0)
        try right.set("y", to: -0.0, at: time, by: b, into: &other)
        #expect(right.score(of: "y")?.sign == .plus)
    }

    @Test("an addition to a map in a document is refused and changes nothing, not even on the way down")
    func additionToMap() throws {
        var document = Causal<DocumentNode>()
        var delta = Causal<DocumentNode>()
        try document.set("1", at: ["a", "b"], time: time, by: a, into: &delta)
        try document.set("text", at: ["s"], time: time, by: a, into: &delta)
        let before = document
        let deltaBefore = delta
        #expect(throws: CRDTError.self) { try document.add(1, at: ["a"], by: a, into: &delta) }
        #expect(throws: CRDTError.self) { try document.add(1, at: ["s"], by: a, into: &delta) }
        #expect(document == before)
        #expect(document.digest == before.digest)
        #expect(delta == deltaBefore)
    }

    @Test("a field that is no number shows without what was added to it concurrently, until it is set again")
    func textBesideIncrements() throws {
        var left = Causal<FieldMap>()
        var right = Causal<FieldMap>()
        var delta = Causal<FieldMap>()
        try left.add(5, to: "k", by: a, into: &delta)
        right.merge(right.set("k", to: "words", at: time, by: b))
        right.merge(delta)
        #expect(right.field("k") == "words")
        #expect(throws: CRDTError.self) { try right.add(1, to: "k", by: b, into: &delta) }
        _ = right.set("k", to: "7", at: .zero, by: b)
        #expect(right.field("k") == "7")
    }
}
