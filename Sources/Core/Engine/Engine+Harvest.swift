// SPDX-License-Identifier: Apache-2.0

import BrumeBroker
import BrumeHarvest
public import BrumeModel

/// Harvesting: what running calls lend to each other, and which call has to wait for its part.
///
/// A replica takes part while calls run on it, in the name of the first of them. CPU is set aside for each such time, memory for each
/// replica: what an idle one holds cannot be given to others.
extension Engine {
    /// How a replica's time with calls ended.
    enum PeriodEnd {
        case ended(CallEnd, CallUsage?)
        case exited(ReplicaExit)

        /// Whether the kernel ended it at its memory limit.
        var isKill: Bool {
            switch self {
            case .ended(let end, _): end == .outOfMemory
            case .exited(let exit): exit.cause == .outOfMemory
            }
        }
    }

    /// Whether harvesting keeps its books in this call's name: it has begun, and its statement is still to come.
    public func harvests(_ call: CallID) -> Bool { harvested[call] != nil }

    // MARK: Admission

    /// Whether a call would get what is to be set aside for it, if it took the function's next free slot now.
    func mayBegin(_ call: CallID, _ state: CallState, _ place: Int) -> Bool {
        // Not taken out before it is needed: it is large.
        guard harvester != nil else { return true }
        guard let harvester, let replica = functions[at: place]?.pool.next.flatMap({ replicas[$0] }), replica.harvestCall == nil,
            let policy = functions[at: place]?.policy
        else { return true }
        let needed = harvester.reservation(for: harvestCall(call, state, policy, replica))
        // The memory is the replica's already.
        return needed.millicores <= harvester.pool.unreserved.millicores
    }

    /// Whether the function's next call has to wait for others to end; it is asked again then.
    mutating func isHeldBack(_ place: Int, _ outputs: inout [Output]) -> Bool {
        guard harvester != nil, let call = firstWaiting(place), let state = calls[call] else { return false }
        guard !mayBegin(call, state, place) else { return false }
        if !starved.contains(state.function) {
            starved.append(state.function)
            outputs.append(.note(.heldBack(call, needs: functions[at: place]?.policy.allocation ?? .zero)))
        }
        return true
    }

    /// Asks functions again whose calls were held back: in the order in which they were, or the call first that would have ended first
    /// if it had begun when it came.
    mutating func serveStarved(_ outputs: inout [Output]) {
        var waiting = starved
        starved.removeAll(keepingCapacity: true)
        if harvester?.settings.waitingOrder == .expectedEnd {
            let ends = waiting.map { expectedEnd($0) }
            waiting = waiting.indices.sorted { (ends[$0], $0) < (ends[$1], $1) }.map { waiting[$0] }
        }
        for handle in waiting { dispatch(handle, &outputs) }
    }

    /// When the function's next call would have ended if it had begun at once; one of which nothing is known counts as instant.
    private func expectedEnd(_ handle: FunctionHandle) -> Instant {
        guard let place = functions.place(of: handle), let call = firstWaiting(place), let state = calls[call],
            let policy = functions[at: place]?.policy
        else { return .zero }
        let harvest = HarvestCall(id: call, function: handle, allocation: policy.allocation, features: state.features)
        let duration = harvester?.predict(harvest)?.duration(millicores: policy.allocation.millicores) ?? .zero
        return state.waitingSince + duration
    }

    private func harvestCall(_ call: CallID, _ state: CallState, _ policy: FunctionPolicy, _ replica: ReplicaState) -> HarvestCall {
        var harvest = HarvestCall(
            id: call, function: state.function, allocation: allocation(policy, replica), features: state.features,
            memoryInUseBytes: replica.memoryInUse)
        harvest.takesPart = policy.harvests
        return harvest
    }

    /// The limits of a replica by right: no more memory than it has reserved.
    private func allocation(_ policy: FunctionPolicy, _ replica: ReplicaState) -> Resources {
        Resources(
            millicores: policy.allocation.millicores, memoryBytes: Swift.min(policy.allocation.memoryBytes, replica.reserved.memoryBytes))
    }

    // MARK: A replica's time with calls

