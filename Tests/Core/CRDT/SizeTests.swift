// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

private let a = SiteID(rawValue: 0x1122_3344_5566_7788)
private let b = SiteID(rawValue: 0x99AA_BBCC_DDEE_FF00)
private let time = HybridTime(milliseconds: 1_790_000_000_000)

@Suite("Sizes of deltas and large objects")
struct SizeTests {
    /// Bytes of a delta beyond the content: eight for the site, then counts, sequences, stamps.
    @Test("a delta is a few bytes beyond its content, whatever the size of the object")
    func deltas() throws {
        var set = Causal<AddWinsSet>()
        var map = Causal<FieldMap>()
        var scored = Causal<ScoredSet>()
        for index in 0..<20_000 {
            _ = set.add(Bytes("element \(index)"), by: index % 2 == 0 ? a : b)
            _ = map.set(Bytes("field \(index)"), to: "v", at: time, by: a)
            var delta = Causal<ScoredSet>()
            try scored.set(Bytes("element \(index)"), to: 1, at: time, by: a, into: &delta)
        }
        #expect(set.add("0123456789", by: a).encoded.count <= 10 + 24)
        #expect(set.add("0123456789", by: a).encoded.count <= 10 + 28)
        #expect(set.remove("0123456789").encoded.count <= 20)
        #expect(map.set("0123456789", to: "0123456789", at: time, by: a).encoded.count <= 20 + 36)
        #expect(map.remove("0123456789").encoded.count <= 20)
        var delta = Causal<ScoredSet>()
        try scored.set("0123456789", to: 5, at: time, by: a, into: &delta)
        #expect(delta.encoded.count <= 10 + 8 + 36)
        var counter = PNCounter()
        for index in 0..<30 { _ = try counter.add(1000, by: SiteID(rawValue: UInt64(index))) }
        #expect(try counter.add(1, by: a).encoded.count <= 14)
        var string = StringRegister()
        #expect(string.set("0123456789", at: Stamp(time: time, site: a)).encoded.count <= 10 + 20)
        var sketch = HyperLogLog()
        for index in 0..<20_000 { _ = sketch.add(Bytes("element \(index)")) }
        var flag = Causal<EnableWinsFlag>()
        #expect(flag.set(true, by: a).encoded.count <= 20)
    }

    @Test("a group of 1,000 adds takes one range of dots and 3 bytes beyond each element")
    func groups() {
        var set = Causal<AddWinsSet>()
        var delta = Causal<AddWinsSet>()
        for index in 0..<1000 { set.add(Bytes("\(10_000 + index)"), by: a, into: &delta) }
        #expect(delta.context.spans.count == 1)
        #expect(delta.encoded.count <= 1000 * (5 + 1 + 3) + 30)
    }

    @Test("catching up with a set of 20,000 after 10 adds and 10 removes takes hundreds of bytes")
    func catchUp() {
        var set = Causal<AddWinsSet>()
        for index in 0..<20_000 { _ = set.add(Bytes("element \(index)"), by: a) }
        var other = set
        for index in 0..<10 {
            _ = set.add(Bytes("new \(index)"), by: b)
            _ = set.remove(Bytes("element \(index * 1999)"))
        }
        let part = set.delta(since: other.context)
        #expect(part.encoded.count < 300)
        other.merge(part)
        #expect(other == set)
    }

    @Test("a set of 100,000 elements takes at most 90 bytes for each, indices and slack included")
    func memory() {
        var set = Causal<AddWinsSet>()
        var delta = Causal<AddWinsSet>()
        for index in 0..<100_000 {
            set.add(Bytes("e\(index)"), by: a, into: &delta)
            if index % 100 == 99 { delta = Causal() }
        }
        #expect(set.memoryBytes < 90 * 100_000)
    }

    @Test("removes that arrive at a large set find their elements", arguments: 1...3 as ClosedRange<UInt64>)
    func indexedRemoves(seed: UInt64) throws {
        var draw = Draw(seed: seed)
        var left = Causal<AddWinsSet>()
        var right = Causal<AddWinsSet>()
        var map = Causal<ORMap<AddWinsSet>>()
        var mapped = Causal<ORMap<AddWinsSet>>()
        var scored = Causal<ScoredSet>()
        var ranked = Causal<ScoredSet>()
        for step in 0..<6000 {
            let element = Bytes("element \(draw.below(900))")
            let isAdd = step < 900 || draw.chance(1, in: 2)
            let site = draw.chance(1, in: 2) ? a : b
            var delta = Causal<AddWinsSet>()
            var mapDelta = Causal<ORMap<AddWinsSet>>()
            var scoreDelta = Causal<ScoredSet>()
            let key = Bytes("key \(draw.below(200))")
            let score = Double(draw.below(50))
            if isAdd {
                left.add(element, by: site, into: &delta)
                map.update(key, into: &mapDelta) { $0.add(element, by: site, context: &$1, into: &$2) }
                try scored.set(element, to: score, at: time, by: site, into: &scoreDelta)
            } else {
                left.remove(element, into: &delta)
                if draw.chance(1, in: 2) {
                    map.remove(key, into: &mapDelta)
                } else {
                    map.update(key, into: &mapDelta) { set, _, delta in set.remove(element, into: &delta) }
                }
                scored.remove(element, into: &scoreDelta)
            }
            right.merge(delta)
            mapped.merge(mapDelta)
            ranked.merge(scoreDelta)
            // What is indexed for removes is kept up by one's own writes too.
            if step % 7 == 0 {
                left.merge(right.add(element, by: b))
                var back = Causal<ORMap<AddWinsSet>>()
                mapped.update(key, into: &back) { $0.add(element, by: b, context: &$1, into: &$2) }
                map.merge(back)
            }
        }
        #expect(left == right)
        #expect(map == mapped)
        #expect(scored == ranked)
        #expect(left.digest == right.digest)
        #expect(ranked.store.elements(in: 0..<2000) == scored.store.elements(in: 0..<2000))
        #expect(right.store == Causal(store: right.store, context: right.context).delta(since: CausalContext()).store)
    }

    @Test("a sketch is off by the standard error of 0.81 %, small and large", arguments: [10, 100, 1000, 5000, 40_000, 300_000])
    func sketchError(count: Int) {
        // Mean square error over several sketches; each alone may be off by three standard errors.
        let sketches = 8
        var squares = 0.0
        for salt in 0..<sketches {
            var sketch = HyperLogLog()
            var delta = HyperLogLog()
            for index in 0..<count { sketch.add(Bytes("\(salt):\(index)"), into: &delta) }
            let error = Double(sketch.count - count) / Double(count)
            #expect(abs(error) < 3.5 * 0.0081)
            squares += error * error
            #expect(delta == sketch)
        }
        #expect((squares / Double(sketches)).squareRoot() < 1.8 * 0.0081)
    }
}
