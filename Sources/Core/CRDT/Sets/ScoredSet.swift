// SPDX-License-Identifier: Apache-2.0

/// A set whose elements have scores, ordered by (score, element): a Redis sorted set.
///
/// Setting a score adds the element and wins over a concurrent remove. Of scores set concurrently the one with the latest stamp shows;
/// what is added to a score concurrently counts, also beside a set. A remove takes away what it has seen.
/// `Causal<ScoredSet>` is the lattice.
///
/// Set, add, remove, rank and the element at a rank are O(log n); a range is O(log n) and its length; merging a delta is O(d log n).
/// Memory: about 150 bytes per element.
public struct ScoredSet: DotStore {
    public struct Element: Sendable, Equatable {
        public let score: Double
        public let element: Bytes
    }

    private(set) var map = ORMap<ScoreRegister>()
    private var order = RankTree()

    public init() {}

    public var isBottom: Bool { map.isBottom }
    public var count: Int { map.count }
    public var digest: UInt64 { map.digest }
    public var memoryBytes: Int { map.memoryBytes + order.memoryBytes }

    public func forEachDot(_ body: (Dot) -> Void) { map.forEachDot(body) }
    public func contains(_ element: Bytes) -> Bool { map.contains(element) }
    public func score(of element: Bytes) -> Double? { map[element]?.score }
    /// The element at a position in `0..<count`, in no order; see ``ORMap/key(at:)``.
    public func element(at position: Int) -> Bytes { map.key(at: position) }

    /// How many elements come before this one; nil if it is absent.
    public func rank(of element: Bytes) -> Int? { score(of: element).map { order.rank(of: .init(score: $0, element: element)) } }

    /// How many elements come before the first for which `isBefore` is false. It must be true for the first ones in the order and false
    /// for all others: `{ score, _ in score < 3 }`.
    public func rank(where isBefore: (Double, Bytes) -> Bool) -> Int { order.count { isBefore($0.score, $0.element) } }

    /// Calls for the elements at these ranks, in ascending order. Ranks past the end are left out.
    public func forEach(in ranks: Range<Int>, _ body: (Element) -> Void) {
        order.forEach(in: ranks) { body(Element(score: $0.score, element: $0.element)) }
    }

    /// The elements at these ranks.
    public func elements(in ranks: Range<Int>) -> [Element] {
        var list: [Element] = []
        list.reserveCapacity(ranks.clamped(to: 0..<count).count)
        forEach(in: ranks) { list.append($0) }
        return list
    }

    private mutating func reorder(_ element: Bytes, from before: Double?, to after: Double?) {
        if before == after { return }
        if let before { order.remove(.init(score: before, element: element)) }
        if let after { order.insert(.init(score: after, element: element)) }
    }

    public mutating func join(_ other: ScoredSet, context: CausalContext, otherContext: CausalContext, changes: inout DotChanges) {
        var moves: [(element: Bytes, before: Double?, after: Double?)] = []
        map.join(other.map, context: context, otherContext: otherContext, changes: &changes) { element, before, after in
            moves.append((element, before?.score, after?.score))
        }
        for move in moves { reorder(move.element, from: move.before, to: move.after) }
    }

    public func part(unknownTo known: CausalContext, omitted: inout [Dot]) -> ScoredSet {
        var part = ScoredSet()
        part.map = map.part(unknownTo: known, omitted: &omitted)
        part.orderAnew()
        return part
    }

    private mutating func orderAnew() {
        order = RankTree()
        for position in 0..<map.count {
            if let score = map.value(at: position).score { order.insert(.init(score: score, element: map.key(at: position))) }
        }
    }

    public static func == (left: ScoredSet, right: ScoredSet) -> Bool { left.map == right.map }

