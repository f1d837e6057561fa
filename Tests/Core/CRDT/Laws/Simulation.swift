// SPDX-License-Identifier: Apache-2.0

@testable import BrumeCRDT

/// Some sites that operate on one object and exchange states and deltas, with the history of what happened.
struct Simulation<S: Subject> {
    struct Replica {
        let site: SiteID
        var state: S.State
        /// Which events have reached it, as bits.
        var visible: UInt64 = 0
    }

    var replicas: [Replica]
    var history = History<S.Op>()
    /// By event: its delta alone.
    var deltas: [S.State] = []
    var draw: Draw

    init(sites: Int, seed: UInt64) {
        draw = Draw(seed: seed)
        replicas = (0..<sites).map { Replica(site: SiteID(rawValue: 1000 &- UInt64($0) &* 7), state: S.start()) }
    }

    /// A clock of no worth: sites differ by hours and jump.
    private mutating func time() -> HybridTime { HybridTime(milliseconds: 1_000_000 + UInt64(draw.below(6)) * 3_600_000) }

    /// One random operation at one site, unless it is refused. Returns whether it happened.
    @discardableResult
    mutating func operate(at index: Int) -> Bool {
        guard history.events.count < History<S.Op>.eventsMax else { return false }
        let op = S.draw(&draw)
        let time = time()
        var delta = S.State()
        do {
            try S.apply(op, to: &replicas[index].state, by: replicas[index].site, at: time, into: &delta)
        } catch { return false }
        let id = history.events.count
        history.events.append(Event(id: id, site: replicas[index].site, time: time, op: op, seen: replicas[index].visible))
        replicas[index].visible |= 1 << UInt64(id)
        deltas.append(delta)
        return true
    }

    /// One site gets the whole state of another.
    mutating func mergeState(from source: Int, to target: Int) {
        replicas[target].state.merge(replicas[source].state)
        replicas[target].visible |= replicas[source].visible
    }

    /// One site gets the delta of some event whose causes it has; perhaps for the second time.
    mutating func deliverDelta(to target: Int) {
        guard !deltas.isEmpty else { return }
        let event = history.events[draw.below(deltas.count)]
        guard event.seen & ~replicas[target].visible == 0 else { return }
        replicas[target].state.merge(deltas[event.id])
        replicas[target].visible |= 1 << UInt64(event.id)
    }

    /// One site gets what it lacks of another, as anti-entropy sends it.
    mutating func catchUp(from source: Int, to target: Int) {
        guard let part = S.catchUp(replicas[source].state, for: replicas[target].state) else { return }
        replicas[target].state.merge(part)
        replicas[target].visible |= replicas[source].visible
    }

    /// A random step of any kind.
    mutating func step() -> Int {
        let target = draw.below(replicas.count)
        let source = draw.below(replicas.count)
        switch draw.below(8) {
        case 0...3: operate(at: target)
        case 4: mergeState(from: source, to: target)
        case 5: catchUp(from: source, to: target)
        default: deliverDelta(to: target)
        }
        return target
    }

    func specified(_ index: Int) -> S.View { S.specify(history.restricted(to: replicas[index].visible)) }

    /// States of every sort: bottoms, deltas, states along the way, and joins of deltas in any order with gaps between them.
    mutating func pool(_ count: Int) -> [S.State] {
        var pool: [S.State] = [S.State(), S.start()] + deltas.suffix(6) + replicas.map(\.state)
        while pool.count < count, !deltas.isEmpty {
            var state = S.State()
            for _ in 0..<draw.below(6) { state.merge(deltas[draw.below(deltas.count)]) }
            if draw.chance(1, in: 3) { state.merge(replicas[draw.below(replicas.count)].state) }
            pool.append(state)
        }
        return pool
    }
}
