// SPDX-License-Identifier: Apache-2.0

/// A map from keys to dot stores of one kind, which may be maps again.
///
/// A key is there as long as its value holds a live dot. Removing a key takes away what the remove has seen of the value; what is
/// written to it concurrently stays, without the rest (reset-remove, add wins). `Causal<ORMap<...>>` is the lattice; all values share
/// its context.
///
/// Finding, updating and removing a key are O(1) expected beside the work in the value. Merging a delta takes time with the delta.
/// Memory: the value, 16 bytes and about 14 of index per key, plus 12 per dot once removes arrive from others.
///
/// What other modules call generically is also compiled for ``FieldRegister``, several times as fast.
public struct ORMap<Value: DotStore>: DotStore {
    struct Entry: Keyed, Sendable {
        let key: Bytes
        var value: Value
    }

    /// Up to this many keys are looked at one by one rather than indexed by their dots.
    private static var scanMax: Int { 32 }
    /// For how many keys memory is taken on the word of an encoding alone.
    private static var reservedMax: Int { 1024 }

    var table = KeyTable<Entry>()
    var index: DotIndex?
    public internal(set) var digest: UInt64 = 0

    public init() {}

    public var isBottom: Bool { table.isEmpty }
    public var count: Int { table.count }
    public var isEmpty: Bool { table.isEmpty }
    public func contains(_ key: Bytes) -> Bool { table.find(key) != nil }

    public subscript(key: Bytes) -> Value? { table.find(key).map { table[$0].value } }

    /// The key at a position in `0..<count`.
    ///
    /// Removing a key moves the last one to its position: who walks positions downwards meets every key that stays.
    public func key(at position: Int) -> Bytes { table[position].key }
    public func value(at position: Int) -> Value { table[position].value }
    /// All keys, in the order of their positions.
    public var keys: [Bytes] { table.entries.map(\.key) }

    @_specialize(where Value == FieldRegister)
    public func forEachDot(_ body: (Dot) -> Void) {
        for position in 0..<table.count { table[position].value.forEachDot(body) }
    }

    private static func mark(_ key: Bytes, _ value: Value) -> UInt64 { Mixing.hash(stableHash(key), value.digest, seed: 5) }

    // MARK: Joining

    @_specialize(where Value == FieldRegister)
    public mutating func join(_ other: ORMap, context: CausalContext, otherContext: CausalContext, changes: inout DotChanges) {
        join(other, context: context, otherContext: otherContext, changes: &changes) { _, _, _ in }
    }

    /// Joins and tells of each key that may have changed: its value before and after, nil where it is absent.
    mutating func join(
        _ other: ORMap, context: CausalContext, otherContext: CausalContext, changes: inout DotChanges,
        observe: (Bytes, Value?, Value?) -> Void
    ) {
        if other.table.count > table.count { table.reserveCapacity(other.table.count) }
        var settled: UInt64 = 0
        for position in 0..<other.table.count {
            let key = other.table[position].key
            settled &+= joinValue(
                other.table[position].value, of: key, at: table.find(key), context, otherContext, &changes, observe)
        }
        if !table.isEmpty, context.overlap(otherContext) > settled {
            dropRemoved(besides: other, context, otherContext, &changes, observe)
        }
    }

    /// Joins one value; returns for how many of its dots nothing is left to do.
    private mutating func joinValue(
        _ theirs: Value, of key: Bytes, at found: Int?, _ context: CausalContext, _ otherContext: CausalContext,
        _ changes: inout DotChanges, _ observe: (Bytes, Value?, Value?) -> Void
    ) -> UInt64 {
        var local = DotChanges(collects: index != nil || changes.collects)
        guard let position = found else {
            var value = Value()
            value.join(theirs, context: context, otherContext: otherContext, changes: &local)
            if value.isBottom { return 0 }
            digest &+= Self.mark(key, value)
            let position = table.append(Entry(key: key, value: value))
            note(local, at: position, &changes)
            observe(key, nil, value)
            return 0
        }
        let before = table[position].value
        digest &-= Self.mark(key, before)
        table[position].value.join(theirs, context: context, otherContext: otherContext, changes: &local)
        note(local, at: position, &changes)
        if table[position].value.isBottom {
            observe(key, before, nil)
            erase(at: position)
        } else {
            digest &+= Self.mark(key, table[position].value)
            observe(key, before, table[position].value)
        }
        return local.settledCount
    }

