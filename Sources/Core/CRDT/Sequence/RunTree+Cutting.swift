// SPDX-License-Identifier: Apache-2.0

extension RunTree {
    /// Cuts a block in two. The longer part keeps its number, so that cutting a long run again and again costs O(log n) an element.
    mutating func split(_ id: UInt32, at offset: Int) -> (left: UInt32, right: UInt32) {
        let whole = blocks[Int(id)]
        let middle = whole.start + UInt64(offset)
        let tail = Int(whole.length) - offset
        let weight = whole.isLive ? 1 : 0
        let other = makeBlock(whole)
        let (left, right) = tail <= offset ? (id, other) : (other, id)
        blocks[Int(left)].length = UInt32(offset)
        blocks[Int(left)].firstRight = right
        blocks[Int(right)].start = middle
        blocks[Int(right)].length = UInt32(tail)
        blocks[Int(right)].parent = left
        blocks[Int(right)].side = .right
        blocks[Int(right)].firstLeft = Block.none
        blocks[Int(right)].nextSibling = Block.none
        if left == id {
            adopt(whole.firstRight, by: right)
            order.add(-tail * weight, to: id)
            order.insert(right, weight: tail * weight, after: left)
            stores[Int(whole.site)].assign(right, middle..<whole.end)
        } else {
            adopt(whole.firstLeft, by: left)
            replace(id, by: left, below: whole)
            order.add(-offset * weight, to: id)
            order.insert(left, weight: offset * weight, before: right)
            stores[Int(whole.site)].assign(left, whole.start..<middle)
            // The right part's own chunks name it already; it only begins anew.
            stores[Int(whole.site)].assign(right, middle..<middle + 1)
        }
        return (left, right)
    }

    /// Tells a list of siblings who their parent is.
    mutating func adopt(_ first: UInt32, by parent: UInt32) {
        var child = first
        while child != Block.none {
            blocks[Int(child)].parent = parent
            child = blocks[Int(child)].nextSibling
        }
    }

    /// Puts `new` where `old`, which was as `state` says, is among its siblings.
    mutating func replace(_ old: UInt32, by new: UInt32, below state: Block) {
        let parent = Int(state.parent)
        var child = state.side == .left ? blocks[parent].firstLeft : blocks[parent].firstRight
        if child == old {
            if state.side == .left { blocks[parent].firstLeft = new } else { blocks[parent].firstRight = new }
            return
        }
        while child != Block.none {
            if blocks[Int(child)].nextSibling == old {
                blocks[Int(child)].nextSibling = new
                return
            }
            child = blocks[Int(child)].nextSibling
        }
    }

    /// Joins a block with the one whose elements go on behind it, if nothing hangs between them and both had the same fate.
    @discardableResult
    mutating func join(_ left: UInt32, _ right: UInt32) -> Bool {
        guard left != Block.root, right != Block.none else { return false }
        let one = blocks[Int(left)]
        let two = blocks[Int(right)]
        guard two.parent == left, two.side == .right, two.site == one.site, two.start == one.end, one.firstRight == right,
            two.nextSibling == Block.none, two.firstLeft == Block.none, one.isLive == two.isLive, let both = fate(left).joined(fate(right)),
            Int(one.length) + Int(two.length) <= Block.lengthMax
        else { return false }
        let kept = one.length >= two.length ? left : right
        let dropped = kept == left ? right : left
        let weight = blocks[Int(dropped)].weight
        stores[Int(one.site)].clearStart(two.start)
        order.remove(dropped)
        order.add(weight, to: kept)
        blocks[Int(kept)].length = one.length + two.length
        if kept == left {
            blocks[Int(left)].firstRight = two.firstRight
            adopt(two.firstRight, by: left)
            stores[Int(one.site)].cover(left, behind: two.start - 1, to: two.end)
        } else {
            blocks[Int(right)].start = one.start
            blocks[Int(right)].parent = one.parent
            blocks[Int(right)].side = one.side
            blocks[Int(right)].firstLeft = one.firstLeft
            blocks[Int(right)].nextSibling = one.nextSibling
            adopt(one.firstLeft, by: right)
            replace(left, by: right, below: one)
            stores[Int(one.site)].assign(right, one.start..<two.start)
            // A chunk that begins with the second part was named by a start that is gone.
            stores[Int(one.site)].cover(right, behind: two.start - 1, to: two.start + 1)
        }
        setFate(both, of: kept)
        release(dropped)
        return true
    }

    // MARK: Removing

    /// Removes a part of a block, all of which is visible; its content is dropped. The block that holds the part now, and perhaps more.
    @discardableResult
    mutating func remove(_ id: UInt32, _ part: Range<Int>, _ fate: Fate) -> UInt32 {
        var id = id
        if part.upperBound < Int(blocks[Int(id)].length) { id = split(id, at: part.upperBound).left }
        if part.lowerBound > 0 { id = split(id, at: part.lowerBound).right }
        let block = blocks[Int(id)]
        var sequence = block.start
        var sum: UInt64 = 0
        var heap = 0
        stores[Int(block.site)].forEachSlice(block.range) { slice in
            for element in slice {
                sum &+= hash(element, block.site, sequence)
                heap += element.heapBytes
                sequence += 1
            }
        }
        digest &-= sum
        heapBytes -= heap
        stores[Int(block.site)].drop(block.range)
        order.add(-Int(block.length), to: id)
        setFate(fate, of: id)
        return id
    }

    /// Joins a block with its neighbours, as far as they go together.
    mutating func joinNeighbours(_ id: UInt32) {
        var id = id
        let parent = blocks[Int(id)].parent
        let start = blocks[Int(id)].start
        let site = blocks[Int(id)].site
        if join(parent, id), let place = locate(site, start) { id = place.block }
        join(id, blocks[Int(id)].firstRight)
    }

    // MARK: Forgetting

    /// Whether a removed block may be forgotten: nothing hangs at it, and everybody knows that it was there and was removed.
    private func isForgettable(_ id: UInt32, stable: VersionVector) -> Bool {
        let block = blocks[Int(id)]
        guard !block.isLive, block.firstLeft == Block.none, block.firstRight == Block.none,
            block.end - 1 <= stable[stores[Int(block.site)].site]
        else { return false }
        return block.removalSite == Block.none || block.removal <= stable[stores[Int(block.removalSite)].site]
    }

    /// Forgets a block and, if they were waiting for it, those it hung at. Returns how many were forgotten.
    mutating func forget(_ id: UInt32, stable: VersionVector) -> Int {
        var id = id
        var count = 0
        while id != Block.root, isForgettable(id, stable: stable) {
            let block = blocks[Int(id)]
            replace(id, by: block.nextSibling, below: block)
            order.remove(id)
            stores[Int(block.site)].clear(block.range)
            release(id)
            count += 1
            id = block.parent
        }
        return count
    }

    /// Forgets what may be forgotten and joins what lay beside it.
    mutating func collect(stable: VersionVector) -> Int {
        var count = 0
        for id in blocks.indices.dropFirst() where !blocks[id].isLive { count += forget(UInt32(id), stable: stable) }
        if count > 0 {
            for id in blocks.indices.dropFirst() where blocks[id].length > 0 { joinNeighbours(UInt32(id)) }
        }
        return count
    }
}
