// SPDX-License-Identifier: Apache-2.0

import BrumeBroker
import BrumeModel

/// Replicas: when one starts, which may stay, which must go.
extension Engine {
    // MARK: Starting

    /// Starts what waiting calls, the floor and a replacement need, as far as limits allow.
    mutating func ensureReplicas(_ handle: FunctionHandle, _ outputs: inout [Output]) {
        guard !halted, let function = functions[handle], !function.removed else { return }
        let (starting, ready) = currentCounts(function)
        let current = starting + ready
        let concurrency = function.policy.concurrency
        // A node that goes down still starts what its callers wait for, and nothing else.
        let waiting = draining ? function.queue.count : function.waiting
        // With harvesting a call may wait although a slot is free: another replica would not help it.
        let unserved = Swift.max(0, waiting - (harvester == nil ? 0 : function.pool.freeSlots))
        let forCalls = (unserved + concurrency - 1) / concurrency - starting
        let hasOlder = function.members.contains { isOlder($0, function) }
        let kept = draining ? 0 : Swift.max(function.floor, hasOlder ? function.replacementTarget : 0, function.prewarmPending ? 1 : 0)
        let missing = Swift.min(Swift.max(forCalls, kept - current), function.policy.scale.max - current)
        guard missing > 0 else { return }
        if function.startBlockedUntil > now {
            outputs.append(.note(.startDeferred(handle, .backingOff)))
            return
        }
        let reason: StartReason =
            forCalls > 0 ? .callsWaiting : hasOlder ? .replacement : function.prewarmPending ? .prewarm : .minimum
        for _ in 0..<missing {
            guard startReplica(handle, reason, &outputs) else {
                if !blocked.contains(handle) { blocked.append(handle) }
                return
            }
        }
    }

    private mutating func startReplica(_ handle: FunctionHandle, _ reason: StartReason, _ outputs: inout [Output]) -> Bool {
        guard let function = functions[handle] else { return true }
        guard startsInProgress < settings.concurrentStarts else {
            outputs.append(.note(.startDeferred(handle, .startsInProgress)))
            return false
        }
        switch reserve(function.policy.requests, for: handle, &outputs) {
        case .reserved: break
        case .beingMade:
            outputs.append(.note(.startDeferred(handle, .capacity)))
            return false
        case .full:
            evict(for: handle, function.policy.requests, &outputs)
            outputs.append(.note(.startDeferred(handle, .capacity)))
            return false
        }
        let replica = ReplicaID(nextReplica)
        nextReplica += 1
        startsInProgress += 1
        let state = ReplicaState(
            id: replica, function: handle, revision: function.revision, reserved: function.policy.requests,
            slots: function.policy.concurrency)
        replicas.insert(state, for: replica)
        functions[handle]?.members.append(replica)
        outputs.append(.note(.startedReplica(replica, handle, reason)))
        outputs.append(.start(replica, handle))
        return true
    }

    /// Asks functions again that could not start a replica, in order.
    mutating func retryBlocked(_ outputs: inout [Output]) {
        let waiting = blocked
        blocked.removeAll(keepingCapacity: true)
        for handle in waiting { ensureReplicas(handle, &outputs) }
    }

    /// Stops idle replicas that nobody needs, the longest idle first, if that makes room together with what is stopping already.
    private mutating func evict(for handle: FunctionHandle, _ demand: Resources, _ outputs: inout [Output]) {
        var room = ledger.free
        var candidates: [(idleSince: Instant, replica: ReplicaID)] = []
        for owner in functions.sortedKeys {
            guard let function = functions[owner] else { continue }
            var spare = currentCounts(function).ready - function.floor
            for member in function.members {
                guard let replica = replicas[member] else { continue }
                if replica.phase == .stopping { room = room + replica.reserved }
                guard replica.isIdle else { continue }
                let older = isOlder(member, function)
                guard older || (owner != handle && spare > 0) else { continue }
                if !older { spare -= 1 }
                candidates.append((replica.idleSince, member))
            }
        }
        candidates.sort { ($0.idleSince, $0.replica) < ($1.idleSince, $1.replica) }
        var chosen: [ReplicaID] = []
        for candidate in candidates {
            if demand.fits(in: room) { break }
            room = room + (replicas[candidate.replica]?.reserved ?? .zero)
            chosen.append(candidate.replica)
        }
        guard demand.fits(in: room) else {
            makeRoomForReplacement(handle, demand, room, &outputs)
            return
        }
        for replica in chosen { drain(replica, .evicted, &outputs) }
    }

    /// On a node full of busy replicas of an older revision, one of them at a time ends its calls and goes: otherwise a function under load
    /// could never be replaced.
    private mutating func makeRoomForReplacement(
        _ handle: FunctionHandle, _ demand: Resources, _ room: Resources, _ outputs: inout [Output]
    ) {
        guard let function = functions[handle] else { return }
        let older = function.members.filter { isOlder($0, function) }
        let isMakingRoom = function.members.contains { replicas[$0]?.phase == .draining || replicas[$0]?.phase == .stopping }
        let roomAtMost = older.reduce(room) { $0 + (replicas[$1]?.reserved ?? .zero) }
        // One after the other: not before the newer one that has room is up.
        let isComing = currentCounts(function).starting > 0
        guard let oldest = older.first, !isMakingRoom, !isComing, demand.fits(in: roomAtMost) else { return }
        drain(oldest, .replaced, &outputs)
    }

