// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

@Suite("Structures below the CRDTs")
struct StructureTests {
    private struct Item: Keyed, Sendable, Equatable {
        let key: Bytes
        var value: Int
    }

    @Test("a key table is a dictionary", arguments: 1...8 as ClosedRange<UInt64>)
    func keyTable(seed: UInt64) {
        var draw = Draw(seed: seed)
        var table = KeyTable<Item>()
        var model: [Bytes: Int] = [:]
        let width = [4, 30, 500][draw.below(3)]
        for step in 0..<4000 {
            let key = Bytes("key \(draw.below(width))")
            // Phases of growing and of shrinking.
            if draw.chance(step / 1000 % 2 == 0 ? 3 : 1, in: 4) {
                if let position = table.find(key) { table[position].value = step } else { table.append(Item(key: key, value: step)) }
                model[key] = step
            } else if let position = table.find(key) {
                table.remove(at: position)
                model[key] = nil
            }
            #expect(table.count == model.count)
            let probe = Bytes("key \(draw.below(width))")
            #expect(table.find(probe).map { table[$0].value } == model[probe])
        }
        #expect(Set(table.entries.map(\.key)) == Set(model.keys))
    }

    @Test("walking a table downwards meets every key that stays, whatever else is added and removed")
    func walking() {
        var draw = Draw(seed: 5)
        var table = KeyTable<Item>()
        for index in 0..<200 { table.append(Item(key: Bytes("stays \(index)"), value: 0)) }
        for index in 0..<200 { table.append(Item(key: Bytes("goes \(index)"), value: 0)) }
        var met: Set<Bytes> = []
        var cursor = table.count
        while cursor > 0 {
            cursor = min(cursor, table.count) - 1
            met.insert(table[cursor].key)
            if let position = table.find(Bytes("goes \(draw.below(200))")) { table.remove(at: position) }
            if draw.chance(1, in: 3) { table.append(Item(key: Bytes("new \(cursor) \(met.count)"), value: 0)) }
        }
        #expect((0..<200).allSatisfy { met.contains(Bytes("stays \($0)")) })
    }

