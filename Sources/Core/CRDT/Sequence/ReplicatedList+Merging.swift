// SPDX-License-Identifier: Apache-2.0

extension ReplicatedList {
    /// Joins another list, or a delta, to this one. Deltas may come in any order, twice, or never: what hangs on something unknown waits
    /// for it, and a later state or delta brings what was lost. O(log n) per block of a delta; O(n) for a list.
    @specialized(where Element == Bytes)
    public mutating func merge(_ other: ReplicatedList) {
        if other.isBottom { return }
        if isBottom, !other.isDelta {
            self = other
        } else if isDelta, !other.isDelta {
            let delta = self
            self = other
            apply(delta)
        } else {
            apply(other)
        }
    }

    private mutating func apply(_ other: ReplicatedList) {
        var placed = CausalContext()
        let mayHaveForgotten = !other.collected.isEmpty
        if mayHaveForgotten { removeWhatIsGone(from: other) }
        for removal in other.removals.entries { remove(removal.site, removal.start..<removal.end, removal.fate) }
        for run in other.pending.runs { take(run, &placed) }
        other.storage?.tree.forEachRun { take($0, &placed) }
        let before = context
        context.merge(other.context)
        if mayHaveForgotten { collected.merge(other.collected) }
        if !collected.isEmpty { forgetAgain(placed, knownBefore: before) }
        // An old copy may list removed elements below ones that are forgotten: nothing will ever hang at them.
        if !collected.isEmpty, !pending.isEmpty, pending.runs.allSatisfy({ !$0.fate.isLive && $0.end - 1 <= collected[$0.site] }) {
            pending = PendingRuns()
            waiters = Waiters()
        }
    }

    // MARK: Removing

    /// Removes elements by their dots; those that are not here yet are noted.
    private mutating func remove(_ site: SiteID, _ range: Range<UInt64>, _ fate: Fate) {
        var unplaced: [Range<UInt64>] = []
        forEachPlace(of: site, range) { part, place in
            if place == nil { unplaced.append(part) }
        }
        if unplaced != [range] { removePlaced(site, range, fate) }
        for part in unplaced {
            if !pending.isEmpty { pending.remove(site, part, fate) }
            var missing: [Range<UInt64>] = []
            context.forEachPart(of: site, part) { part, isKnown in
                if !isKnown { missing.append(part) }
            }
            for part in missing { removals.insert(site, part, fate) }
        }
    }

    private mutating func removePlaced(_ site: SiteID, _ range: Range<UInt64>, _ fate: Fate) {
        guard let index = storage?.tree.siteIndex(site) else { return }
        withTree { tree in
            var sequence = range.lowerBound
            while sequence < range.upperBound {
                guard let place = tree.locate(index, sequence) else {
                    sequence = tree.stores[Int(index)].firstStart(in: sequence..<range.upperBound)
                    continue
                }
                let block = tree.blocks[Int(place.block)]
                let end = min(block.end, range.upperBound)
                if block.isLive {
                    tree.joinNeighbours(tree.remove(place.block, place.offset..<place.offset + Int(end - sequence), fate))
                }
                sequence = end
            }
        }
    }

    /// Removes what `other` has seen, has forgotten, and therefore does not list.
    private mutating func removeWhatIsGone(from other: ReplicatedList) {
        var gone: [(SiteID, Range<UInt64>)] = []
        func note(_ run: Run<Element>) {
            guard run.fate.isLive else { return }
            let stable = run.start..<max(run.start, min(run.end, other.collected[run.site] + 1))
            other.context.forEachPart(of: run.site, stable) { part, isKnown in
                guard isKnown else { return }
                other.forEachPlace(of: run.site, part) { part, place in
                    guard place == nil else { return }
                    other.pending.runs.forEachPart(of: run.site, part) { part, fate in
                        if fate == nil { gone.append((run.site, part)) }
                    }
                }
            }
        }
        storage?.tree.forEachRun(note)
        for run in pending.runs { note(run) }
        for (site, part) in gone { remove(site, part, .gone) }
    }

    // MARK: Adding

