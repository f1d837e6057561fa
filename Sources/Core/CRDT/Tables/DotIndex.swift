// SPDX-License-Identifier: Apache-2.0

/// From a dot to the positions of entries that may hold it: what makes the removal of a dot O(1).
///
/// Holds 32 bits of the dot's hash beside each position, so an answer is a hint to look there; no entry that holds the dot is missed.
/// Built when first needed: a state that only its own site writes never needs one.
struct DotIndex: Sendable {
    /// The upper half is the hash, the lower half 1 + the position; 0 where free. A power of two long, at most 3/4 full.
    private var slots: [UInt64] = []
    private(set) var count = 0

    init() {}

    init(capacity: Int) {
        var length = 16
        while capacity * 4 > length * 3 { length *= 2 }
        slots = [UInt64](repeating: 0, count: length)
    }

    private static func item(_ dot: Dot, _ position: Int) -> UInt64 {
        (Mixing.hash(dot) & 0xFFFF_FFFF_0000_0000) | UInt64(UInt32(truncatingIfNeeded: position &+ 1))
    }

    @inline(__always) private func home(_ item: UInt64) -> Int { Int(truncatingIfNeeded: item >> 32) & (slots.count &- 1) }

    mutating func insert(_ dot: Dot, at position: Int) {
        if slots.isEmpty || (count + 1) * 4 > slots.count * 3 { grow() }
        put(Self.item(dot, position))
        count += 1
    }

    private mutating func put(_ item: UInt64) {
        let mask = slots.count &- 1
        var slot = home(item)
        while slots[slot] != 0 { slot = (slot &+ 1) & mask }
        slots[slot] = item
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt64](repeating: 0, count: max(16, old.count * 2))
        for item in old where item != 0 { put(item) }
    }

    /// Takes out one entry of the dot at the position; nothing happens if there is none.
    mutating func remove(_ dot: Dot, at position: Int) {
        guard !slots.isEmpty else { return }
        let item = Self.item(dot, position)
        let mask = slots.count &- 1
        var slot = home(item)
        while slots[slot] != item {
            if slots[slot] == 0 { return }
            slot = (slot &+ 1) & mask
        }
        count -= 1
        var hole = slot
        while true {
            slot = (slot &+ 1) & mask
            let stored = slots[slot]
            if stored == 0 { break }
            if (slot &- home(stored)) & mask >= (slot &- hole) & mask {
                slots[hole] = stored
                hole = slot
            }
        }
        slots[hole] = 0
    }

    /// Appends the positions that may hold the dot.
    func candidates(_ dot: Dot, into positions: inout [Int]) {
        guard !slots.isEmpty else { return }
        let item = Self.item(dot, 0)
        let mask = slots.count &- 1
        var slot = home(item)
        while slots[slot] != 0 {
            if slots[slot] >> 32 == item >> 32 { positions.append(Int(UInt32(truncatingIfNeeded: slots[slot])) &- 1) }
            slot = (slot &+ 1) & mask
        }
    }

    var memoryBytes: Int { slots.isEmpty ? 0 : slots.capacity * 8 + Bytes.arrayHeaderBytes }
}
