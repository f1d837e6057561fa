// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// Edits in the middle of lists and texts, by indices and by what names elements.
struct PlacesTests {
    @Test("edits by index do what they do to an array, whatever the seed", arguments: 1...20 as ClosedRange<UInt64>)
    func likeAnArray(seed: UInt64) throws {
        let net = try StateNetwork(1, seed: seed)
        let list = try net.key(0, "list")
        let text = try net.key(0, "text")
        var random = SeededGenerator(seed: seed)
        var model: [Bytes] = []
        for step in 0..<200 {
            let inserted = (0..<random.below(4)).map { Bytes("\(step % 10)\($0)") }
            // Of five indices one is out of range, on either side.
            let index = random.below(model.count * 2 + 6) - model.count - 3
            let count = random.below(3) == 0 ? 0 : random.below(4)
            let isInsertion = count == 0 && !inserted.isEmpty
            let position = index < 0 ? model.count + index + (isInsertion ? 1 : 0) : index
            let isThere = position >= 0 && position < model.count + (isInsertion ? 1 : 0)
            let isEmptyCut = inserted.isEmpty && model.isEmpty && (-1...0).contains(index)
            let letters = inserted.map { String($0.text.prefix(1)) }.joined()
            let outcome = Result { try net.act(0) { try $0.listSplice(list, at: .index(index), removing: count, inserting: inserted, $1) } }
            let same = Result { try net.act(0) { try $0.textSplice(text, at: .index(index), removing: count, inserting: letters, $1) } }
            guard isThere || isEmptyCut else {
                for error in [outcome.failure, same.failure] { #expect((error as? StateError)?.kind == .outOfRange, "step \(step)") }
                continue
            }
            let range = isEmptyCut ? 0..<0 : position..<min(position + count, model.count)
            let removed = Array(model[range])
            model.replaceSubrange(range, with: inserted)
            let result = try outcome.get()
            #expect(result.removed == removed && result.count == model.count, "step \(step)")
            #expect(try same.get().count == model.count)
            if let first = result.first {
                #expect(try net.act(0) { try $0.listPlace(list, .element(first), $1) }.index == range.lowerBound)
            }
            #expect(try net.act(0) { try $0.listRange(list, start: 0, end: -1, $1) } == model, "step \(step)")
        }
        #expect(try net.act(0) { try $0.textValue(text, $1) } == model.map { String($0.text.prefix(1)) }.joined())
    }

    @Test("edits by what names elements hit them, whatever others insert and remove meanwhile", arguments: 1...10 as ClosedRange<UInt64>)
    func byElement(seed: UInt64) throws {
        let net = try StateNetwork(3, seed: seed)
        net.run(.seconds(1))
        let keys = try (0..<3).map { try net.key($0, "list") }
        var random = SeededGenerator(seed: seed)
        let letters = (0..<20).map { Bytes("\($0)") }
        let first = try #require(
            try net.act(0) { try $0.listSplice(keys[0], at: .index(-1), removing: 0, inserting: letters, $1) }.first)
        net.run(.milliseconds(50))
        // Each element is marked once, by a node that does not know what the others do at the same time.
        var rest = Array(letters.indices)
        while !rest.isEmpty {
            for node in 0..<3 where !rest.isEmpty {
                let chosen = rest.remove(at: random.below(rest.count))
                let dot = Dot(site: first.site, sequence: first.sequence + UInt64(chosen))
                _ = try net.act(node) {
                    try $0.listSplice(keys[node], at: .element(dot), removing: 1, inserting: [Bytes("<\(chosen)>")], $1)
                }
                _ = try net.act(node) { try $0.listSplice(keys[node], at: .index(0), removing: 0, inserting: ["noise"], $1) }
            }
            if random.below(2) == 0 { net.run(.milliseconds(20)) }
        }
        net.run(.milliseconds(200))
        #expect(net.isConverged())
        let all = try net.act(1) { try $0.listRange(keys[1], start: 0, end: -1, $1) }.filter { $0 != "noise" }
        #expect(all == letters.map { Bytes("<\($0.text)>") })
    }

    @Test("what only takes away makes no object and is not held up by a quota")
    func cutsAtAQuota() throws {
        let net = try StateNetwork(1, seed: 1) { settings, _ in settings.standard.bytesMax = 100 }
        let key = try net.key(0, "list")
        #expect(try net.act(0) { try $0.listSplice(key, at: .index(0), removing: 3, inserting: [], $1) }.removed == [])
        #expect(net.act(0) { replica, _ in replica.size(of: key.space) } == 0)
        _ = try net.act(0) { try $0.listSplice(key, at: .index(0), removing: 0, inserting: ["a", "b"], $1) }
        net.run(.milliseconds(50))
        let refused = #expect(throws: StateError.self) {
            try net.act(0) { try $0.listSplice(key, at: .index(0), removing: 0, inserting: ["c"], $1) }
        }
        #expect(refused?.kind == .quota)
        #expect(try net.act(0) { try $0.listSplice(key, at: .index(0), removing: 1, inserting: [], $1) }.removed == ["a"])
    }
}

extension Result {
    fileprivate var failure: Failure? {
        guard case .failure(let error) = self else { return nil }
        return error
    }
}