    @Test("an index of dots finds every position, also of one dot at several", arguments: 1...4 as ClosedRange<UInt64>)
    func dotIndex(seed: UInt64) {
        var draw = Draw(seed: seed)
        var index = DotIndex()
        var model: Set<[Int]> = []
        for _ in 0..<3000 {
            let sequence = 1 + draw.below(300)
            let position = draw.below(3)
            let dot = Dot(site: SiteID(rawValue: 5), sequence: UInt64(sequence))
            if model.contains([sequence, position]) {
                index.remove(dot, at: position)
                model.remove([sequence, position])
            } else {
                index.insert(dot, at: position)
                model.insert([sequence, position])
            }
            #expect(index.count == model.count)
            var found: [Int] = []
            index.candidates(dot, into: &found)
            for place in 0..<3 where model.contains([sequence, place]) { #expect(found.contains(place)) }
        }
    }

    @Test("a context is a set of dots", arguments: 1...8 as ClosedRange<UInt64>)
    func context(seed: UInt64) throws {
        var draw = Draw(seed: seed)
        func random() -> (CausalContext, Set<Dot>) {
            var context = CausalContext()
            var model: Set<Dot> = []
            for _ in 0..<draw.below(60) {
                let dot = Dot(site: SiteID(rawValue: UInt64(draw.below(3))), sequence: UInt64(1 + draw.below(25)))
                context.insert(dot)
                model.insert(dot)
            }
            return (context, model)
        }
        func dots(_ context: CausalContext) -> Set<Dot> {
            Set(context.spans.flatMap { span in (span.first...span.last).map { Dot(site: span.site, sequence: $0) } })
        }
        for _ in 0..<300 {
            let (one, oneModel) = random()
            let (two, twoModel) = random()
            #expect(dots(one) == oneModel)
            #expect(one.count == UInt64(oneModel.count))
            #expect(one == CausalContext(dots: Array(oneModel)))
            #expect(oneModel.allSatisfy(one.contains))
            var merged = one
            merged.merge(two)
            #expect(merged == CausalContext(dots: Array(oneModel.union(twoModel))))
            #expect(dots(one.intersection(two)) == oneModel.intersection(twoModel))
            #expect(one.overlap(two) == UInt64(oneModel.intersection(twoModel).count))
            #expect(one.subtracting(two) == CausalContext(dots: Array(oneModel.subtracting(twoModel))))
            #expect(one.covers(two) == twoModel.isSubset(of: oneModel))
            #expect((one.digest == two.digest) == (one == two))
            #expect(try CausalContext(decoding: one.encoded) == one)
            let site = SiteID(rawValue: UInt64(draw.below(4)))
            let next = merged.next(for: site)
            #expect(next.sequence == (oneModel.union(twoModel).filter { $0.site == site }.map(\.sequence).max() ?? 0) + 1)
            #expect(merged.contains(next))
        }
    }

    @Test("a version vector knows what both sides know", arguments: 1...4 as ClosedRange<UInt64>)
    func versionVector(seed: UInt64) throws {
        var draw = Draw(seed: seed)
        func random() -> VersionVector {
            var vector = VersionVector()
            for _ in 0..<4 { vector[SiteID(rawValue: UInt64(draw.below(5)))] = UInt64(draw.below(4)) }
            return vector
        }
        for _ in 0..<200 {
            let one = random()
            let two = random()
            var joined = one
            joined.merge(two)
            var met = one
            met.meet(two)
            for site in (0..<5).map({ SiteID(rawValue: UInt64($0)) }) {
                #expect(joined[site] == max(one[site], two[site]))
                #expect(met[site] == min(one[site], two[site]))
            }
            #expect(joined.covers(one) && joined.covers(two) && one.covers(met) && two.covers(met))
            #expect(try VersionVector(decoding: one.encoded) == one)
        }
    }

    @Test("a rank tree is a sorted array", arguments: 1...6 as ClosedRange<UInt64>)
    func rankTree(seed: UInt64) {
        var draw = Draw(seed: seed)
        var tree = RankTree()
        var model: [RankTree.Item] = []
        for step in 0..<6000 {
            let item = RankTree.Item(score: Double(draw.below(seed % 2 == 0 ? 3000 : 5)), element: Bytes("e\(draw.below(1000))"))
            let index = model.firstIndex { $0 >= item } ?? model.count
            let isThere = index < model.count && model[index] == item
            if step / 1500 % 2 == 0 || draw.chance(1, in: 8) {
                if !isThere {
                    model.insert(item, at: index)
                    tree.insert(item)
                }
            } else if !model.isEmpty {
                let gone = isThere ? index : draw.below(model.count)
                tree.remove(model.remove(at: gone))
            }
            #expect(tree.count == model.count)
            if step % 50 == 0 {
                #expect(tree.rank(of: item) == model.count { $0 < item })
                let from = draw.below(model.count + 2)
                var part: [RankTree.Item] = []
                tree.forEach(in: from..<(from + 20)) { part.append($0) }
                #expect(part == Array(model.dropFirst(from).prefix(20)))
            }
        }
        while let last = model.popLast() { tree.remove(last) }
        #expect(tree.count == 0)
        tree.insert(.init(score: 1, element: "x"))
        #expect(tree.rank(of: .init(score: 2, element: "")) == 1)
    }

    @Test("a rank tree filled in order uses its memory")
    func rankTreeInOrder() {
        var tree = RankTree()
        for index in 0..<20_000 { tree.insert(.init(score: Double(index), element: Bytes("e\(index)"))) }
        #expect(tree.memoryBytes < 20_000 * 70)
        #expect(tree.rank(of: .init(score: 12_345, element: "e12345")) == 12_345)
    }

    @Test("every bit of the input changes about half of the stable hash's")
    func avalanche() {
        var draw = Draw(seed: 3)
        for length in [1, 7, 8, 9, 15, 16, 17, 40] {
            var flips = 0
            let rounds = 64
            for _ in 0..<rounds {
                var bytes = (0..<length).map { _ in UInt8(draw.below(256)) }
                let before = stableHash(Bytes(bytes))
                bytes[draw.below(length)] ^= 1 << UInt8(draw.below(8))
                flips += (before ^ stableHash(Bytes(bytes))).nonzeroBitCount
            }
            #expect((28...36).contains(flips / rounds), "\(flips / rounds) of 64 bits at length \(length)")
        }
    }

    @Test("a varint that is too long, a count that cannot be, and a value with bytes behind it are refused")
    func decoding() {
        var reader = ByteReader([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02])
        #expect(throws: DecodingFailure(.numberTooLarge, at: 10)) { try reader.varint() }
        reader = ByteReader([0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1, 2, 3])
        #expect(throws: DecodingFailure.self) { try reader.count() }
        #expect(throws: DecodingFailure(.bytesLeft, at: 1)) { try PNCounter(decoding: [0, 0]) }
        for value in [0, 1, 127, 128, .max] as [UInt64] {
            var writer = ByteWriter()
            writer.varint(value)
            writer.signed(Int64(bitPattern: value))
            var reader = ByteReader(writer.bytes)
            #expect((try? reader.varint()) == value)
            #expect((try? reader.signed()) == Int64(bitPattern: value))
        }
    }

    @Test("a document deeper than allowed is refused, not a crash")
    func tooDeep() throws {
        // A node without scalar that has one child "k", again and again.
        var bytes: [UInt8] = [0]
        for _ in 0..<100_000 { bytes += [2, 1, 1, UInt8(ascii: "k")] }
        #expect(throws: DecodingFailure.self) { try Causal<DocumentNode>(decoding: bytes) }
        var document = Causal<DocumentNode>()
        var delta = Causal<DocumentNode>()
        let site = SiteID(rawValue: 1)
        let deepest = [Bytes](repeating: "k", count: DocumentNode.depthMax)
        try document.set("1", at: deepest, time: HybridTime(rawValue: 1), by: site, into: &delta)
        #expect(try Causal<DocumentNode>(decoding: document.encoded) == document)
        #expect(throws: CRDTError.self) { try document.set("1", at: deepest + ["k"], time: .zero, by: site, into: &delta) }
    }
}
