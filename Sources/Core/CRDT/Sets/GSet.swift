// SPDX-License-Identifier: Apache-2.0

/// A set that only grows. Its elements need no dots.
///
/// Add and contains are O(1) expected, the delta is the element, merging is O(size of the other). 16 bytes and about 14 of index per
/// element beside content of more than 15 bytes.
public struct GSet: Lattice {
    struct Entry: Keyed, Sendable { let key: Bytes }

    private var table = KeyTable<Entry>()
    public private(set) var digest: UInt64 = 0

    public init() {}

    public var isBottom: Bool { table.isEmpty }
    public var count: Int { table.count }
    public func contains(_ element: Bytes) -> Bool { table.find(element) != nil }
    /// The element at a position in `0..<count`; positions never change.
    public func element(at position: Int) -> Bytes { table[position].key }
    /// All elements, in the order in which they came.
    public var elements: [Bytes] { table.entries.map(\.key) }

    private mutating func insert(_ element: Bytes) -> Bool {
        let place = table.look(element)
        guard place.position == nil else { return false }
        table.append(Entry(key: element), at: place)
        digest &+= stableHash(element, seed: 3)
        return true
    }

    /// Adds the element and joins the delta to `delta`. Returns whether it was absent.
    @discardableResult
    public mutating func add(_ element: Bytes, into delta: inout GSet) -> Bool {
        guard insert(element) else { return false }
        return delta.insert(element)
    }

    /// Adds the element and returns the delta.
    public mutating func add(_ element: Bytes) -> GSet {
        var delta = GSet()
        add(element, into: &delta)
        return delta
    }

    public mutating func merge(_ other: GSet) {
        if other.count > count { table.reserveCapacity(other.count) }
        for position in 0..<other.count { _ = insert(other.element(at: position)) }
    }

    public static func == (left: GSet, right: GSet) -> Bool {
        left.count == right.count && left.digest == right.digest && left.table.entries.allSatisfy { right.contains($0.key) }
    }

    public var memoryBytes: Int { table.entries.reduce(table.memoryBytes) { $0 + $1.key.heapBytes } }

    public func encode(into writer: inout ByteWriter) {
        writer.count(table.count)
        for entry in table.entries { writer.string(entry.key) }
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        let count = try reader.count()
        table.reserveCapacity(count)
        for _ in 0..<count where !insert(try reader.string()) { throw reader.failure(.outOfOrder) }
    }
}
