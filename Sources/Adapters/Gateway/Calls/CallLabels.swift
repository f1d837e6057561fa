// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// Makes `X-Call-Id` values in the shape of a random UUID, without a system call each.
struct CallLabels {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    /// Seeded from the system, once per connection.
    init() {
        var system = SystemRandomNumberGenerator()
        self.init(seed: system.next())
    }

    mutating func next() -> String {
        // Version 4 and variant 1, as every client expects of a UUID.
        let high = (generator.next() & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000
        let low = (generator.next() & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000
        return unsafe String(unsafeUninitializedCapacity: 36) { buffer in
            let target = UnsafeMutableRawBufferPointer(buffer)
            // Each word of digits: 8, 4-4, 4-4 and 8 of them.
            let words = (Self.digits(high >> 32), Self.digits(high), Self.digits(low >> 32), Self.digits(low))
            unsafe target.storeBytes(of: words.0, as: UInt64.self)
            unsafe buffer[8] = UInt8(ascii: "-")
            unsafe target.storeBytes(of: UInt32(truncatingIfNeeded: words.1), toByteOffset: 9, as: UInt32.self)
            unsafe buffer[13] = UInt8(ascii: "-")
            unsafe target.storeBytes(of: UInt32(truncatingIfNeeded: words.1 >> 32), toByteOffset: 14, as: UInt32.self)
            unsafe buffer[18] = UInt8(ascii: "-")
            unsafe target.storeBytes(of: UInt32(truncatingIfNeeded: words.2), toByteOffset: 19, as: UInt32.self)
            unsafe buffer[23] = UInt8(ascii: "-")
            unsafe target.storeBytes(of: UInt32(truncatingIfNeeded: words.2 >> 32), toByteOffset: 24, as: UInt32.self)
            unsafe target.storeBytes(of: words.3, toByteOffset: 28, as: UInt64.self)
            return 36
        }
    }

    /// The eight hexadecimal digits of a number's lower half, the first in the lowest byte.
    private static func digits(_ number: UInt64) -> UInt64 {
        // One nibble to a byte, in three steps.
        var spread = (number & 0xFFFF_FFFF).byteSwapped >> 32
        spread = (spread | spread << 16) & 0x0000_FFFF_0000_FFFF
        spread = (spread | spread << 8) & 0x00FF_00FF_00FF_00FF
        spread = (spread >> 4 | spread << 8) & 0x0F0F_0F0F_0F0F_0F0F
        // Those above nine have the fifth bit set after adding six; 'a' is 39 further than what follows '9'.
        let letters = (spread &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return (spread &+ 0x3030_3030_3030_3030 &+ letters &* 39).littleEndian
    }

    /// Longest id that a client may bring along; a longer one would fill logs and the store.
    static let lengthMax = 128

    /// Whether a client's own id can be kept: visible ASCII, not too long.
    static func isAcceptable(_ label: String) -> Bool {
        let bytes = label.utf8
        return !bytes.isEmpty && bytes.count <= lengthMax && bytes.allSatisfy { $0 > 32 && $0 < 127 }
    }
}