    /// Runs a change of one element's score on the map and the delta's, and moves the element in both orders.
    private mutating func change<R>(
        _ element: Bytes, into delta: inout Causal<ScoredSet>,
        _ body: (inout ORMap<ScoreRegister>, inout Causal<ORMap<ScoreRegister>>) throws(CRDTError) -> R
    ) throws(CRDTError) -> R {
        let before = score(of: element)
        let theirs = delta.store.score(of: element)
        var inner = Causal(store: ORMap<ScoreRegister>(), context: CausalContext())
        swap(&inner.store, &delta.store.map)
        swap(&inner.context, &delta.context)
        defer {
            swap(&inner.store, &delta.store.map)
            swap(&inner.context, &delta.context)
            reorder(element, from: before, to: score(of: element))
            delta.store.reorder(element, from: theirs, to: delta.store.score(of: element))
        }
        return try body(&map, &inner)
    }

    /// Sets the score of an element, which is added if need be. Throws ``CRDTError/Code/notNumber``, changing nothing.
    public mutating func set(
        _ element: Bytes, to score: Double, at time: HybridTime, by site: SiteID, context: inout CausalContext,
        into delta: inout Causal<ScoredSet>
    ) throws(CRDTError) {
        guard !score.isNaN else { throw CRDTError(.notNumber, "The score is not a number; give one.") }
        try change(element, into: &delta) { map, delta throws(CRDTError) in
            map.update(element, context: &context, into: &delta) { register, context, delta in
                register.set(score, at: time, by: site, context: &context, into: &delta)
            }
        }
    }

    /// Adds to the score of an element, from 0 if it is absent, and returns the new score. Throws ``CRDTError/Code/notNumber``,
    /// changing nothing.
    @discardableResult
    public mutating func add(
        _ amount: Double, to element: Bytes, by site: SiteID, context: inout CausalContext, into delta: inout Causal<ScoredSet>
    ) throws(CRDTError) -> Double {
        try change(element, into: &delta) { map, delta throws(CRDTError) in
            try map.update(element, context: &context, into: &delta) { register, context, delta throws(CRDTError) in
                try register.add(amount, by: site, context: &context, into: &delta)
            }
        }
    }

    /// Removes an element as far as it was seen. Returns whether it was there.
    @discardableResult
    public mutating func remove(_ element: Bytes, into delta: inout Causal<ScoredSet>) -> Bool {
        let before = score(of: element)
        let theirs = delta.store.score(of: element)
        var inner = Causal(store: ORMap<ScoreRegister>(), context: CausalContext())
        swap(&inner.store, &delta.store.map)
        swap(&inner.context, &delta.context)
        let removed = map.remove(element, into: &inner)
        swap(&inner.store, &delta.store.map)
        swap(&inner.context, &delta.context)
        reorder(element, from: before, to: nil)
        delta.store.reorder(element, from: theirs, to: nil)
        return removed
    }

    public func encode(into writer: inout ByteWriter) { writer.value(map) }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        map = try ORMap(from: &reader)
        orderAnew()
    }
}

extension Causal where Store == ScoredSet {
    public var count: Int { store.count }
    public func score(of element: Bytes) -> Double? { store.score(of: element) }

    /// Sets the score and joins the delta to `delta`. Throws ``CRDTError/Code/notNumber``, changing nothing.
    public mutating func set(
        _ element: Bytes, to score: Double, at time: HybridTime, by site: SiteID, into delta: inout Causal
    ) throws(CRDTError) {
        try store.set(element, to: score, at: time, by: site, context: &context, into: &delta)
    }

    /// Adds to the score, joins the delta to `delta` and returns the new score. Throws ``CRDTError/Code/notNumber``, changing nothing.
    @discardableResult
    public mutating func add(_ amount: Double, to element: Bytes, by site: SiteID, into delta: inout Causal) throws(CRDTError) -> Double {
        try store.add(amount, to: element, by: site, context: &context, into: &delta)
    }

    /// Removes the element and joins the delta to `delta`. Returns whether it was there.
    @discardableResult
    public mutating func remove(_ element: Bytes, into delta: inout Causal) -> Bool { store.remove(element, into: &delta) }
}