    private mutating func note(_ local: DotChanges, at position: Int, _ changes: inout DotChanges) {
        if index != nil {
            for dot in local.dropped { index?.remove(dot, at: position) }
            for dot in local.added { index?.insert(dot, at: position) }
        }
        for dot in local.dropped { changes.drop(dot) }
        if !local.collects { changes.count(dropped: local.droppedCount) }
        changes.keep(local.keptCount)
        for dot in local.added { changes.add(dot) }
    }

    /// Takes out an entry whose dots are out of the index and whose value is out of the digest.
    private mutating func erase(at position: Int) {
        let last = table.count - 1
        if index != nil, position != last {
            table[last].value.forEachDot { dot in
                index?.remove(dot, at: last)
                index?.insert(dot, at: position)
            }
        }
        table.remove(at: position)
    }

    /// Drops the dots that `other` has seen and no longer holds, under keys that it does not name.
    private mutating func dropRemoved(
        besides other: ORMap, _ context: CausalContext, _ otherContext: CausalContext, _ changes: inout DotChanges,
        _ observe: (Bytes, Value?, Value?) -> Void
    ) {
        let common = context.intersection(otherContext)
        let few = common.count <= UInt64(table.count / (index == nil ? 8 : 1))
        let nothing = Value()
        guard few, table.count > Self.scanMax else {
            for position in (0..<table.count).reversed() where other.table.find(table[position].key) == nil {
                var touched = false
                table[position].value.forEachDot { if common.contains($0) { touched = true } }
                guard touched else { continue }
                let key = table[position].key
                _ = joinValue(nothing, of: key, at: position, context, otherContext, &changes, observe)
            }
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
                    let key = table[position].key
                    guard other.table.find(key) == nil else { continue }
                    _ = joinValue(nothing, of: key, at: position, context, otherContext, &changes, observe)
                }
            }
        }
    }

    private func makeIndex() -> DotIndex {
        var index = DotIndex(capacity: table.count)
        for position in 0..<table.count { table[position].value.forEachDot { index.insert($0, at: position) } }
        return index
    }

    @_specialize(where Value == FieldRegister)
    public func part(unknownTo known: CausalContext, omitted: inout [Dot]) -> ORMap {
        var part = ORMap()
        for entry in table.entries {
            let value = entry.value.part(unknownTo: known, omitted: &omitted)
            if value.isBottom { continue }
            part.digest &+= Self.mark(entry.key, value)
            part.table.append(Entry(key: entry.key, value: value))
        }
        return part
    }

    public static func == (left: ORMap, right: ORMap) -> Bool {
        guard left.count == right.count, left.digest == right.digest else { return false }
        return left.table.entries.allSatisfy { right[$0.key] == $0.value }
    }

    public var memoryBytes: Int {
        table.entries.reduce(table.memoryBytes + (index?.memoryBytes ?? 0)) { $0 + $1.key.heapBytes + $1.value.memoryBytes }
    }

    // MARK: Mutators

    /// Takes a value out to be changed, leaving an empty one in its place.
    private mutating func take(_ key: Bytes, at position: Int?) -> Value {
        var value = Value()
        guard let position else { return value }
        digest &-= Self.mark(key, table[position].value)
        swap(&value, &table[position].value)
        return value
    }

    /// Puts a value back, or its key away if nothing is left of it.
    private mutating func put(_ value: consuming Value, _ key: Bytes, at position: Int?) {
        if value.isBottom {
            if let position { erase(at: position) }
            return
        }
        digest &+= Self.mark(key, value)
        if let position { table[position].value = value } else { table.append(Entry(key: key, value: value)) }
    }

    /// Changes the value of a key, an empty one if it is absent, and joins the delta to `delta`.
    ///
    /// `body` gets the value, this map's context and the delta of the value, to hand on to one of the value's mutators. If it throws it
    /// must have changed nothing.
    @discardableResult
    public mutating func update<R, E: Error>(
        _ key: Bytes, context: inout CausalContext, into delta: inout Causal<ORMap>,
        _ body: (inout Value, inout CausalContext, inout Causal<Value>) throws(E) -> R
    ) throws(E) -> R {
        if index != nil, Value.isContainer { return try updateContainer(key, context: &context, into: &delta, body) }
        let position = table.find(key)
        let oldDots = index == nil ? [] : position.map { table[$0].value.dots } ?? []
        var value = take(key, at: position)
        let theirs = delta.store.table.find(key)
        // The delta's own index, if it has one, is not kept up here; it is built anew when needed.
        delta.store.index = nil
        var inner = Causal(store: delta.store.take(key, at: theirs), context: CausalContext())
        swap(&inner.context, &delta.context)
        defer {
            if index != nil { reindex(value, oldDots, at: position ?? table.count) }
            put(value, key, at: position)
            swap(&inner.context, &delta.context)
            delta.store.put(inner.store, key, at: theirs)
        }
        return try body(&value, &context, &inner)
    }

    private mutating func reindex(_ value: Value, _ oldDots: [Dot], at position: Int) {
        for dot in oldDots { index?.remove(dot, at: position) }
        value.forEachDot { index?.insert($0, at: position) }
    }

    /// The same for values with many dots: what has changed is read off a delta of its own.
    private mutating func updateContainer<R, E: Error>(
        _ key: Bytes, context: inout CausalContext, into delta: inout Causal<ORMap>,
        _ body: (inout Value, inout CausalContext, inout Causal<Value>) throws(E) -> R
    ) throws(E) -> R {
        let position = table.find(key)
        var value = take(key, at: position)
        var inner = Causal<Value>()
        defer {
            let place = position ?? table.count
            for span in inner.context.spans {
                for sequence in span.first...span.last { index?.remove(Dot(site: span.site, sequence: sequence), at: place) }
            }
            inner.store.forEachDot { index?.insert($0, at: place) }
            put(value, key, at: position)
            var outer = Causal(store: ORMap(), context: inner.context)
            outer.store.put(inner.store, key, at: nil)
            delta.merge(outer)
        }
        return try body(&value, &context, &inner)
    }

    /// Removes the key, as far as its value was seen, and joins the delta to `delta`. Returns whether it was there.
    @discardableResult
    @_specialize(where Value == FieldRegister)
    public mutating func remove(_ key: Bytes, into delta: inout Causal<ORMap>) -> Bool {
        guard let position = table.find(key) else { return false }
        let value = take(key, at: position)
        value.forEachDot { dot in
            index?.remove(dot, at: position)
            delta.context.insert(dot)
        }
        erase(at: position)
        delta.store.index = nil
        if let position = delta.store.table.find(key) {
            _ = delta.store.take(key, at: position)
            delta.store.erase(at: position)
        }
        return true
    }
}

