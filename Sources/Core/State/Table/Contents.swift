// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT

/// A dot store that is the content of an object of its own.
protocol ObjectStore: DotStore {
    static var kind: ObjectKind { get }
    var isPresent: Bool { get }
}

extension ObjectStore {
    var isPresent: Bool { !isBottom }
}

extension Causal: ObjectContent where Store: ObjectStore {
    static var kind: ObjectKind { Store.kind }
    var isPresent: Bool { store.isPresent }

    mutating func removeAll(at stamp: Stamp, into delta: inout Causal) { removeAll(into: &delta) }

    mutating func beginNumbering(of site: SiteID, after floor: UInt64, into delta: inout Causal) {
        // A number that is never used: those before it may be live elsewhere, so nothing is said about them.
        let burnt = Causal(store: Store(), context: CausalContext(Dot(site: site, sequence: floor + 1)))
        merge(burnt)
        delta.merge(burnt)
    }

    func lastNumber(of site: SiteID) -> UInt64 { context.last(of: site) }
}

extension AddWinsSet: ObjectStore {
    static var kind: ObjectKind { .set }
}

extension PNCounter: ObjectContent {
    static var kind: ObjectKind { .counter }
    static var onlyGrows: Bool { true }
    var isPresent: Bool { !isBottom }
}

typealias SetContent = Causal<AddWinsSet>

extension ObjectKind {
    /// An empty object of this kind; nil for kinds that this node does not hold.
    func makeObject(_ name: Bytes, _ hash: UInt64, _ space: SpaceID) -> StateObject? {
        switch self {
        case .string: StringObject(name: name, hash: hash, space: space)
        case .set: ContentObject<SetContent>(name: name, hash: hash, space: space)
        case .counter: ContentObject<PNCounter>(name: name, hash: hash, space: space)
        default: nil
        }
    }
}
