// SPDX-License-Identifier: Apache-2.0

/// Which dots have been seen: of each site, ranges of sequence numbers, adjacent ones joined.
///
/// A state has one range per site, from 1 on (a version vector); a delta has the few dots that it speaks of. Lookups and
/// insertions search in O(log k) for k ranges (an insertion between ranges also moves those behind it); merging is O(k + l).
public struct CausalContext: Hashable, Sendable {
    /// The sequences of one site from `first` to `last`, both included.
    public struct Span: Hashable, Sendable {
        public let site: SiteID
        public internal(set) var first: UInt64
        public internal(set) var last: UInt64

        public init(site: SiteID, first: UInt64, last: UInt64) {
            self.site = site
            self.first = first
            self.last = last
        }

        public var count: UInt64 { last - first + 1 }
    }

    /// The largest sequence that is read from others, so that counting on can never overflow.
    public static let sequenceMax: UInt64 = 1 << 62

    /// By site, then by first sequence; never touching one another.
    public internal(set) var spans: [Span] = []

    public init() {}

    public init(_ dot: Dot) { spans = [Span(site: dot.site, first: dot.sequence, last: dot.sequence)] }

    public init(_ vector: VersionVector) {
        spans = vector.entries.map { Span(site: $0.site, first: 1, last: $0.sequence) }
    }

    public var isEmpty: Bool { spans.isEmpty }

    /// How many dots are in it; at the end of the range it stays there.
    public var count: UInt64 {
        spans.reduce(0) { sum, span in
            let (total, overflow) = sum.addingReportingOverflow(span.count)
            return overflow ? .max : total
        }
    }

    /// The index of the first span that begins after the dot.
    @inline(__always) private func position(after site: SiteID, _ sequence: UInt64) -> Int {
        spans.partitioningIndex { $0.site == site ? $0.first > sequence : $0.site > site }
    }

    public func contains(_ dot: Dot) -> Bool {
        let index = position(after: dot.site, dot.sequence)
        return index > 0 && spans[index - 1].site == dot.site && dot.sequence <= spans[index - 1].last
    }

    /// The largest sequence seen of the site; 0 if none is.
    public func last(of site: SiteID) -> UInt64 {
        let index = position(after: site, .max)
        return index > 0 && spans[index - 1].site == site ? spans[index - 1].last : 0
    }

    /// Takes the site's next dot, which is in the context from now on.
    public mutating func next(for site: SiteID) -> Dot {
        let index = position(after: site, .max)
        if index > 0, spans[index - 1].site == site {
            spans[index - 1].last += 1
            return Dot(site: site, sequence: spans[index - 1].last)
        }
        spans.insert(Span(site: site, first: 1, last: 1), at: index)
        return Dot(site: site, sequence: 1)
    }

    public mutating func insert(_ dot: Dot) {
        let index = position(after: dot.site, dot.sequence)
        let joinsNext = index < spans.count && spans[index].site == dot.site && spans[index].first == dot.sequence + 1
        if index > 0, spans[index - 1].site == dot.site {
            let before = index - 1
            if dot.sequence <= spans[before].last { return }
            if spans[before].last + 1 == dot.sequence {
                spans[before].last = joinsNext ? spans[index].last : dot.sequence
                if joinsNext { spans.remove(at: index) }
                return
            }
        }
        if joinsNext {
            spans[index].first = dot.sequence
        } else {
            spans.insert(Span(site: dot.site, first: dot.sequence, last: dot.sequence), at: index)
        }
    }

    /// The union.
    public mutating func merge(_ other: CausalContext) {
        if other.spans.isEmpty { return }
        if spans.isEmpty {
            spans = other.spans
            return
        }
        // A delta's few dots go in one by one: most of them extend a span.
        if other.spans.count == 1, other.spans[0].first == other.spans[0].last {
            return insert(Dot(site: other.spans[0].site, sequence: other.spans[0].first))
        }
        if other.spans.allSatisfy({ contains($0) }) { return }
        var merged: [Span] = []
        merged.reserveCapacity(spans.count + other.spans.count)
        var mine = 0
        var theirs = 0
        while mine < spans.count || theirs < other.spans.count {
            let takesMine: Bool
            if mine == spans.count {
                takesMine = false
            } else if theirs == other.spans.count {
                takesMine = true
            } else {
                takesMine = Self.precedes(spans[mine], other.spans[theirs])
            }
            Self.append(takesMine ? spans[mine] : other.spans[theirs], to: &merged)
            if takesMine { mine += 1 } else { theirs += 1 }
        }
        spans = merged
    }

    /// Whether all of the span is here, which then lies in one of ours.
    func contains(_ span: Span) -> Bool {
        let index = position(after: span.site, span.first)
        return index > 0 && spans[index - 1].site == span.site && span.last <= spans[index - 1].last
    }

    private static func precedes(_ left: Span, _ right: Span) -> Bool {
        left.site == right.site ? left.first < right.first : left.site < right.site
    }

