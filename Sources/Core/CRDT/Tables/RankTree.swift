// SPDX-License-Identifier: Apache-2.0

/// The elements of a scored set in the order of (score, element): a B+ tree whose inner nodes know how many elements lie below them.
///
/// Insert, remove, rank and the element at a rank are O(log n); a range is O(log n) and its length. About 36 bytes per element.
struct RankTree: Sendable {
    struct Item: Sendable, Comparable {
        let score: Double
        let element: Bytes

        static func < (left: Item, right: Item) -> Bool {
            left.score == right.score ? left.element < right.element : left.score < right.score
        }
    }

    /// A leaf has items, an inner node children: for each the smallest item at the time of its making, where it is, and its size.
    private struct Node: Sendable {
        var items: [Item] = []
        var children: [UInt32] = []
        var counts: [Int] = []
    }

    /// Most entries of a node: a node is a few cache lines to search and to move.
    private static let fanout = 48

    private var nodes: [Node] = [Node()]
    private var free: [UInt32] = []
    private var root = 0
    private(set) var count = 0

    /// The first index of `list` whose item is greater than `item`.
    private static func upperBound(_ list: [Item], _ item: Item) -> Int { list.partitioningIndex { item < $0 } }

    /// Which child of an inner node holds the item, if any does.
    private static func child(_ node: Node, _ item: Item) -> Int { max(0, upperBound(node.items, item) - 1) }

    // MARK: Reading

    /// How many items lie before the first one for which `isBefore` is false; it must be true for a prefix of all items.
    func count(where isBefore: (Item) -> Bool) -> Int {
        var node = root
        var total = 0
        while !nodes[node].children.isEmpty {
            // The last child whose separator is before holds the border.
            let child = max(0, nodes[node].items.partitioningIndex { !isBefore($0) } - 1)
            for index in 0..<child { total += nodes[node].counts[index] }
            node = Int(nodes[node].children[child])
        }
        return total + nodes[node].items.partitioningIndex { !isBefore($0) }
    }

    /// How many items are smaller.
    func rank(of item: Item) -> Int { count { $0 < item } }

    /// Calls for the items at the ranks, in order.
    func forEach(in ranks: Range<Int>, _ body: (Item) -> Void) {
        let clamped = ranks.clamped(to: 0..<count)
        if !clamped.isEmpty { visit(root, clamped, body) }
    }

    private func visit(_ node: Int, _ ranks: Range<Int>, _ body: (Item) -> Void) {
        if nodes[node].children.isEmpty {
            for index in ranks { body(nodes[node].items[index]) }
            return
        }
        var start = 0
        for index in nodes[node].children.indices {
            let end = start + nodes[node].counts[index]
            if end > ranks.lowerBound {
                let part = ranks.clamped(to: start..<end)
                if !part.isEmpty { visit(Int(nodes[node].children[index]), (part.lowerBound - start)..<(part.upperBound - start), body) }
            }
            start = end
            if start >= ranks.upperBound { return }
        }
    }

    // MARK: Writing

    /// Inserts an item that is not there.
    mutating func insert(_ item: Item) {
        count += 1
        guard let (sibling, smallest, size) = insert(item, into: root) else { return }
        let old = root
        let first = nodes[old].items.first ?? smallest
        var node = Node()
        node.items = [first, smallest]
        node.children = [UInt32(old), UInt32(sibling)]
        node.counts = [count - size, size]
        root = make(node)
    }

    private mutating func make(_ node: Node) -> Int {
        if let index = free.popLast() {
            nodes[Int(index)] = node
            return Int(index)
        }
        nodes.append(node)
        return nodes.count - 1
    }

