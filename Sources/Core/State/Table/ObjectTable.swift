// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT

/// The objects of one key space by hash: open addressing whose order follows the hash's upper bits.
///
/// So a bucket (the upper 14 bits of a hash) is a run of slots: what `SCAN` walks and what two nodes compare. Lookup, insertion and
/// removal are O(1); memory is 12 bytes per slot, of which at least 3 in 8 and at most 3 in 4 are filled.
struct ObjectTable {
    /// Bits of the hash that name a bucket, of two levels of 128.
    static let bucketBits: UInt64 = 14
    static let buckets = 1 << 14

    /// A bucket's number.
    @inline(__always) static func bucket(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> (64 - bucketBits)) }

    /// The low half of the hash, so that most probes need not touch the object.
    private var tags: [UInt32]
    private var slots: [StateObject?]
    private var shift: UInt64
    private(set) var count = 0

    /// Slots of a new table: most key spaces are small.
    private static let initialBits: UInt64 = 5

    init() {
        shift = 64 - Self.initialBits
        tags = [UInt32](repeating: 0, count: 1 << Self.initialBits)
        slots = [StateObject?](repeating: nil, count: 1 << Self.initialBits)
    }

    /// Probing never wraps: a table is as many slots longer than a power of two as the longest run needs.
    @inline(__always) private func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> shift) }

    /// The first object of the name, whatever its kind.
    @inline(__always) func find(_ hash: UInt64, _ name: Bytes) -> StateObject? {
        var slot = home(hash)
        let tag = UInt32(truncatingIfNeeded: hash)
        while slot < slots.count {
            if tags[slot] == tag, let object = slots[slot] {
                if object.hash == hash, object.name == name { return object }
            } else if slots[slot] == nil {
                return nil
            }
            slot &+= 1
        }
        return nil
    }

    /// The object of the name and kind.
    func find(_ hash: UInt64, _ name: Bytes, _ kind: ObjectKind) -> StateObject? {
        var slot = home(hash)
        while slot < slots.count, let object = slots[slot] {
            if object.hash == hash, object.kind == kind, object.name == name { return object }
            slot &+= 1
        }
        return nil
    }

    /// All objects of the name, one for each kind that was ever used.
    func all(_ hash: UInt64, _ name: Bytes) -> [StateObject] {
        var found: [StateObject] = []
        var slot = home(hash)
        while slot < slots.count, let object = slots[slot] {
            if object.hash == hash, object.name == name { found.append(object) }
            slot &+= 1
        }
        return found
    }

    mutating func insert(_ object: StateObject) {
        if (count &+ 1) &* 4 > (1 << (64 - shift)) &* 3 { resize(shift &- 1) }
        place(object)
        count &+= 1
    }

    private mutating func place(_ object: StateObject) {
        var slot = home(object.hash)
        while slot < slots.count, slots[slot] != nil { slot &+= 1 }
        if slot == slots.count {
            tags.append(0)
            slots.append(nil)
        }
        tags[slot] = UInt32(truncatingIfNeeded: object.hash)
        slots[slot] = object
    }

    private mutating func resize(_ newShift: UInt64) {
        let old = slots
        shift = newShift
        let length = 1 << Int(64 - shift)
        tags = [UInt32](repeating: 0, count: length)
        slots = [StateObject?](repeating: nil, count: length)
        for case let object? in old { place(object) }
    }

    mutating func remove(_ object: StateObject) {
        var slot = home(object.hash)
        while slot < slots.count, slots[slot] !== object {
            guard slots[slot] != nil else { return }
            slot &+= 1
        }
        guard slot < slots.count else { return }
        var hole = slot
        var next = slot &+ 1
        // Moves back what had to go further because of the removed one.
        while next < slots.count, let moved = slots[next] {
            if home(moved.hash) <= hole {
                slots[hole] = moved
                tags[hole] = tags[next]
                hole = next
            }
            next &+= 1
        }
        slots[hole] = nil
        tags[hole] = 0
        count &-= 1
        if shift < 64 - Self.initialBits, count &* 8 < 1 << Int(64 - shift) { resize(shift &+ 1) }
    }

    /// Calls for each object whose bucket lies in the range, in the order of buckets; stops when the body answers false.
    ///
    /// The body must not change the table.
    func forEach(in range: Range<Int>, _ body: (StateObject) -> Bool) {
        guard !range.isEmpty else { return }
        var slot = home(UInt64(range.lowerBound) << (64 - Self.bucketBits))
        // What was pushed on from an earlier home stands before what is at home here, so nothing of the range stands before its home.
        let last = range.upperBound == Self.buckets ? UInt64.max : (UInt64(range.upperBound) << (64 - Self.bucketBits)) - 1
        let end = home(last)
        while slot < slots.count {
            guard let object = slots[slot] else {
                if slot > end { return }
                slot &+= 1
                continue
            }
            if range.contains(Self.bucket(object.hash)), !body(object) { return }
            slot &+= 1
        }
    }

    /// The first bucket behind a given one that is at home in another slot.
    func groupEnd(after bucket: Int) -> Int {
        let bits = 64 - shift
        guard bits < Self.bucketBits else { return bucket + 1 }
        let size = 1 << Int(Self.bucketBits - bits)
        return (bucket / size + 1) * size
    }

    /// Calls for each object, in the order of slots.
    func forEach(_ body: (StateObject) -> Void) {
        for case let object? in slots { body(object) }
    }

    /// The first object at or after a slot drawn by the caller, of the `count` tries.
    func object(near position: UInt64) -> StateObject? {
        guard count > 0 else { return nil }
        let start = Int(truncatingIfNeeded: position % UInt64(slots.count))
        for offset in 0..<slots.count {
            if let object = slots[(start &+ offset) % slots.count] { return object }
        }
        return nil
    }

    var memoryBytes: Int { slots.capacity * 12 }
}