    /// Splits a range of dots into parts that are placed, with the place of the first, and parts that are not.
    func forEachPlace(of site: SiteID, _ range: Range<UInt64>, _ body: (Range<UInt64>, Place?) -> Void) {
        // The tree is read where it lies: a copy of it, though shared, costs more than what is looked up.
        guard let storage, let index = storage.tree.siteIndex(site) else { return body(range, nil) }
        var sequence = range.lowerBound
        while sequence < range.upperBound {
            let place = storage.tree.locate(index, sequence)
            let end: UInt64
            if let place {
                end = min(storage.tree.blocks[Int(place.block)].end, range.upperBound)
            } else {
                end = storage.tree.stores[Int(index)].firstStart(in: sequence..<range.upperBound)
            }
            body(sequence..<end, place)
            sequence = end
        }
    }

    /// Takes a run of another list: what is known already may have been removed, what is new is placed or waits.
    private mutating func take(_ run: Run<Element>, _ placed: inout CausalContext) {
        guard context.intersects(run.site, run.range) else { return add(run, &placed) }
        if !run.fate.isLive { remove(run.site, run.range, run.fate) }
        var unplaced: [Range<UInt64>] = []
        forEachPlace(of: run.site, run.range) { part, place in
            if place == nil { unplaced.append(part) }
        }
        var new: [Run<Element>] = []
        for part in unplaced {
            pending.runs.forEachPart(of: run.site, part) { part, fate in
                guard fate == nil else { return }
                context.forEachPart(of: run.site, part) { part, isKnown in
                    guard isKnown else { return new.append(run.part(part)) }
                    // Known, but not here: it was removed before it came, or forgotten.
                    removals.entries.forEachPart(of: run.site, part) { part, fate in
                        new.append(run.part(part, fate: fate ?? (run.fate.isLive ? .gone : run.fate)))
                    }
                }
            }
        }
        for run in new { add(run, &placed) }
    }

    /// Takes a run from an encoding: of dots that come twice, the first counts.
    mutating func receive(_ run: Run<Element>) {
        var placed = CausalContext()
        var new: [Range<UInt64>] = []
        forEachPlace(of: run.site, run.range) { part, place in
            guard place == nil else { return }
            pending.runs.forEachPart(of: run.site, part) { part, fate in
                if fate == nil { new.append(part) }
            }
        }
        for part in new { add(run.part(part), &placed) }
    }

    /// Adds a run that is new here: to its place if the element at which it hangs has one, with all that waited for it.
    private mutating func add(_ run: Run<Element>, _ placed: inout CausalContext) {
        if !removals.isEmpty { removals.clear(run.site, run.range) }
        guard !isDelta, place(run, &placed) else { return wait(run) }
        guard !pending.isEmpty else { return }
        var done = [(run.site, run.range)]
        while let (site, range) = done.popLast() {
            var children = waiters.take(site, range)
            // What goes on behind a run of its own site is not among the waiters.
            children.append(Dot(site: site, sequence: range.upperBound))
            for child in children {
                guard let run = pending.take(child.site, child.sequence) else { continue }
                if place(run, &placed) { done.append((run.site, run.range)) } else { wait(run) }
            }
        }
    }

    private mutating func wait(_ run: Run<Element>) {
        if !isDelta, run.parent != Dot(site: run.site, sequence: run.start - 1) {
            waiters.insert(Dot(site: run.site, sequence: run.start), waitingFor: run.parent)
        }
        pending.insert(run)
    }

    private mutating func place(_ run: Run<Element>, _ placed: inout CausalContext) -> Bool {
        let isPlaced = withTree { tree in
            guard let parent = tree.locate(run.parent) else { return false }
            tree.place(tree.makeSiteIndex(run.site), run.range, below: parent, run.side, run.fate, run.elements[...])
            return true
        }
        // Only asked for where something was forgotten before.
        if isPlaced, !collected.isEmpty { placed.insert(run.site, run.range) }
        return isPlaced
    }

    /// Forgets what was placed only because somebody else still has it.
    private mutating func forgetAgain(_ placed: CausalContext, knownBefore: CausalContext) {
        for span in placed.spans where knownBefore.intersects(span.site, span.first..<span.last + 1) {
            var ids: [UInt32] = []
            forEachPlace(of: span.site, span.first..<span.last + 1) { _, place in
                if let place { ids.append(place.block) }
            }
            let stable = collected
            withTree { tree in
                for id in ids.reversed() where tree.blocks[Int(id)].length > 0 { _ = tree.forget(id, stable: stable) }
            }
        }
    }
}
