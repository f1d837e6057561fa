// SPDX-License-Identifier: Apache-2.0

/// What one write has left under its dot.
public protocol DotValue: Sendable, Equatable, BinaryCodable {
    /// Takes over the other form of the same write where it is the later one. Commutative, associative, idempotent.
    mutating func merge(_ other: Self)
    var digest: UInt64 { get }
    var heapBytes: Int { get }
    /// Whether the dot alone determines the value, so that who has seen the dot needs it no more.
    var isFixed: Bool { get }
}

extension DotValue {
    public var isFixed: Bool { true }
}

/// A value for each live dot: the writes that nobody has overwritten.
///
/// Usually one, which lies inline; the others are sorted by dot. All operations are O(k) for k live writes, which are as many as sites
/// have written concurrently.
public struct DotFun<Value: DotValue>: DotStore {
    public struct Entry: Sendable, Equatable {
        public let dot: Dot
        public internal(set) var value: Value
    }

    private var first: Entry?
    private var rest: [Entry] = []

    public init() {}

    init(_ dot: Dot, _ value: Value) { first = Entry(dot: dot, value: value) }

    private init(_ sorted: [Entry]) {
        first = sorted.first
        if sorted.count > 1 { rest = Array(sorted.dropFirst()) }
    }

    public static var isContainer: Bool { false }
    public var isBottom: Bool { first == nil }
    public var count: Int { first == nil ? 0 : 1 + rest.count }

    /// All entries, by dot.
    public var entries: [Entry] { first.map { [$0] + rest } ?? [] }

    /// The one entry there is; nil where there are more, or none.
    @inline(__always) var only: Entry? { rest.isEmpty ? first : nil }

    /// Calls for each entry, by dot.
    func forEach(_ body: (Entry) -> Void) {
        guard let first else { return }
        body(first)
        for entry in rest { body(entry) }
    }

    public func forEachDot(_ body: (Dot) -> Void) { forEach { body($0.dot) } }

    subscript(dot: Dot) -> Value? {
        if first?.dot == dot { return first?.value }
        if rest.isEmpty { return nil }
        let index = position(dot)
        return index < rest.count && rest[index].dot == dot ? rest[index].value : nil
    }

    public var digest: UInt64 {
        var sum: UInt64 = 0
        forEach { sum &+= Mixing.hash(Mixing.hash($0.dot), $0.value.digest) }
        return sum
    }

    public var memoryBytes: Int {
        var bytes = rest.isEmpty ? 0 : rest.capacity * MemoryLayout<Entry>.stride + Bytes.arrayHeaderBytes
        forEach { bytes += $0.value.heapBytes }
        return bytes
    }

    public mutating func join(_ other: DotFun, context: CausalContext, otherContext: CausalContext, changes: inout DotChanges) {
        if rest.isEmpty, other.rest.isEmpty, joinSingle(other.first, context, otherContext, &changes) { return }
        var merged: [Entry] = []
        merged.reserveCapacity(count + other.count)
        forEach { mine in
            if let theirs = other[mine.dot] {
                changes.keep()
                var both = mine
                both.value.merge(theirs)
                merged.append(both)
            } else if otherContext.contains(mine.dot) {
                changes.drop(mine.dot)
            } else {
                merged.append(mine)
            }
        }
        var grown = false
        other.forEach { theirs in
            guard self[theirs.dot] == nil, !context.contains(theirs.dot) else { return }
            changes.add(theirs.dot)
            merged.append(theirs)
            grown = true
        }
        if grown { merged.sort { $0.dot < $1.dot } }
        self = DotFun(merged)
    }

    /// The join where both sides have at most one entry and so has the result. Returns false, having done nothing, where it has two.
    private mutating func joinSingle(
        _ theirs: Entry?, _ context: CausalContext, _ otherContext: CausalContext, _ changes: inout DotChanges
    ) -> Bool {
        guard let mine = first else {
            if let theirs, !context.contains(theirs.dot) {
                first = theirs
                changes.add(theirs.dot)
            }
            return true
        }
        if let theirs, theirs.dot == mine.dot {
            changes.keep()
            first?.value.merge(theirs.value)
            return true
        }
        let isNew = theirs.map { !context.contains($0.dot) } ?? false
        guard otherContext.contains(mine.dot) else { return !isNew }
        changes.drop(mine.dot)
        first = isNew ? theirs : nil
        if isNew, let theirs { changes.add(theirs.dot) }
        return true
    }

