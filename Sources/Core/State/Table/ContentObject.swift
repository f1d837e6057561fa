// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT

/// What an object's content must say about itself, beside being a lattice.
protocol ObjectContent: Lattice {
    static var kind: ObjectKind { get }
    /// Whether a reader sees that the object exists.
    var isPresent: Bool { get }
    /// Whether it can only grow, so that deleting it needs a new epoch.
    static var onlyGrows: Bool { get }
    /// The time of the last overwriting, for kinds where one voids an expiry that was set before.
    var overwritten: Stamp { get }
    /// Removes what is seen and joins the delta to `delta`.
    mutating func removeAll(at stamp: Stamp, by site: SiteID, into delta: inout Self)
    /// Whether removing everything takes a number of the site, so that two sites that do it do not come to one state.
    static var removalIsAWrite: Bool { get }
    mutating func beginNumbering(of site: SiteID, after floor: UInt64, into delta: inout Self)
    func lastNumber(of site: SiteID) -> UInt64
    /// What was seen of its writes; nil for kinds that cannot tell what somebody lacks.
    var seen: CausalContext? { get }
    /// What somebody lacks who has seen so much: merging it does what merging all would.
    func part(lacking seen: CausalContext) -> Self
    /// How many removed parts are still remembered.
    var restCount: Int { get }
    /// Forgets removed parts that everybody has seen to be removed; answers how many.
    mutating func forgetRests(seenByAll: CausalContext) -> Int
}

extension ObjectContent {
    static var onlyGrows: Bool { false }
    var overwritten: Stamp { .zero }
    static var removalIsAWrite: Bool { false }
    mutating func removeAll(at stamp: Stamp, by site: SiteID, into delta: inout Self) {}
    mutating func beginNumbering(of site: SiteID, after floor: UInt64, into delta: inout Self) {}
    func lastNumber(of site: SiteID) -> UInt64 { 0 }
    var seen: CausalContext? { nil }
    func part(lacking seen: CausalContext) -> Self { self }
    var restCount: Int { 0 }
    mutating func forgetRests(seenByAll: CausalContext) -> Int { 0 }
}

/// Content that is a dot store with its context: most kinds.
protocol CausalContent: ObjectContent {
    associatedtype Store: DotStore
    var causal: Causal<Store> { get set }
    init(causal: Causal<Store>)
}

/// An object of one kind: its content, and the join of its changes since the last flush.
class ContentObject<Content: ObjectContent>: StateObject {
    final var content = Content()
    /// What waits to be sent; the bottom when nothing does.
    final var delta = Content()
    final var isPending = false

    init(name: Bytes, hash: UInt64, space: SpaceID) {
        super.init(name: name, hash: hash, space: space, kind: Content.kind)
    }

    override var hasContent: Bool { content.isPresent }
    override var contentDigest: UInt64 { content.digest }
    override var contentBytes: Int { content.memoryBytes + MemoryLayout<Content>.size * 2 }
    override var overwritten: Stamp { content.overwritten }
    override var needsEpoch: Bool { Content.onlyGrows }
    override var expiresByEpoch: Bool { Content.onlyGrows || Content.removalIsAWrite }
    override var hasDelta: Bool { isPending }

    override func encodeDelta(into writer: inout ByteWriter) {
        delta.encode(into: &writer)
        forgetDelta()
    }

    override func encodeContent(into writer: inout ByteWriter) { content.encode(into: &writer) }

    override var seen: CausalContext? { content.seen }

    override func encodeContent(lacking seen: CausalContext, into writer: inout ByteWriter) {
        content.part(lacking: seen).encode(into: &writer)
    }

    override var restCount: Int { content.restCount }
    override func forgetRests(seenByAll: CausalContext) -> Int { content.forgetRests(seenByAll: seenByAll) }

    override func mergeContent(from reader: inout ByteReader) throws(DecodingFailure) {
        content.merge(try Content(from: &reader))
    }

    override func checkContent(from reader: inout ByteReader) throws(DecodingFailure) { _ = try Content(from: &reader) }

    override func removeContent(_ stamp: Stamp) {
        change { content, delta in content.removeAll(at: stamp, by: stamp.site, into: &delta) }
    }

    override func resetContent() {
        content = Content()
        delta = Content()
    }

    override func beginNumbering(of site: SiteID, after floor: UInt64) {
        change { content, delta in content.beginNumbering(of: site, after: floor, into: &delta) }
    }

    override func forgetDelta() {
        delta = Content()
        isPending = false
    }

    override func lastNumber(of site: SiteID) -> UInt64 { content.lastNumber(of: site) }

    override func resendAll() {
        delta = content
        isPending = true
    }

    /// Runs a mutator that joins its delta to the one that waits.
    @inline(__always)
    final func change<Result, Failure: Error>(_ body: (inout Content, inout Content) throws(Failure) -> Result) throws(Failure) -> Result {
        isPending = true
        return try body(&content, &delta)
    }
}
