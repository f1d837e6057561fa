// SPDX-License-Identifier: Apache-2.0

/// Consecutive dots of one site that share a fate.
protocol DotStretch {
    var site: SiteID { get }
    var start: UInt64 { get }
    /// One behind the last.
    var end: UInt64 { get }
    var fate: Fate { get }
}

/// Sorted, without overlap.
extension Array where Element: DotStretch {
    /// Index of the first stretch that ends behind (site, sequence).
    func firstEnding(behind sequence: UInt64, of site: SiteID) -> Int {
        // Most come in order.
        if let last, last.site == site ? last.end <= sequence : last.site < site { return count }
        return partitioningIndex { $0.site == site ? $0.end > sequence : $0.site > site }
    }

    /// Splits a range into parts that are here, with their fate, and parts that are not.
    func forEachPart(of site: SiteID, _ range: Range<UInt64>, _ body: (Range<UInt64>, Fate?) -> Void) {
        var position = range.lowerBound
        var index = firstEnding(behind: position, of: site)
        while position < range.upperBound, index < count, self[index].site == site, self[index].start < range.upperBound {
            if self[index].start > position { body(position..<self[index].start, nil) }
            let lower = Swift.max(self[index].start, position)
            position = Swift.min(self[index].end, range.upperBound)
            body(lower..<position, self[index].fate)
            index += 1
        }
        if position < range.upperBound { body(position..<range.upperBound, nil) }
    }
}