    /// Appends a span that begins no earlier than the last one, joined with it where they touch.
    private static func append(_ span: Span, to list: inout [Span]) {
        if let last = list.last, last.site == span.site, span.first <= last.last &+ 1 {
            if span.last > last.last { list[list.count - 1].last = span.last }
        } else {
            list.append(span)
        }
    }

    /// Whether every dot of `other` is here.
    public func covers(_ other: CausalContext) -> Bool { other.spans.allSatisfy { contains($0) } }

    /// How many dots are in both. O(l log k) for the l ranges of `other`.
    func overlap(_ other: CausalContext) -> UInt64 {
        var total: UInt64 = 0
        for span in other.spans {
            var index = position(after: span.site, span.first)
            if index > 0 { index -= 1 }
            while index < spans.count {
                let mine = spans[index]
                if mine.site > span.site || mine.site == span.site && mine.first > span.last { break }
                if mine.site == span.site, mine.last >= span.first {
                    total &+= min(mine.last, span.last) - max(mine.first, span.first) + 1
                }
                index += 1
            }
        }
        return total
    }

    /// The dots that are in both. O(k + l).
    public func intersection(_ other: CausalContext) -> CausalContext {
        var common = CausalContext()
        var mine = 0
        var theirs = 0
        while mine < spans.count, theirs < other.spans.count {
            let one = spans[mine]
            let two = other.spans[theirs]
            if one.site != two.site {
                if one.site < two.site { mine += 1 } else { theirs += 1 }
                continue
            }
            let first = max(one.first, two.first)
            let last = min(one.last, two.last)
            if first <= last { common.spans.append(Span(site: one.site, first: first, last: last)) }
            if one.last < two.last { mine += 1 } else { theirs += 1 }
        }
        return common
    }

    /// The dots that are here and not in `other`. O(k + l).
    public func subtracting(_ other: CausalContext) -> CausalContext {
        var rest = CausalContext()
        var theirs = 0
        for span in spans {
            var first = span.first
            while theirs < other.spans.count, Self.endsBefore(other.spans[theirs], span) { theirs += 1 }
            var next = theirs
            while next < other.spans.count, other.spans[next].site == span.site, other.spans[next].first <= span.last {
                let hole = other.spans[next]
                if hole.first > first { rest.spans.append(Span(site: span.site, first: first, last: hole.first - 1)) }
                first = max(first, hole.last + 1)
                next += 1
            }
            if first <= span.last { rest.spans.append(Span(site: span.site, first: first, last: span.last)) }
        }
        return rest
    }

    private static func endsBefore(_ span: Span, _ other: Span) -> Bool {
        span.site == other.site ? span.last < other.first : span.site < other.site
    }

    /// What is known without a gap from the first dot on.
    public var vector: VersionVector {
        var vector = VersionVector()
        for span in spans where span.first == 1 { vector[span.site] = span.last }
        return vector
    }

    /// Builds a context of many dots at once. O(d log d).
    public init(dots: [Dot]) {
        for dot in dots.sorted() { Self.append(Span(site: dot.site, first: dot.sequence, last: dot.sequence), to: &spans) }
    }

    /// A wrapping sum over the spans: equal contexts have equal digests. O(k).
    public var digest: UInt64 {
        spans.reduce(0) { sum, span in
            sum &+ Mixing.hash(span.site.rawValue, span.first, seed: Mixing.finish(span.last))
        }
    }

    public var memoryBytes: Int { spans.capacity * MemoryLayout<Span>.stride + (spans.isEmpty ? 0 : Bytes.arrayHeaderBytes) }
}

extension CausalContext: BinaryCodable {
    public func encode(into writer: inout ByteWriter) {
        var sites = 0
        for index in spans.indices where index == 0 || spans[index].site != spans[index - 1].site { sites += 1 }
        writer.count(sites)
        var index = 0
        while index < spans.count {
            let site = spans[index].site
            var end = index
            while end < spans.count, spans[end].site == site { end += 1 }
            writer.site(site)
            writer.count(end - index)
            var previous: UInt64 = 0
            for span in spans[index..<end] {
                // Gaps and lengths are small where sequences are large.
                writer.varint(span.first - previous - 1)
                writer.varint(span.last - span.first)
                previous = span.last
            }
            index = end
        }
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        let sites = try reader.count(entryBytes: 4)
        for _ in 0..<sites {
            let site = try reader.site()
            if let last = spans.last, last.site >= site { throw reader.failure(.outOfOrder) }
            let count = try reader.count(entryBytes: 2)
            guard count > 0 else { throw reader.failure(.impossible) }
            var previous: UInt64 = 0
            for index in 0..<count {
                let gap = try reader.varint()
                let length = try reader.varint()
                guard index == 0 || gap > 0 else { throw reader.failure(.outOfOrder) }
                guard gap <= Self.sequenceMax, length <= Self.sequenceMax, previous + gap + 1 + length <= Self.sequenceMax else {
                    throw reader.failure(.numberTooLarge)
                }
                let first = previous + gap + 1
                spans.append(Span(site: site, first: first, last: first + length))
                previous = first + length
            }
        }
    }
}