    /// Inserts below the node; returns the sibling to its right if it was split, with that one's smallest item and size.
    private mutating func insert(_ item: Item, into node: Int) -> (node: Int, smallest: Item, size: Int)? {
        if nodes[node].children.isEmpty {
            let index = Self.upperBound(nodes[node].items, item)
            nodes[node].items.insert(item, at: index)
            // Ascending insertion leaves full leaves behind instead of half empty ones.
            return nodes[node].items.count > Self.fanout ? split(node, at: index == Self.fanout ? Self.fanout : Self.fanout / 2) : nil
        }
        let index = Self.child(nodes[node], item)
        nodes[node].counts[index] += 1
        guard let (sibling, smallest, size) = insert(item, into: Int(nodes[node].children[index])) else { return nil }
        nodes[node].counts[index] -= size
        nodes[node].items.insert(smallest, at: index + 1)
        nodes[node].children.insert(UInt32(sibling), at: index + 1)
        nodes[node].counts.insert(size, at: index + 1)
        return nodes[node].children.count > Self.fanout ? split(node, at: Self.fanout / 2) : nil
    }

    private mutating func split(_ node: Int, at index: Int) -> (node: Int, smallest: Item, size: Int) {
        var sibling = Node()
        sibling.items.reserveCapacity(Self.fanout + 1)
        sibling.items.append(contentsOf: nodes[node].items[index...])
        nodes[node].items.removeSubrange(index...)
        var size = sibling.items.count
        if !nodes[node].children.isEmpty {
            sibling.children = Array(nodes[node].children[index...])
            sibling.counts = Array(nodes[node].counts[index...])
            nodes[node].children.removeSubrange(index...)
            nodes[node].counts.removeSubrange(index...)
            size = sibling.counts.reduce(0, +)
        }
        let smallest = sibling.items[0]
        return (make(sibling), smallest, size)
    }

    /// Removes an item that is there.
    mutating func remove(_ item: Item) {
        guard remove(item, from: root) else { return }
        count -= 1
        while nodes[root].children.count == 1 {
            let child = Int(nodes[root].children[0])
            release(root)
            root = child
        }
    }

    private mutating func release(_ node: Int) {
        nodes[node] = Node()
        free.append(UInt32(node))
    }

    private mutating func remove(_ item: Item, from node: Int) -> Bool {
        if nodes[node].children.isEmpty {
            let index = Self.upperBound(nodes[node].items, item) - 1
            guard index >= 0, nodes[node].items[index] == item else { return false }
            nodes[node].items.remove(at: index)
            return true
        }
        let index = Self.child(nodes[node], item)
        guard remove(item, from: Int(nodes[node].children[index])) else { return false }
        nodes[node].counts[index] -= 1
        balance(node, index)
        return true
    }

    private func width(_ node: UInt32) -> Int {
        nodes[Int(node)].children.isEmpty ? nodes[Int(node)].items.count : nodes[Int(node)].children.count
    }

    /// Joins a child with a neighbour where both together fill no more than two thirds of a node.
    private mutating func balance(_ node: Int, _ index: Int) {
        guard width(nodes[node].children[index]) <= Self.fanout / 3 else { return }
        for left in [index, index - 1] where left >= 0 && left + 1 < nodes[node].children.count {
            let target = Int(nodes[node].children[left])
            let source = Int(nodes[node].children[left + 1])
            guard width(UInt32(target)) + width(UInt32(source)) <= Self.fanout * 2 / 3 else { continue }
            var moved = nodes[source]
            // The first separator of a node is never looked at and may be out of date; now it will be.
            if !moved.children.isEmpty { moved.items[0] = nodes[node].items[left + 1] }
            release(source)
            nodes[target].items += moved.items
            nodes[target].children += moved.children
            nodes[target].counts += moved.counts
            nodes[node].counts[left] += nodes[node].counts[left + 1]
            nodes[node].items.remove(at: left + 1)
            nodes[node].children.remove(at: left + 1)
            nodes[node].counts.remove(at: left + 1)
            return
        }
        // Neighbours that are too full to be joined stay; an empty node goes.
        if width(nodes[node].children[index]) == 0, nodes[node].children.count > 1 {
            release(Int(nodes[node].children[index]))
            nodes[node].items.remove(at: index)
            nodes[node].children.remove(at: index)
            nodes[node].counts.remove(at: index)
        }
    }

    var memoryBytes: Int {
        nodes.reduce(nodes.capacity * MemoryLayout<Node>.stride) {
            $0 + $1.items.capacity * MemoryLayout<Item>.stride + $1.children.capacity * 4 + $1.counts.capacity * 8 + Bytes.arrayHeaderBytes
        }
    }
}
