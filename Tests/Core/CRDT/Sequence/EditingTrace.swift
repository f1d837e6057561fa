// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import Foundation

/// A recorded editing session in the JSON shape of the public collection of editing traces: sequential (a list of transactions), or
/// concurrent (transactions of several agents that name their parents).
struct EditingTrace: Codable {
    /// At a position, so many scalars are removed and a text is inserted.
    struct Patch: Codable {
        var position: Int
        var removed: Int
        var inserted: String

        init(_ position: Int, _ removed: Int, _ inserted: String) {
            self.position = position
            self.removed = removed
            self.inserted = inserted
        }

        init(from decoder: any Decoder) throws {
            var list = try decoder.unkeyedContainer()
            position = try list.decode(Int.self)
            removed = try list.decode(Int.self)
            inserted = try list.decode(String.self)
        }

        func encode(to encoder: any Encoder) throws {
            var list = encoder.unkeyedContainer()
            try list.encode(position)
            try list.encode(removed)
            try list.encode(inserted)
        }
    }

    struct Transaction: Codable {
        /// Indices of the transactions on whose merged outcome this one builds. Sequential traces have none.
        var parents: [Int]?
        var numChildren: Int?
        var agent: Int?
        var patches: [Patch]
    }

    var kind: String?
    var startContent: String?
    var endContent: String
    var numAgents: Int?
    var txns: [Transaction]

    var isConcurrent: Bool { kind == "concurrent" || txns.contains { $0.parents != nil } }

    var patchCount: Int { txns.reduce(0) { $0 + $1.patches.count } }

    /// Applies the trace as its agents did, each on a replica of its own, and merges. The text that all agree on.
    func replay() -> [Text] {
        let isConcurrent = isConcurrent
        let agents = isConcurrent ? (numAgents ?? 1) : 1
        var replicas = [Text](repeating: Text(), count: agents)
        var deltas: [Text] = []
        // Which transactions each agent has seen: the changes of one agent follow one another, so that its replica is never ahead.
        var seen = [[Bool]](repeating: [Bool](repeating: false, count: txns.count), count: agents)
        func learn(_ agent: Int, _ parents: [Int]) {
            var missing: [Int] = []
            var stack = parents
            while let index = stack.popLast() {
                guard !seen[agent][index] else { continue }
                seen[agent][index] = true
                missing.append(index)
                stack += txns[index].parents ?? []
            }
            for index in missing.sorted() { replicas[agent].merge(deltas[index]) }
        }
        if let start = startContent, !start.isEmpty { _ = replicas[0].append(start, by: Self.site(0)) }
        for (index, transaction) in txns.enumerated() {
            let agent = transaction.agent ?? 0
            if isConcurrent { learn(agent, transaction.parents ?? []) }
            var delta = Text()
            for patch in transaction.patches {
                let range = patch.position..<patch.position + patch.removed
                delta.join(replicas[agent].replace(range, with: patch.inserted, by: Self.site(agent)))
            }
            guard isConcurrent else { continue }
            seen[agent][index] = true
            deltas.append(delta)
        }
        if isConcurrent {
            for agent in replicas.indices { learn(agent, Array(txns.indices)) }
        }
        return replicas
    }

    private static func site(_ agent: Int) -> SiteID { SiteID(rawValue: 0x9E37_79B9 &* UInt64(agent + 1) % 1_000_003) }
}