    mutating func beginHarvesting(_ call: CallID, _ state: CallState, _ place: Int, _ outputs: inout [Output]) {
        guard harvester != nil, let replica = replicas[at: place], let policy = functions[state.function]?.policy else { return }
        guard replica.harvestCall == nil else {
            replicas[at: place]?.isShared = true
            return
        }
        harvestedMemory += replica.reserved.memoryBytes
        var harvest = harvestCall(call, state, policy, replica)
        if harvested[call] != nil {
            // Another attempt of a call whose first replica still goes on with calls that came after it: the books there are in its name.
            harvest.id = CallID(nextAlias)
            nextAlias -= 1
        }
        // Its own memory comes with it: lent to somebody in between, it could not be called in again.
        let more = poolCapacity().memoryBytes - (harvester?.pool.capacity.memoryBytes ?? 0)
        let brought = Resources(millicores: 0, memoryBytes: Swift.max(0, more))
        guard harvester?.begin(harvest, bringing: brought, now: now, into: &effects) == true else {
            preconditionFailure("\(call) was let in and there is no room for it")
        }
        fitPool()
        replicas[at: place]?.harvestCall = harvest.id
        replicas[at: place]?.isShared = false
        harvested.insert(replica.id, for: harvest.id)
        emitLimits(&outputs)
        let limits = Resources(
            millicores: harvester?.pool.limit(of: harvest.id, .cpu) ?? 0,
            memoryBytes: harvester?.pool.limit(of: harvest.id, .memory) ?? 0)
        if limits != harvest.allocation { outputs.append(.note(.allotted(call, limits, allocation: harvest.allocation))) }
    }

    mutating func endHarvesting(_ place: Int, _ end: PeriodEnd, _ outputs: inout [Output]) {
        guard let replica = replicas[at: place], let call = replica.harvestCall, let policy = functions[replica.function]?.policy else {
            return
        }
        let own = allocation(policy, replica)
        var back: [ReplicaLimit] = []
        for kind in ResourceKind.allCases {
            guard let limit = harvester?.pool.limit(of: call, kind), limit > own[kind] else { continue }
            back.append(ReplicaLimit(replica: replica.id, call: nil, kind: kind, from: limit, to: own[kind]))
        }
        var memoryLimit = harvester?.pool.limit(of: call, .memory) ?? own.memoryBytes
        // Beyond what is left to a lender it is paused; whoever was killed had its own. Without the safeguard it had not.
        if harvester?.settings.usesSafeguard ?? true { memoryLimit = Swift.max(memoryLimit, own.memoryBytes) }
        let ending = Self.harvestEnd(end, replica, memoryLimit)
        if end.isKill { harvester?.killed(call) }
        // The idle replica keeps its memory; what a borrower would get of it now could not be called in again.
        let kept = Resources(millicores: 0, memoryBytes: replica.reserved.memoryBytes)
        var statement = harvester?.end(call, ending, withdrawing: kept, now: now, into: &effects)
        if !replica.isShared, case .ended(_, let usage?) = end {
            statement?.peakMillicores = usage.peakMillicores
            statement?.peakMemoryBytes = usage.peakMemoryBytes
        }
        replicas[at: place]?.harvestCall = nil
        harvested.remove(call)
        harvestedMemory -= replica.reserved.memoryBytes
        fitPool()
        emitLimits(after: back, &outputs)
        if let statement { outputs.append(.note(.settled(statement))) }
    }

    private static func harvestEnd(_ end: PeriodEnd, _ replica: ReplicaState, _ memoryLimit: Int) -> HarvestEnd {
        guard !replica.isShared else { return .other }
        switch end {
        case .ended(.succeeded, let usage?):
            return .ran(peakMillicores: usage.peakMillicores, peakMemoryBytes: usage.peakMemoryBytes)
        case .ended, .exited: return end.isKill ? .outOfMemory(peakMemoryBytes: memoryLimit) : .other
        }
    }

    // MARK: What the node reports

