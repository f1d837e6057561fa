// SPDX-License-Identifier: Apache-2.0

@testable import BrumeCRDT

/// One operation as it happened: who did it, when by his clock, and which others he had seen.
struct Event<Op: Sendable>: Sendable {
    let id: Int
    let site: SiteID
    let time: HybridTime
    let op: Op
    /// The ids of the operations seen, as bits.
    let seen: UInt64

    var stamp: Stamp { Stamp(time: time, site: site) }

    func sees(_ other: Event) -> Bool { seen >> UInt64(other.id) & 1 == 1 }
}

/// A partial order of operations, in an order in which causes come before effects.
struct History<Op: Sendable>: Sendable {
    var events: [Event<Op>] = []

    /// More do not fit the bits of ``Event/seen``.
    static var eventsMax: Int { 64 }

    /// What somebody who has seen these has seen.
    func restricted(to visible: UInt64) -> History {
        History(events: events.filter { visible >> UInt64($0.id) & 1 == 1 })
    }

    /// The events that are `relevant` and that no `killing` event has seen.
    func surviving(_ relevant: (Op) -> Bool, killedBy killing: (Event<Op>, Event<Op>) -> Bool) -> [Event<Op>] {
        events.filter { event in
            relevant(event.op) && !events.contains { $0.sees(event) && killing($0, event) }
        }
    }
}

/// A type under test: its operations, what one sees of it, and its specification as a function of the history alone.
protocol Subject: SendableMetatype {
    associatedtype State: Lattice
    associatedtype Op: Sendable
    associatedtype View: Equatable & Sendable

    static var name: String { get }
    static func draw(_ draw: inout Draw) -> Op
    /// Applies the operation and joins its delta to `delta`. A throwing one must change nothing.
    static func apply(_ op: Op, to state: inout State, by site: SiteID, at time: HybridTime, into delta: inout State) throws
    static func view(_ state: State) -> View
    static func specify(_ history: History<Op>) -> View
    /// What must hold of every state; text of what is wrong otherwise.
    static func fault(_ state: State) -> String?
    static func start() -> State
    /// `state.delta(since: other's context)`, for causal types.
    static func catchUp(_ state: State, for other: State) -> State?
}

extension Subject {
    static var name: String { "\(Self.self)" }
    static func fault(_ state: State) -> String? { nil }
    static func start() -> State { State() }
    static func catchUp(_ state: State, for other: State) -> State? { nil }
}

extension Subject {
    static func catchUp<Store>(_ state: State, for other: State) -> State? where State == Causal<Store> {
        state.delta(since: other.context)
    }
}
