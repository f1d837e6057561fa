// SPDX-License-Identifier: Apache-2.0

@testable import BrumeCRDT

enum MVSubject: Subject {
    typealias Op = Bytes
    static func draw(_ draw: inout Draw) -> Bytes { letter(&draw) }

    static func apply(
        _ op: Op, to state: inout Causal<MVRegister>, by site: SiteID, at time: HybridTime, into delta: inout Causal<MVRegister>
    ) throws { state.set(op, by: site, into: &delta) }

    static func view(_ state: Causal<MVRegister>) -> [Bytes] { state.values }

    static func specify(_ history: History<Op>) -> [Bytes] {
        Set(history.surviving({ _ in true }, killedBy: { _, _ in true }).map(\.op)).sorted()
    }
}

enum EnableWinsSubject: Subject {
    typealias Op = Bool
    static func draw(_ draw: inout Draw) -> Bool { draw.chance(1, in: 2) }

    static func apply(
        _ op: Op, to state: inout Causal<EnableWinsFlag>, by site: SiteID, at time: HybridTime, into delta: inout Causal<EnableWinsFlag>
    ) throws { state.set(op, by: site, into: &delta) }

    static func view(_ state: Causal<EnableWinsFlag>) -> Bool { state.isOn }

    /// There is an enable that no disable has seen.
    static func specify(_ history: History<Op>) -> Bool { !history.surviving({ $0 }, killedBy: { later, _ in !later.op }).isEmpty }
}

enum DisableWinsSubject: Subject {
    typealias Op = Bool
    static func draw(_ draw: inout Draw) -> Bool { draw.chance(1, in: 2) }

    static func apply(
        _ op: Op, to state: inout Causal<DisableWinsFlag>, by site: SiteID, at time: HybridTime, into delta: inout Causal<DisableWinsFlag>
    ) throws { state.set(op, by: site, into: &delta) }

    static func view(_ state: Causal<DisableWinsFlag>) -> Bool { state.isOn }

    /// There is an enable, and no disable that no enable has seen.
    static func specify(_ history: History<Op>) -> Bool {
        history.events.contains { $0.op } && history.surviving({ !$0 }, killedBy: { later, _ in later.op }).isEmpty
    }
}

/// Adds and removes of elements.
enum SetOp: Sendable {
    case add(Bytes)
    case remove(Bytes)
    case clear

    static func draw(_ draw: inout Draw, clears: Bool) -> SetOp {
        switch draw.below(8) {
        case 0 where clears: .clear
        case 0...4: .add(letter(&draw, of: 6))
        default: .remove(letter(&draw, of: 6))
        }
    }
}

enum AddWinsSubject: Subject {
    typealias Op = SetOp
    static func draw(_ draw: inout Draw) -> SetOp { SetOp.draw(&draw, clears: true) }

    static func apply(
        _ op: Op, to state: inout Causal<AddWinsSet>, by site: SiteID, at time: HybridTime, into delta: inout Causal<AddWinsSet>
    ) throws {
        switch op {
        case .add(let element): state.add(element, by: site, into: &delta)
        case .remove(let element): state.remove(element, into: &delta)
        case .clear: state.removeAll(into: &delta)
        }
    }

    static func view(_ state: Causal<AddWinsSet>) -> [Bytes] { state.elements.sorted() }

    /// An element is there if some add of it was seen by no remove of it.
    static func specify(_ history: History<Op>) -> [Bytes] {
        var elements: Set<Bytes> = []
        for event in history.events {
            guard case .add(let element) = event.op else { continue }
            let isRemoved = history.events.contains { later in
                guard later.sees(event) else { return false }
                switch later.op {
                case .add: return false
                case .remove(let removed): return removed == element
                case .clear: return true
                }
            }
            if !isRemoved { elements.insert(element) }
        }
        return elements.sorted()
    }
}

enum RemoveWinsSubject: Subject {
    typealias Op = SetOp
    static func draw(_ draw: inout Draw) -> SetOp { SetOp.draw(&draw, clears: false) }

    static func apply(
        _ op: Op, to state: inout Causal<RemoveWinsSet>, by site: SiteID, at time: HybridTime, into delta: inout Causal<RemoveWinsSet>
    ) throws {
        switch op {
        case .add(let element): state.add(element, by: site, into: &delta)
        case .remove(let element): state.remove(element, by: site, into: &delta)
        case .clear: break
        }
    }

    static func view(_ state: Causal<RemoveWinsSet>) -> [Bytes] { state.elements.sorted() }

