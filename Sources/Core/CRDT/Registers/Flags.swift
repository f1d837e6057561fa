// SPDX-License-Identifier: Apache-2.0

/// Nothing but the dot it lies under.
public struct Presence: DotValue {
    public init() {}
    public init(from reader: inout ByteReader) throws(DecodingFailure) {}
    public func encode(into writer: inout ByteWriter) {}
    public mutating func merge(_ other: Presence) {}
    public var digest: UInt64 { 1 }
    public var heapBytes: Int { 0 }
}

/// A flag, off at first, in which an enable wins over a concurrent disable.
///
/// On if there is an enable that no disable has seen. `Causal<EnableWinsFlag>` is the lattice; everything is O(k) for k concurrent
/// enables.
public struct EnableWinsFlag: CellStore {
    public var writes = DotFun<Presence>()

    public init() {}

    public var isOn: Bool { !writes.isBottom }

    public mutating func set(_ isOn: Bool, by site: SiteID, context: inout CausalContext, into delta: inout Causal<EnableWinsFlag>) {
        if isOn {
            writes.replaceAll(with: Presence(), by: site, context: &context, &delta.store.writes, &delta.context)
        } else {
            writes.removeAll(&delta.store.writes, &delta.context)
        }
    }
}

/// Which way a flag was switched.
public struct Switch: DotValue {
    public let isOn: Bool

    public init(_ isOn: Bool) { self.isOn = isOn }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        let byte = try reader.byte()
        guard byte <= 1 else { throw reader.failure(.unknownTag) }
        isOn = byte == 1
    }

    public func encode(into writer: inout ByteWriter) { writer.byte(isOn ? 1 : 0) }

    /// Off, if one dot should ever have both.
    public mutating func merge(_ other: Switch) { self = Switch(isOn && other.isOn) }

    public var digest: UInt64 { isOn ? 1 : 2 }
    public var heapBytes: Int { 0 }
}

/// A flag, off at first, in which a disable wins over a concurrent enable.
///
/// On if it was enabled and every disable was seen by some enable. `Causal<DisableWinsFlag>` is the lattice; everything is O(k) for k
/// concurrent writes.
public struct DisableWinsFlag: CellStore {
    public var writes = DotFun<Switch>()

    public init() {}

    public var isOn: Bool {
        var enabled = false
        var disabled = false
        writes.forEach { if $0.value.isOn { enabled = true } else { disabled = true } }
        return enabled && !disabled
    }

    public mutating func set(_ isOn: Bool, by site: SiteID, context: inout CausalContext, into delta: inout Causal<DisableWinsFlag>) {
        writes.replaceAll(with: Switch(isOn), by: site, context: &context, &delta.store.writes, &delta.context)
    }
}

extension Causal where Store == EnableWinsFlag {
    public var isOn: Bool { store.isOn }

    public mutating func set(_ isOn: Bool, by site: SiteID, into delta: inout Causal) {
        store.set(isOn, by: site, context: &context, into: &delta)
    }

    /// Sets the flag and returns the delta.
    public mutating func set(_ isOn: Bool, by site: SiteID) -> Causal {
        var delta = Causal()
        set(isOn, by: site, into: &delta)
        return delta
    }
}

extension Causal where Store == DisableWinsFlag {
    public var isOn: Bool { store.isOn }

    public mutating func set(_ isOn: Bool, by site: SiteID, into delta: inout Causal) {
        store.set(isOn, by: site, context: &context, into: &delta)
    }

    /// Sets the flag and returns the delta.
    public mutating func set(_ isOn: Bool, by site: SiteID) -> Causal {
        var delta = Causal()
        set(isOn, by: site, into: &delta)
        return delta
    }
}
