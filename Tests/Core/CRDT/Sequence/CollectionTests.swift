// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

@Suite("Sequences: forgetting what is stable")
struct CollectionTests {
    /// What every replica has merged, as they would say when asked now.
    private func stable(_ replicas: [ListHistory.Replica]) -> VersionVector {
        var vector = replicas[0].text.known.vector
        for replica in replicas.dropFirst() { vector.meet(replica.text.known.vector) }
        return vector
    }

    @Test("replicas that forget at different times, or never, converge", arguments: 0..<20)
    func convergence(seed: Int) {
        var history = ListHistory(seed: 9_000 + UInt64(seed), replicas: 4, hasModel: false)
        var forgotten = 0
        for step in 0..<240 {
            history.step()
            // A replica learns all that the others have written, and of each what it has merged; then it may forget. The last never does.
            guard history.draw.chance(1, in: 12) else { continue }
            let index = history.draw.below(3)
            for other in history.replicas.indices { history.learn(index, from: other, whole: history.draw.chance(1, in: 3)) }
            forgotten += history.replicas[index].text.collect(stable: stable(history.replicas))
            expectConsistent(history.replicas[index].text, "seed \(seed), step \(step)")
        }
        history.settle()
        let first = history.replicas[0].text
        for replica in history.replicas {
            #expect(replica.text.string == first.string, "seed \(seed)")
            #expect(replica.text == first, "seed \(seed)")
            #expect(replica.text.digest == first.digest, "seed \(seed)")
            #expect(replica.text.scalars.pendingCount == 0, "seed \(seed)")
            expectConsistent(replica.text, "seed \(seed), settled")
        }
        #expect(forgotten > 0, "seed \(seed)")
    }

    @Test("a list that was emptied and forgotten takes no room, and nothing comes back from late or old copies")
    func emptied() throws {
        let (a, b) = (SiteID(rawValue: 1), SiteID(rawValue: 2))
        var one = Text()
        var other = Text()
        let written = one.append(String(repeating: "words ", count: 100), by: a)
        other.merge(written)
        let old = other
        let removed = other.remove(0..<600, by: b)
        one.merge(removed)
        var vector = VersionVector()
        vector[a] = 600
        vector[ReplicatedList<Unicode.Scalar>.remover(b)] = 1
        #expect(one.collect(stable: vector) == 1)
        #expect(one.scalars.blockCount == 0)
        #expect(one.encoded.count < 60)
        for late in [written, removed, old, other] {
            one.merge(late)
            #expect(one.isEmpty)
            #expect(one.scalars.blockCount == 0)
        }
        // Who was away with an old copy learns from the whole list that all of it is gone, also what nobody lists any more.
        var returned = old
        returned.merge(one.delta(since: returned.known))
        #expect(returned.isEmpty)
        #expect(returned == one)
        #expect(try Text(decoding: one.encoded) == one)
    }

    @Test("who is away writes next to something that others have forgotten: it arrives all the same")
    func writesBesideTheForgotten() {
        let (a, b) = (SiteID(rawValue: 9), SiteID(rawValue: 2))
        var one = Text()
        var other = Text()
        other.merge(one.append("ab", by: a))
        // "b" is removed everywhere, but only one site knows that everybody knows.
        other.merge(one.remove(1..<2, by: a))
        #expect(one.collect(stable: other.known.vector) > 0)
        let written = other.append("cd", by: b)
        one.merge(written)
        #expect(one.string == "acd")
        #expect(one.scalars.pendingCount == 0)
        #expect(one == other)
    }

    @Test("a queue of which the front is taken off does not grow")
    func queue() {
        let site = SiteID(rawValue: 1)
        var list = ReplicatedList<Bytes>()
        for round in 0..<3_000 {
            _ = list.append([Bytes("job \(round)")], by: site)
            if round >= 10 { _ = list.remove(0..<1, by: site) }
        }
        #expect(list.count == 10)
        #expect(list.blockCount == 2)
        #expect(list.memoryBytes < 8_000)
    }
}
