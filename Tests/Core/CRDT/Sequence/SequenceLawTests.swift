// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

@Suite("Sequences: laws and specification")
struct SequenceLawTests {
    @Test("after any history each replica shows what the plain model of the order shows", arguments: 0..<30)
    func modelAgrees(seed: Int) {
        var history = ListHistory(seed: UInt64(seed), replicas: 3 + seed % 3)
        for step in 0..<160 {
            history.step()
            guard step % 4 == 0 else { continue }
            for replica in history.replicas where replica.text.string != replica.model.string {
                Issue.record("seed \(seed), step \(step): \(replica.text.string) is not \(replica.model.string)")
                return
            }
        }
        for replica in history.replicas { expectConsistent(replica.text, "seed \(seed)") }
        history.settle()
        let first = history.replicas[0]
        for replica in history.replicas {
            #expect(replica.text == first.text, "seed \(seed)")
            #expect(replica.text.digest == first.text.digest, "seed \(seed)")
            #expect(replica.text.string == first.model.string, "seed \(seed)")
            #expect(replica.text.scalars.pendingCount == 0, "seed \(seed)")
            expectConsistent(replica.text, "seed \(seed), settled")
        }
    }

    @Test("merging is commutative, associative and idempotent, for states and for deltas", arguments: 0..<20)
    func laws(seed: Int) {
        var history = ListHistory(seed: 1_000 + UInt64(seed), replicas: 3)
        for _ in 0..<60 { history.step() }
        func pick() -> Text {
            history.draw.chance(1, in: 2) && !history.messages.isEmpty
                ? history.messages[history.draw.below(history.messages.count)].delta
                : history.replicas[history.draw.below(3)].text
        }
        for _ in 0..<20 {
            let (a, b, c) = (pick(), pick(), pick())
            #expect(merged(a, b) == merged(b, a), "commutative, seed \(seed)")
            #expect(merged(merged(a, b), c) == merged(a, merged(b, c)), "associative, seed \(seed)")
            #expect(merged(a, a) == a, "idempotent, seed \(seed)")
            #expect(merged(merged(a, b), b) == merged(a, b), "absorbing, seed \(seed)")
            #expect(merged(a, Text()) == a, "bottom, seed \(seed)")
            #expect(merged(a, b).digest == merged(b, a).digest, "digest, seed \(seed)")
            #expect(merged(a, b).string == merged(b, a).string, "string, seed \(seed)")
        }
    }

    private func merged(_ left: Text, _ right: Text) -> Text {
        var result = left
        result.merge(right)
        return result
    }

    @Test("the join of all deltas in any order is the full state", arguments: 0..<20)
    func deltaJoin(seed: Int) {
        var history = ListHistory(seed: 2_000 + UInt64(seed), replicas: 4)
        for _ in 0..<120 { history.step() }
        var whole = Text()
        for replica in history.replicas { whole.merge(replica.text) }
        var fromDeltas = Text()
        for message in history.messages.shuffled(using: &history.draw) { fromDeltas.merge(message.delta) }
        #expect(fromDeltas == whole, "seed \(seed)")
        #expect(fromDeltas.string == whole.string, "seed \(seed)")
        // Joined with one another first, and then taken at once.
        var joined = Text()
        for message in history.messages.shuffled(using: &history.draw) { joined.join(message.delta) }
        var taken = Text()
        taken.merge(joined)
        #expect(taken == whole, "seed \(seed)")
        #expect(taken.string == whole.string, "seed \(seed)")
    }

    @Test("a delta for what is known does what the whole state does", arguments: 0..<20)
    func catchingUp(seed: Int) {
        var history = ListHistory(seed: 3_000 + UInt64(seed), replicas: 4)
        for _ in 0..<120 { history.step() }
        for to in history.replicas {
            for from in history.replicas {
                var byState = to.text
                byState.merge(from.text)
                var byDelta = to.text
                byDelta.merge(from.text.delta(since: to.text.known))
                #expect(byDelta == byState, "seed \(seed)")
                #expect(byDelta.string == byState.string, "seed \(seed)")
            }
        }
    }

    @Test("two elements that two replicas both show are in the same order on both", arguments: 0..<20)
    func oneOrder(seed: Int) {
        var history = ListHistory(seed: 4_000 + UInt64(seed), replicas: 5)
        for _ in 0..<200 { history.step() }
        let orders = history.replicas.map { replica in (0..<replica.text.count).map { replica.text.dot(at: $0) } }
        for one in orders {
            for other in orders {
                let common = Set(one).intersection(other)
                #expect(one.filter(common.contains) == other.filter(common.contains), "seed \(seed)")
            }
        }
    }

    @Test("an insert stays between the neighbours it had, and what was removed stays removed", arguments: 0..<20)
    func neighbours(seed: Int) {
        var draw = Draw(seed: 5_000 + UInt64(seed))
        var lists = [ReplicatedList<Bytes>](repeating: ReplicatedList(), count: 4)
        var between: [(left: Dot?, middle: Dot, right: Dot?)] = []
        var removed: Set<Dot> = []
        var deltas: [ReplicatedList<Bytes>] = []
        for step in 0..<300 {
            let index = draw.below(4)
            let site = SiteID(rawValue: UInt64(index + 1))
            let count = lists[index].count
            if draw.chance(1, in: 2), !deltas.isEmpty {
                lists[index].merge(deltas[draw.below(deltas.count)])
            } else if count > 0, draw.chance(1, in: 4) {
                let position = draw.below(count)
                removed.insert(lists[index].dot(at: position))
                deltas.append(lists[index].remove(position..<position + 1, by: site))
            } else {
                let position = draw.below(count + 1)
                let left = position > 0 ? lists[index].dot(at: position - 1) : nil
                let right = position < count ? lists[index].dot(at: position) : nil
                deltas.append(lists[index].insert(Bytes("element \(step)"), at: position, by: site))
                between.append((left, lists[index].dot(at: position), right))
            }
        }
        for delta in deltas.shuffled(using: &draw) { lists[0].merge(delta) }
        for dot in removed { #expect(!(0..<lists[0].count).contains { lists[0].dot(at: $0) == dot }, "seed \(seed)") }
        for entry in between {
            guard let middle = lists[0].position(of: entry.middle) else {
                Issue.record("seed \(seed): an element has no place")
                continue
            }
            if let left = entry.left.flatMap({ lists[0].position(of: $0) }) { #expect(left <= middle, "seed \(seed)") }
            if let right = entry.right.flatMap({ lists[0].position(of: $0) }) { #expect(middle <= right, "seed \(seed)") }
        }
    }
}
