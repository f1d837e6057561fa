// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Finds numbers at the top of a JSON object by their names, without building the object: it is done for each call that may be harvested.
///
/// What is not JSON, or holds no such numbers, gives none; the function itself tells the caller what is wrong with its input.
package struct TopLevelNumbers {
    /// Bytes that are looked at: parameters stand at the beginning of bodies that carry data too.
    package static let bytesMax = 16 << 10
    /// Nesting that is followed; JSON of people and programs stays far below.
    private static let depthMax = 64

    private let bytes: [UInt8]
    private var index = 0

    /// - Returns: one for each name, in its order; nil where there is none.
    package static func read(_ names: [String], in body: ByteBuffer) -> [Double?] {
        var found = [Double?](repeating: nil, count: names.count)
        var reader = TopLevelNumbers(bytes: Array(body.readableBytesView.prefix(bytesMax)))
        reader.skipSpace()
        guard reader.take(UInt8(ascii: "{")) else { return found }
        while let name = reader.string() {
            reader.skipSpace()
            guard reader.take(UInt8(ascii: ":")) else { return found }
            reader.skipSpace()
            if let number = reader.number() {
                // Of a name that is there twice the last counts, as for most who read JSON.
                if let place = names.firstIndex(of: name) { found[place] = number }
            } else if !reader.skipValue() {
                return found
            }
            reader.skipSpace()
            guard reader.take(UInt8(ascii: ",")) else { return found }
            reader.skipSpace()
        }
        return found
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard current == byte else { return false }
        index += 1
        return true
    }

    /// A string; escapes stay as they are written, since names that are looked for have none.
    private mutating func string() -> String? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        let start = index
        while let byte = current {
            index += 1
            if byte == UInt8(ascii: "\\") {
                index += 1
            } else if byte == UInt8(ascii: "\"") {
                return String(decoding: bytes[start..<(index - 1)], as: UTF8.self)
            }
        }
        return nil
    }

    private mutating func number() -> Double? {
        let start = index
        while let byte = current, byte >= 0x30 && byte <= 0x39 || [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains(byte) { index += 1 }
        // A number that the end of what is looked at cuts off is none.
        guard index > start, index < bytes.count, let value = Double(String(decoding: bytes[start..<index], as: UTF8.self)), value.isFinite
        else {
            index = start
            return nil
        }
        return value
    }

    /// - Returns: false where there is no value.
    private mutating func skipValue() -> Bool {
        var depth = 0
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                guard string() != nil else { return false }
                if depth == 0 { return true }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                guard depth <= Self.depthMax else { return false }
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return true }
                depth -= 1
                if depth == 0 {
                    index += 1
                    return true
                }
            case UInt8(ascii: ","):
                if depth == 0 { return true }
            default: break
            }
            index += 1
        }
        return false
    }
}
