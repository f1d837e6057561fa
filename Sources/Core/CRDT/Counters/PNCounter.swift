// SPDX-License-Identifier: Apache-2.0

/// A counter that goes up and down: of each site, how much it has added and subtracted in all.
///
/// Concurrent additions all count. Adding is O(log r) and merging O(r) for r sites; the delta is one entry. 24 bytes per site
/// that has ever counted, also when the site is gone: entries cannot be folded into a sum that others may still list (docs/crdt.md).
public struct PNCounter: Lattice {
    public struct Entry: Hashable, Sendable {
        public let site: SiteID
        public internal(set) var up: UInt64
        public internal(set) var down: UInt64
    }

    /// By site.
    public private(set) var entries: [Entry] = []

    public init() {}

    public var isBottom: Bool { entries.isEmpty }

    /// The exact sum, also where concurrent additions have left the 64 bits.
    public var total: Int128 { entries.reduce(0) { $0 + Int128($1.up) - Int128($1.down) } }

    /// The sum. Throws ``CRDTError/Code/overflow`` if concurrent additions have left the 64 bits; counting back into them mends it.
    public func value() throws(CRDTError) -> Int64 {
        guard let value = Int64(exactly: total) else { throw Self.overflow }
        return value
    }

    static var overflow: CRDTError { CRDTError(.overflow, "The counter would leave the range of 64-bit integers; add less.") }

    private func position(_ site: SiteID) -> Int {
        var index = 0
        while index < entries.count, entries[index].site < site { index += 1 }
        return index
    }

    /// Adds the amount, which may be negative, and joins the delta to `delta`. Returns the new value.
    ///
    /// Throws ``CRDTError/Code/overflow``, and changes nothing, if the sum as seen here would leave the 64 bits.
    @discardableResult
    public mutating func add(_ amount: Int64, by site: SiteID, into delta: inout PNCounter) throws(CRDTError) -> Int64 {
        guard let value = Int64(exactly: total + Int128(amount)) else { throw Self.overflow }
        try addExact(amount, by: site, into: &delta)
        return value
    }

    /// Adds without a look at the sum: for who counts on a base of his own. Throws, and changes nothing, if this site's own part
    /// overflows.
    mutating func addExact(_ amount: Int64, by site: SiteID, into delta: inout PNCounter) throws(CRDTError) {
        if let entry = try advance(amount, by: site) { delta.put(entry) }
    }

    /// The same without a delta. Returns the site's entry, nil where nothing is added.
    mutating func advance(_ amount: Int64, by site: SiteID) throws(CRDTError) -> Entry? {
        if amount == 0 { return nil }
        let index = position(site)
        var entry =
            index < entries.count && entries[index].site == site ? entries[index] : Entry(site: site, up: 0, down: 0)
        let side = amount < 0 ? entry.down : entry.up
        let (sum, overflow) = side.addingReportingOverflow(amount.magnitude)
        guard !overflow else { throw Self.overflow }
        if amount < 0 { entry.down = sum } else { entry.up = sum }
        set(entry, at: index)
        return entry
    }

    /// Adds the amount and returns the delta.
    public mutating func add(_ amount: Int64, by site: SiteID) throws(CRDTError) -> PNCounter {
        var delta = PNCounter()
        try add(amount, by: site, into: &delta)
        return delta
    }

    /// Puts in a site's entry, in place of an earlier one.
    mutating func put(_ entry: Entry) { set(entry, at: position(entry.site)) }

    private mutating func set(_ entry: Entry, at index: Int) {
        if index < entries.count, entries[index].site == entry.site { entries[index] = entry } else { entries.insert(entry, at: index) }
    }

    public mutating func merge(_ other: PNCounter) {
        if entries.isEmpty {
            entries = other.entries
            return
        }
        for entry in other.entries {
            let index = position(entry.site)
            if index < entries.count, entries[index].site == entry.site {
                entries[index].up = max(entries[index].up, entry.up)
                entries[index].down = max(entries[index].down, entry.down)
            } else {
                entries.insert(entry, at: index)
            }
        }
    }

    public var digest: UInt64 {
        entries.reduce(0) { $0 &+ Mixing.hash($1.site.rawValue, $1.up, seed: Mixing.finish($1.down)) }
    }

    public var memoryBytes: Int { entries.isEmpty ? 0 : entries.capacity * MemoryLayout<Entry>.stride + Bytes.arrayHeaderBytes }
}

extension PNCounter {
    public func encode(into writer: inout ByteWriter) {
        writer.count(entries.count)
        for entry in entries {
            writer.site(entry.site)
            writer.varint(entry.up)
            writer.varint(entry.down)
        }
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        let count = try reader.count(entryBytes: 3)
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let entry = Entry(site: try reader.site(), up: try reader.varint(), down: try reader.varint())
            if let last = entries.last, last.site >= entry.site { throw reader.failure(.outOfOrder) }
            // An entry of zeros would make two forms of one state.
            guard entry.up > 0 || entry.down > 0 else { throw reader.failure(.impossible) }
            entries.append(entry)
        }
    }
}
