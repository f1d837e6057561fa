// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT

/// A dot store that is the content of an object of its own.
protocol ObjectStore: DotStore {
    static var kind: ObjectKind { get }
    var isPresent: Bool { get }
    /// How many removed parts are still remembered.
    var restCount: Int { get }
    /// Forgets removed parts that everybody has seen to be removed; answers how many.
    static func forgetRests(in content: inout Causal<Self>, seenByAll: CausalContext) -> Int
}

extension ObjectStore {
    var isPresent: Bool { !isBottom }
    var restCount: Int { 0 }
    static func forgetRests(in content: inout Causal<Self>, seenByAll: CausalContext) -> Int { 0 }
}

extension Causal: ObjectContent where Store: ObjectStore {
    static var kind: ObjectKind { Store.kind }
    var isPresent: Bool { store.isPresent }

    mutating func removeAll(at stamp: Stamp, by site: SiteID, into delta: inout Causal) { removeAll(into: &delta) }

    mutating func beginNumbering(of site: SiteID, after floor: UInt64, into delta: inout Causal) {
        // A number that is never used: those before it may be live elsewhere, so nothing is said about them.
        let burnt = Causal(store: Store(), context: CausalContext(Dot(site: site, sequence: floor + 1)))
        merge(burnt)
        delta.merge(burnt)
    }

    func lastNumber(of site: SiteID) -> UInt64 { context.last(of: site) }

    var seen: CausalContext? { context }

    func part(lacking seen: CausalContext) -> Causal { delta(since: seen) }

    var restCount: Int { store.restCount }

    mutating func forgetRests(seenByAll: CausalContext) -> Int { Store.forgetRests(in: &self, seenByAll: seenByAll) }
}

typealias SetContent = Causal<AddWinsSet>
typealias HashContent = Causal<FieldMap>
typealias ScoredContent = Causal<ScoredSet>
typealias DocumentContent = Causal<DocumentNode>
typealias ListContent = ReplicatedList<Bytes>

extension AddWinsSet: ObjectStore {
    static var kind: ObjectKind { .set }
}

extension ORMap: ObjectStore where Value == FieldRegister {
    static var kind: ObjectKind { .hash }
}

extension ScoredSet: ObjectStore {
    static var kind: ObjectKind { .scoredSet }
}

extension DocumentNode: ObjectStore {
    static var kind: ObjectKind { .document }
}

extension MVRegister: ObjectStore {
    static var kind: ObjectKind { .multiRegister }
}

extension EnableWinsFlag: ObjectStore {
    static var kind: ObjectKind { .enableWinsFlag }
}

extension DisableWinsFlag: ObjectStore {
    static var kind: ObjectKind { .disableWinsFlag }
}

extension RemoveWinsSet: ObjectStore {
    static var kind: ObjectKind { .removeWinsSet }
    var isPresent: Bool { count > 0 }
    var restCount: Int { rememberedCount }

    static func forgetRests(in content: inout Causal<RemoveWinsSet>, seenByAll: CausalContext) -> Int {
        let before = content.store.rememberedCount
        // Nothing is sent: every member comes to the same by itself, and the context tells the others meanwhile.
        var untold = Causal<RemoveWinsSet>()
        content.forget(stable: seenByAll, into: &untold)
        return before - content.store.rememberedCount
    }
}

extension PNCounter: ObjectContent {
    static var kind: ObjectKind { .counter }
    static var onlyGrows: Bool { true }
    var isPresent: Bool { !isBottom }
}

extension BoundedCounter: ObjectContent {
    static var kind: ObjectKind { .boundedCounter }
    static var onlyGrows: Bool { true }
    var isPresent: Bool { !isBottom }
}

extension GSet: ObjectContent {
    static var kind: ObjectKind { .growSet }
    static var onlyGrows: Bool { true }
    var isPresent: Bool { !isBottom }
}

extension HyperLogLog: ObjectContent {
    static var kind: ObjectKind { .hyperLogLog }
    static var onlyGrows: Bool { true }
    var isPresent: Bool { !isBottom }
}

extension LWWRegister: ObjectContent {
    static var kind: ObjectKind { .register }
    var isPresent: Bool { value != nil }
    var overwritten: Stamp { stamp }