    mutating func started(_ id: ReplicaID, _ outputs: inout [Output]) {
        guard let replica = replicas[id], replica.phase == .starting else { return }
        startsInProgress -= 1
        replicas[id]?.phase = .ready
        replicas[id]?.readySince = now
        functions[replica.function]?.startBlockedUntil = .zero
        functions[replica.function]?.problem = ""
        if functions[replica.function]?.revision == replica.revision { functions[replica.function]?.prewarmPending = false }
        functions[replica.function]?.pool.add(id, slots: replica.slots)
        if let place = replicas.place(of: id) { becameIdle(place) }
        retireOlder(replica.function, &outputs)
        dispatch(replica.function, &outputs)
        retryBlocked(&outputs)
    }

    // MARK: Slots

    mutating func releaseSlot(
        of call: CallID, on id: ReplicaID, _ end: CallEnd, _ usage: CallUsage?, _ outputs: inout [Output]
    ) {
        guard let place = replicas.place(of: id), let index = replicas[at: place]?.calls.firstIndex(of: call) else { return }
        replicas[at: place]?.calls.remove(at: index)
        guard let handle = replicas[at: place]?.function, let phase = replicas[at: place]?.phase else { return }
        let isEmpty = replicas[at: place]?.calls.isEmpty == true
        if isEmpty { endHarvesting(place, .ended(end, usage), &outputs) }
        let owner = functions.place(of: handle)
        if end != .unsent {
            replicas[at: place]?.served += 1
            if let owner { functions[at: owner]?.startFailures = 0 }
        }
        switch phase {
        case .ready where end == .unsent:
            // The replica did not take the call, so it is going or gone: wait for its exit rather than offer it the next call.
            drain(id, .unreachable, &outputs)
        case .ready:
            if let owner { functions[at: owner]?.pool.giveBack(id) }
            if isEmpty { becameIdle(place) }
            if isEmpty, let owner { retireAfterUse(id, owner, &outputs) }
        case .draining:
            if isEmpty { stop(id, &outputs) } else if replicas[at: place]?.condemned == true { stopIfOnlyOverdue(id, &outputs) }
        case .starting, .stopping:
            break
        }
    }

    private mutating func becameIdle(_ place: Int) {
        replicas[at: place]?.idleSince = now
        if replicas[at: place]?.idleTimerArmed == false { armIdleTimer(place) }
    }

    /// Without any keep-alive a replica goes as soon as it is idle, before a waiting call can take it: every call gets a fresh one.
    private mutating func retireAfterUse(_ id: ReplicaID, _ owner: Int, _ outputs: inout [Output]) {
        guard functions[at: owner]?.policy.scale.keepAlive == .zero, let function = functions[at: owner] else { return }
        if mayGo(id, function) { drain(id, .idle, &outputs) }
    }

    /// Whether the floor holds without it.
    private func mayGo(_ id: ReplicaID, _ function: FunctionState) -> Bool {
        // One of an older revision goes as well if the newer one does not come up: nobody calls the function.
        let ready = function.members.count { replicas[$0]?.phase == .ready }
        return (isOlder(id, function) ? ready : currentCounts(function).ready) > function.floor
    }

    /// When a replica that waits for its first call is looked at again.
    private static let awaitedCheck = Duration.seconds(1)

    private mutating func armIdleTimer(_ place: Int, isAwaited: Bool = false) {
        guard let handle = replicas[at: place]?.function, let idleSince = replicas[at: place]?.idleSince, let id = replicas[at: place]?.id,
            let keepAlive = functions[handle]?.policy.scale.keepAlive
        else { return }
        replicas[at: place]?.idleTimerArmed = true
        timers.arm(.replicaIdle(id), at: isAwaited ? now + Swift.max(keepAlive, Self.awaitedCheck) : idleSince + keepAlive)
    }

    mutating func idleTimerFired(_ id: ReplicaID, _ outputs: inout [Output]) {
        replicas[id]?.idleTimerArmed = false
        guard let replica = replicas[id], replica.isIdle, let function = functions[replica.function] else { return }
        // Without any keep-alive a replica whose first call is held back would go, and another start for it, again and again.
        let isAwaited = harvester != nil && replica.served == 0 && function.hasWaiting
        guard !isAwaited, replica.idleSince + function.policy.scale.keepAlive <= now else {
            if let place = replicas.place(of: id) { armIdleTimer(place, isAwaited: isAwaited) }
            return
        }
        if mayGo(id, function) { drain(id, .idle, &outputs) }
    }

    // MARK: Ending

