// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// Who is served first of the calls that could use more than the pool has.
public enum BorrowerOrder: String, Hashable, Sendable, CaseIterable {
    /// First come, first served (Libra's rule).
    case arrival
    /// The one that is expected to end first: it gives back soonest, and the mean run time is least.
    case earliestEnd = "earliest-end"
}

/// How a node lends.
public struct HarvestSettings: Sendable {
    /// What running calls may have altogether.
    public var capacity: Resources
    /// Whether what no call has reserved is lent too, until a call reserves it.
    public var lendsUnreserved = true
    /// Of what no call has reserved, so much is not lent, so that short calls come and go without a loan being called in for each: every
    /// write of a CPU limit gives its group a fresh quota.
    public var keptBack = Resources.zero
    /// Who is served first of those that could use more.
    public var order = BorrowerOrder.arrival
    /// Whether running calls get more when something comes free later; otherwise only when they begin (as Libra does).
    public var topsUp = true
    /// Smaller amounts are not moved: a hundredth of a core and 1 MiB make no difference to a call, and each costs a write.
    public var quantum = Resources(millicores: 10, memoryBytes: 1 << 20)

    public init(capacity: Resources) { self.capacity = capacity }
}

/// What a call brings along when it begins to run.
public struct HarvestTerms: Hashable, Sendable {
    public var function: FunctionHandle
    /// What admission has set aside for it.
    public var reserved: Resources
    /// What its user asked for; the safeguard restores it. Not less than `reserved` counts.
    public var entitlement: Resources
    /// The most it is expected to use.
    public var demand: Resources
    /// When it is expected to end.
    public var end: Instant
    /// Memory in use by its replica, with a margin: its limit is never set lower.
    public var memoryFloorBytes = 0
    /// What it may be made to do without: not what its function opted out of or tripped the safeguard over too often.
    public var lends: Set<ResourceKind> = [.cpu, .memory]
    /// What it may use of others'.
    public var borrows: Set<ResourceKind> = [.cpu, .memory]

    /// Whether its demand of CPU is not known but tried out: then it is served after all others.
    public var exploresCPU = false

    /// A call that is admitted by its user's allocation.
    public init(_ function: FunctionHandle, reserved: Resources, demand: Resources, end: Instant) {
        self.function = function
        self.reserved = reserved
        entitlement = reserved
        self.demand = demand
        self.end = end
    }
}

/// What the calls on a node lend to each other: CPU and memory in books of their own.
///
/// Entries are ordered by the estimated end of their lender, and the latest end is lent first. A loan ends with its borrower (the lender
/// then has it in the pool again), with its lender, or when the lender needs it back. Whenever something comes free, running calls that
/// can use it get it. Nobody else decides about limits: every operation tells which ones change, and in which order to write them.
public struct HarvestPool: Sendable {
    public let settings: HarvestSettings
    var cpu: LoanBook
    var memory: LoanBook

    public init(settings: HarvestSettings) {
        self.settings = settings
        cpu = LoanBook(.cpu, settings)
        memory = LoanBook(.memory, settings)
    }

    /// What calls that enter now could reserve.
    public var unreserved: Resources { Resources(millicores: cpu.unreserved, memoryBytes: memory.unreserved) }
    public var capacity: Resources { Resources(millicores: cpu.capacity, memoryBytes: memory.capacity) }

    /// A call begins to run: it lends what it will not need, or borrows what it would use beyond its reservation.
    ///
    /// - Parameter bringing: what the node has more from now on, never negative (the memory that its replica has held while it was idle).
    /// - Returns: false, changing nothing, if its reservation does not fit beside the others.
    public mutating func enter(
        _ call: CallID, _ terms: HarvestTerms, bringing: Resources = .zero, into effects: inout HarvestEffects
    ) -> Bool {
        guard terms.reserved.fits(in: unreserved + bringing) else { return false }
        effects.movements.append(.entered(call, terms.function))
        cpu.enter(call, Self.share(.cpu, terms), bringing: bringing.millicores, &effects)
        memory.enter(call, Self.share(.memory, terms), bringing: bringing.memoryBytes, &effects)
        close(&effects)
        return true
    }

