// SPDX-License-Identifier: Apache-2.0

/// A state that only grows, in an order in which any two states have a least upper bound: the merge.
///
/// Merging is commutative, associative and idempotent. Every mutator returns its delta, or joins it to one given: a value of the same
/// type, which is all that a receiver has to merge.
public protocol Lattice: Sendable, Equatable, BinaryCodable {
    /// The bottom: merging it changes nothing.
    init()
    mutating func merge(_ other: Self)
    var isBottom: Bool { get }
    /// Equal states have equal digests, on every machine; different ones differ but for chance.
    var digest: UInt64 { get }
    /// About how much memory the value takes beside its own inline size.
    var memoryBytes: Int { get }
}

/// Which dots a join has added and dropped, for whoever keeps an index of them.
public struct DotChanges: Sendable {
    public internal(set) var added: [Dot] = []
    public internal(set) var dropped: [Dot] = []
    /// Whether anybody asks; if not, nothing is collected.
    let collects: Bool
    /// How many dots were dropped; always counted.
    public private(set) var droppedCount: UInt64 = 0
    /// How many dots both sides hold in the same place; always counted. Who does not count them costs time, nothing else.
    public private(set) var keptCount: UInt64 = 0

    /// How many dots of both contexts need no further look: they live on both sides, or were just dropped.
    var settledCount: UInt64 { keptCount + droppedCount }

    public init(collects: Bool) { self.collects = collects }

    public mutating func add(_ dot: Dot) {
        if collects { added.append(dot) }
    }

    /// Counts dots that were dropped while nobody asked which.
    mutating func count(dropped: UInt64) { droppedCount += dropped }

    /// Counts dots that both sides hold in the same place.
    public mutating func keep(_ count: UInt64 = 1) { keptCount += count }

    public mutating func drop(_ dot: Dot) {
        droppedCount += 1
        if collects { dropped.append(dot) }
    }
}

/// Live content marked by dots, without the context that tells removed dots from unknown ones.
///
/// ``Causal`` puts one context beside a store and makes it a lattice; inside a map, all values share the map's context. A dot that is in
/// the context and not in the store was removed: that is why nothing stays behind for removed elements.
public protocol DotStore: Sendable, Equatable, BinaryCodable {
    /// Without any dot.
    init()
    /// Whether it may hold many dots, so that listing them all is to be avoided.
    static var isContainer: Bool { get }
    /// Whether no dot is left.
    var isBottom: Bool { get }
    /// A wrapping sum over the live content: equal stores have equal digests.
    var digest: UInt64 { get }
    /// About how much memory the value takes beside its own inline size.
    var memoryBytes: Int { get }
    /// Calls for each live dot, in no promised order; for one that marks two things, twice.
    func forEachDot(_ body: (Dot) -> Void)
    /// Keeps a dot that both have, and one that one side has and the other has not seen; drops the rest.
    ///
    /// `context` belongs to this store and `otherContext` to `other`; neither is changed here. Takes time with the size of `other` and
    /// its context for a delta, not with the size of this store.
    mutating func join(_ other: Self, context: CausalContext, otherContext: CausalContext, changes: inout DotChanges)
    /// The parts that hold a dot which `known` lacks. The dots of all other parts are put into `omitted`.
    func part(unknownTo known: CausalContext, omitted: inout [Dot]) -> Self
}

extension DotStore {
    public static var isContainer: Bool { true }

    /// All live dots.
    public var dots: [Dot] {
        var dots: [Dot] = []
        forEachDot { dots.append($0) }
        return dots
    }
}
