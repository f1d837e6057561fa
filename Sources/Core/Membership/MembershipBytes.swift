// SPDX-License-Identifier: Apache-2.0

import BrumeModel

extension BrumeError {
    static let frameCutShort = BrumeError(.corrupt, "the frame ends too early")
    static let frameTooLong = BrumeError(.tooLarge, "the frame is longer than any that this version sends")

    static func frameMalformed(_ what: String) -> BrumeError { BrumeError(.corrupt, "the frame has a malformed \(what)") }

    static func frameNewer(_ version: UInt8) -> BrumeError {
        BrumeError(
            .unsupported,
            "the frame is of version \(version) of the membership protocol, and this node speaks \(MembershipMessage.version); update it")
    }
}

/// Appends numbers and texts to a frame.
struct MembershipWriter {
    private(set) var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    /// LEB128.
    mutating func number(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func fixed(_ value: UInt64) {
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift))) }
    }

    mutating func raw(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    mutating func text(_ value: String) {
        number(UInt64(value.utf8.count))
        raw(value.utf8)
    }

    mutating func node(_ id: NodeID) {
        var high: UInt8?
        for digit in id.description.utf8 {
            let value = digit <= UInt8(ascii: "9") ? digit - UInt8(ascii: "0") : digit - UInt8(ascii: "a") + 10
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
    }
}

/// Takes numbers and texts from a frame; believes no length that exceeds what is left.
struct MembershipReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var left: Int { bytes.count - position }

    mutating func byte() throws(BrumeError) -> UInt8 {
        guard left > 0 else { throw .frameCutShort }
        position += 1
        return bytes[position - 1]
    }

    mutating func number() throws(BrumeError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 63 || next <= 1 else { throw .frameMalformed("number") }
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
            shift += 7
        }
    }

    /// A count of at most `most` things that take at least one byte each.
    mutating func count(_ what: String, most: Int) throws(BrumeError) -> Int {
        let value = try number()
        guard value <= UInt64(most), value <= UInt64(left) else { throw .frameMalformed(what) }
        return Int(value)
    }

    mutating func fixed() throws(BrumeError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 8) { value |= UInt64(try byte()) << UInt64(shift) }
        return value
    }

    mutating func raw(_ length: Int) throws(BrumeError) -> ArraySlice<UInt8> {
        guard length <= left else { throw .frameCutShort }
        position += length
        return bytes[position - length..<position]
    }

    mutating func text(_ what: String) throws(BrumeError) -> String {
        let length = try count(what, most: MemberMeta.wordBytesMax)
        guard let text = String(validating: try raw(length), as: UTF8.self) else { throw .frameMalformed(what) }
        return text
    }

    private static let digits = Array("0123456789abcdef".utf8)

    mutating func node() throws(BrumeError) -> NodeID {
        var text: [UInt8] = []
        text.reserveCapacity(NodeID.length)
        for byte in try raw(NodeID.length / 2) {
            text.append(Self.digits[Int(byte >> 4)])
            text.append(Self.digits[Int(byte & 0xF)])
        }
        do {
            return try NodeID(String(decoding: text, as: UTF8.self))
        } catch {
            throw .frameMalformed("identity")
        }
    }
}