extension ORMap {
    @_specialize(where Value == FieldRegister)
    public func encode(into writer: inout ByteWriter) {
        writer.count(table.count)
        for entry in table.entries {
            writer.string(entry.key)
            writer.value(entry.value)
        }
    }

    @_specialize(where Value == FieldRegister)
    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        let count = try reader.count(entryBytes: 2)
        // Maps that lie in one another must not all reserve what only one of them can hold.
        table.reserveCapacity(min(count, Self.reservedMax))
        for _ in 0..<count {
            let key = try reader.string()
            let value = try reader.nested { reader throws(DecodingFailure) in try Value(from: &reader) }
            // An empty value would make two forms of one state.
            guard !value.isBottom else { throw reader.failure(.impossible) }
            guard table.find(key) == nil else { throw reader.failure(.outOfOrder) }
            put(value, key, at: nil)
        }
    }
}

extension Causal {
    public func value<Value: DotStore>(_ key: Bytes) -> Value? where Store == ORMap<Value> { store[key] }

    /// Changes the value of a key and joins the delta to `delta`; see ``ORMap/update(_:context:into:_:)``.
    @discardableResult
    public mutating func update<Value: DotStore, R, E: Error>(
        _ key: Bytes, into delta: inout Causal, _ body: (inout Value, inout CausalContext, inout Causal<Value>) throws(E) -> R
    ) throws(E) -> R where Store == ORMap<Value> {
        try store.update(key, context: &context, into: &delta, body)
    }

    /// Removes the key and joins the delta to `delta`. Returns whether it was there.
    @discardableResult
    public mutating func remove<Value: DotStore>(_ key: Bytes, into delta: inout Causal) -> Bool where Store == ORMap<Value> {
        store.remove(key, into: &delta)
    }

    /// Removes the key and returns the delta.
    public mutating func remove<Value: DotStore>(_ key: Bytes) -> Causal where Store == ORMap<Value> {
        var delta = Causal()
        store.remove(key, into: &delta)
        return delta
    }
}