    /// An element is there if it was added and every remove of it was seen by an add of it.
    static func specify(_ history: History<Op>) -> [Bytes] {
        var added: Set<Bytes> = []
        var removed: Set<Bytes> = []
        for event in history.events {
            switch event.op {
            case .add(let element): added.insert(element)
            case .clear: break
            case .remove(let element):
                let isUndone = history.events.contains { later in
                    if case .add(element) = later.op { later.sees(event) } else { false }
                }
                if !isUndone { removed.insert(element) }
            }
        }
        return added.subtracting(removed).sorted()
    }

    static func fault(_ state: Causal<RemoveWinsSet>) -> String? {
        state.count == state.elements.count ? nil : "counts \(state.count) of \(state.elements.count)"
    }
}

/// Sets of sets by key.
enum MapOfSetsSubject: Subject {
    enum Op: Sendable { case add(Bytes, Bytes), remove(Bytes, Bytes), removeKey(Bytes) }

    static func draw(_ draw: inout Draw) -> Op {
        switch draw.below(8) {
        case 0: .removeKey(letter(&draw, of: 3))
        case 1, 2: .remove(letter(&draw, of: 3), letter(&draw))
        default: .add(letter(&draw, of: 3), letter(&draw))
        }
    }

    static func apply(
        _ op: Op, to state: inout Causal<ORMap<AddWinsSet>>, by site: SiteID, at time: HybridTime,
        into delta: inout Causal<ORMap<AddWinsSet>>
    ) throws {
        switch op {
        case .add(let key, let element):
            state.update(key, into: &delta) { $0.add(element, by: site, context: &$1, into: &$2) }
        case .remove(let key, let element): state.update(key, into: &delta) { set, _, delta in set.remove(element, into: &delta) }
        case .removeKey(let key): state.remove(key, into: &delta)
        }
    }

    static func view(_ state: Causal<ORMap<AddWinsSet>>) -> [[Bytes]] {
        state.store.keys.sorted().map { [$0] + (state.value($0)?.elements.sorted() ?? []) }
    }

    static func specify(_ history: History<Op>) -> [[Bytes]] {
        var sets: [Bytes: Set<Bytes>] = [:]
        for event in history.events {
            guard case .add(let key, let element) = event.op else { continue }
            let isRemoved = history.events.contains { later in
                guard later.sees(event) else { return false }
                switch later.op {
                case .add: return false
                case .remove(let otherKey, let other): return otherKey == key && other == element
                case .removeKey(let removed): return removed == key
                }
            }
            if !isRemoved { sets[key, default: []].insert(element) }
        }
        return sets.keys.sorted().map { [$0] + (sets[$0] ?? []).sorted() }
    }
}

/// Maps of maps of registers.
enum NestedMapSubject: Subject {
    typealias Store = ORMap<ORMap<MVRegister>>
    enum Op: Sendable { case set(Bytes, Bytes, Bytes), remove(Bytes, Bytes), removeKey(Bytes), clear }

    static func draw(_ draw: inout Draw) -> Op {
        switch draw.below(12) {
        case 0: .clear
        case 1, 2: .removeKey(letter(&draw, of: 2))
        case 3, 4: .remove(letter(&draw, of: 2), letter(&draw, of: 2))
        default: .set(letter(&draw, of: 2), letter(&draw, of: 2), letter(&draw))
        }
    }

    static func apply(_ op: Op, to state: inout Causal<Store>, by site: SiteID, at time: HybridTime, into delta: inout Causal<Store>) throws
    {
        switch op {
        case .set(let outer, let inner, let value):
            state.update(outer, into: &delta) { map, context, delta in
                map.update(inner, context: &context, into: &delta) { $0.set(value, by: site, context: &$1, into: &$2) }
            }
        case .remove(let outer, let inner): state.update(outer, into: &delta) { map, _, delta in map.remove(inner, into: &delta) }
        case .removeKey(let outer): state.remove(outer, into: &delta)
        case .clear: state.removeAll(into: &delta)
        }
    }

    static func view(_ state: Causal<Store>) -> [[Bytes]] {
        state.store.keys.sorted().flatMap { outer in
            (state.value(outer)?.keys.sorted() ?? []).map { [outer, $0] + (state.value(outer)?[$0]?.values ?? []) }
        }
    }

    static func specify(_ history: History<Op>) -> [[Bytes]] {
        var values: [[Bytes]: Set<Bytes>] = [:]
        for event in history.events {
            guard case .set(let outer, let inner, let value) = event.op else { continue }
            let isReplaced = history.events.contains { later in
                guard later.sees(event) else { return false }
                switch later.op {
                case .set(let one, let other, _), .remove(let one, let other): return one == outer && other == inner
                case .removeKey(let removed): return removed == outer
                case .clear: return true
                }
            }
            if !isReplaced { values[[outer, inner], default: []].insert(value) }
        }
        return values.keys.sorted { $0.lexicographicallyPrecedes($1) }.map { $0 + (values[$0] ?? []).sorted() }
    }
}
