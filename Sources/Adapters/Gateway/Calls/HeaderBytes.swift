// SPDX-License-Identifier: Apache-2.0

/// The bytes of header fields, where they are: a string's views would look up each of them.
enum HeaderBytes {
    static func of<Value>(_ text: String, _ body: (UnsafeBufferPointer<UInt8>) -> Value) -> Value {
        unsafe of(text.utf8, body)
    }

    static func of<Value>(_ text: String.UTF8View, _ body: (UnsafeBufferPointer<UInt8>) -> Value) -> Value {
        if let value = unsafe text.withContiguousStorageIfAvailable(body) { return value }
        var copy = String(text)
        return copy.withUTF8(body)
    }

    /// A character of a field's name or a method (RFC 9110, 5.6.2): a bit for each, as this is asked for every byte of every name.
    static func isToken(_ byte: UInt8) -> Bool {
        let bits: UInt64 = byte < 64 ? 0x03FF_6CFA_0000_0000 : byte < 128 ? 0x57FF_FFFF_C7FF_FFFE : 0
        return bits >> UInt64(byte & 63) & 1 == 1
    }

    /// Copies a text.
    ///
    /// - Returns: where it ends. There must be room for it.
    static func put(_ text: String, into target: UnsafeMutableRawBufferPointer, at start: Int) -> Int {
        unsafe of(text) { bytes in
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[start...]).copyMemory(from: UnsafeRawBufferPointer(bytes))
            return start + bytes.count
        }
    }

    static func put(_ text: StaticString, into target: UnsafeMutableRawBufferPointer, at start: Int) -> Int {
        let bytes = unsafe UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[start...]).copyMemory(from: bytes)
        return start + bytes.count
    }
}
