// SPDX-License-Identifier: Apache-2.0

/// A set in which an add wins over a concurrent remove.
///
/// An element is in the set if there is an add of it that no remove has seen. Each element holds the dots of the adds that nobody has
/// seen together, usually one; a removed element leaves nothing. `Causal<AddWinsSet>` is the lattice.
///
/// Add, remove and contains are O(1) expected, their deltas too; merging a delta is O(its size), merging a state O(n).
/// Memory: 32 bytes and about 14 of index per element beside content of more than 15 bytes, plus 12 once removes arrive from others.
public struct AddWinsSet: DotStore {
    struct Entry: Keyed, Sendable {
        let key: Bytes
        /// The smallest of its dots.
        var dot: Dot
    }

    /// Up to this many elements are looked at one by one rather than indexed by their dots.
    private static let scanMax = 32

    private(set) var table = KeyTable<Entry>()
    /// The further dots, sorted, of the few elements that were added on several sites at once.
    private var extras: [Bytes: [Dot]] = [:]
    private var index: DotIndex?
    public private(set) var digest: UInt64 = 0

    public init() {}

    public var isBottom: Bool { table.isEmpty }
    public var count: Int { table.count }
    public var isEmpty: Bool { table.isEmpty }

    public func contains(_ element: Bytes) -> Bool { table.find(element) != nil }

    /// Whether one add alone holds the element, which the site made after its `number`th.
    public func isHeld(_ element: Bytes, bySite site: SiteID, after number: UInt64) -> Bool {
        guard extras.isEmpty, let position = table.find(element) else { return false }
        let dot = table[position].dot
        return dot.site == site && dot.sequence > number
    }

    /// The element at a position in `0..<count`.
    ///
    /// Removing an element moves the last one to its position: who walks positions downwards meets every element that stays.
    public func element(at position: Int) -> Bytes { table[position].key }

    /// All elements, in the order of their positions.
    public var elements: [Bytes] { table.entries.map(\.key) }

    private func dots(at position: Int) -> [Dot] {
        let entry = table[position]
        guard !extras.isEmpty, let more = extras[entry.key] else { return [entry.dot] }
        return [entry.dot] + more
    }

    /// The dots of the adds that hold the element; empty if it is absent.
    public func dots(of element: Bytes) -> [Dot] { table.find(element).map { dots(at: $0) } ?? [] }

    public func forEachDot(_ body: (Dot) -> Void) {
        for position in 0..<table.count {
            body(table[position].dot)
            if !extras.isEmpty { extras[table[position].key]?.forEach(body) }
        }
    }

    @inline(__always) private static func mark(_ hash: UInt64, _ dot: Dot) -> UInt64 { Mixing.hash(hash, Mixing.hash(dot)) }

    /// Appends an element that is not here.
    private mutating func append(_ element: Bytes, _ dot: Dot, at place: KeyTable<Entry>.Place) {
        let position = table.append(Entry(key: element, dot: dot), at: place)
        index?.insert(dot, at: position)
        digest &+= Self.mark(stableHash(element), dot)
    }

    /// Gives the element at the position these dots, sorted, instead of its own.
    private mutating func replace(at position: Int, with dots: [Dot]) {
        let old = self.dots(at: position)
        let element = table[position].key
        let hash = stableHash(element)
        for dot in old {
            digest &-= Self.mark(hash, dot)
            index?.remove(dot, at: position)
        }
        guard let first = dots.first else { return erase(at: position) }
        for dot in dots {
            digest &+= Self.mark(hash, dot)
            index?.insert(dot, at: position)
        }
        table[position].dot = first
        if dots.count > 1 {
            extras[element] = Array(dots.dropFirst())
        } else if !extras.isEmpty {
            extras[element] = nil
        }
    }

    /// Takes out the element whose dots are out of the index and the digest already.
    private mutating func erase(at position: Int) {
        let last = table.count - 1
        if index != nil, position != last {
            for dot in dots(at: last) {
                index?.remove(dot, at: last)
                index?.insert(dot, at: position)
            }
        }
        let entry = table.remove(at: position)
        if !extras.isEmpty { extras[entry.key] = nil }
    }

    // MARK: Joining

    public mutating func join(_ other: AddWinsSet, context: CausalContext, otherContext: CausalContext, changes: inout DotChanges) {
        if other.table.count > table.count { table.reserveCapacity(other.table.count) }
        // A join of its own counts what it settles.
        let before = changes.settledCount
        for position in 0..<other.table.count {
            let entry = other.table[position]
            let place = table.look(entry.key)
            guard other.extras.isEmpty, extras.isEmpty else {
                joinDots(of: other, at: position, place, context, otherContext, &changes)
                continue
            }
            guard let mine = place.position else {
                if !context.contains(entry.dot) {
                    append(entry.key, entry.dot, at: place)
                    changes.add(entry.dot)
                }
                continue
            }
            let old = table[mine].dot
            if old == entry.dot {
                changes.keep()
            } else if !context.contains(entry.dot), otherContext.contains(old) {
                replaceOnly(at: mine, old, by: entry.dot)
                changes.drop(old)
                changes.add(entry.dot)
            } else {
                joinDots(of: other, at: position, place, context, otherContext, &changes)
            }
        }
        if !table.isEmpty, context.overlap(otherContext) > changes.settledCount - before {
            dropRemoved(besides: other, context, otherContext, &changes)
        }
    }

