// SPDX-License-Identifier: Apache-2.0

/// A node of a document in the manner of JSON: a scalar, or a map from keys to nodes.
///
/// A node that was written both ways concurrently holds both and shows the map; the next write to it settles that. Setting or removing
/// a node takes away all that was seen below it, and what is written there concurrently stays. `Causal<DocumentNode>` is the lattice.
///
/// A read or write is O(p) expected for a path of p keys, beside the removal of what lay there.
public struct DocumentNode: DotStore {
    /// The scalar, as the bytes that the user writes for it (JSON's own text, say). Numbers in decimal can be counted on.
    public internal(set) var scalar = FieldRegister()
    public internal(set) var children = ORMap<DocumentNode>()

    public init() {}

    /// How many keys a path may have: what ``ByteReader/nestingMax`` lets be read back.
    public static let depthMax = ByteReader.nestingMax - 1

    public var isBottom: Bool { scalar.isBottom && children.isBottom }
    public var digest: UInt64 { isBottom ? 0 : Mixing.hash(scalar.digest, children.digest) }
    public var memoryBytes: Int { scalar.memoryBytes + children.memoryBytes }

    public func forEachDot(_ body: (Dot) -> Void) {
        scalar.forEachDot(body)
        children.forEachDot(body)
    }

    public mutating func join(_ other: DocumentNode, context: CausalContext, otherContext: CausalContext, changes: inout DotChanges) {
        scalar.join(other.scalar, context: context, otherContext: otherContext, changes: &changes)
        children.join(other.children, context: context, otherContext: otherContext, changes: &changes)
    }

    public func part(unknownTo known: CausalContext, omitted: inout [Dot]) -> DocumentNode {
        var part = DocumentNode()
        part.scalar = scalar.part(unknownTo: known, omitted: &omitted)
        part.children = children.part(unknownTo: known, omitted: &omitted)
        return part
    }

    public func encode(into writer: inout ByteWriter) {
        writer.byte((scalar.isBottom ? 0 : 1) | (children.isBottom ? 0 : 2))
        if !scalar.isBottom { writer.value(scalar) }
        if !children.isBottom { writer.value(children) }
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        let parts = try reader.byte()
        guard parts < 4 else { throw reader.failure(.unknownTag) }
        if parts & 1 > 0 { scalar = try FieldRegister(from: &reader) }
        if parts & 2 > 0 { children = try ORMap(from: &reader) }
        // An empty part that is there would make two forms of one state.
        guard (parts & 1 > 0) != scalar.isBottom, (parts & 2 > 0) != children.isBottom else { throw reader.failure(.impossible) }
    }

    /// The node at the path, this one for an empty path.
    public subscript(path: ArraySlice<Bytes>) -> DocumentNode? {
        guard let key = path.first else { return self }
        return children[key]?[path.dropFirst()]
    }

    /// Takes a node's delta parts out, runs the body on one part and puts them back.
    private static func withScalar<R, E: Error>(
        _ delta: inout Causal<DocumentNode>, _ body: (inout Causal<FieldRegister>) throws(E) -> R
    ) throws(E) -> R {
        var inner = Causal<FieldRegister>()
        swap(&inner.store, &delta.store.scalar)
        swap(&inner.context, &delta.context)
        defer {
            swap(&inner.store, &delta.store.scalar)
            swap(&inner.context, &delta.context)
        }
        return try body(&inner)
    }

    private static func withChildren<R, E: Error>(
        _ delta: inout Causal<DocumentNode>, _ body: (inout Causal<ORMap<DocumentNode>>) throws(E) -> R
    ) throws(E) -> R {
        var inner = Causal<ORMap<DocumentNode>>()
        swap(&inner.store, &delta.store.children)
        swap(&inner.context, &delta.context)
        defer {
            swap(&inner.store, &delta.store.children)
            swap(&inner.context, &delta.context)
        }
        return try body(&inner)
    }

    /// Takes the children away, as far as they were seen.
    private mutating func clearChildren(_ delta: inout Causal<DocumentNode>) {
        if children.isBottom { return }
        for dot in children.dots { delta.context.insert(dot) }
        children = ORMap()
        delta.store.children = ORMap()
    }

