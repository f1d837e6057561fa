// SPDX-License-Identifier: Apache-2.0

extension ReplicatedList {
    /// What need not be sent to this list: its context, less what was lost and must come again.
    ///
    /// A removal that came before its element knows the dot and not the place; so does a run that waits for a forgotten element. Use this
    /// and not ``context`` to ask others for what is missing.
    public var known: CausalContext {
        if removals.isEmpty, pending.isEmpty { return context }
        var missing = CausalContext()
        for removal in removals.entries { missing.insert(removal.site, removal.start..<removal.end) }
        for run in pending.runs where run.parent.sequence > 0 && storage?.tree.locate(run.parent) == nil {
            let parent = run.parent
            pending.runs.forEachPart(of: parent.site, parent.sequence..<parent.sequence + 1) { part, fate in
                if fate == nil { missing.insert(parent.site, part) }
            }
        }
        return context.subtracting(missing)
    }

    /// A delta for somebody whose ``known`` is given: merging it does what merging this whole list would do. O(n).
    ///
    /// Whoever does not know all that ``collect(stable:)`` has forgotten here gets the whole list.
    @specialized(where Element == Bytes)
    public func delta(since known: CausalContext) -> ReplicatedList {
        guard !isDelta, collected.entries.allSatisfy({ known.covers(context, of: $0.site, upTo: $0.sequence) }) else { return self }
        var delta = ReplicatedList()
        delta.isDelta = true
        delta.context = context.subtracting(known)
        var runs: [Run<Element>] = []
        var repeated = CausalContext()
        func take(_ run: Run<Element>) {
            let isNews = Self.isNews(run.fate, to: known)
            known.forEachPart(of: run.site, run.range) { part, isKnown in
                if isKnown {
                    guard isNews else { return }
                    delta.removals.insert(run.site, part, run.fate)
                    delta.context.insert(run.site, part)
                } else {
                    let new = run.part(part)
                    runs.append(new)
                    if known.contains(new.parent) { repeatPlaceholders(above: new, known, into: &runs, &repeated) }
                }
            }
        }
        storage?.tree.forEachRun(take)
        for run in pending.runs { take(run) }
        for removal in removals.entries {
            delta.removals.insert(removal.site, removal.start..<removal.end, removal.fate)
            delta.context.insert(removal.site, removal.start..<removal.end)
        }
        delta.context.merge(repeated)
        delta.pending = PendingRuns(sorting: runs)
        return delta
    }

    private static func isNews(_ fate: Fate, to known: CausalContext) -> Bool {
        switch fate {
        case .live: false
        case .gone: true
        // A removal counts as known only if all before it are: a joined block names the latest of several.
        case .removed(let dot): known.prefix(of: dot.site) < dot.sequence
        }
    }

    /// Adds the removed elements above a run that a receiver may have forgotten.
    private func repeatPlaceholders(
        above new: Run<Element>, _ known: CausalContext, into runs: inout [Run<Element>], _ repeated: inout CausalContext
    ) {
        guard let tree = storage?.tree, let place = tree.locate(new.parent), !tree.blocks[Int(place.block)].isLive else { return }
        for run in tree.placeholders(from: place.block, new.side, max: Self.placeholdersMax) {
            var parts: [Range<UInt64>] = []
            // What is not known is sent for itself.
            known.forEachPart(of: run.site, run.range) { part, isKnown in
                guard isKnown else { return }
                repeated.forEachPart(of: run.site, part) { part, isThere in
                    if !isThere { parts.append(part) }
                }
            }
            for part in parts {
                repeated.insert(run.site, part)
                runs.append(run.part(part))
            }
        }
    }

    /// Forgets the places of removed elements that nothing hangs at and everybody knows to be removed. Returns how many blocks went.
    ///
    /// `stable` is what every member has merged, as they said; and what they wrote before they said so must have been merged here first.
    /// A block may be forgotten on one site and not on another; lists converge all the same. O(n).
    @discardableResult
    @specialized(where Element == Bytes)
    public mutating func collect(stable: VersionVector) -> Int {
        guard !isDelta, storage != nil else { return 0 }
        let forgotten = withTree { $0.collect(stable: stable) }
        if forgotten > 0 { collected.merge(stable) }
        return forgotten
    }

    /// A wrapping sum over the visible elements and what is known: equal lists have equal digests. O(sites).
    public var digest: UInt64 {
        var sum = Mixing.finish(context.digest) &+ (storage?.tree.digest ?? 0)
        // What waits is not visible: a list that waits differs from one that does not.
        for run in pending.runs where run.fate.isLive { sum &+= Mixing.hash(run.site.rawValue, run.start, seed: UInt64(run.length)) }
        return sum
    }

    /// About how much memory the list takes beside its inline size. O(sites).
    public var memoryBytes: Int {
        var bytes = context.memoryBytes + (storage?.tree.memoryBytes ?? 0)
        bytes += removals.entries.count * MemoryLayout<Removal>.stride
        for run in pending.runs {
            bytes += MemoryLayout<Run<Element>>.stride + run.elements.count * MemoryLayout<Element>.stride
        }
        return bytes
    }
}
