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
    /// Open addressing with linear probing: 32 bits of the key's hash above 1 + the position of its entry, 0 where free. A power of two
    /// long, at most 3/4 full. With the hash at hand, strangers are passed by and the index moved without a look at the entries.
    private var index: [UInt64] = []

    init() {}

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }

    subscript(position: Int) -> Entry {
        _read { yield entries[position] }
        _modify { yield &entries[position] }
    }

    /// Where a key was found, or what appending it needs.
    struct Place {
        let position: Int?
        fileprivate let hash: UInt32
    }

    /// Seeded anew in every run against adversaries; it decides where the index looks and nothing else.
    @inline(__always) private static func hash(_ key: Bytes) -> UInt32 {
        var hasher = Swift.Hasher()
        key.hash(into: &hasher)
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    @inline(__always) private static func item(_ hash: UInt32, _ position: Int) -> UInt64 {
        UInt64(hash) << 32 | UInt64(UInt32(truncatingIfNeeded: position &+ 1))
    }

    @inline(__always) private static func position(_ item: UInt64) -> Int { Int(UInt32(truncatingIfNeeded: item)) &- 1 }
    @inline(__always) private func home(_ item: UInt64) -> Int { Int(truncatingIfNeeded: item >> 32) & (index.count &- 1) }

    /// Looks for the key, and keeps what ``append(_:at:)`` would have to work out again.
    func look(_ key: Bytes) -> Place {
        if index.isEmpty {
            for position in 0..<entries.count where entries[position].key == key { return Place(position: position, hash: 0) }
            return Place(position: nil, hash: 0)
        }
        let hash = Self.hash(key)
        let mask = index.count &- 1
        var slot = Int(hash) & mask
        while true {
            let item = index[slot]
            if item == 0 { return Place(position: nil, hash: hash) }
            if UInt32(truncatingIfNeeded: item >> 32) == hash, entries[Self.position(item)].key == key {
                return Place(position: Self.position(item), hash: hash)
            }
            slot = (slot &+ 1) & mask
        }
    }

    /// The position of the entry with the key.
    func find(_ key: Bytes) -> Int? { look(key).position }

    /// Appends an entry whose key is not in the table, as `place` says; returns its position.
    @discardableResult
    mutating func append(_ entry: Entry, at place: Place) -> Int {
        let position = entries.count
        entries.append(entry)
        if index.isEmpty {
            if entries.count > Self.linearMax { indexAll(capacity: 4 * Self.linearMax) }
        } else {
            if entries.count * 4 > index.count * 3 { resize(capacity: index.count * 2) }
            put(Self.item(place.hash, position))
        }
        return position
    }

    /// Appends an entry whose key is not in the table; returns its position.
    @discardableResult
    mutating func append(_ entry: Entry) -> Int {
        append(entry, at: Place(position: nil, hash: index.isEmpty ? 0 : Self.hash(entry.key)))
    }

    private mutating func put(_ item: UInt64) {
        let mask = index.count &- 1
        var slot = home(item)
        while index[slot] != 0 { slot = (slot &+ 1) & mask }
        index[slot] = item
    }

    private mutating func indexAll(capacity: Int) {
        index = [UInt64](repeating: 0, count: capacity)
        for position in entries.indices { put(Self.item(Self.hash(entries[position].key), position)) }
    }

    private mutating func resize(capacity: Int) {
        let old = index
        index = [UInt64](repeating: 0, count: capacity)
        for item in old where item != 0 { put(item) }
    }

    /// Prepares for this many entries.
    mutating func reserveCapacity(_ count: Int) {
        entries.reserveCapacity(count)
        guard count > Self.linearMax else { return }
        var capacity = max(index.count, 4 * Self.linearMax)
        while count * 4 > capacity * 3 { capacity *= 2 }
        if index.isEmpty { indexAll(capacity: capacity) } else if capacity > index.count { resize(capacity: capacity) }
    }

    /// Removes the entry at the position. The last entry, if it is another one, now has that position.
    @discardableResult
    mutating func remove(at position: Int) -> Entry {
        let last = entries.count - 1
        if !index.isEmpty {
            vacate(slot(of: position))
            if position != last {
                let slot = slot(of: last)
                index[slot] = Self.item(UInt32(truncatingIfNeeded: index[slot] >> 32), position)
            }
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
        resize(capacity: max(index.count / 4, 4 * Self.linearMax))
    }

    private func slot(of position: Int) -> Int {
        let mask = index.count &- 1
        let item = Self.item(Self.hash(entries[position].key), position)
        var slot = home(item)
        while index[slot] != item { slot = (slot &+ 1) & mask }
        return slot
    }

    /// Frees a slot and moves back what had to go further because of it.
    private mutating func vacate(_ freed: Int) {
        let mask = index.count &- 1
        var hole = freed
        var slot = freed
        while true {
            slot = (slot &+ 1) & mask
            let item = index[slot]
            if item == 0 { break }
            // Whether the hole lies on the way from the entry's home to where it is.
            if (slot &- home(item)) & mask >= (slot &- hole) & mask {
                index[hole] = item
                hole = slot
            }
        }
        index[hole] = 0
    }

    var memoryBytes: Int {
        entries.capacity * MemoryLayout<Entry>.stride + index.capacity * 8 + (entries.isEmpty ? 0 : Bytes.arrayHeaderBytes)
            + (index.isEmpty ? 0 : Bytes.arrayHeaderBytes)
    }
}
