// SPDX-License-Identifier: Apache-2.0

/// What a ``ReplicatedList`` can hold.
public protocol ListElement: Sendable, Equatable {
    /// A hash that is the same on every machine.
    var digest: UInt64 { get }
    /// What the element takes beside its inline size.
    var heapBytes: Int { get }
    /// Writes elements whose number the reader knows.
    static func encode(_ elements: ArraySlice<Self>, into writer: inout ByteWriter)
    /// Reads `count` elements. Throws before it takes much more memory than the bytes that are left.
    static func decode(_ count: Int, from reader: inout ByteReader) throws(DecodingFailure) -> [Self]
}

extension Bytes: ListElement {
    public static func encode(_ elements: ArraySlice<Bytes>, into writer: inout ByteWriter) {
        for element in elements { writer.string(element) }
    }

    public static func decode(_ count: Int, from reader: inout ByteReader) throws(DecodingFailure) -> [Bytes] {
        guard count <= reader.remaining else { throw reader.failure(.endsEarly) }
        var elements: [Bytes] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try reader.string()) }
        return elements
    }
}

extension Unicode.Scalar: ListElement {
    public var digest: UInt64 { UInt64(value) }

    public var heapBytes: Int { 0 }

    /// UTF-8.
    public static func encode(_ elements: ArraySlice<Unicode.Scalar>, into writer: inout ByteWriter) {
        for scalar in elements {
            for byte in scalar.utf8 { writer.byte(byte) }
        }
    }

    public static func decode(_ count: Int, from reader: inout ByteReader) throws(DecodingFailure) -> [Unicode.Scalar] {
        guard count <= reader.remaining else { throw reader.failure(.endsEarly) }
        var scalars: [Unicode.Scalar] = []
        scalars.reserveCapacity(count)
        for _ in 0..<count { scalars.append(try scalar(from: &reader)) }
        return scalars
    }

    private static func scalar(from reader: inout ByteReader) throws(DecodingFailure) -> Unicode.Scalar {
        let head = UInt32(try reader.byte())
        let more: Int
        var value: UInt32
        switch head {
        case 0..<0x80: return Unicode.Scalar(UInt8(head))
        case 0xC2..<0xE0: (more, value) = (1, head & 0x1F)
        case 0xE0..<0xF0: (more, value) = (2, head & 0x0F)
        case 0xF0..<0xF5: (more, value) = (3, head & 0x07)
        default: throw reader.failure(.impossible)
        }
        for _ in 0..<more {
            let next = UInt32(try reader.byte())
            guard next & 0xC0 == 0x80 else { throw reader.failure(.impossible) }
            value = value << 6 | next & 0x3F
        }
        // Longer forms than needed would give one text two encodings.
        let least: UInt32 = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x1_0000
        guard value >= least, let scalar = Unicode.Scalar(value) else { throw reader.failure(.impossible) }
        return scalar
    }
}
