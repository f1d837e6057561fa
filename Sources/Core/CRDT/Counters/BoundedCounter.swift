// SPDX-License-Identifier: Apache-2.0

/// A counter that never goes below its bound, on any node, also while nodes cannot reach one another.
///
/// Whoever adds gains rights to subtract as much; a site subtracts only out of rights that it holds, and hands rights to another by a
/// transfer. What a site may subtract is known to it alone, so no agreement is needed. Balegas and others, 2015.
///
/// Operations are O(e) and merging is O(e) for e pairs of sites between which rights have passed; the delta is one entry.
public struct BoundedCounter: Lattice {
    /// Rights made by, or passed from a site to another, and those used up; each only grows.
    struct Entry: Equatable, Sendable {
        let from: SiteID
        /// The receiver; the giver itself for rights made by adding.
        let to: SiteID
        var amount: UInt64
    }

    /// By giver, then receiver.
    private(set) var rights: [Entry] = []
    /// What each site has subtracted.
    private(set) var used = VersionVector()
    /// What the value never falls below; nil if not told yet, which counts as 0. Of two the greater one holds.
    public private(set) var bound: Int64?

    public init() {}

    public init(bound: Int64) { self.bound = bound }

    public var isBottom: Bool { rights.isEmpty && used.isEmpty && bound == nil }

    /// The exact value, also where concurrent additions have left the 64 bits.
    ///
    /// A node that has heard of a subtraction before the addition that it spends shows the bound meanwhile.
    public var total: Int128 {
        let made = rights.reduce(Int128(0)) { $1.from == $1.to ? $0 + Int128($1.amount) : $0 }
        return Int128(bound ?? 0) + max(0, made - used.entries.reduce(0) { $0 + Int128($1.sequence) })
    }

    /// The value. Throws ``CRDTError/Code/overflow`` if concurrent additions have left the 64 bits.
    public func value() throws(CRDTError) -> Int64 {
        guard let value = Int64(exactly: total) else { throw PNCounter.overflow }
        return value
    }

    /// How much the site may subtract now, as far as is known here; the site itself knows exactly or too little, never too much.
    public func rights(of site: SiteID) -> Int64 {
        var sum = -Int128(used[site])
        for entry in rights {
            if entry.to == site { sum += Int128(entry.amount) } else if entry.from == site { sum -= Int128(entry.amount) }
        }
        return Int64(clamping: max(0, sum))
    }

    /// The rights of all sites that hold any, by site: whom to ask for a transfer.
    public var holders: [(site: SiteID, rights: Int64)] {
        var sites: [SiteID] = rights.map(\.to).sorted()
        sites = sites.enumerated().filter { $0.offset == 0 || sites[$0.offset - 1] != $0.element }.map(\.element)
        return sites.map { ($0, rights(of: $0)) }.filter { $0.rights > 0 }
    }

    private func position(_ from: SiteID, _ to: SiteID) -> Int {
        rights.firstIndex { $0.from > from || $0.from == from && $0.to >= to } ?? rights.count
    }

    private func amount(_ from: SiteID, _ to: SiteID) -> UInt64 {
        let index = position(from, to)
        return index < rights.count && rights[index].from == from && rights[index].to == to ? rights[index].amount : 0
    }

    private mutating func raise(_ from: SiteID, _ to: SiteID, to amount: UInt64) {
        let index = position(from, to)
        if index < rights.count, rights[index].from == from, rights[index].to == to {
            rights[index].amount = max(rights[index].amount, amount)
        } else {
            rights.insert(Entry(from: from, to: to, amount: amount), at: index)
        }
    }

    private func checkPositive(_ amount: Int64) throws(CRDTError) {
        guard amount > 0 else { throw CRDTError(.invalidAmount, "The amount must be positive.") }
    }

