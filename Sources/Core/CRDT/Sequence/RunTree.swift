// SPDX-License-Identifier: Apache-2.0

/// Where an element is: the n-th of a block.
struct Place: Sendable {
    var block: UInt32
    var offset: Int
}

/// The elements whose place is known, as a tree in the sense of Fugue: each hangs left or right of the element next to which it was
/// inserted, and the list is the tree read from left to right. Blocks keep runs of elements together.
///
/// The order is a function of the set of elements alone, whatever the order in which they came: that is why replicas agree.
struct RunTree<Element: ListElement>: Sendable {
    var blocks: [Block]
    var order: OrderIndex
    var stores: [SiteStore<Element>] = []
    /// Sites in their order, with their index in `stores`.
    private var sites: [(site: SiteID, index: UInt32)] = []
    var freed: [UInt32] = []
    /// A wrapping sum over the visible elements.
    var digest: UInt64 = 0
    /// What visible elements take beside their inline size.
    var heapBytes = 0

    init() {
        blocks = [
            Block(
                start: 0, site: Block.none, length: 0, parent: Block.none, removalSite: Block.none, side: .right, isLive: true, removal: 0)
        ]
        order = OrderIndex(first: Block.root)
    }

    var count: Int { order.total }

    var placeholderCount: Int { blocks.count { !$0.isLive && $0.length > 0 } }
    var blockCount: Int { blocks.count - freed.count - 1 }

    var memoryBytes: Int {
        let content = order.total * MemoryLayout<Element>.stride + heapBytes
        return stores.reduce(content + order.memoryBytes + blocks.count * MemoryLayout<Block>.stride) { $0 + $1.memoryBytes }
    }

    // MARK: Sites

    func siteIndex(_ site: SiteID) -> UInt32? {
        let index = sitePosition(site)
        return index < sites.count && sites[index].site == site ? sites[index].index : nil
    }

    private func sitePosition(_ site: SiteID) -> Int { sites.partitioningIndex { $0.site >= site } }

    mutating func makeSiteIndex(_ site: SiteID) -> UInt32 {
        let position = sitePosition(site)
        if position < sites.count, sites[position].site == site { return sites[position].index }
        let index = UInt32(stores.count)
        stores.append(SiteStore(site: site))
        sites.insert((site, index), at: position)
        return index
    }

    /// The dot of the block's first element; for the root, the beginning of the list.
    func dot(_ block: UInt32, at offset: Int = 0) -> Dot {
        block == Block.root
            ? Run<Element>.beginning
            : Dot(site: stores[Int(blocks[Int(block)].site)].site, sequence: blocks[Int(block)].start + UInt64(offset))
    }

    /// The element at which the block hangs.
    func parentDot(_ block: UInt32) -> Dot {
        let parent = blocks[Int(block)].parent
        let offset = blocks[Int(block)].side == .left ? 0 : max(0, Int(blocks[Int(parent)].length) - 1)
        return dot(parent, at: offset)
    }

    func fate(_ block: UInt32) -> Fate {
        let block = blocks[Int(block)]
        if block.isLive { return .live }
        return block.removalSite == Block.none
            ? .gone : .removed(by: Dot(site: stores[Int(block.removalSite)].site, sequence: block.removal))
    }

    mutating func setFate(_ fate: Fate, of block: UInt32) {
        switch fate {
        case .live: blocks[Int(block)].isLive = true
        case .gone:
            blocks[Int(block)].isLive = false
            blocks[Int(block)].removalSite = Block.none
        case .removed(let dot):
            blocks[Int(block)].isLive = false
            blocks[Int(block)].removalSite = makeSiteIndex(dot.site)
            blocks[Int(block)].removal = dot.sequence
        }
    }

    // MARK: Looking up

    func locate(_ dot: Dot) -> Place? {
        if dot.sequence == 0 { return Place(block: Block.root, offset: 0) }
        guard let site = siteIndex(dot.site) else { return nil }
        return locate(site, dot.sequence)
    }

