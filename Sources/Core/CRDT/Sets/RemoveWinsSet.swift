// SPDX-License-Identifier: Apache-2.0

/// A set in which a remove wins over a concurrent add.
///
/// An element is in the set if it was added and every remove of it was seen by some add. `Causal<RemoveWinsSet>` is the lattice.
///
/// A remove must be remembered until no add can be concurrent with it: one dot per removed element, which ``forget(stable:)`` drops as
/// soon as everybody has seen it. That is the price of removes that win; ``AddWinsSet`` keeps nothing.
/// Everything is O(1) expected, deltas too; merging a delta is O(its size).
public struct RemoveWinsSet: DotStore {
    private(set) var map = ORMap<DisableWinsFlag>()
    /// How many elements are in the set.
    public private(set) var count = 0

    public init() {}

    public var isBottom: Bool { map.isBottom }
    public var digest: UInt64 { map.digest }
    public var memoryBytes: Int { map.memoryBytes }
    public func forEachDot(_ body: (Dot) -> Void) { map.forEachDot(body) }
    public func contains(_ element: Bytes) -> Bool { map[element]?.isOn ?? false }

    /// All elements, in no promised order. O(n), also for removes that are still remembered.
    public var elements: [Bytes] { (0..<map.count).filter { map.value(at: $0).isOn }.map { map.key(at: $0) } }

    /// How many removed elements are still remembered.
    public var rememberedCount: Int { map.count - count }

    public mutating func join(_ other: RemoveWinsSet, context: CausalContext, otherContext: CausalContext, changes: inout DotChanges) {
        var change = 0
        map.join(other.map, context: context, otherContext: otherContext, changes: &changes) { _, before, after in
            change += (after?.isOn ?? false ? 1 : 0) - (before?.isOn ?? false ? 1 : 0)
        }
        count += change
    }

    public func part(unknownTo known: CausalContext, omitted: inout [Dot]) -> RemoveWinsSet {
        var part = RemoveWinsSet()
        part.map = map.part(unknownTo: known, omitted: &omitted)
        part.countAnew()
        return part
    }

    private mutating func countAnew() { count = elements.count }

    public static func == (left: RemoveWinsSet, right: RemoveWinsSet) -> Bool { left.map == right.map }

    /// Adds or removes the element, as far as other removes and adds were seen, and joins the delta to `delta`.
    ///
    /// Removing an element that is absent here is a remove too: it wins over adds elsewhere.
    public mutating func set(
        _ element: Bytes, isMember: Bool, by site: SiteID, context: inout CausalContext, into delta: inout Causal<RemoveWinsSet>
    ) {
        count += (isMember ? 1 : 0) - (contains(element) ? 1 : 0)
        let theirs = delta.store.contains(element) ? 1 : 0
        var inner = Causal(store: ORMap<DisableWinsFlag>(), context: CausalContext())
        swap(&inner.store, &delta.store.map)
        swap(&inner.context, &delta.context)
        map.update(element, context: &context, into: &inner) { flag, context, delta in
            flag.set(isMember, by: site, context: &context, into: &delta)
        }
        swap(&inner.store, &delta.store.map)
        swap(&inner.context, &delta.context)
        delta.store.count += (isMember ? 1 : 0) - theirs
    }

    /// Forgets the removed elements whose removes are all in `stable`, and joins the delta to `delta`. O(n).
    ///
    /// `stable` is what every site is known to have seen, by contexts that came with all that their senders had: then each add that is
    /// concurrent with such a remove is here already, and goes with it.
    public mutating func forget(stable: CausalContext, into delta: inout Causal<RemoveWinsSet>) {
        var inner = Causal<ORMap<DisableWinsFlag>>()
        for position in (0..<map.count).reversed() where !map.value(at: position).isOn {
            let writes = map.value(at: position).writes.entries
            guard writes.allSatisfy({ $0.value.isOn || stable.contains($0.dot) }) else { continue }
            map.remove(map.key(at: position), into: &inner)
        }
        delta.merge(Causal(store: RemoveWinsSet(), context: inner.context))
    }

    public func encode(into writer: inout ByteWriter) { writer.value(map) }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        map = try ORMap(from: &reader)
        countAnew()
    }
}

extension Causal where Store == RemoveWinsSet {
    public var count: Int { store.count }
    public var elements: [Bytes] { store.elements }
    public func contains(_ element: Bytes) -> Bool { store.contains(element) }

    /// Adds the element and joins the delta to `delta`. Returns whether it was absent.
    @discardableResult
    public mutating func add(_ element: Bytes, by site: SiteID, into delta: inout Causal) -> Bool {
        let before = store.count
        store.set(element, isMember: true, by: site, context: &context, into: &delta)
        return store.count > before
    }

    /// Adds the element and returns the delta.
    public mutating func add(_ element: Bytes, by site: SiteID) -> Causal {
        var delta = Causal()
        add(element, by: site, into: &delta)
        return delta
    }

    /// Removes the element and joins the delta to `delta`. Returns whether it was there.
    @discardableResult
    public mutating func remove(_ element: Bytes, by site: SiteID, into delta: inout Causal) -> Bool {
        let before = store.count
        store.set(element, isMember: false, by: site, context: &context, into: &delta)
        return store.count < before
    }

    /// Removes the element and returns the delta.
    public mutating func remove(_ element: Bytes, by site: SiteID) -> Causal {
        var delta = Causal()
        remove(element, by: site, into: &delta)
        return delta
    }

    /// Forgets removes that everybody has seen; see ``RemoveWinsSet/forget(stable:into:)``.
    public mutating func forget(stable: CausalContext, into delta: inout Causal) { store.forget(stable: stable, into: &delta) }
}
