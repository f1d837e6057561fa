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

        /// Whether the kernel ended it, or one of its processes, at its memory limit.
        var isKill: Bool {
            switch self {
            case .ended(let end, let usage): end == .outOfMemory || (usage?.memoryKills ?? 0) > 0
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

    /// When the function's next call would have ended if it had begun at once; one of which nothing is known counts as instant, and so
    /// does one whose function has no part in harvesting.
    private func expectedEnd(_ handle: FunctionHandle) -> Instant {
        guard let place = functions.place(of: handle), let call = firstWaiting(place), let state = calls[call],
            let policy = functions[at: place]?.policy
        else { return .zero }
        guard !policy.harvests.isEmpty else { return state.waitingSince }
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
        if end.isKill { harvester?.killed(call, now: now) }
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
        if end.isKill { return .outOfMemory(peakMemoryBytes: memoryLimit) }
        switch end {
        case .ended(.succeeded, let usage?):
            return .ran(peakMillicores: usage.peakMillicores, peakMemoryBytes: usage.peakMemoryBytes)
        case .ended, .exited: return .other
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
        guard let place = replicas.place(of: limit.replica) else { return }
        if limit.call == nil {
            // What it keeps is not its own: it goes, and its memory with it. Until then the books know it as a borrower.
            if replicas[at: place]?.harvestCall == nil { keepBooks(place) }
            drain(limit.replica, .holdsMemory, &outputs)
        }
        guard let call = limit.call ?? replicas[at: place]?.harvestCall, harvested[call] == limit.replica else { return }
        let changes = batch.compactMap { other in
            other.call.map { LimitChange(call: $0, kind: other.kind, from: other.from, to: other.to) }
        }
        let change = LimitChange(call: call, kind: limit.kind, from: limit.from, to: limit.to)
        harvester?.refused(change, heldAt: held, batch: changes, now: now, into: &effects)
        emitLimits(&outputs)
    }

    /// Enters an idle replica into the harvester's books, for memory that the kernel did not take from it.
    private mutating func keepBooks(_ place: Int) {
        guard let replica = replicas[at: place], let policy = functions[replica.function]?.policy else { return }
        let own = Resources(millicores: 0, memoryBytes: allocation(policy, replica).memoryBytes)
        var books = HarvestCall(
            id: CallID(nextAlias), function: replica.function, allocation: own, features: .unknown, memoryInUseBytes: replica.memoryInUse)
        books.takesPart = []
        harvestedMemory += replica.reserved.memoryBytes
        let brought = Swift.max(0, poolCapacity().memoryBytes - (harvester?.pool.capacity.memoryBytes ?? 0))
        guard harvester?.begin(books, bringing: Resources(millicores: 0, memoryBytes: brought), now: now, into: &effects) == true else {
            harvestedMemory -= replica.reserved.memoryBytes
            return
        }
        nextAlias -= 1
        replicas[at: place]?.harvestCall = books.id
        replicas[at: place]?.isShared = true
        harvested.insert(replica.id, for: books.id)
    }

    // MARK: Room

    /// What became of the attempt to reserve for a replica.
    enum Room {
        case reserved
        /// Limits have to be lowered first: the function is asked again as soon as they are.
        case beingMade
        case full
    }

    /// Reserves for a replica. Memory that running calls have borrowed of what nobody had reserved is called in first, and reserved only
    /// when the kernel has lowered their limits: it refuses where the memory is in use, and the limits would add up to more than there is.
    mutating func reserve(_ demand: Resources, for handle: FunctionHandle, _ outputs: inout [Output]) -> Room {
        guard ledger.fits(demand) else { return .full }
        guard harvester != nil else { return ledger.reserve(demand) ? .reserved : .full }
        // What was called in a moment ago is there only when the kernel has agreed.
        guard heldRoom == 0 || isRoomMade else { return .beingMade }
        let held = heldRoom
        heldRoom = 0
        let wanted = poolCapacity(reserving: demand.memoryBytes)
        let actual = harvester?.setCapacity(wanted, now: now, into: &effects) ?? wanted
        guard actual.memoryBytes <= wanted.memoryBytes else {
            heldRoom = held
            fitPool()
            emitLimits(&outputs)
            return .full
        }
        emitLimits(&outputs)
        guard lowersMemory else { return ledger.reserve(demand) ? .reserved : .full }
        (heldRoom, isRoomMade) = (demand.memoryBytes, false)
        timers.arm(.roomMade(handle), at: now)
        return .beingMade
    }

    /// What was called in for a replica is there, or was given back where the kernel refused.
    mutating func useRoom(_ handle: FunctionHandle, _ outputs: inout [Output]) {
        ensureReplicas(handle, &outputs)
        guard heldRoom > 0, !timers.hasDue(now) else { return }
        // Nobody needs the replica any more.
        heldRoom = 0
        fitPool()
        emitLimits(&outputs)
    }

    mutating func release(_ reserved: Resources, _ outputs: inout [Output]) {
        ledger.release(reserved)
        guard harvester != nil else { return }
        fitPool()
        emitLimits(&outputs)
    }

    /// What running calls may have altogether: all CPU, and the memory that no other replica has reserved.
    private func poolCapacity(reserving more: Int = 0) -> Resources {
        let outside = ledger.reserved.memoryBytes + more + heldRoom - harvestedMemory
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
        guard !batch.isEmpty else { return }
        limitBatches += 1
        lowersMemory = lowersMemory || batch.contains { $0.kind == .memory && $0.to < $0.from }
        outputs.append(.limit(batch))
    }

    /// Makes one batch of all that the step has appended, in the place of the first: a limit that is raised and then lowered again is not
    /// written twice, for the kernel might refuse the second time.
    mutating func mergeLimits(from first: Int, _ outputs: inout [Output]) {
        var merged: [ReplicaLimit] = []
        var place: Int?
        for index in first..<outputs.count {
            guard case .limit(let batch) = outputs[index] else { continue }
            place = place ?? index
            for limit in batch {
                guard let known = merged.firstIndex(where: { $0.replica == limit.replica && $0.kind == limit.kind }) else {
                    merged.append(limit)
                    continue
                }
                // The CPU of a call that begins counts from its first limit on; memory stands where it stood.
                let from = limit.from == 0 && limit.kind == .cpu ? 0 : merged[known].from
                merged[known] = ReplicaLimit(replica: limit.replica, call: limit.call, kind: limit.kind, from: from, to: limit.to)
            }
        }
        guard let place else { return }
        let changed = merged.filter { $0.from != $0.to || $0.call == nil }
        var kept: [Output] = []
        for index in first..<outputs.count {
            if case .limit = outputs[index] {
                if index == place, !changed.isEmpty { kept.append(.limit(changed.filter(shrinks) + changed.filter { !shrinks($0) })) }
            } else {
                kept.append(outputs[index])
            }
        }
        outputs.replaceSubrange(first..., with: kept)
    }
}
