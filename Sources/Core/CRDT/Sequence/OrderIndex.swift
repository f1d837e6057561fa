// SPDX-License-Identifier: Apache-2.0

/// The order of a list's blocks: a tree of nodes with up to 32 slots that knows how many visible elements each slot holds.
///
/// It finds the block at a position and the position of a block in O(log n). Blocks are numbers; the node that holds a block is remembered
/// per block, so that no search by content is needed. All nodes live in flat arrays, without an allocation each.
struct OrderIndex: Sendable {
    static let none = UInt32.max
    /// Slots of a node: so wide that a million blocks are four levels, so narrow that a shift inside a node is a cache line or two.
    static let fanout = 32

    /// What node `k` holds is at `k * fanout`: blocks in a leaf, nodes in an inner node.
    private var slots: [UInt32] = []
    private var weights: [UInt32] = []
    private var counts: [UInt8] = []
    private var heights: [UInt8] = []
    private var parents: [UInt32] = []
    /// Neighbours of a leaf.
    private var following: [UInt32] = []
    private var preceding: [UInt32] = []
    private var freed: [UInt32] = []
    private var root: UInt32 = 0
    /// The leaf of each block.
    private var leafOf: [UInt32] = []
    /// Number of visible elements.
    private(set) var total = 0

    /// Begins with one block, of no elements.
    init(first block: UInt32) {
        root = makeNode(height: 0)
        slots[Int(root) * Self.fanout] = block
        counts[Int(root)] = 1
        remember(block, in: root)
    }

    var memoryBytes: Int { slots.count * 8 + counts.count * 14 + leafOf.count * 4 }

    // MARK: Looking up

    /// The block that holds the visible element `offset`, and how many elements of the block come before it.
    func find(_ offset: Int) -> (block: UInt32, offset: Int) {
        var node = Int(root)
        var rest = UInt32(offset)
        while true {
            var slot = node * Self.fanout
            while rest >= weights[slot] {
                rest -= weights[slot]
                slot += 1
            }
            if heights[node] == 0 { return (slots[slot], Int(rest)) }
            node = Int(slots[slot])
        }
    }

    /// How many visible elements come before the block.
    func position(of block: UInt32) -> Int {
        var node = leafOf[Int(block)]
        var child = block
        var sum = 0
        while true {
            var slot = Int(node) * Self.fanout
            while slots[slot] != child {
                sum += Int(weights[slot])
                slot += 1
            }
            child = node
            node = parents[Int(node)]
            if node == Self.none { return sum }
        }
    }

    func next(_ block: UInt32) -> UInt32 {
        let leaf = leafOf[Int(block)]
        let slot = slotOf(block, in: leaf) + 1
        if slot < Int(counts[Int(leaf)]) { return slots[Int(leaf) * Self.fanout + slot] }
        let after = following[Int(leaf)]
        return after == Self.none ? Self.none : slots[Int(after) * Self.fanout]
    }

    func previous(_ block: UInt32) -> UInt32 {
        let leaf = leafOf[Int(block)]
        let slot = slotOf(block, in: leaf)
        if slot > 0 { return slots[Int(leaf) * Self.fanout + slot - 1] }
        let before = preceding[Int(leaf)]
        return before == Self.none ? Self.none : slots[Int(before) * Self.fanout + Int(counts[Int(before)]) - 1]
    }

    private func slotOf(_ child: UInt32, in node: UInt32) -> Int {
        let base = Int(node) * Self.fanout
        var slot = base
        while slots[slot] != child { slot += 1 }
        return slot - base
    }

    // MARK: Changing

    mutating func insert(_ block: UInt32, weight: Int, after other: UInt32) {
        let leaf = leafOf[Int(other)]
        insert(block, weight: weight, into: leaf, at: slotOf(other, in: leaf) + 1)
    }

    mutating func insert(_ block: UInt32, weight: Int, before other: UInt32) {
        let leaf = leafOf[Int(other)]
        insert(block, weight: weight, into: leaf, at: slotOf(other, in: leaf))
    }

    private mutating func insert(_ block: UInt32, weight: Int, into leaf: UInt32, at slot: Int) {
        let home = put(block, into: leaf, at: slot)
        remember(block, in: home)
        if weight > 0 { add(weight, to: block) }
    }

    /// Changes the number of visible elements of a block.
    mutating func add(_ difference: Int, to block: UInt32) {
        total += difference
        climb(from: leafOf[Int(block)], child: block, adding: difference)
    }

    private mutating func climb(from start: UInt32, child block: UInt32, adding difference: Int) {
        var node = start
        var child = block
        while node != Self.none {
            let slot = Int(node) * Self.fanout + slotOf(child, in: node)
            weights[slot] = UInt32(Int(weights[slot]) + difference)
            child = node
            node = parents[Int(node)]
        }
    }