    mutating func sampled(_ samples: [ReplicaSample], _ outputs: inout [Output]) {
        guard harvester != nil else { return }
        for sample in samples {
            guard let place = replicas.place(of: sample.replica), let call = replicas[at: place]?.harvestCall else { continue }
            if let memory = sample.usage.memoryBytes { replicas[at: place]?.memoryInUse = memory }
            harvester?.sample(call, sample.usage, into: &effects)
        }
        emitLimits(&outputs)
    }

    mutating func limitHeld(_ limit: ReplicaLimit, _ held: Int, _ batch: [ReplicaLimit], _ outputs: inout [Output]) {
        guard let call = limit.call else {
            // What it keeps is not its own: it goes, and its memory with it.
            drain(limit.replica, .holdsMemory, &outputs)
            return
        }
        guard harvested[call] == limit.replica else { return }
        let changes = batch.compactMap { other in
            other.call.map { LimitChange(call: $0, kind: other.kind, from: other.from, to: other.to) }
        }
        let change = LimitChange(call: call, kind: limit.kind, from: limit.from, to: limit.to)
        harvester?.refused(change, heldAt: held, batch: changes, now: now, into: &effects)
        emitLimits(&outputs)
    }

    // MARK: Room

    /// Reserves for a replica. Memory that running calls have borrowed of what nobody had reserved is called in first.
    ///
    /// - Returns: false, if it does not fit.
    mutating func reserve(_ demand: Resources, _ outputs: inout [Output]) -> Bool {
        guard ledger.fits(demand) else { return false }
        if harvester != nil {
            let wanted = poolCapacity(reserving: demand.memoryBytes)
            let actual = harvester?.setCapacity(wanted, now: now, into: &effects) ?? wanted
            emitLimits(&outputs)
            guard actual.memoryBytes <= wanted.memoryBytes else {
                fitPool()
                emitLimits(&outputs)
                return false
            }
        }
        return ledger.reserve(demand)
    }

    mutating func release(_ reserved: Resources, _ outputs: inout [Output]) {
        ledger.release(reserved)
        guard harvester != nil else { return }
        fitPool()
        emitLimits(&outputs)
    }

    /// What running calls may have altogether: all CPU, and the memory that no other replica has reserved.
    private func poolCapacity(reserving more: Int = 0) -> Resources {
        let outside = ledger.reserved.memoryBytes + more - harvestedMemory
        return Resources(millicores: ledger.capacity.millicores, memoryBytes: Swift.max(0, ledger.capacity.memoryBytes - outside))
    }

    private mutating func fitPool() {
        let capacity = poolCapacity()
        harvester?.setCapacity(capacity, now: now, into: &effects)
    }

    /// Whether a limit is lowered.
    ///
    /// A call that has just arrived has no limit in the pool's books. The CPU of its replica counts from here on, so it grows; but the
    /// replica's memory limit has stood at its own all the time.
    private func shrinks(_ limit: ReplicaLimit) -> Bool {
        guard limit.from == 0, limit.kind == .memory, let replica = replicas[limit.replica] else { return limit.to < limit.from }
        return limit.to <= replica.reserved.memoryBytes
    }

    /// Appends the limits that several operations have led to: the last for each call and resource, what shrinks first.
    ///
    /// - Parameter back: limits of replicas that have become idle; the pool counts on them already.
    private mutating func emitLimits(after back: [ReplicaLimit] = [], _ outputs: inout [Output]) {
        defer { effects.removeAll() }
        guard !effects.changes.isEmpty || !back.isEmpty else { return }
        var batch = back
        var changes: [ReplicaLimit] = []
        for (index, change) in effects.changes.enumerated() {
            guard let replica = harvested[change.call] else { continue }
            let isLast = !effects.changes[(index + 1)...].contains { $0.call == change.call && $0.kind == change.kind }
            guard isLast else { continue }
            let first = effects.changes.first { $0.call == change.call && $0.kind == change.kind } ?? change
            guard first.from != change.to else { continue }
            changes.append(ReplicaLimit(replica: replica, call: change.call, kind: change.kind, from: first.from, to: change.to))
        }
        batch += changes.filter(shrinks) + changes.filter { !shrinks($0) }
        if !batch.isEmpty { outputs.append(.limit(batch)) }
    }
}
