// SPDX-License-Identifier: Apache-2.0

/// Builds an encoding: little-endian fixed numbers, LEB128 variable ones, lengths before content.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    /// The sites written so far; each is spelled out once and then named by its place here.
    private var sites: [SiteID] = []
    private var lastSite = 0

    public init() {}

    public init(capacity: Int) { bytes.reserveCapacity(capacity) }

    public var count: Int { bytes.count }

    public mutating func byte(_ value: UInt8) { bytes.append(value) }

    /// Seven bits a byte, the lowest first; 1 to 10 bytes.
    public mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// A count or length, which is never negative.
    public mutating func count(_ value: Int) { varint(UInt64(value)) }

    /// A signed number, small in both directions (zigzag).
    public mutating func signed(_ value: Int64) { varint(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

    /// Eight bytes: for random numbers such as a site's, which a varint would make longer.
    public mutating func fixed(_ value: UInt64) {
        unsafe withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    public mutating func double(_ value: Double) { fixed(value.bitPattern) }

    /// Nine bytes the first time, then mostly one: so a part of an encoding cannot be read without what stands before it. What shall be
    /// read alone needs a writer of its own.
    public mutating func site(_ value: SiteID) {
        if lastSite < sites.count, sites[lastSite] == value { return count(lastSite + 1) }
        if let index = sites.firstIndex(of: value) {
            lastSite = index
            return count(index + 1)
        }
        lastSite = sites.count
        sites.append(value)
        byte(0)
        fixed(value.rawValue)
    }

    public mutating func dot(_ value: Dot) {
        site(value.site)
        varint(value.sequence)
    }

    /// A length, then the content.
    public mutating func string(_ value: Bytes) {
        count(value.count)
        unsafe value.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    }

    /// Content without its length.
    public mutating func raw(_ content: [UInt8]) { bytes.append(contentsOf: content) }

    public mutating func value(_ value: some BinaryCodable) { value.encode(into: &self) }
}

/// What can be written to bytes and read back, and whose reading survives any bytes at all.
public protocol BinaryCodable {
    func encode(into writer: inout ByteWriter)
    /// Throws when the bytes are no encoding of such a value. Never traps; takes memory in proportion to the bytes, some twenty times as
    /// much at worst.
    init(from reader: inout ByteReader) throws(DecodingFailure)
}

extension BinaryCodable {
    /// The value alone, as bytes.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }

    /// Reads a value that takes all of the bytes.
    public init(decoding bytes: [UInt8]) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        try self.init(from: &reader)
        try reader.finish()
    }
}