    /// A call is over, whether it succeeded, failed, timed out or was killed. A call that is not there is ignored.
    ///
    /// - Parameter withdrawing: of what it had reserved, so much is not the pool's any more (an idle replica holds on to its memory). The
    ///   capacity is less by that, or by as much of it as can be called in.
    public mutating func leave(_ call: CallID, withdrawing: Resources = .zero, into effects: inout HarvestEffects) {
        guard cpu.places[call] != nil else { return }
        cpu.leave(call, withdrawing: withdrawing.millicores, &effects)
        memory.leave(call, withdrawing: withdrawing.memoryBytes, &effects)
        close(&effects)
        effects.movements.append(.left(call))
    }

    /// The safeguard: the call gets its own allocation back at once and lends no more of this resource. What it borrowed it keeps.
    public mutating func restore(_ call: CallID, _ kind: ResourceKind, into effects: inout HarvestEffects) {
        if kind == .cpu { cpu.restore(call, &effects) } else { memory.restore(call, &effects) }
        close(&effects)
    }

    /// A running call turns out to need something else, or to end at another time, than was expected.
    public mutating func revise(_ call: CallID, demand: Resources, end: Instant, into effects: inout HarvestEffects) {
        cpu.revise(call, demand: demand.millicores, end: end, &effects)
        memory.revise(call, demand: demand.memoryBytes, end: end, &effects)
        close(&effects)
    }

    /// Memory in use by a running call, with a margin: no limit is lowered beyond it.
    public mutating func setMemoryFloor(_ call: CallID, bytes: Int, into effects: inout HarvestEffects) {
        memory.setFloor(call, max(0, bytes), &effects)
        close(&effects)
    }

    /// The node has more or less for its calls, for example because idle replicas hold memory.
    ///
    /// - Returns: what it has now: not less than what is reserved, and than what cannot be called in.
    @discardableResult
    public mutating func setCapacity(_ wanted: Resources, into effects: inout HarvestEffects) -> Resources {
        cpu.setCapacity(max(0, wanted.millicores), &effects)
        memory.setCapacity(max(0, wanted.memoryBytes), &effects)
        close(&effects)
        return capacity
    }

    /// A limit could not be lowered as planned (the kernel found the memory in use); it stands at `limit`.
    ///
    /// Report it before anything that grows in the same batch is performed. The changes that follow replace those of the batch that have
    /// not been performed: limits are absolute, and of two for one call and resource the later one holds.
    ///
    /// - Returns: false if nobody had to do without what the call holds: it was to make room, and the capacity is larger by it until it can
    ///   be called in.
    @discardableResult
    public mutating func refused(
        _ change: LimitChange, heldAt limit: Int, batch: [LimitChange], into effects: inout HarvestEffects
    ) -> Bool {
        let agrees =
            change.kind == .cpu
            ? cpu.refused(change.call, heldAt: limit, batch: batch, &effects)
            : memory.refused(change.call, heldAt: limit, batch: batch, &effects)
        close(&effects)
        return agrees
    }

    private static func share(_ kind: ResourceKind, _ terms: HarvestTerms) -> ShareTerms {
        ShareTerms(
            reserved: terms.reserved[kind], entitlement: terms.entitlement[kind], demand: terms.demand[kind],
            floor: kind == .memory ? max(0, terms.memoryFloorBytes) : 0, end: terms.end, mayLend: terms.lends.contains(kind),
            mayBorrow: terms.borrows.contains(kind), explores: kind == .cpu && terms.exploresCPU)
    }

    private mutating func close(_ effects: inout HarvestEffects) {
        cpu.collect(shrinks: true, &effects)
        memory.collect(shrinks: true, &effects)
        cpu.collect(shrinks: false, &effects)
        memory.collect(shrinks: false, &effects)
        cpu.closeOperation()
        memory.closeOperation()
    }
}
