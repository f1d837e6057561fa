// SPDX-License-Identifier: Apache-2.0

/// Whole ranges of one site's dots, as blocks of a list have them.
extension CausalContext {
    /// Index of the first span that ends at or behind (site, sequence). O(log k).
    private func firstEnding(atOrBehind sequence: UInt64, of site: SiteID) -> Int {
        spans.partitioningIndex { $0.site == site ? $0.last >= sequence : $0.site > site }
    }

    /// Whether any dot of the range is here.
    func intersects(_ site: SiteID, _ range: Range<UInt64>) -> Bool {
        let index = firstEnding(atOrBehind: range.lowerBound, of: site)
        return index < spans.count && spans[index].site == site && spans[index].first < range.upperBound
    }

    /// Up to which number all dots of the site are here.
    func prefix(of site: SiteID) -> UInt64 {
        let index = firstEnding(atOrBehind: 1, of: site)
        return index < spans.count && spans[index].site == site && spans[index].first == 1 ? spans[index].last : 0
    }

    /// Whether all dots of the site that `other` has up to a number are here.
    func covers(_ other: CausalContext, of site: SiteID, upTo sequence: UInt64) -> Bool {
        var index = other.firstEnding(atOrBehind: 1, of: site)
        while index < other.spans.count, other.spans[index].site == site, other.spans[index].first <= sequence {
            let span = other.spans[index]
            guard contains(Span(site: site, first: span.first, last: min(span.last, sequence))) else { return false }
            index += 1
        }
        return true
    }

    mutating func insert(_ site: SiteID, _ range: Range<UInt64>) {
        guard !range.isEmpty else { return }
        // A span that ends just before the range grows, and swallows what it reaches.
        let index = firstEnding(atOrBehind: max(range.lowerBound, 1) - 1, of: site)
        let first = range.lowerBound
        let last = range.upperBound - 1
        guard index < spans.count, spans[index].site == site, spans[index].first <= range.upperBound else {
            spans.insert(Span(site: site, first: first, last: last), at: index)
            return
        }
        if first < spans[index].first { spans[index].first = first }
        if last > spans[index].last { spans[index].last = last }
        var end = index + 1
        while end < spans.count, spans[end].site == site, spans[end].first <= spans[index].last + 1 {
            if spans[end].last > spans[index].last { spans[index].last = spans[end].last }
            end += 1
        }
        if end > index + 1 { spans.removeSubrange((index + 1)..<end) }
    }

    /// Splits a range into parts that are here and parts that are not, in order.
    func forEachPart(of site: SiteID, _ range: Range<UInt64>, _ body: (Range<UInt64>, _ isMember: Bool) -> Void) {
        var position = range.lowerBound
        var index = firstEnding(atOrBehind: position, of: site)
        while position < range.upperBound, index < spans.count, spans[index].site == site, spans[index].first < range.upperBound {
            if spans[index].first > position { body(position..<spans[index].first, false) }
            let lower = max(spans[index].first, position)
            position = min(spans[index].last + 1, range.upperBound)
            body(lower..<position, true)
            index += 1
        }
        if position < range.upperBound { body(position..<range.upperBound, false) }
    }
}