    func locate(_ site: UInt32, _ sequence: UInt64) -> Place? {
        let id = stores[Int(site)].block(at: sequence)
        guard id != Block.none else { return nil }
        // Where no block is, the store may name one that is gone, and whose number another one has now.
        let block = blocks[Int(id)]
        guard block.site == site, block.start <= sequence, sequence < block.end else { return nil }
        return Place(block: id, offset: Int(sequence - block.start))
    }

    /// The place of the visible element at a position.
    func place(at position: Int) -> Place {
        let found = order.find(position)
        return Place(block: found.block, offset: found.offset)
    }

    subscript(position: Int) -> Element {
        let found = order.find(position)
        let block = blocks[Int(found.block)]
        return stores[Int(block.site)][block.start + UInt64(found.offset)]
    }

    /// Calls with the visible content of a range of positions, in order, some elements at a time.
    func forEachSlice(_ range: Range<Int>, _ body: (ArraySlice<Element>) -> Void) {
        guard !range.isEmpty else { return }
        var (id, offset) = order.find(range.lowerBound)
        var rest = range.count
        while rest > 0 {
            let block = blocks[Int(id)]
            if block.isLive, block.length > 0 {
                let taken = min(rest, Int(block.length) - offset)
                stores[Int(block.site)].forEachSlice(block.start + UInt64(offset)..<block.start + UInt64(offset + taken), body)
                rest -= taken
            }
            offset = 0
            if rest > 0 { id = order.next(id) }
        }
    }

    // MARK: Growing

    mutating func makeBlock(_ block: Block) -> UInt32 {
        if let id = freed.popLast() {
            blocks[Int(id)] = block
            return id
        }
        blocks.append(block)
        return UInt32(blocks.count - 1)
    }

    /// Gives a block's number back.
    mutating func release(_ id: UInt32) {
        blocks[Int(id)].isLive = true
        blocks[Int(id)].length = 0
        freed.append(id)
    }

    func precedes(_ left: UInt32, _ right: UInt32) -> Bool { dot(left) < dot(right) }

    /// The first block of the part of the tree below `block`.
    func leftmost(_ block: UInt32) -> UInt32 {
        var block = block
        while blocks[Int(block)].firstLeft != Block.none { block = blocks[Int(block)].firstLeft }
        return block
    }

    /// The last block of the part of the tree below `block`.
    private func rightmost(_ block: UInt32) -> UInt32 {
        var block = block
        while blocks[Int(block)].firstRight != Block.none {
            block = blocks[Int(block)].firstRight
            while blocks[Int(block)].nextSibling != Block.none { block = blocks[Int(block)].nextSibling }
        }
        return block
    }

    /// Hangs a block to its parent, among its siblings, and puts it into the order. Siblings are there only where sites wrote at one
    /// place at the same time; only then does this take longer than O(log n), by the depth of the sibling.
    mutating func attach(_ id: UInt32) {
        let parent = blocks[Int(id)].parent
        let side = blocks[Int(id)].side
        var previous = Block.none
        var next = side == .left ? blocks[Int(parent)].firstLeft : blocks[Int(parent)].firstRight
        while next != Block.none, precedes(next, id) {
            previous = next
            next = blocks[Int(next)].nextSibling
        }
        blocks[Int(id)].nextSibling = next
        if previous != Block.none {
            blocks[Int(previous)].nextSibling = id
        } else if side == .left {
            blocks[Int(parent)].firstLeft = id
        } else {
            blocks[Int(parent)].firstRight = id
        }
        let weight = blocks[Int(id)].weight
        if next != Block.none {
            order.insert(id, weight: weight, before: leftmost(next))
        } else if side == .left {
            order.insert(id, weight: weight, before: parent)
        } else {
            order.insert(id, weight: weight, after: previous == Block.none ? parent : rightmost(previous))
        }
    }

