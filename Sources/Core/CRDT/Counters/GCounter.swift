// SPDX-License-Identifier: Apache-2.0

/// A counter that only grows: of each site, how much it has added in all.
///
/// Adding is O(r) and merging O(r) for r sites; the delta is one entry. 16 bytes per site that has ever counted.
public struct GCounter: Lattice {
    /// How much each site has added; never zero.
    private var counts = VersionVector()

    public init() {}

    public var isBottom: Bool { counts.isEmpty }

    /// The exact sum, also where concurrent additions have left the 64 bits.
    public var total: Int128 { counts.entries.reduce(0) { $0 + Int128($1.sequence) } }

    /// The sum. Throws ``CRDTError/Code/overflow`` if concurrent additions have left the 64 bits.
    public func value() throws(CRDTError) -> Int64 {
        guard let value = Int64(exactly: total) else { throw PNCounter.overflow }
        return value
    }

    /// Adds a positive amount, joins the delta to `delta` and returns the new value.
    ///
    /// Throws ``CRDTError/Code/invalidAmount`` or ``CRDTError/Code/overflow``, changing nothing.
    @discardableResult
    public mutating func add(_ amount: Int64, by site: SiteID, into delta: inout GCounter) throws(CRDTError) -> Int64 {
        guard amount > 0 else { throw CRDTError(.invalidAmount, "This counter only grows; add a positive amount.") }
        guard let value = Int64(exactly: total + Int128(amount)) else { throw PNCounter.overflow }
        counts[site] += UInt64(amount)
        delta.counts[site] = counts[site]
        return value
    }

    /// Adds a positive amount and returns the delta.
    public mutating func add(_ amount: Int64, by site: SiteID) throws(CRDTError) -> GCounter {
        var delta = GCounter()
        try add(amount, by: site, into: &delta)
        return delta
    }

    public mutating func merge(_ other: GCounter) { counts.merge(other.counts) }

    public var digest: UInt64 { counts.entries.reduce(0) { $0 &+ Mixing.hash($1.site.rawValue, $1.sequence) } }
    public var memoryBytes: Int { counts.isEmpty ? 0 : counts.entries.capacity * 16 + Bytes.arrayHeaderBytes }

    public func encode(into writer: inout ByteWriter) { writer.value(counts) }
    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        counts = try VersionVector(from: &reader, sequenceMax: .max)
    }
}
