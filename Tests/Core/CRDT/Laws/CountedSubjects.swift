// SPDX-License-Identifier: Apache-2.0

@testable import BrumeCRDT

/// What happens to a key whose value is set, counted on and removed.
enum CountedOp: Sendable {
    case set(Bytes, Bytes)
    case add(Bytes, Int64)
    case remove(Bytes)

    var key: Bytes {
        switch self {
        case .set(let key, _), .add(let key, _), .remove(let key): key
        }
    }

    static func draw(_ draw: inout Draw, numbersOnly: Bool) -> CountedOp {
        let key = letter(&draw, of: 3)
        switch draw.below(8) {
        case 0, 1: return .remove(key)
        case 2, 3:
            let isText = !numbersOnly && draw.chance(1, in: 3)
            return .set(key, isText ? "some text, longer than fifteen bytes" : Bytes(decimal: Int64(draw.below(50))))
        default: return .add(key, Int64(draw.below(9)) - 4)
        }
    }

    /// By key: the latest set that nothing has replaced, and the sum of the additions that nothing has replaced.
    static func specify(_ history: History<CountedOp>) -> [(key: Bytes, base: Bytes?, sum: Int64?)] {
        func kills(_ later: Event<CountedOp>, _ event: Event<CountedOp>) -> Bool {
            guard later.sees(event), later.op.key == event.op.key else { return false }
            if case .add = later.op { return false }
            return true
        }
        // A set's stamp comes after those of the sets that were live where it was made.
        var stamps: [Int: Stamp] = [:]
        for event in history.events {
            guard case .set(let key, _) = event.op else { continue }
            let seen = history.events.filter(event.sees)
            let live = seen.filter { other in
                if case .set(key, _) = other.op { !seen.contains { kills($0, other) } } else { false }
            }
            let latest = live.compactMap { stamps[$0.id] }.max() ?? .zero
            stamps[event.id] = event.stamp > latest ? event.stamp : Stamp(time: latest.time.next, site: event.site)
        }
        let live = history.events.filter { event in !history.events.contains { kills($0, event) } }
        return Set(live.map(\.op.key)).sorted().compactMap { key in
            let sets = live.filter { if case .set(key, _) = $0.op { true } else { false } }
            let latest = sets.max { (stamps[$0.id] ?? .zero) < (stamps[$1.id] ?? .zero) }
            var base: Bytes?
            if case .set(_, let value)? = latest?.op { base = value }
            var sum: Int64?
            for event in live {
                if case .add(key, let amount) = event.op { sum = (sum ?? 0) + amount }
            }
            return base == nil && sum == nil ? nil : (key, base, sum)
        }
    }
}

enum FieldMapSubject: Subject {
    typealias Op = CountedOp
    static func draw(_ draw: inout Draw) -> CountedOp { CountedOp.draw(&draw, numbersOnly: false) }

    static func apply(
        _ op: Op, to state: inout Causal<FieldMap>, by site: SiteID, at time: HybridTime, into delta: inout Causal<FieldMap>
    ) throws {
        switch op {
        case .set(let key, let value): state.set(key, to: value, at: time, by: site, into: &delta)
        case .add(let key, let amount): try state.add(amount, to: key, by: site, into: &delta)
        case .remove(let key): state.removeField(key, into: &delta)
        }
    }

    static func view(_ state: Causal<FieldMap>) -> [[Bytes?]] { state.store.keys.sorted().map { [$0, state.field($0)] } }

    static func specify(_ history: History<Op>) -> [[Bytes?]] {
        CountedOp.specify(history).map { key, base, sum in
            guard let sum else { return [key, base] }
            guard let number = base.map({ Int64($0.text) }) ?? .some(0) else { return [key, base] }
            return [key, Bytes(String(number + sum))]
        }
    }
}

enum ScoredSetSubject: Subject {
    typealias Op = CountedOp
    static func draw(_ draw: inout Draw) -> CountedOp { CountedOp.draw(&draw, numbersOnly: true) }

    static func apply(
        _ op: Op, to state: inout Causal<ScoredSet>, by site: SiteID, at time: HybridTime, into delta: inout Causal<ScoredSet>
    ) throws {
        switch op {
        case .set(let key, let value): try state.set(key, to: Double(value.decimal ?? 0), at: time, by: site, into: &delta)
        case .add(let key, let amount): try state.add(Double(amount), to: key, by: site, into: &delta)
        case .remove(let key): state.remove(key, into: &delta)
        }
    }

