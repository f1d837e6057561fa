// SPDX-License-Identifier: Apache-2.0

/// What a ``KeyTable`` holds: something with a key that never changes while it is in there.
protocol Keyed {
    var key: Bytes { get }
}

/// A hash table whose entries lie side by side in an array, in an order that history alone determines, never the hash seed.
///
/// Finding, appending and removing are O(1); a removal moves the last entry into the hole. Walking the positions downwards therefore
/// meets every entry that stays, whatever is added and removed meanwhile. Up to ``linearMax`` entries there is no index at all: small
/// tables, above all those in deltas, cost one array.
struct KeyTable<Entry: Keyed & Sendable>: Sendable {
    /// Up to this many entries are compared one by one, which is as fast as hashing.
    static var linearMax: Int { 8 }

    private(set) var entries: [Entry] = []
    /// Open addressing with linear probing: 1 + the position of an entry, 0 where free. A power of two long, at most 3/4 full.
    private var index: [UInt32] = []

    init() {}

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }

    subscript(position: Int) -> Entry {
        _read { yield entries[position] }
        _modify { yield &entries[position] }
    }

    /// Seeded anew in every run against adversaries; it decides where the index looks and nothing else.
    @inline(__always) private static func hash(_ key: Bytes) -> Int {
        var hasher = Swift.Hasher()
        key.hash(into: &hasher)
        return hasher.finalize()
    }

    /// The position of the entry with the key.
    func find(_ key: Bytes) -> Int? {
        if index.isEmpty {
            for position in 0..<entries.count where entries[position].key == key { return position }
            return nil
        }
        let mask = index.count &- 1
        var slot = Self.hash(key) & mask
        while true {
            let stored = index[slot]
            if stored == 0 { return nil }
            let position = Int(stored) &- 1
            if entries[position].key == key { return position }
            slot = (slot &+ 1) & mask
        }
    }

    /// Appends an entry whose key is not in the table; returns its position.
    @discardableResult
    mutating func append(_ entry: Entry) -> Int {
        let position = entries.count
        entries.append(entry)
        if index.isEmpty {
            if entries.count > Self.linearMax { rebuild(capacity: 4 * Self.linearMax) }
        } else if entries.count * 4 > index.count * 3 {
            rebuild(capacity: index.count * 2)
        } else {
            place(position)
        }
        return position
    }

    private mutating func place(_ position: Int) {
        let mask = index.count &- 1
        var slot = Self.hash(entries[position].key) & mask
        while index[slot] != 0 { slot = (slot &+ 1) & mask }
        index[slot] = UInt32(truncatingIfNeeded: position &+ 1)
    }

    private mutating func rebuild(capacity: Int) {
        index = [UInt32](repeating: 0, count: capacity)
        for position in entries.indices { place(position) }
    }

    /// Prepares for this many entries.
    mutating func reserveCapacity(_ count: Int) {
        entries.reserveCapacity(count)
        guard count > Self.linearMax else { return }
        var capacity = max(index.count, 4 * Self.linearMax)
        while count * 4 > capacity * 3 { capacity *= 2 }
        if capacity > index.count { rebuild(capacity: capacity) }
    }

    /// Removes the entry at the position. The last entry, if it is another one, now has that position.
    @discardableResult
    mutating func remove(at position: Int) -> Entry {
        let last = entries.count - 1
        if !index.isEmpty {
            vacate(slot(of: position))
            if position != last { index[slot(of: last)] = UInt32(truncatingIfNeeded: position &+ 1) }
        }
        entries.swapAt(position, last)
        let removed = entries.removeLast()
        shrinkIfSparse()
        return removed
    }

    /// Gives memory back when most of it is unused.
    private mutating func shrinkIfSparse() {
        guard !index.isEmpty, entries.count * 8 < index.count, index.count > 4 * Self.linearMax else { return }
        var smaller: [Entry] = []
        smaller.reserveCapacity(entries.count * 2)
        smaller.append(contentsOf: entries)
        entries = smaller
        rebuild(capacity: index.count / 4 > 4 * Self.linearMax ? index.count / 4 : 4 * Self.linearMax)
    }

    private func slot(of position: Int) -> Int {
        let mask = index.count &- 1
        let sought = UInt32(truncatingIfNeeded: position &+ 1)
        var slot = Self.hash(entries[position].key) & mask
        while index[slot] != sought { slot = (slot &+ 1) & mask }
        return slot
    }

    /// Frees a slot and moves back what had to go further because of it.
    private mutating func vacate(_ freed: Int) {
        let mask = index.count &- 1
        var hole = freed
        var slot = freed
        while true {
            slot = (slot &+ 1) & mask
            let stored = index[slot]
            if stored == 0 { break }
            let home = Self.hash(entries[Int(stored) &- 1].key) & mask
            // Whether the hole lies on the way from the entry's home to where it is.
            if (slot &- home) & mask >= (slot &- hole) & mask {
                index[hole] = stored
                hole = slot
            }
        }
        index[hole] = 0
    }

    var memoryBytes: Int {
        entries.capacity * MemoryLayout<Entry>.stride + index.capacity * 4 + (entries.isEmpty ? 0 : Bytes.arrayHeaderBytes)
            + (index.isEmpty ? 0 : Bytes.arrayHeaderBytes)
    }

    /// The entries by key: the order of encodings, equal for equal content.
    var sortedPositions: [Int] { entries.indices.sorted { entries[$0].key < entries[$1].key } }
}