    /// Adds a positive amount, joins the delta to `delta` and returns the new value.
    @discardableResult
    public mutating func add(_ amount: Int64, by site: SiteID, into delta: inout BoundedCounter) throws(CRDTError) -> Int64 {
        try checkPositive(amount)
        guard let value = Int64(exactly: total + Int128(amount)) else { throw PNCounter.overflow }
        let (sum, overflow) = self.amount(site, site).addingReportingOverflow(UInt64(amount))
        guard !overflow else { throw PNCounter.overflow }
        raise(site, site, to: sum)
        delta.raise(site, site, to: sum)
        delta.bound = bound
        return value
    }

    /// Subtracts a positive amount, joins the delta to `delta` and returns the new value.
    ///
    /// Throws ``CRDTError/Code/insufficientRights``, changing nothing, if the site holds less: ask one of ``holders`` for a transfer.
    @discardableResult
    public mutating func subtract(_ amount: Int64, by site: SiteID, into delta: inout BoundedCounter) throws(CRDTError) -> Int64 {
        try checkPositive(amount)
        try checkRights(of: site, for: amount)
        let (sum, overflow) = used[site].addingReportingOverflow(UInt64(amount))
        guard !overflow else { throw PNCounter.overflow }
        used[site] = sum
        delta.used[site] = sum
        delta.bound = bound
        return Int64(clamping: total)
    }

    /// Hands rights to another site and joins the delta to `delta`.
    public mutating func transfer(_ amount: Int64, from site: SiteID, to other: SiteID, into delta: inout BoundedCounter) throws(CRDTError)
    {
        try checkPositive(amount)
        guard site != other else { throw CRDTError(.invalidAmount, "Rights go to another site.") }
        try checkRights(of: site, for: amount)
        let (sum, overflow) = self.amount(site, other).addingReportingOverflow(UInt64(amount))
        guard !overflow else { throw PNCounter.overflow }
        raise(site, other, to: sum)
        delta.raise(site, other, to: sum)
        delta.bound = bound
    }

    private func checkRights(of site: SiteID, for amount: Int64) throws(CRDTError) {
        let held = rights(of: site)
        guard held >= amount else {
            throw CRDTError(.insufficientRights, "This node may subtract \(held) at most; let another one transfer rights first.")
        }
    }

    public mutating func merge(_ other: BoundedCounter) {
        for entry in other.rights { raise(entry.from, entry.to, to: entry.amount) }
        used.merge(other.used)
        if let theirs = other.bound { bound = max(bound ?? theirs, theirs) }
    }

    public var digest: UInt64 {
        let made = rights.reduce(UInt64(0)) { $0 &+ Mixing.hash($1.from.rawValue, $1.to.rawValue, seed: Mixing.finish($1.amount)) }
        let spent = used.entries.reduce(UInt64(0)) { $0 &+ Mixing.hash($1.site.rawValue, $1.sequence, seed: 7) }
        return made &+ spent &+ (bound.map { Mixing.hash($0.bits, 1) } ?? 0)
    }

    public var memoryBytes: Int { rights.capacity * MemoryLayout<Entry>.stride + used.entries.capacity * 16 + Bytes.arrayHeaderBytes }
}

extension BoundedCounter {
    public func encode(into writer: inout ByteWriter) {
        writer.byte(bound == nil ? 0 : 1)
        if let bound { writer.signed(bound) }
        writer.count(rights.count)
        for entry in rights {
            writer.site(entry.from)
            writer.site(entry.to)
            writer.varint(entry.amount)
        }
        writer.value(used)
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        let tag = try reader.byte()
        guard tag <= 1 else { throw reader.failure(.unknownTag) }
        if tag == 1 { bound = try reader.signed() }
        let count = try reader.count(entryBytes: 3)
        for _ in 0..<count {
            let entry = Entry(from: try reader.site(), to: try reader.site(), amount: try reader.varint())
            if let last = rights.last, (last.from, last.to) >= (entry.from, entry.to) { throw reader.failure(.outOfOrder) }
            guard entry.amount > 0 else { throw reader.failure(.impossible) }
            rights.append(entry)
        }
        used = try VersionVector(from: &reader, sequenceMax: .max)
    }
}
