// SPDX-License-Identifier: Apache-2.0

/// A counter that can be reset, also by removing the map's key it lies under: the reset takes away what it has seen, and what is added
/// concurrently stays.
///
/// `Causal<ResettableCounter>` is the lattice. Each site's additions between two deltas are one entry; of more than 64 entries the
/// older half is folded into one, and a reset that is more than 32 deltas behind then takes that one whole or not at all. Everything is
/// O(k) for k entries.
public struct ResettableCounter: CellStore {
    public var writes = DotFun<Tally<Int64>>()

    public init() {}

    /// The exact sum, also where concurrent additions have left the 64 bits.
    public var total: Int128 {
        var total: Int128 = 0
        writes.forEach { total += Int128($0.value.sum) }
        return total
    }

    /// The sum. Throws ``CRDTError/Code/overflow`` if concurrent additions have left the 64 bits.
    public func value() throws(CRDTError) -> Int64 {
        guard let value = Int64(exactly: total) else { throw PNCounter.overflow }
        return value
    }

    /// Adds the amount and returns the new value. Throws ``CRDTError/Code/overflow``, changing nothing, if it would leave the 64 bits.
    @discardableResult
    public mutating func add(
        _ amount: Int64, by site: SiteID, context: inout CausalContext, into delta: inout Causal<ResettableCounter>
    ) throws(CRDTError) -> Int64 {
        guard let value = Int64(exactly: total + Int128(amount)) else { throw PNCounter.overflow }
        try writes.addTally(amount, by: site, context: &context, &delta.store.writes, &delta.context)
        return value
    }

    /// Takes away all that was added as far as it was seen.
    public mutating func reset(into delta: inout Causal<ResettableCounter>) { writes.removeAll(&delta.store.writes, &delta.context) }
}

extension Causal where Store == ResettableCounter {
    public var total: Int128 { store.total }
    public func value() throws(CRDTError) -> Int64 { try store.value() }

    @discardableResult
    public mutating func add(_ amount: Int64, by site: SiteID, into delta: inout Causal) throws(CRDTError) -> Int64 {
        try store.add(amount, by: site, context: &context, into: &delta)
    }

    /// Adds the amount and returns the delta.
    public mutating func add(_ amount: Int64, by site: SiteID) throws(CRDTError) -> Causal {
        var delta = Causal()
        try add(amount, by: site, into: &delta)
        return delta
    }

    public mutating func reset(into delta: inout Causal) { store.reset(into: &delta) }

    /// Resets and returns the delta.
    public mutating func reset() -> Causal {
        var delta = Causal()
        reset(into: &delta)
        return delta
    }
}