    /// Takes a replica out of rotation; it stops once its calls have ended.
    mutating func drain(_ id: ReplicaID, _ reason: StopReason, _ outputs: inout [Output]) {
        guard let replica = replicas[id], replica.phase == .ready || replica.phase == .starting else { return }
        functions[replica.function]?.pool.remove(id)
        outputs.append(.note(.stoppedReplica(id, replica.function, reason)))
        if replica.phase == .starting { startsInProgress -= 1 }
        if replica.calls.isEmpty { stop(id, &outputs) } else { replicas[id]?.phase = .draining }
    }

    private mutating func stop(_ id: ReplicaID, grace: Duration? = nil, _ outputs: inout [Output]) {
        replicas[id]?.phase = .stopping
        outputs.append(.stop(id, grace: grace ?? settings.stopGrace))
    }

    /// Ends a replica that goes on with overdue calls, as soon as no other call is on it.
    mutating func condemn(_ id: ReplicaID, _ outputs: inout [Output]) {
        drain(id, .overrun, &outputs)
        replicas[id]?.condemned = true
        stopIfOnlyOverdue(id, &outputs)
    }

    private mutating func stopIfOnlyOverdue(_ id: ReplicaID, _ outputs: inout [Output]) {
        guard let replica = replicas[id], replica.phase == .draining else { return }
        let onlyOverdue = replica.calls.allSatisfy { call in
            if case .overrun = calls[call]?.phase { true } else { false }
        }
        if onlyOverdue { stop(id, grace: .zero, &outputs) }
    }

    mutating func exited(_ id: ReplicaID, _ exit: ReplicaExit, _ outputs: inout [Output]) {
        guard let replica = replicas[id] else { return }
        let handle = replica.function
        functions[handle]?.pool.remove(id)
        if let place = replicas.place(of: id) { endHarvesting(place, .exited(exit), &outputs) }
        // Calls that are still on it had not reached it: the driver has reported every other one, and will report these as unsent.
        replicas.remove(id)
        release(replica.reserved, &outputs)
        functions[handle]?.members.removeAll { $0 == id }
        switch replica.phase {
        case .starting:
            startsInProgress -= 1
            startFailed(id, replica, exit, &outputs)
        case .ready where replica.served == 0 && now - replica.readySince < settings.crashLoopWindow:
            startFailed(id, replica, exit, &outputs)
        case .ready, .draining, .stopping:
            break
        }
        if functions[handle]?.removed == true, functions[handle]?.members.isEmpty == true { functions.remove(handle) }
        // In its turn: what it reserved goes first to those who have waited longer for room.
        if !blocked.contains(handle) { blocked.append(handle) }
        retryBlocked(&outputs)
    }

    private mutating func startFailed(_ id: ReplicaID, _ replica: ReplicaState, _ exit: ReplicaExit, _ outputs: inout [Output]) {
        let handle = replica.function
        guard !halted, let function = functions[handle], !function.removed, function.revision == replica.revision else { return }
        let failures = function.startFailures + 1
        functions[handle]?.startFailures = failures
        functions[handle]?.problem = exit.message
        let retryAt = now + settings.startBackoff.pause(after: failures)
        functions[handle]?.startBlockedUntil = retryAt
        outputs.append(.note(.startFailed(id, handle, failuresInRow: failures, message: exit.message)))
        if failures >= settings.startAttempts {
            functions[handle]?.prewarmPending = false
            if !hasUsableReplica(handle) { failWaiting(handle, CallFailure(.startFailed, exit.message), &outputs) }
        }
        timers.arm(.startRetry(handle), at: retryAt)
    }

    /// Whether a replica is up, or may still come up.
    private func hasUsableReplica(_ handle: FunctionHandle) -> Bool {
        functions[handle]?.members.contains { replicas[$0]?.phase == .ready || replicas[$0]?.phase == .starting } ?? false
    }

    // MARK: Revisions

    func isOlder(_ id: ReplicaID, _ function: FunctionState) -> Bool {
        guard let replica = replicas[id] else { return false }
        return replica.revision != function.revision && (replica.phase == .ready || replica.phase == .starting)
    }

    /// Replicas of the newest revision.
    func currentCounts(_ function: FunctionState) -> (starting: Int, ready: Int) {
        var counts = (starting: 0, ready: 0)
        for member in function.members {
            guard let replica = replicas[member], replica.revision == function.revision else { continue }
            if replica.phase == .starting { counts.starting += 1 }
            if replica.phase == .ready { counts.ready += 1 }
        }
        return counts
    }

    /// Lets older replicas go, one for each that has come up, all of them once the target is reached.
    mutating func retireOlder(_ handle: FunctionHandle, _ outputs: inout [Output]) {
        guard let function = functions[handle] else { return }
        let ready = currentCounts(function).ready
        guard ready > 0 else { return }
        let older = function.members.filter { isOlder($0, function) }
        let keep = Swift.max(0, function.replacementTarget - ready)
        for replica in older.prefix(Swift.max(0, older.count - keep)) { drain(replica, .replaced, &outputs) }
    }
}