    /// Takes the scalar away, as far as it was seen.
    private mutating func clearScalar(_ delta: inout Causal<DocumentNode>) {
        if !scalar.isBottom { scalar.writes.removeAll(&delta.store.scalar.writes, &delta.context) }
    }

    /// Goes down the path, making nodes maps on the way, and runs the body on the node at its end.
    mutating func descend<R, E: Error>(
        _ path: ArraySlice<Bytes>, context: inout CausalContext, into delta: inout Causal<DocumentNode>,
        _ body: (inout DocumentNode, inout CausalContext, inout Causal<DocumentNode>) throws(E) -> R
    ) throws(E) -> R {
        guard let key = path.first else { return try body(&self, &context, &delta) }
        let result = try Self.withChildren(&delta) { inner throws(E) in
            try children.update(key, context: &context, into: &inner) { node, context, delta throws(E) in
                try node.descend(path.dropFirst(), context: &context, into: &delta, body)
            }
        }
        // Only now: if the body throws, nothing has changed.
        clearScalar(&delta)
        return result
    }

    /// Makes this node a scalar.
    mutating func set(
        _ value: Bytes, at time: HybridTime, by site: SiteID, context: inout CausalContext, into delta: inout Causal<DocumentNode>
    ) {
        clearChildren(&delta)
        Self.withScalar(&delta) { inner in scalar.set(value, at: time, by: site, context: &context, into: &inner) }
    }

    /// Adds to this node's number, which must be no map.
    mutating func add(
        _ amount: Int64, by site: SiteID, context: inout CausalContext, into delta: inout Causal<DocumentNode>
    ) throws(CRDTError) -> Int64 {
        guard children.isBottom else { throw CRDTError(.notInteger, "The value is a map, on which nothing can be added.") }
        return try Self.withScalar(&delta) { inner throws(CRDTError) in
            try scalar.add(amount, by: site, context: &context, into: &inner)
        }
    }
}

extension Causal where Store == DocumentNode {
    private func checkDepth(_ path: [Bytes]) throws(CRDTError) {
        guard path.count <= DocumentNode.depthMax else {
            throw CRDTError(.tooDeep, "The path has \(path.count) keys; at most \(DocumentNode.depthMax) may lie in one another.")
        }
    }

    /// The scalar at the path; nil if there is none or a map.
    public func value(at path: [Bytes]) -> Bytes? {
        guard let node = store[path[...]], node.children.isBottom else { return nil }
        return node.scalar.value
    }

    /// The keys of the map at the path, sorted; nil if there is no map.
    public func keys(at path: [Bytes]) -> [Bytes]? {
        guard let node = store[path[...]], !node.children.isBottom else { return nil }
        return node.children.keys.sorted()
    }

    /// Sets the scalar at the path, making maps on the way, and joins the delta to `delta`.
    ///
    /// Throws ``CRDTError/Code/tooDeep``, changing nothing.
    public mutating func set(
        _ value: Bytes, at path: [Bytes], time: HybridTime, by site: SiteID, into delta: inout Causal
    ) throws(CRDTError) {
        try checkDepth(path)
        store.descend(path[...], context: &context, into: &delta) { node, context, delta in
            node.set(value, at: time, by: site, context: &context, into: &delta)
        }
    }

    /// Adds to the number at the path, from 0 if there is nothing, joins the delta to `delta` and returns the new number.
    ///
    /// Throws, changing nothing, as ``FieldRegister`` does, and for a map.
    @discardableResult
    public mutating func add(_ amount: Int64, at path: [Bytes], by site: SiteID, into delta: inout Causal) throws(CRDTError) -> Int64 {
        try checkDepth(path)
        return try store.descend(path[...], context: &context, into: &delta) { node, context, delta throws(CRDTError) in
            try node.add(amount, by: site, context: &context, into: &delta)
        }
    }

    /// Removes what is at the path, as far as it was seen, and joins the delta to `delta`. Returns whether anything was there.
    @discardableResult
    public mutating func remove(at path: [Bytes], into delta: inout Causal) -> Bool {
        guard let node = store[path[...]], !node.isBottom else { return false }
        // The delta of a removal is its dots: joined like one from elsewhere, it finds its way down by itself.
        let removal = Causal(store: DocumentNode(), context: CausalContext(dots: node.dots))
        merge(removal)
        delta.merge(removal)
        return true
    }
}
