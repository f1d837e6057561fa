// SPDX-License-Identifier: Apache-2.0

/// Why bytes are no encoding of what they should be.
public struct DecodingFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: String, Sendable {
        case endsEarly = "the bytes end before the value does"
        case bytesLeft = "bytes are left over after the value"
        case numberTooLarge = "a number is too large"
        case unknownTag = "a tag is unknown, perhaps of a newer version"
        case outOfOrder = "entries are out of order or twice there"
        case tooDeep = "values lie too deep in one another"
        case impossible = "a value contradicts itself"
    }

    public let reason: Reason
    /// How many bytes had been read.
    public let offset: Int

    public init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    public var description: String { "The bytes cannot be read: \(reason.rawValue) (at byte \(offset))." }
}

/// Reads what a ``ByteWriter`` wrote, trusting nothing: every length and count is held against the bytes that are left.
public struct ByteReader: Sendable {
    /// How deep maps may lie in one another: deeper than any document that people write, far from the end of the stack.
    public static let nestingMax = 64

    private let bytes: [UInt8]
    public private(set) var offset: Int
    private let end: Int
    private var depth = 0
    /// The sites read so far, as in the writer.
    private var sites: [SiteID] = []

    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
        offset = 0
        end = bytes.count
    }

    /// Reads a part of the bytes only.
    public init(_ slice: ArraySlice<UInt8>) { self.init([UInt8](slice)) }

    /// How many bytes are left.
    public var remaining: Int { end - offset }

    public func failure(_ reason: DecodingFailure.Reason) -> DecodingFailure { DecodingFailure(reason, at: offset) }

    /// Throws unless everything was read.
    public func finish() throws(DecodingFailure) {
        guard offset == end else { throw failure(.bytesLeft) }
    }

    public mutating func byte() throws(DecodingFailure) -> UInt8 {
        guard offset < end else { throw failure(.endsEarly) }
        defer { offset += 1 }
        return bytes[offset]
    }

    public mutating func varint() throws(DecodingFailure) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            let bits = UInt64(next & 0x7F)
            guard shift < 63 || bits <= 1 else { throw failure(.numberTooLarge) }
            value |= bits << shift
            if next < 0x80 { return value }
            shift += 7
            guard shift <= 63 else { throw failure(.numberTooLarge) }
        }
    }

    /// A count of entries of at least `entryBytes` bytes each: no more than the bytes that are left can hold.
    public mutating func count(entryBytes: Int = 1) throws(DecodingFailure) -> Int {
        let value = try varint()
        guard value <= UInt64(remaining / max(1, entryBytes)) else { throw failure(.endsEarly) }
        return Int(value)
    }

    public mutating func signed() throws(DecodingFailure) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: (value >> 1) ^ (0 &- (value & 1)))
    }

    public mutating func fixed() throws(DecodingFailure) -> UInt64 {
        guard remaining >= 8 else { throw failure(.endsEarly) }
        var value: UInt64 = 0
        for index in 0..<8 { value |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
        offset += 8
        return value
    }

    public mutating func double() throws(DecodingFailure) -> Double { Double(bitPattern: try fixed()) }

    public mutating func site() throws(DecodingFailure) -> SiteID {
        let place = try varint()
        if place == 0 {
            let site = SiteID(rawValue: try fixed())
            sites.append(site)
            return site
        }
        guard place <= UInt64(sites.count) else { throw failure(.impossible) }
        return sites[Int(place) - 1]
    }

    /// A dot; its sequence counts from 1.
    public mutating func dot() throws(DecodingFailure) -> Dot {
        let site = try site()
        let sequence = try varint()
        guard sequence > 0, sequence <= CausalContext.sequenceMax else { throw failure(.impossible) }
        return Dot(site: site, sequence: sequence)
    }

    public mutating func string() throws(DecodingFailure) -> Bytes {
        let length = try count()
        defer { offset += length }
        return Bytes(bytes[offset..<(offset + length)])
    }

    /// Content of known length.
    public mutating func raw(_ length: Int) throws(DecodingFailure) -> ArraySlice<UInt8> {
        guard length >= 0, length <= remaining else { throw failure(.endsEarly) }
        defer { offset += length }
        return bytes[offset..<(offset + length)]
    }

    public mutating func value<Value: BinaryCodable>(_ type: Value.Type) throws(DecodingFailure) -> Value { try Value(from: &self) }

    /// Reads a value that may hold values of its own kind, at most ``nestingMax`` deep.
    public mutating func nested<R>(_ body: (inout ByteReader) throws(DecodingFailure) -> R) throws(DecodingFailure) -> R {
        guard depth < Self.nestingMax else { throw failure(.tooDeep) }
        depth += 1
        defer { depth -= 1 }
        return try body(&self)
    }
}

extension Bytes: BinaryCodable {
    public func encode(into writer: inout ByteWriter) { writer.string(self) }
    public init(from reader: inout ByteReader) throws(DecodingFailure) { self = try reader.string() }
}
