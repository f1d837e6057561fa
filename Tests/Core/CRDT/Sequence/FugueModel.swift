// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT

/// The order of Fugue written as plainly as can be, to hold the real list against: a set of nodes, read as a tree from scratch each time.
///
/// A function of the set of operations alone: nodes whose parent is missing are not reached, removals of missing nodes wait.
struct FugueModel {
    struct Node {
        var dot: Dot
        var parent: Dot?
        var isLeft: Bool
        var scalar: Unicode.Scalar
    }

    enum Operation {
        case insert(Node)
        case remove(Dot)
    }

    private var nodes: [Dot: Node] = [:]
    private var removed: Set<Dot> = []
    private var counters: [SiteID: UInt64] = [:]

    /// All nodes that can be reached, in order, also the removed ones.
    var order: [Node] {
        var lefts: [Dot: [Node]] = [:]
        var rights: [Dot: [Node]] = [:]
        var first: [Node] = []
        for node in nodes.values.sorted(by: { $0.dot < $1.dot }) {
            if let parent = node.parent {
                if node.isLeft { lefts[parent, default: []].append(node) } else { rights[parent, default: []].append(node) }
            } else {
                first.append(node)
            }
        }
        enum Step {
            case enter(Node)
            case emit(Node)
        }
        var order: [Node] = []
        var steps: [Step] = first.reversed().map { .enter($0) }
        while let step = steps.popLast() {
            switch step {
            case .emit(let node): order.append(node)
            case .enter(let node):
                steps += (rights[node.dot] ?? []).reversed().map { .enter($0) }
                steps.append(.emit(node))
                steps += (lefts[node.dot] ?? []).reversed().map { .enter($0) }
            }
        }
        return order
    }

    var visible: [Node] { order.filter { !removed.contains($0.dot) } }

    var string: String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: visible.map(\.scalar))
        return String(view)
    }

    mutating func apply(_ operations: [Operation]) {
        for operation in operations {
            switch operation {
            case .insert(let node): nodes[node.dot] = node
            case .remove(let dot): removed.insert(dot)
            }
        }
    }

    mutating func merge(_ other: FugueModel) {
        nodes.merge(other.nodes) { mine, _ in mine }
        removed.formUnion(other.removed)
    }

    private mutating func nextDot(_ site: SiteID) -> Dot {
        counters[site, default: 0] += 1
        return Dot(site: site, sequence: counters[site] ?? 0)
    }

    mutating func insert(_ text: String, at position: Int, by site: SiteID) -> [Operation] {
        var operations: [Operation] = []
        for (index, scalar) in text.unicodeScalars.enumerated() {
            let node = place(scalar, at: position + index, nextDot(site))
            nodes[node.dot] = node
            operations += ancestors(of: node)
            operations.append(.insert(node))
        }
        return operations
    }

    /// The removed nodes above a new one: a delta repeats them, for those who have forgotten them.
    private func ancestors(of node: Node) -> [Operation] {
        var operations: [Operation] = []
        var parent = node.parent
        while let dot = parent, removed.contains(dot), let node = nodes[dot] {
            operations += [.insert(node), .remove(dot)]
            parent = node.parent
        }
        return operations
    }

    /// Fugue's rule: right of the element before, unless something hangs there; then left of the one that comes next, removed or not.
    private func place(_ scalar: Unicode.Scalar, at position: Int, _ dot: Dot) -> Node {
        let order = order
        var left: Dot?
        var behind = 0
        if position > 0 {
            var seen = 0
            for (index, node) in order.enumerated() where !removed.contains(node.dot) {
                seen += 1
                if seen == position {
                    left = node.dot
                    behind = index + 1
                    break
                }
            }
        }
        if order.contains(where: { $0.parent == left && !$0.isLeft }) {
            return Node(dot: dot, parent: order[behind].dot, isLeft: true, scalar: scalar)
        }
        return Node(dot: dot, parent: left, isLeft: false, scalar: scalar)
    }

    mutating func remove(_ range: Range<Int>, by site: SiteID) -> [Operation] {
        let operations = visible[range].map { Operation.remove($0.dot) }
        apply(operations)
        return operations
    }
}