    /// Places elements whose parent is placed. Their dots must be new to the tree.
    mutating func place(
        _ site: UInt32, _ range: Range<UInt64>, below parent: Place, _ side: Side, _ fate: Fate, _ content: ArraySlice<Element>
    ) {
        var home = parent.block
        if side == .right {
            let length = Int(blocks[Int(home)].length)
            if parent.offset + 1 < length {
                home = split(home, at: parent.offset + 1).left
            } else if extend(home, site, range, fate) {
                keep(content, of: site, range, fate)
                return
            }
        } else if parent.offset > 0 {
            home = split(home, at: parent.offset).right
        }
        let id = makeBlock(
            Block(
                start: range.lowerBound, site: site, length: UInt32(range.upperBound - range.lowerBound), parent: home,
                removalSite: Block.none, side: side, isLive: fate.isLive, removal: 0))
        setFate(fate, of: id)
        attach(id)
        stores[Int(site)].assign(id, range)
        keep(content, of: site, range, fate)
    }

    /// Lets a block grow by elements that were inserted right behind its last.
    private mutating func extend(_ id: UInt32, _ site: UInt32, _ range: Range<UInt64>, _ other: Fate) -> Bool {
        guard blocks[Int(id)].site == site, blocks[Int(id)].end == range.lowerBound, blocks[Int(id)].firstRight == Block.none,
            blocks[Int(id)].isLive == other.isLive, Int(blocks[Int(id)].length) + range.count <= Block.lengthMax
        else { return false }
        if !other.isLive {
            guard let both = fate(id).joined(other) else { return false }
            setFate(both, of: id)
        }
        blocks[Int(id)].length += UInt32(range.upperBound - range.lowerBound)
        stores[Int(site)].cover(id, behind: range.lowerBound - 1, to: range.upperBound)
        if other.isLive { order.add(Int(range.upperBound - range.lowerBound), to: id) }
        return true
    }

    private mutating func keep(_ content: ArraySlice<Element>, of site: UInt32, _ range: Range<UInt64>, _ fate: Fate) {
        guard fate.isLive else { return }
        var sequence = range.lowerBound
        for element in content {
            stores[Int(site)].put(element, at: sequence)
            digest &+= hash(element, site, sequence)
            heapBytes += element.heapBytes
            sequence += 1
        }
    }

    func hash(_ element: Element, _ site: UInt32, _ sequence: UInt64) -> UInt64 {
        Mixing.hash(stores[Int(site)].site.rawValue, sequence, seed: Mixing.finish(element.digest))
    }

    // MARK: Writing

    /// Inserts elements of one's own in front of a position; where they hang.
    ///
    /// They hang right of the element before them, or, if something hangs there already, left of the element behind them: whoever
    /// writes forwards or backwards stays together, whatever others write at the same place.
    mutating func insert(_ content: ArraySlice<Element>, at position: Int, _ site: UInt32, _ range: Range<UInt64>) -> Anchor {
        let left = position == 0 ? Place(block: Block.root, offset: 0) : place(at: position - 1)
        let block = blocks[Int(left.block)]
        if left.offset + 1 < Int(block.length) {
            let right = Place(block: left.block, offset: left.offset + 1)
            let anchor = Anchor(dot: dot(right.block, at: right.offset), side: .left, removed: nil)
            place(site, range, below: right, .left, .live, content)
            return anchor
        }
        if block.firstRight == Block.none {
            let anchor = Anchor(dot: dot(left.block, at: left.offset), side: .right, removed: nil)
            place(site, range, below: left, .right, .live, content)
            return anchor
        }
        let next = order.next(left.block)
        place(site, range, below: Place(block: next, offset: 0), .left, .live, content)
        return Anchor(dot: dot(next), side: .left, removed: blocks[Int(next)].isLive ? nil : next)
    }
}

/// Where new elements hang.
struct Anchor {
    var dot: Dot
    var side: Side
    /// The parent's block, if the parent is removed.
    var removed: UInt32?
}