    static func view(_ state: Causal<ScoredSet>) -> [String] {
        state.store.elements(in: 0..<state.count).map { "\($0.score) \($0.element)" }
    }

    static func specify(_ history: History<Op>) -> [String] {
        CountedOp.specify(history).map { (Double($0.base?.decimal ?? 0) + Double($0.sum ?? 0), $0.key) }
            .sorted { $0 < $1 }.map { "\($0.0) \($0.1)" }
    }

    static func fault(_ state: Causal<ScoredSet>) -> String? {
        let list = state.store.elements(in: 0..<state.count)
        for (rank, item) in list.enumerated() where state.store.rank(of: item.element) != rank { return "a rank is wrong" }
        return list.count == state.count ? nil : "\(list.count) in order of \(state.count)"
    }
}

enum DocumentSubject: Subject {
    enum Op: Sendable { case set([Bytes], Bytes), add([Bytes], Int64), remove([Bytes]) }

    static let paths: [[Bytes]] = [[], ["a"], ["a", "x"], ["a", "y"], ["a", "x", "q"], ["b"], ["b", "x"]]

    static func draw(_ draw: inout Draw) -> Op {
        let path = paths[draw.below(paths.count)]
        switch draw.below(6) {
        case 0: return .remove(path)
        case 1, 2: return .add(path, Int64(draw.below(5)) + 1)
        default: return .set(path, Bytes(decimal: Int64(draw.below(30))))
        }
    }

    static func apply(
        _ op: Op, to state: inout Causal<DocumentNode>, by site: SiteID, at time: HybridTime, into delta: inout Causal<DocumentNode>
    ) throws {
        switch op {
        case .set(let path, let value): try state.set(value, at: path, time: time, by: site, into: &delta)
        case .add(let path, let amount): try state.add(amount, at: path, by: site, into: &delta)
        case .remove(let path): state.remove(at: path, into: &delta)
        }
    }

    static func view(_ state: Causal<DocumentNode>) -> [String] {
        paths.map { "\($0): \(state.value(at: $0)?.text ?? "-") \(state.keys(at: $0) ?? [])" }
    }

    private static func path(_ op: Op) -> [Bytes] {
        switch op {
        case .set(let path, _), .add(let path, _), .remove(let path): path
        }
    }

    /// Whether a later operation takes away what an earlier one has written.
    private static func kills(_ later: Event<Op>, _ event: Event<Op>) -> Bool {
        guard later.sees(event) else { return false }
        let mine = path(later.op)
        let theirs = path(event.op)
        switch later.op {
        case .remove: return theirs.starts(with: mine)
        // A set replaces all at and below its path; whatever writes turns the scalars on its way into maps.
        case .set: return theirs.starts(with: mine) || mine.count > theirs.count && mine.starts(with: theirs)
        case .add: return mine.count > theirs.count && mine.starts(with: theirs)
        }
    }

    private static func isRemove(_ op: Op) -> Bool { if case .remove = op { true } else { false } }

    static func specify(_ history: History<Op>) -> [String] {
        var stamps: [Int: Stamp] = [:]
        for event in history.events {
            guard case .set(let path, _) = event.op else { continue }
            let seen = history.events.filter(event.sees)
            let live = seen.filter { other in
                guard case .set(path, _) = other.op else { return false }
                return !seen.contains { kills($0, other) }
            }
            let latest = live.compactMap { stamps[$0.id] }.max() ?? .zero
            stamps[event.id] = event.stamp > latest ? event.stamp : Stamp(time: latest.time.next, site: event.site)
        }
        let live = history.events.filter { event in !isRemove(event.op) && !history.events.contains { kills($0, event) } }
        return paths.map { place in
            let below = live.filter { path($0.op).count > place.count && path($0.op).starts(with: place) }
            if !below.isEmpty { return "\(place): - \(Set(below.map { path($0.op)[place.count] }).sorted())" }
            var sum: Int64?
            var latest: (stamp: Stamp, value: Bytes)?
            for event in live where path(event.op) == place {
                switch event.op {
                case .add(_, let amount): sum = (sum ?? 0) + amount
                case .set(_, let value):
                    let stamp = stamps[event.id] ?? .zero
                    if latest.map({ stamp > $0.stamp }) ?? true { latest = (stamp, value) }
                case .remove: break
                }
            }
            let base = latest?.value.decimal
            let value = base == nil && sum == nil ? "-" : String((base ?? 0) + (sum ?? 0))
            return "\(place): \(value) []"
        }
    }
}
