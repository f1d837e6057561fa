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
            var position = 0
            for nibble in 0..<32 {
                if nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20 {
                    unsafe buffer[position] = UInt8(ascii: "-")
                    position += 1
                }
                let word = nibble < 16 ? high : low
                let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (nibble % 16))) & 0xF
                unsafe buffer[position] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                position += 1
            }
            return position
        }
    }

    /// Longest id that a client may bring along; a longer one would fill logs and the store.
    static let lengthMax = 128

    /// Whether a client's own id can be kept: visible ASCII, not too long.
    static func isAcceptable(_ label: String) -> Bool {
        let bytes = label.utf8
        return !bytes.isEmpty && bytes.count <= lengthMax && bytes.allSatisfy { $0 > 32 && $0 < 127 }
    }
}
