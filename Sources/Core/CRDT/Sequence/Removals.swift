// SPDX-License-Identifier: Apache-2.0

/// Consecutive dots of one site, and what removed them.
struct Removal: Sendable, Equatable {
    var site: SiteID
    var lower: UInt64
    var upper: UInt64
    var fate: Fate
}

/// Dots that were removed before their elements came. Sorted, without overlap.
struct Removals: Sendable, Equatable {
    private(set) var entries: [Removal] = []

    var isEmpty: Bool { entries.isEmpty }

    private func firstEnding(behind sequence: UInt64, of site: SiteID) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low &+ high) >> 1
            if entries[middle].site == site ? entries[middle].upper <= sequence : entries[middle].site < site {
                low = middle &+ 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// Splits a range into parts that are here, with their fate, and parts that are not.
    func forEachPart(of site: SiteID, _ range: Range<UInt64>, _ body: (Range<UInt64>, Fate?) -> Void) {
        var position = range.lowerBound
        var index = firstEnding(behind: position, of: site)
        while position < range.upperBound, index < entries.count, entries[index].site == site, entries[index].lower < range.upperBound {
            if entries[index].lower > position { body(position..<entries[index].lower, nil) }
            let lower = max(entries[index].lower, position)
            position = min(entries[index].upper, range.upperBound)
            body(lower..<position, entries[index].fate)
            index += 1
        }
        if position < range.upperBound { body(position..<range.upperBound, nil) }
    }

    /// Adds those dots of the range that are not here yet.
    mutating func insert(_ site: SiteID, _ range: Range<UInt64>, _ fate: Fate) {
        var missing: [Range<UInt64>] = []
        forEachPart(of: site, range) { part, known in
            if known == nil { missing.append(part) }
        }
        for part in missing {
            let index = firstEnding(behind: part.lowerBound, of: site)
            if index > 0, entries[index - 1].site == site, entries[index - 1].upper == part.lowerBound,
                let both = entries[index - 1].fate.joined(fate)
            {
                entries[index - 1].upper = part.upperBound
                entries[index - 1].fate = both
                joinNext(index - 1)
            } else {
                entries.insert(Removal(site: site, lower: part.lowerBound, upper: part.upperBound, fate: fate), at: index)
                joinNext(index)
            }
        }
    }

    private mutating func joinNext(_ index: Int) {
        guard index + 1 < entries.count, entries[index + 1].site == entries[index].site, entries[index + 1].lower == entries[index].upper,
            let both = entries[index].fate.joined(entries[index + 1].fate)
        else { return }
        entries[index].upper = entries[index + 1].upper
        entries[index].fate = both
        entries.remove(at: index + 1)
    }

    /// Takes out the dots of the range: their elements are here now.
    mutating func clear(_ site: SiteID, _ range: Range<UInt64>) {
        var index = firstEnding(behind: range.lowerBound, of: site)
        while index < entries.count, entries[index].site == site, entries[index].lower < range.upperBound {
            let entry = entries[index]
            var rest: [Removal] = []
            if entry.lower < range.lowerBound {
                rest.append(Removal(site: site, lower: entry.lower, upper: range.lowerBound, fate: entry.fate))
            }
            if entry.upper > range.upperBound {
                rest.append(Removal(site: site, lower: range.upperBound, upper: entry.upper, fate: entry.fate))
            }
            entries.replaceSubrange(index...index, with: rest)
            index += rest.count
        }
    }
}