    private mutating func replaceOnly(at position: Int, _ old: Dot, by dot: Dot) {
        let hash = stableHash(table[position].key)
        digest = digest &- Self.mark(hash, old) &+ Self.mark(hash, dot)
        index?.remove(old, at: position)
        index?.insert(dot, at: position)
        table[position].dot = dot
    }

    private mutating func joinDots(
        of other: AddWinsSet, at position: Int, _ place: KeyTable<Entry>.Place, _ context: CausalContext, _ otherContext: CausalContext,
        _ changes: inout DotChanges
    ) {
        let element = other.table[position].key
        let theirs = other.dots(at: position)
        let unknown = theirs.filter { !context.contains($0) }
        guard let mine = place.position else {
            guard let first = unknown.first else { return }
            append(element, first, at: place)
            if unknown.count > 1 { replace(at: table.count - 1, with: unknown) }
            for dot in unknown { changes.add(dot) }
            return
        }
        let old = dots(at: mine)
        let kept = old.filter { theirs.contains($0) || !otherContext.contains($0) }
        let added = unknown.filter { !old.contains($0) }
        changes.keep(UInt64(kept.count { theirs.contains($0) }))
        if kept.count == old.count, added.isEmpty { return }
        for dot in old where !kept.contains(dot) { changes.drop(dot) }
        for dot in added { changes.add(dot) }
        replace(at: mine, with: (kept + added).sorted())
    }

    /// Drops the dots that `other` has seen and no longer holds, from elements that it does not name.
    private mutating func dropRemoved(
        besides other: AddWinsSet, _ context: CausalContext, _ otherContext: CausalContext, _ changes: inout DotChanges
    ) {
        let common = context.intersection(otherContext)
        // An index is worth building for few dots, and it stays; for many, looking at every element is no more work.
        let few = common.count <= UInt64(table.count / (index == nil ? 8 : 1))
        guard few, table.count > Self.scanMax else {
            for position in (0..<table.count).reversed() { dropSeen(at: position, besides: other, otherContext, &changes) }
            return
        }
        if index == nil { index = makeIndex() }
        var positions: [Int] = []
        for span in common.spans {
            for sequence in span.first...span.last {
                positions.removeAll(keepingCapacity: true)
                index?.candidates(Dot(site: span.site, sequence: sequence), into: &positions)
                // From the back, since a removal moves the last entry.
                if positions.count > 1 { positions.sort(by: >) }
                for position in positions where position < table.count {
                    dropSeen(at: position, besides: other, otherContext, &changes)
                }
            }
        }
    }

    private func makeIndex() -> DotIndex {
        var index = DotIndex(capacity: table.count)
        for position in 0..<table.count {
            for dot in dots(at: position) { index.insert(dot, at: position) }
        }
        return index
    }

    private mutating func dropSeen(at position: Int, besides other: AddWinsSet, _ otherContext: CausalContext, _ changes: inout DotChanges)
    {
        let entry = table[position]
        if extras.isEmpty {
            if !otherContext.contains(entry.dot) || other.holds(entry.key, entry.dot) { return }
            changes.drop(entry.dot)
            digest &-= Self.mark(stableHash(entry.key), entry.dot)
            index?.remove(entry.dot, at: position)
            return erase(at: position)
        }
        let old = dots(at: position)
        let kept = old.filter { !otherContext.contains($0) || other.holds(entry.key, $0) }
        if kept.count == old.count { return }
        for dot in old where !kept.contains(dot) { changes.drop(dot) }
        replace(at: position, with: kept)
    }

    private func holds(_ element: Bytes, _ dot: Dot) -> Bool {
        guard let position = table.find(element) else { return false }
        return table[position].dot == dot || !extras.isEmpty && (extras[element]?.contains(dot) ?? false)
    }

    public func part(unknownTo known: CausalContext, omitted: inout [Dot]) -> AddWinsSet {
        var part = AddWinsSet()
        for position in 0..<table.count {
            let dots = dots(at: position)
            if dots.allSatisfy(known.contains) {
                omitted += dots
            } else {
                part.append(table[position].key, dots[0], at: part.table.look(table[position].key))
                if dots.count > 1 { part.replace(at: part.count - 1, with: dots) }
            }
        }
        return part
    }

