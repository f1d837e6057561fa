// SPDX-License-Identifier: Apache-2.0

import BrumeModel

extension BrumeError {
    /// Bytes from the outside are no message of ours.
    static func wire(_ what: String) -> BrumeError { BrumeError(.invalid, "The peer sent \(what).") }
}

/// Writes the few shapes of protobuf's encoding that `link.proto` uses. Fields with default values are left out, as proto3 does.
///
/// A whole protobuf library for seven small messages would cost the binary some megabytes.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    mutating func field(_ number: UInt8, _ value: UInt64) {
        guard value != 0 else { return }
        bytes.append(number << 3)
        varint(value)
    }

    mutating func field(_ number: UInt8, _ value: Int64) { field(number, UInt64(bitPattern: value)) }

    mutating func field(_ number: UInt8, _ value: Bool) { field(number, UInt64(value ? 1 : 0)) }

    mutating func fixed(_ number: UInt8, _ value: UInt64) {
        guard value != 0 else { return }
        bytes.append(number << 3 | 1)
        for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    mutating func field(_ number: UInt8, _ value: some Collection<UInt8>) {
        guard !value.isEmpty else { return }
        header(number, count: value.count)
        bytes.append(contentsOf: value)
    }

    mutating func field(_ number: UInt8, _ value: String) { field(number, value.utf8) }

    /// A message inside: written even if it is empty, because its presence is what it says.
    mutating func message(_ number: UInt8, _ body: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        body(&inner)
        header(number, count: inner.bytes.count)
        bytes.append(contentsOf: inner.bytes)
    }

    mutating func header(_ number: UInt8, count: Int) {
        bytes.append(number << 3 | 2)
        varint(UInt64(count))
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

/// Reads the fields of one message; what it does not know is skipped, what cannot be read is refused.
struct ProtobufReader {
    enum Value {
        case number(UInt64)
        case bytes(ArraySlice<UInt8>)
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// The next field, or nil at the end.
    mutating func next() throws(BrumeError) -> (number: UInt64, value: Value)? {
        guard !rest.isEmpty else { return nil }
        let tag = try varint()
        guard tag >> 3 != 0 else { throw BrumeError.wire("a field without a number") }
        switch tag & 7 {
        case 0: return (tag >> 3, .number(try varint()))
        case 1: return (tag >> 3, .number(try fixed(8)))
        case 2:
            let count = try varint()
            guard count <= UInt64(rest.count) else { throw BrumeError.wire("a field longer than its message") }
            let bytes = rest.prefix(Int(count))
            rest = rest.dropFirst(Int(count))
            return (tag >> 3, .bytes(bytes))
        case 5: return (tag >> 3, .number(try fixed(4)))
        default: throw BrumeError.wire("a field of no known type")
        }
    }

    private mutating func varint() throws(BrumeError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = rest.popFirst() else { throw BrumeError.wire("a number that is cut off") }
            if shift == 63, byte > 1 { break }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw BrumeError.wire("a number of more than 64 bits")
    }

    private mutating func fixed(_ count: Int) throws(BrumeError) -> UInt64 {
        guard rest.count >= count else { throw BrumeError.wire("a number that is cut off") }
        var value: UInt64 = 0
        for (place, byte) in rest.prefix(count).enumerated() { value |= UInt64(byte) << UInt64(8 * place) }
        rest = rest.dropFirst(count)
        return value
    }
}

extension ProtobufReader.Value {
    func number() throws(BrumeError) -> UInt64 {
        guard case .number(let number) = self else { throw BrumeError.wire("a field of another type than expected") }
        return number
    }

    func bytes() throws(BrumeError) -> ArraySlice<UInt8> {
        guard case .bytes(let bytes) = self else { throw BrumeError.wire("a field of another type than expected") }
        return bytes
    }

    /// Text of at most `bytesMax` bytes of UTF-8.
    func text(_ bytesMax: Int) throws(BrumeError) -> String {
        let bytes = try bytes()
        guard bytes.count <= bytesMax, let text = String(validating: bytes, as: UTF8.self) else {
            throw BrumeError.wire("text that is too long or not UTF-8")
        }
        return text
    }
}