    mutating func removeAll(at stamp: Stamp, by site: SiteID, into delta: inout LWWRegister) {
        _ = set(nil, at: stamp, into: &delta)
    }
}

extension ReplicatedList: ObjectContent where Element == Bytes {
    static var kind: ObjectKind { .list }
    static var removalIsAWrite: Bool { true }
    var isPresent: Bool { !isEmpty }

    mutating func removeAll(at stamp: Stamp, by site: SiteID, into delta: inout ReplicatedList) { delta.join(removeAll(by: site)) }

    mutating func beginNumbering(of site: SiteID, after floor: UInt64, into delta: inout ReplicatedList) {
        delta.join(skip(floor + 1, by: site))
    }

    func lastNumber(of site: SiteID) -> UInt64 { last(of: site) }

    var seen: CausalContext? { known }

    func part(lacking seen: CausalContext) -> ReplicatedList { delta(since: seen) }

    var restCount: Int { placeholderCount }

    mutating func forgetRests(seenByAll: CausalContext) -> Int { collect(stable: seenByAll.lasts) }
}

extension Text: ObjectContent {
    static var kind: ObjectKind { .text }
    static var removalIsAWrite: Bool { true }
    var isPresent: Bool { !isEmpty }

    mutating func removeAll(at stamp: Stamp, by site: SiteID, into delta: inout Text) { delta.join(remove(0..<count, by: site)) }

    mutating func beginNumbering(of site: SiteID, after floor: UInt64, into delta: inout Text) {
        delta.join(skip(floor + 1, by: site))
    }

    func lastNumber(of site: SiteID) -> UInt64 { last(of: site) }

    var seen: CausalContext? { known }

    func part(lacking seen: CausalContext) -> Text { delta(since: seen) }

    var restCount: Int { placeholderCount }

    mutating func forgetRests(seenByAll: CausalContext) -> Int { collect(stable: seenByAll.lasts) }
}

extension CausalContext {
    /// The last number of each site of which everything is here from the first number on that the object has of it.
    ///
    /// An object that took the place of a forgotten one has no numbers from 1 on: see ``StateObject/beginNumbering(of:after:)``.
    fileprivate var lasts: VersionVector {
        var vector = VersionVector()
        for index in spans.indices where index == 0 || spans[index - 1].site != spans[index].site {
            vector[spans[index].site] = spans[index].last
        }
        return vector
    }
}

extension ObjectKind {
    /// Whether objects of the kind remember what was removed from them until everybody knows.
    @inline(__always) var leavesRests: Bool { self == .list || self == .removeWinsSet || self == .text }

    /// An empty object of this kind.
    func makeObject(_ name: Bytes, _ hash: UInt64, _ space: SpaceID) -> StateObject {
        switch self {
        case .string: StringObject(name: name, hash: hash, space: space)
        case .set: SetObject(name: name, hash: hash, space: space)
        case .hash: HashObject(name: name, hash: hash, space: space)
        case .scoredSet: ScoredObject(name: name, hash: hash, space: space)
        case .list: ContentObject<ListContent>(name: name, hash: hash, space: space)
        case .hyperLogLog: ContentObject<HyperLogLog>(name: name, hash: hash, space: space)
        case .counter: ContentObject<PNCounter>(name: name, hash: hash, space: space)
        case .boundedCounter: ContentObject<BoundedCounter>(name: name, hash: hash, space: space)
        case .register: ContentObject<LWWRegister>(name: name, hash: hash, space: space)
        case .multiRegister: ContentObject<Causal<MVRegister>>(name: name, hash: hash, space: space)
        case .enableWinsFlag: ContentObject<Causal<EnableWinsFlag>>(name: name, hash: hash, space: space)
        case .disableWinsFlag: ContentObject<Causal<DisableWinsFlag>>(name: name, hash: hash, space: space)
        case .removeWinsSet: ContentObject<Causal<RemoveWinsSet>>(name: name, hash: hash, space: space)
        case .growSet: ContentObject<GSet>(name: name, hash: hash, space: space)
        case .text: ContentObject<Text>(name: name, hash: hash, space: space)
        case .document: ContentObject<DocumentContent>(name: name, hash: hash, space: space)
        }
    }
}
