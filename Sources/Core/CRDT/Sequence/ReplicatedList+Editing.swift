// SPDX-License-Identifier: Apache-2.0

extension ReplicatedList {
    /// How many removed blocks a delta repeats above what it inserts, for receivers that have forgotten them. Chains are that long only
    /// where somebody removed as often as he wrote; whoever needs more waits for the next exchange of states.
    static var placeholdersMax: Int { 64 }

    /// The name under which a site numbers its removals. Were they numbered with its inserts, each would end a run: a queue to which one
    /// site adds and from which it removes would have a block for each element.
    public static func remover(_ site: SiteID) -> SiteID { SiteID(rawValue: ~site.rawValue) }

    /// Inserts elements in front of a position, which is at most ``count``. Returns the delta. O(log n + length).
    @specialized(where Element == Bytes)
    public mutating func insert(_ elements: [Element], at position: Int, by site: SiteID) -> ReplicatedList {
        precondition(position >= 0 && position <= count, "the position is outside of the list")
        precondition(!isDelta, "a delta is merged into a list, not edited")
        guard !elements.isEmpty else { return ReplicatedList() }
        let start = context.last(of: site) + 1
        let range = start..<start + UInt64(elements.count)
        context.insert(site, range)
        let (anchor, chain) = withTree { tree in
            let anchor = tree.insert(elements[...], at: position, tree.makeSiteIndex(site), range)
            return (anchor, anchor.removed.map { tree.placeholders(from: $0, anchor.side, max: Self.placeholdersMax) } ?? [])
        }
        var delta = ReplicatedList()
        delta.isDelta = true
        delta.context.insert(site, range)
        delta.pending = PendingRuns(
            Run(
                site: site, start: start, length: elements.count, parent: anchor.dot, side: anchor.side, fate: .live, elements: elements))
        for run in chain {
            delta.context.insert(run.site, run.range)
            delta.pending.insert(run)
        }
        return delta
    }

    /// Inserts one element.
    @specialized(where Element == Bytes)
    public mutating func insert(_ element: Element, at position: Int, by site: SiteID) -> ReplicatedList {
        insert([element], at: position, by: site)
    }

    /// Puts elements behind all others.
    @specialized(where Element == Bytes)
    public mutating func append(_ elements: [Element], by site: SiteID) -> ReplicatedList { insert(elements, at: count, by: site) }

    /// Removes the elements at the positions, which must be there. Returns the delta. O((1 + blocks touched) log n + length).
    @specialized(where Element == Bytes)
    public mutating func remove(_ range: Range<Int>, by site: SiteID) -> ReplicatedList {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "the positions are outside of the list")
        guard !range.isEmpty else { return ReplicatedList() }
        var delta = ReplicatedList()
        delta.isDelta = true
        let dot = context.next(for: Self.remover(site))
        delta.context.insert(dot)
        withTree { tree in
            var rest = range.count
            while rest > 0 {
                let place = tree.place(at: range.lowerBound)
                let taken = min(rest, Int(tree.blocks[Int(place.block)].length) - place.offset)
                let removed = tree.dot(place.block, at: place.offset)
                let id = tree.remove(place.block, place.offset..<place.offset + taken, .removed(by: dot))
                tree.joinNeighbours(id)
                let dots = removed.sequence..<removed.sequence + UInt64(taken)
                delta.context.insert(removed.site, dots)
                delta.removals.insert(removed.site, dots, .removed(by: dot))
                rest -= taken
            }
        }
        return delta
    }

    /// Replaces the elements at the positions by others, which may be more or fewer. Returns the delta.
    @specialized(where Element == Bytes)
    public mutating func replace(_ range: Range<Int>, with elements: [Element], by site: SiteID) -> ReplicatedList {
        // First the new ones, behind the old: whoever reads between the two merges sees no gap.
        var delta = insert(elements, at: range.upperBound, by: site)
        delta.join(remove(range, by: site))
        return delta
    }

    /// Sets the element at a position: the old one is removed, the new one inserted at its place. Two sites that set one position at the
    /// same time leave two elements there.
    @specialized(where Element == Bytes)
    public mutating func set(_ element: Element, at position: Int, by site: SiteID) -> ReplicatedList {
        replace(position..<position + 1, with: [element], by: site)
    }

    /// Removes all elements.
    public mutating func removeAll(by site: SiteID) -> ReplicatedList { remove(0..<count, by: site) }

    /// Adds a delta to deltas collected before. Unlike ``merge(_:)``, a bottom stays a delta by it.
    @specialized(where Element == Bytes)
    public mutating func join(_ delta: ReplicatedList) {
        if isBottom, delta.isDelta { self = delta } else { merge(delta) }
    }
}
