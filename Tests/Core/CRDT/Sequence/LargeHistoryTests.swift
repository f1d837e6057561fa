// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

@Suite("Sequences: long histories")
struct LargeHistoryTests {
    @Test("thousands of edits by three to five replicas, delivered in any order and twice, end the same", arguments: [3, 4, 5])
    func converges(count: Int) throws {
        var draw = Draw(seed: UInt64(count))
        var lists = [ReplicatedList<Bytes>](repeating: ReplicatedList(), count: count)
        var mirrors = [ReplicatedList<Bytes>](repeating: ReplicatedList(), count: count)
        var outbox: [(from: Int, delta: ReplicatedList<Bytes>)] = []
        for step in 0..<2_500 {
            let index = draw.below(count)
            let site = SiteID(rawValue: UInt64(100 - index))
            let size = lists[index].count
            if draw.chance(1, in: 3), !outbox.isEmpty {
                lists[index].merge(outbox[max(0, outbox.count - 1 - draw.below(200))].delta)
            } else if size > 0, draw.chance(2, in: 5) {
                let start = draw.below(size)
                outbox.append((index, lists[index].remove(start..<min(size, start + 1 + draw.below(6)), by: site)))
            } else if size > 0, draw.chance(1, in: 10) {
                outbox.append((index, lists[index].set(Bytes("set \(step)"), at: draw.below(size), by: site)))
            } else {
                let elements = (0...draw.below(6)).map { Bytes("\(step).\($0)") }
                outbox.append((index, lists[index].insert(elements, at: draw.below(size + 1), by: site)))
            }
        }
        for index in lists.indices {
            for message in outbox.shuffled(using: &draw) where message.from != index || draw.chance(1, in: 10) {
                lists[index].merge(message.delta)
            }
            for message in outbox.shuffled(using: &draw) { mirrors[index].merge(message.delta) }
        }
        let elements = lists[0].elements
        for list in lists + mirrors {
            #expect(list.elements == elements)
            #expect(list == lists[0])
            #expect(list.digest == lists[0].digest)
            #expect(list.pendingCount == 0)
        }
        #expect(try ReplicatedList<Bytes>(decoding: lists[0].encoded) == lists[0])
    }
}
