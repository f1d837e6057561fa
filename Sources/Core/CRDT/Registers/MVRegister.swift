// SPDX-License-Identifier: Apache-2.0

/// A register that keeps every value that was written concurrently, until a write that has seen them.
///
/// `Causal<MVRegister>` is the lattice. Everything is O(k) for k concurrent values; the delta is one value and the dots it replaces.
public struct MVRegister: CellStore {
    public var writes = DotFun<Bytes>()

    public init() {}

    /// The values, sorted, each once.
    public var values: [Bytes] {
        var values: [Bytes] = []
        for value in writes.entries.map(\.value).sorted() where values.last != value { values.append(value) }
        return values
    }

    public mutating func set(_ value: Bytes, by site: SiteID, context: inout CausalContext, into delta: inout Causal<MVRegister>) {
        writes.replaceAll(with: value, by: site, context: &context, &delta.store.writes, &delta.context)
    }

    /// Leaves no value, but for those that are written concurrently.
    public mutating func clear(into delta: inout Causal<MVRegister>) { writes.removeAll(&delta.store.writes, &delta.context) }
}

extension Causal where Store == MVRegister {
    public var values: [Bytes] { store.values }

    public mutating func set(_ value: Bytes, by site: SiteID, into delta: inout Causal) {
        store.set(value, by: site, context: &context, into: &delta)
    }

    /// Sets the value and returns the delta.
    public mutating func set(_ value: Bytes, by site: SiteID) -> Causal {
        var delta = Causal()
        set(value, by: site, into: &delta)
        return delta
    }
}
