// SPDX-License-Identifier: Apache-2.0

/// A dot store with its causal context: a lattice, also for deltas.
///
/// Merging a delta takes time with the size of the delta. A remove's delta is a context of the removed dots and nothing else.
public struct Causal<Store: DotStore>: Lattice {
    public internal(set) var store: Store
    /// All dots that this state has ever seen, live or removed; for a delta, those it speaks of.
    public internal(set) var context: CausalContext

    public init() {
        store = Store()
        context = CausalContext()
    }

    public init(store: Store, context: CausalContext) {
        self.store = store
        self.context = context
    }

    /// Whether nothing has ever been seen: a state from which everything was removed is no bottom.
    public var isBottom: Bool { context.isEmpty && store.isBottom }

    public mutating func merge(_ other: Causal) {
        if other.isBottom { return }
        var changes = DotChanges(collects: false)
        store.join(other.store, context: context, otherContext: other.context, changes: &changes)
        context.merge(other.context)
    }

    /// Removes all that is here and returns the delta, which lists the removed dots: O(d) for d live dots.
    public mutating func removeAll() -> Causal {
        let delta = Causal(store: Store(), context: CausalContext(dots: store.dots))
        store = Store()
        return delta
    }

    /// Removes all that is here and joins the delta to `delta`.
    public mutating func removeAll(into delta: inout Causal) { delta.merge(removeAll()) }

    /// A state that brings whoever has seen exactly `known` up to date: merging it yields what merging this whole state would.
    ///
    /// Holds what `known` lacks, and a context without the live dots that `known` has already: all that was removed is in it, as a few
    /// ranges. O(n).
    public func delta(since known: CausalContext) -> Causal {
        var omitted: [Dot] = []
        let part = store.part(unknownTo: known, omitted: &omitted)
        return Causal(store: part, context: context.subtracting(CausalContext(dots: omitted)))
    }

    public var digest: UInt64 { store.digest &+ Mixing.finish(context.digest) }

    public var memoryBytes: Int { store.memoryBytes + context.memoryBytes }
}

extension Causal: BinaryCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.value(context)
        writer.value(store)
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        context = try CausalContext(from: &reader)
        store = try Store(from: &reader)
        // What lives has been seen. Without this, a join would take it for unknown and for live at once.
        let seen = context
        var isSeen = true
        store.forEachDot { if !seen.contains($0) { isSeen = false } }
        guard isSeen else { throw reader.failure(.impossible) }
    }
}