    public static func == (left: AddWinsSet, right: AddWinsSet) -> Bool {
        guard left.count == right.count, left.digest == right.digest else { return false }
        return (0..<left.count).allSatisfy { right.dots(of: left.table[$0].key) == left.dots(at: $0) }
    }

    public var memoryBytes: Int {
        var bytes = table.memoryBytes + (index?.memoryBytes ?? 0) + extras.count * 96
        for entry in table.entries { bytes += entry.key.heapBytes }
        return bytes
    }

    // MARK: Mutators

    /// Adds the element with a new dot of the site, taken from `context`, and joins the delta to `delta`.
    ///
    /// Returns whether the element was absent. An element that is there gets a new dot too: this add must win over removes elsewhere.
    @discardableResult
    public mutating func add(
        _ element: Bytes, by site: SiteID, context: inout CausalContext, into delta: inout Causal<AddWinsSet>
    ) -> Bool {
        let dot = context.next(for: site)
        let place = table.look(element)
        if let position = place.position {
            if extras.isEmpty {
                let old = table[position].dot
                delta.context.insert(old)
                replaceOnly(at: position, old, by: dot)
            } else {
                for old in dots(at: position) { delta.context.insert(old) }
                replace(at: position, with: [dot])
            }
        } else {
            append(element, dot, at: place)
        }
        delta.context.insert(dot)
        delta.store.put(element, dot)
        return place.position == nil
    }

    private mutating func put(_ element: Bytes, _ dot: Dot) {
        let place = table.look(element)
        if let position = place.position { replace(at: position, with: [dot]) } else { append(element, dot, at: place) }
    }

    /// Removes the element, as far as this site has seen it added. Returns whether it was there.
    @discardableResult
    public mutating func remove(_ element: Bytes, into delta: inout Causal<AddWinsSet>) -> Bool {
        guard let position = table.find(element) else { return false }
        for dot in dots(at: position) { delta.context.insert(dot) }
        replace(at: position, with: [])
        if let position = delta.store.table.find(element) { delta.store.replace(at: position, with: []) }
        return true
    }
}

extension AddWinsSet {
    public func encode(into writer: inout ByteWriter) {
        writer.count(table.count - extras.count)
        for entry in table.entries where extras.isEmpty || extras[entry.key] == nil {
            writer.string(entry.key)
            writer.dot(entry.dot)
        }
        writer.count(extras.count)
        if extras.isEmpty { return }
        for position in 0..<table.count where extras[table[position].key] != nil {
            let dots = dots(at: position)
            writer.string(table[position].key)
            writer.count(dots.count)
            for dot in dots { writer.dot(dot) }
        }
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        let singles = try reader.count(entryBytes: 3)
        table.reserveCapacity(singles)
        for _ in 0..<singles {
            let element = try reader.string()
            let place = table.look(element)
            guard place.position == nil else { throw reader.failure(.outOfOrder) }
            append(element, try reader.dot(), at: place)
        }
        let multiples = try reader.count(entryBytes: 6)
        for _ in 0..<multiples {
            let element = try reader.string()
            let place = table.look(element)
            guard place.position == nil else { throw reader.failure(.outOfOrder) }
            let dots = try reader.sortedDots()
            guard dots.count > 1 else { throw reader.failure(.impossible) }
            append(element, dots[0], at: place)
            replace(at: table.count - 1, with: dots)
        }
    }
}

extension ByteReader {
    /// A count, then as many dots in ascending order.
    mutating func sortedDots() throws(DecodingFailure) -> [Dot] {
        let count = try count(entryBytes: 2)
        var dots: [Dot] = []
        dots.reserveCapacity(count)
        for _ in 0..<count {
            let dot = try dot()
            if let last = dots.last, last >= dot { throw failure(.outOfOrder) }
            dots.append(dot)
        }
        return dots
    }
}

extension Causal where Store == AddWinsSet {
    public var count: Int { store.count }
    public var elements: [Bytes] { store.elements }
    public func contains(_ element: Bytes) -> Bool { store.contains(element) }

    /// Adds the element and joins the delta to `delta`. Returns whether it was absent. O(1).
    @discardableResult
    public mutating func add(_ element: Bytes, by site: SiteID, into delta: inout Causal) -> Bool {
        store.add(element, by: site, context: &context, into: &delta)
    }

    /// Adds the element and returns the delta.
    public mutating func add(_ element: Bytes, by site: SiteID) -> Causal {
        var delta = Causal()
        add(element, by: site, into: &delta)
        return delta
    }

    /// Removes the element and joins the delta to `delta`. Returns whether it was there. O(1).
    @discardableResult
    public mutating func remove(_ element: Bytes, into delta: inout Causal) -> Bool { store.remove(element, into: &delta) }

    /// Removes the element and returns the delta.
    public mutating func remove(_ element: Bytes) -> Causal {
        var delta = Causal()
        remove(element, into: &delta)
        return delta
    }
}