    public func part(unknownTo known: CausalContext, omitted: inout [Dot]) -> DotFun {
        let mine = entries
        // Whole or not at all: the parts of one value are small and belong together.
        if mine.allSatisfy({ known.contains($0.dot) && $0.value.isFixed }) {
            omitted += mine.map(\.dot)
            return DotFun()
        }
        return self
    }

    // MARK: Mutators; `deltaStore` and `deltaContext` take the delta in.

    /// Puts one write in the place of all seen ones.
    mutating func replaceAll(
        with value: Value, by site: SiteID, context: inout CausalContext, _ deltaStore: inout DotFun, _ deltaContext: inout CausalContext
    ) {
        let dot = context.next(for: site)
        forEachDot { deltaContext.insert($0) }
        deltaContext.insert(dot)
        self = DotFun(dot, value)
        deltaStore = self
    }

    /// Takes all seen writes away.
    mutating func removeAll(_ deltaStore: inout DotFun, _ deltaContext: inout CausalContext) {
        forEachDot { deltaContext.insert($0) }
        self = DotFun()
        deltaStore = DotFun()
    }

    /// Sets or inserts one entry.
    mutating func put(_ dot: Dot, _ value: Value) {
        let entry = Entry(dot: dot, value: value)
        guard let smallest = first else {
            first = entry
            return
        }
        if dot <= smallest.dot {
            if dot < smallest.dot { rest.insert(smallest, at: 0) }
            first = entry
            return
        }
        let index = position(dot)
        if index < rest.count, rest[index].dot == dot { rest[index] = entry } else { rest.insert(entry, at: index) }
    }

    /// Where the dot is or would be among those after the first.
    private func position(_ dot: Dot) -> Int { rest.partitioningIndex { $0.dot >= dot } }

    mutating func remove(_ dot: Dot) {
        if first?.dot == dot {
            first = rest.isEmpty ? nil : rest.removeFirst()
            return
        }
        let index = position(dot)
        if index < rest.count, rest[index].dot == dot { rest.remove(at: index) }
    }

    /// Puts an entry in the place of one whose dot is the next smaller or the same.
    mutating func replace(_ old: Dot, with dot: Dot, _ value: Value) {
        let entry = Entry(dot: dot, value: value)
        if first?.dot == old {
            first = entry
            return
        }
        let index = position(old)
        if index < rest.count, rest[index].dot == old { rest[index] = entry } else { put(dot, value) }
    }
}

extension DotFun {
    public func encode(into writer: inout ByteWriter) {
        writer.count(count)
        forEach { entry in
            writer.dot(entry.dot)
            writer.value(entry.value)
        }
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        let count = try reader.count(entryBytes: 2)
        var list: [Entry] = []
        for _ in 0..<count {
            let dot = try reader.dot()
            if let last = list.last, last.dot >= dot { throw reader.failure(.outOfOrder) }
            list.append(Entry(dot: dot, value: try Value(from: &reader)))
        }
        self.init(list)
    }
}

/// A store that is nothing but the writes nobody has overwritten: registers, flags, counters inside maps.
public protocol CellStore: DotStore {
    associatedtype Write: DotValue
    init()
    /// The live writes.
    var writes: DotFun<Write> { get set }
}

extension CellStore {
    public static var isContainer: Bool { false }
    public var isBottom: Bool { writes.isBottom }
    public var digest: UInt64 { writes.digest }
    public var memoryBytes: Int { writes.memoryBytes }
    public func forEachDot(_ body: (Dot) -> Void) { writes.forEachDot(body) }

    public mutating func join(_ other: Self, context: CausalContext, otherContext: CausalContext, changes: inout DotChanges) {
        writes.join(other.writes, context: context, otherContext: otherContext, changes: &changes)
    }

    public func part(unknownTo known: CausalContext, omitted: inout [Dot]) -> Self {
        var part = Self()
        part.writes = writes.part(unknownTo: known, omitted: &omitted)
        return part
    }

    public func encode(into writer: inout ByteWriter) { writer.value(writes) }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        self.init()
        writes = try DotFun(from: &reader)
    }
}

extension Bytes: DotValue {
    /// One dot has one value, unless two nodes ran under one identity: then the greater one, everywhere.
    public mutating func merge(_ other: Bytes) {
        if self < other { self = other }
    }

    public var digest: UInt64 { BrumeCRDT.stableHash(self) }
}
