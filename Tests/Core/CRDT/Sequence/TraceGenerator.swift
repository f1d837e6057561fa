// SPDX-License-Identifier: Apache-2.0

@testable import BrumeCRDT

/// Makes editing traces out of a seed, with an end content that no CRDT has computed.
struct TraceGenerator {
    var draw: Draw

    init(seed: UInt64) { draw = Draw(seed: seed) }

    private mutating func word(_ longest: Int) -> String {
        let alphabet: [Unicode.Scalar] = ["a", "b", "c", "d", "e", " ", "\n", "\u{E9}", "\u{4E00}", "\u{1F600}"]
        var view = String.UnicodeScalarView()
        for _ in 0...draw.below(longest) { view.append(alphabet[draw.below(draw.chance(1, in: 20) ? 10 : 7)]) }
        return String(view)
    }

    /// One author who types, corrects, jumps, pastes and cuts. The oracle is an array of scalars.
    mutating func sequential(patches: Int) -> EditingTrace {
        let start = "The beginning.\n"
        var content = Array(start.unicodeScalars)
        var cursor = content.count
        var transactions: [EditingTrace.Transaction] = []
        for _ in 0..<patches {
            var patch: EditingTrace.Patch
            switch draw.below(100) {
            case 0..<70: patch = EditingTrace.Patch(cursor, 0, word(1))
            case 70..<85: patch = EditingTrace.Patch(max(0, cursor - 1), min(cursor, 1), "")
            case 85..<93:
                cursor = draw.below(content.count + 1)
                patch = EditingTrace.Patch(cursor, 0, word(3))
            case 93..<96:
                let from = draw.below(content.count + 1)
                patch = EditingTrace.Patch(from, min(content.count - from, draw.below(30)), "")
            default:
                let from = draw.below(content.count + 1)
                patch = EditingTrace.Patch(from, min(content.count - from, draw.below(8)), word(60))
            }
            let inserted = Array(patch.inserted.unicodeScalars)
            content.replaceSubrange(patch.position..<patch.position + patch.removed, with: inserted)
            cursor = patch.position + inserted.count
            transactions.append(EditingTrace.Transaction(patches: [patch]))
        }
        return EditingTrace(startContent: start, endContent: Self.string(content), txns: transactions)
    }

    /// Authors who write at the same time, each in a section of his own between marks, so that no two ever insert at one place. The
    /// oracle is one array of scalars a section; nothing is merged but the sections' ends.
    mutating func concurrent(agents: Int, transactions count: Int) -> EditingTrace {
        var sections = [[Unicode.Scalar]](repeating: [], count: agents)
        // How long each section was after each of its author's transactions, and how many of them each agent has seen.
        var lengths = [[Int]](repeating: [0], count: agents)
        var seen = [[Int]](repeating: [Int](repeating: 0, count: agents), count: agents)
        var indices = [[Int]](repeating: [0], count: agents)
        let marks = String(repeating: "|", count: agents + 1)
        var transactions = [EditingTrace.Transaction(parents: [], numChildren: 0, agent: 0, patches: [EditingTrace.Patch(0, 0, marks)])]
        for _ in 0..<count {
            let agent = draw.below(agents)
            if draw.chance(1, in: 5) {
                let other = draw.below(agents)
                for author in 0..<agents { seen[agent][author] = max(seen[agent][author], seen[other][author]) }
            }
            var patches: [EditingTrace.Patch] = []
            for _ in 0...draw.below(2) {
                let base = (0..<agent).reduce(agent + 1) { $0 + lengths[$1][seen[agent][$1]] }
                let from = draw.below(sections[agent].count + 1)
                let removed = draw.chance(1, in: 3) ? min(sections[agent].count - from, draw.below(4)) : 0
                let inserted = draw.chance(1, in: 4) ? "" : word(6)
                sections[agent].replaceSubrange(from..<from + removed, with: Array(inserted.unicodeScalars))
                patches.append(EditingTrace.Patch(base + from, removed, inserted))
            }
            let parents = heads(seen[agent], indices, transactions)
            for parent in parents { transactions[parent].numChildren = (transactions[parent].numChildren ?? 0) + 1 }
            transactions.append(EditingTrace.Transaction(parents: parents, numChildren: 0, agent: agent, patches: patches))
            lengths[agent].append(sections[agent].count)
            indices[agent].append(transactions.count - 1)
            seen[agent][agent] = lengths[agent].count - 1
        }
        let end = sections.reduce("|") { $0 + Self.string($1) + "|" }
        return EditingTrace(kind: "concurrent", endContent: end, numAgents: agents, txns: transactions)
    }

    /// The latest seen transaction of each author, without those that another one of them has among its parents.
    private func heads(_ seen: [Int], _ indices: [[Int]], _ transactions: [EditingTrace.Transaction]) -> [Int] {
        let latest = Set(seen.indices.map { indices[$0][seen[$0]] })
        let covered = Set(latest.flatMap { transactions[$0].parents ?? [] })
        let heads = latest.subtracting(covered).subtracting([0])
        return heads.isEmpty ? [0] : heads.sorted()
    }

    private static func string(_ scalars: [Unicode.Scalar]) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}
