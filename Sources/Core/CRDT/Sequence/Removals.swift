// SPDX-License-Identifier: Apache-2.0

/// Consecutive dots of one site, and what removed them.
struct Removal: DotStretch, Sendable, Equatable {
    var site: SiteID
    var start: UInt64
    var end: UInt64
    var fate: Fate
}

/// Dots that were removed before their elements came. Sorted, without overlap.
struct Removals: Sendable, Equatable {
    private(set) var entries: [Removal] = []

    var isEmpty: Bool { entries.isEmpty }

    /// Adds those dots of the range that are not here yet.
    mutating func insert(_ site: SiteID, _ range: Range<UInt64>, _ fate: Fate) {
        var missing: [Range<UInt64>] = []
        entries.forEachPart(of: site, range) { part, known in
            if known == nil { missing.append(part) }
        }
        for part in missing {
            let index = entries.firstEnding(behind: part.lowerBound, of: site)
            if index > 0, entries[index - 1].site == site, entries[index - 1].end == part.lowerBound,
                let both = entries[index - 1].fate.joined(fate)
            {
                entries[index - 1].end = part.upperBound
                entries[index - 1].fate = both
                joinNext(index - 1)
            } else {
                entries.insert(Removal(site: site, start: part.lowerBound, end: part.upperBound, fate: fate), at: index)
                joinNext(index)
            }
        }
    }

    private mutating func joinNext(_ index: Int) {
        guard index + 1 < entries.count, entries[index + 1].site == entries[index].site, entries[index + 1].start == entries[index].end,
            let both = entries[index].fate.joined(entries[index + 1].fate)
        else { return }
        entries[index].end = entries[index + 1].end
        entries[index].fate = both
        entries.remove(at: index + 1)
    }

    /// Takes out the dots of the range: their elements are here now.
    mutating func clear(_ site: SiteID, _ range: Range<UInt64>) {
        var index = entries.firstEnding(behind: range.lowerBound, of: site)
        while index < entries.count, entries[index].site == site, entries[index].start < range.upperBound {
            let entry = entries[index]
            var rest: [Removal] = []
            if entry.start < range.lowerBound {
                rest.append(Removal(site: site, start: entry.start, end: range.lowerBound, fate: entry.fate))
            }
            if entry.end > range.upperBound {
                rest.append(Removal(site: site, start: range.upperBound, end: entry.end, fate: entry.fate))
            }
            entries.replaceSubrange(index...index, with: rest)
            index += rest.count
        }
    }
}