    /// Takes a block out. A node that becomes empty goes with it; nodes are not joined, since lists grow again where they shrank.
    mutating func remove(_ block: UInt32) {
        let leaf = leafOf[Int(block)]
        let weight = Int(weights[Int(leaf) * Self.fanout + slotOf(block, in: leaf)])
        if weight > 0 { add(-weight, to: block) }
        leafOf[Int(block)] = Self.none
        var node = leaf
        var child = block
        while true {
            take(slotOf(child, in: node), from: node)
            let parent = parents[Int(node)]
            guard counts[Int(node)] == 0, parent != Self.none else { return }
            if heights[Int(node)] == 0 { unlink(node) }
            freed.append(node)
            child = node
            node = parent
        }
    }

    // MARK: Nodes

    private mutating func remember(_ block: UInt32, in leaf: UInt32) {
        while leafOf.count <= Int(block) { leafOf.append(Self.none) }
        leafOf[Int(block)] = leaf
    }

    private mutating func makeNode(height: UInt8) -> UInt32 {
        if let node = freed.popLast() {
            counts[Int(node)] = 0
            heights[Int(node)] = height
            parents[Int(node)] = Self.none
            following[Int(node)] = Self.none
            preceding[Int(node)] = Self.none
            return node
        }
        slots.append(contentsOf: repeatElement(Self.none, count: Self.fanout))
        weights.append(contentsOf: repeatElement(0, count: Self.fanout))
        counts.append(0)
        heights.append(height)
        parents.append(Self.none)
        following.append(Self.none)
        preceding.append(Self.none)
        return UInt32(counts.count - 1)
    }

    private mutating func unlink(_ leaf: UInt32) {
        let before = preceding[Int(leaf)]
        let after = following[Int(leaf)]
        if before != Self.none { following[Int(before)] = after }
        if after != Self.none { preceding[Int(after)] = before }
    }

    private mutating func take(_ slot: Int, from node: UInt32) {
        let base = Int(node) * Self.fanout
        let count = Int(counts[Int(node)])
        for index in (base + slot)..<(base + count - 1) {
            slots[index] = slots[index + 1]
            weights[index] = weights[index + 1]
        }
        counts[Int(node)] -= 1
    }

    /// Puts a child of no weight into a node, which is split when it is full; the node that has it now.
    private mutating func put(_ child: UInt32, into node: UInt32, at slot: Int) -> UInt32 {
        var node = node
        var slot = slot
        if Int(counts[Int(node)]) == Self.fanout {
            let (right, kept) = split(node, appending: slot == Self.fanout && following[Int(node)] == Self.none)
            if slot > kept || kept == Self.fanout {
                slot -= kept
                node = right
            }
        }
        let base = Int(node) * Self.fanout
        var index = base + Int(counts[Int(node)])
        while index > base + slot {
            slots[index] = slots[index - 1]
            weights[index] = weights[index - 1]
            index -= 1
        }
        slots[base + slot] = child
        weights[base + slot] = 0
        counts[Int(node)] += 1
        return node
    }

    /// Splits a full node into two halves, or, where a list grows at its end, into the full one and an empty one.
    private mutating func split(_ node: UInt32, appending: Bool) -> (right: UInt32, kept: Int) {
        let height = heights[Int(node)]
        let right = makeNode(height: height)
        let kept = appending ? Self.fanout : Self.fanout / 2
        var moved: UInt32 = 0
        for slot in kept..<Self.fanout {
            let from = Int(node) * Self.fanout + slot
            let to = Int(right) * Self.fanout + slot - kept
            slots[to] = slots[from]
            weights[to] = weights[from]
            moved += weights[from]
            if height == 0 { leafOf[Int(slots[to])] = right } else { parents[Int(slots[to])] = right }
        }
        counts[Int(node)] = UInt8(kept)
        counts[Int(right)] = UInt8(Self.fanout - kept)
        if height == 0 {
            let after = following[Int(node)]
            following[Int(right)] = after
            preceding[Int(right)] = node
            following[Int(node)] = right
            if after != Self.none { preceding[Int(after)] = right }
        }
        hang(right, behind: node, moved: moved)
        return (right, kept)
    }

    /// Makes a new node the next child of its neighbour's parent; a new root where there was none.
    private mutating func hang(_ right: UInt32, behind node: UInt32, moved: UInt32) {
        var parent = parents[Int(node)]
        if parent == Self.none {
            parent = makeNode(height: heights[Int(node)] + 1)
            root = parent
            parents[Int(node)] = parent
            slots[Int(parent) * Self.fanout] = node
            weights[Int(parent) * Self.fanout] = UInt32(total)
            counts[Int(parent)] = 1
        }
        parents[Int(right)] = put(right, into: parent, at: slotOf(node, in: parent) + 1)
        climb(from: parents[Int(node)], child: node, adding: -Int(moved))
        climb(from: parents[Int(right)], child: right, adding: Int(moved))
    }
}
