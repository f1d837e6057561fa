// SPDX-License-Identifier: Apache-2.0

/// How many writes of each site are known, all of them from the first on.
///
/// A sorted array: lookups O(log r), merging O(r) for r sites.
public struct VersionVector: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public let site: SiteID
        public fileprivate(set) var sequence: UInt64
    }

    /// By site; a site of which nothing is known is absent.
    public private(set) var entries: [Entry] = []

    public init() {}

    public var isEmpty: Bool { entries.isEmpty }

    /// The last known write of the site; 0 if none is. Setting 0 forgets the site.
    public subscript(site: SiteID) -> UInt64 {
        get {
            let index = position(site)
            return index < entries.count && entries[index].site == site ? entries[index].sequence : 0
        }
        set {
            let index = position(site)
            let known = index < entries.count && entries[index].site == site
            if newValue == 0 {
                if known { entries.remove(at: index) }
            } else if known {
                entries[index].sequence = newValue
            } else {
                entries.insert(Entry(site: site, sequence: newValue), at: index)
            }
        }
    }

    private func position(_ site: SiteID) -> Int { entries.partitioningIndex { $0.site >= site } }

    public func contains(_ dot: Dot) -> Bool { dot.sequence <= self[dot.site] }

    /// Whether everything that `other` knows is known here.
    public func covers(_ other: VersionVector) -> Bool { other.entries.allSatisfy { self[$0.site] >= $0.sequence } }

    /// Raises the site's entry to `sequence` if it is lower.
    public mutating func raise(_ site: SiteID, to sequence: UInt64) {
        if sequence > self[site] { self[site] = sequence }
    }

    /// The pointwise maximum.
    public mutating func merge(_ other: VersionVector) {
        for entry in other.entries { raise(entry.site, to: entry.sequence) }
    }

    /// The pointwise minimum: what both know.
    public mutating func meet(_ other: VersionVector) {
        entries = entries.compactMap { entry in
            let sequence = min(entry.sequence, other[entry.site])
            return sequence == 0 ? nil : Entry(site: entry.site, sequence: sequence)
        }
    }
}

extension VersionVector: BinaryCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.count(entries.count)
        for entry in entries {
            writer.site(entry.site)
            writer.varint(entry.sequence)
        }
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        try self.init(from: &reader, sequenceMax: CausalContext.sequenceMax)
    }

    /// Reads entries up to the given number: counters go further than sequences of dots.
    init(from reader: inout ByteReader, sequenceMax: UInt64) throws(DecodingFailure) {
        let count = try reader.count(entryBytes: 2)
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let entry = Entry(site: try reader.site(), sequence: try reader.varint())
            if let last = entries.last, last.site >= entry.site { throw reader.failure(.outOfOrder) }
            guard entry.sequence > 0, entry.sequence <= sequenceMax else { throw reader.failure(.impossible) }
            entries.append(entry)
        }
    }
}
