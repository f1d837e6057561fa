// SPDX-License-Identifier: Apache-2.0

import BrumeBroker
import BrumeHarvest
public import BrumeModel
import DequeModule

/// Calls: admission, queueing, dispatch, deadlines, retries.
extension Engine {
    // MARK: Admission

    mutating func arrive(
        _ call: CallID, _ handle: FunctionHandle, _ timeout: Duration?, _ features: CallFeatures, _ outputs: inout [Output]
    ) {
        let place = functions.place(of: handle)
        if let refusal = admissionRefusal(place) {
            outputs.append(.refuse(call, refusal))
            return
        }
        guard let place, let longest = functions[at: place]?.policy.timeout else { return }
        let deadline = now + Swift.min(timeout ?? longest, longest)
        var state = CallState(function: handle, asynchronous: false, phase: .waiting, waitingSince: now, deadline: deadline)
        if harvester != nil { state.features = features }

        if functions[at: place]?.queue.isEmpty == true, mayBegin(call, state, place), let replica = functions[at: place]?.pool.take() {
            accept(place)
            timers.arm(.callDeadline(call), at: deadline)
            run(call, &state, on: replica, &outputs)
            calls.insert(state, for: call)
            return
        }
        guard waitingCallers < settings.queueLimit, functions[at: place]?.queue.append(call) == true else {
            outputs.append(.refuse(call, .queueFull(retryAfter: retryAfter(handle))))
            return
        }
        accept(place)
        timers.arm(.callDeadline(call), at: deadline)
        calls.insert(state, for: call)
        waitingCallers += 1
        outputs.append(.note(.queued(call, ahead: (functions[at: place]?.queue.count ?? 1) - 1)))
        if functions[at: place]?.pool.hasFreeSlot == true { dispatch(handle, &outputs) }
        ensureReplicas(handle, &outputs)
    }

    /// A call undoes a manual scale to zero.
    private mutating func accept(_ place: Int) {
        functions[at: place]?.invocations += 1
        if functions[at: place]?.pinned == 0 { functions[at: place]?.pinned = nil }
    }

    mutating func offer(_ call: CallID, _ handle: FunctionHandle, _ outputs: inout [Output]) {
        if let refusal = admissionRefusal(functions.place(of: handle), asynchronous: true) {
            outputs.append(.refuse(call, refusal))
            return
        }
        guard let function = functions[handle], function.asynchronousCount < settings.asynchronousLimitPerFunction else {
            outputs.append(.refuse(call, .queueFull(retryAfter: retryAfter(handle))))
            return
        }
        functions[handle]?.asynchronousCount += 1
        asynchronousCalls += 1
        calls.insert(
            CallState(function: handle, asynchronous: true, phase: .offered, waitingSince: now, deadline: .distantFuture), for: call)
    }

    mutating func enqueue(
        _ call: CallID, _ handle: FunctionHandle, _ failedAttempts: Int, _ notBefore: Instant, _ outputs: inout [Output]
    ) {
        if calls[call] == nil {
            // Read back after a restart: it was accepted before, so no bound applies. Its function may have gone since.
            guard functions[handle]?.removed == false else {
                outputs.append(.bury(call, failedAttempts: failedAttempts))
                return
            }
            functions[handle]?.asynchronousCount += 1
            asynchronousCalls += 1
            calls.insert(
                CallState(function: handle, asynchronous: true, phase: .offered, waitingSince: now, deadline: .distantFuture), for: call)
        } else if functions[handle]?.removed != false {
            endAsynchronous(call)
            outputs.append(.bury(call, failedAttempts: failedAttempts))
            return
        }
        if let place = functions.place(of: handle) { accept(place) }
        calls[call]?.failedAttempts = failedAttempts
        if notBefore > now {
            calls[call]?.phase = .backingOff
            timers.arm(.attemptDue(call), at: notBefore)
        } else {
            becomeDue(call, handle, &outputs)
        }
    }

    private func admissionRefusal(_ place: Int?, asynchronous: Bool = false) -> Refusal? {
        if draining { return .draining }
        guard let place, functions[at: place]?.removed == false else { return .unknownFunction }
        if let policy = functions[at: place]?.policy, let refusal = refusal(of: policy) { return refusal }
        // An asynchronous call can wait for a repair; a caller cannot.
        let failures = functions[at: place]?.startFailures ?? 0
        guard failures >= settings.startAttempts, !asynchronous, let function = functions[at: place] else { return nil }
        return function.startBlockedUntil > now && !hasUsableReplica(function) ? .broken(function.problem) : nil
    }

    /// Why no replica of such a function will ever run here, however much is free; nil if one can.
    public func refusal(of policy: FunctionPolicy) -> Refusal? {
        if !policy.requests.fits(in: ledger.capacity) { return tooLarge(policy.requests) }
        // What calls lend and borrow is set aside whole.
        return harvester != nil && !policy.allocation.fits(in: ledger.capacity) ? tooLarge(policy.allocation) : nil
    }

    private func tooLarge(_ needs: Resources) -> Refusal {
        // Down to whole mebibytes: a capacity is a share of the machine, and its last digits help nobody.
        let memory = (ledger.capacity.memoryBytes >> 20) << 20
        return .neverFits(
            "A replica reserves \(Resources.describe(millicores: needs.millicores)) CPU and "
                + "\(Resources.describe(bytes: needs.memoryBytes)) of memory; the node has "
                + "\(Resources.describe(millicores: ledger.capacity.millicores)) CPU and "
                + "\(Resources.describe(bytes: memory)) of memory. Deploy it with smaller limits.")
    }

    private func hasUsableReplica(_ function: FunctionState) -> Bool {
        function.members.contains { replicas[$0]?.phase == .ready || replicas[$0]?.phase == .starting }
    }

    /// When a place in the queue is likely to be free: the queue's length times the mean run time over the slots, 1 to 60 s.
    private func retryAfter(_ handle: FunctionHandle) -> Duration {
        guard let function = functions[handle] else { return .seconds(1) }
        let slots = Int64(function.policy.scale.max * function.policy.concurrency)
        let nanoseconds = function.meanRunNanoseconds / slots * Int64(function.waiting)
        return .seconds(Swift.min(Swift.max((nanoseconds + 999_999_999) / 1_000_000_000, 1), 60))
    }

    // MARK: Dispatch

    /// Gives waiting calls to free slots: callers first, then asynchronous calls.
    mutating func dispatch(_ handle: FunctionHandle, _ outputs: inout [Output]) {
        guard let place = functions.place(of: handle) else { return }
        while !halted, functions[at: place]?.pool.hasFreeSlot == true, !isHeldBack(place, &outputs), let call = nextWaiting(place) {
            guard var state = calls[call], let replica = functions[at: place]?.pool.take() else {
                preconditionFailure("\(call) waits and is unknown, or a free slot vanished")
            }
            if !state.asynchronous {
                waitingCallers -= 1
            } else {
                waitingDue -= 1
                state.deadline = now + (functions[at: place]?.policy.timeout ?? FunctionSpec.defaultTimeout)
                timers.arm(.callDeadline(call), at: state.deadline)
            }
            run(call, &state, on: replica, &outputs)
            calls[call]? = state
        }
    }

    /// The call that ``nextWaiting(_:)`` would take.
    func firstWaiting(_ place: Int) -> CallID? {
        if let call = functions[at: place]?.queue.first { return call }
        return draining ? nil : functions[at: place]?.due.first
    }

    /// A node that goes down leaves asynchronous calls on disk.
    private mutating func nextWaiting(_ place: Int) -> CallID? {
        if functions[at: place]?.queue.isEmpty == false { return functions[at: place]?.queue.popFirst() }
        if draining || functions[at: place]?.due.isEmpty != false { return nil }
        return functions[at: place]?.due.popFirst()
    }

    private mutating func run(_ call: CallID, _ state: inout CallState, on replica: ReplicaID, _ outputs: inout [Output]) {
        guard let place = replicas.place(of: replica) else { preconditionFailure("\(replica) has a free slot and is unknown") }
        state.phase = .running(replica)
        state.began = now
        runningCalls += 1
        replicas[at: place]?.calls.append(call)
        beginHarvesting(call, state, place, &outputs)
        let ready = replicas[at: place]?.readySince ?? now
        outputs.append(.run(call, on: replica, cold: state.waitingSince < ready, deadline: state.deadline))
    }

    private mutating func becomeDue(_ call: CallID, _ handle: FunctionHandle, _ outputs: inout [Output]) {
        calls[call]?.phase = .waiting
        calls[call]?.waitingSince = now
        waitingDue += 1
        functions[handle]?.due.append(call)
        dispatch(handle, &outputs)
        ensureReplicas(handle, &outputs)
    }

    mutating func attemptDue(_ call: CallID, _ outputs: inout [Output]) {
        guard let state = calls[call], state.phase == .backingOff else { return }
        becomeDue(call, state.function, &outputs)
    }

    // MARK: Ends

    mutating func finished(_ call: CallID, _ end: CallEnd, _ usage: CallUsage?, _ outputs: inout [Output]) {
        guard let state = calls[call], let replica = state.replica else { return }
        runningCalls -= 1
        releaseSlot(of: call, on: replica, end, usage, &outputs)
        let overrun = state.isOverrun
        if end == .unsent, !overrun, mayBeResent(state) {
            waitAgain(call, state)
            outputs.append(.note(.resent(call, from: replica)))
        } else if state.asynchronous {
            attemptEnded(call, succeeded: end == .succeeded && !overrun, &outputs)
        } else {
            calls.remove(call)
            if end == .unsent, !overrun { outputs.append(.fail(call, Self.unsentFailure)) }
            if end == .succeeded { learnRunTime(state) }
        }
        if starved.isEmpty { serveWaiting(state.function, &outputs) } else { serveInTurn(state.function, &outputs) }
        if !blocked.isEmpty { retryBlocked(&outputs) }
    }

    /// Back to where it waited, before all others: it had its turn.
    private mutating func waitAgain(_ call: CallID, _ state: CallState) {
        calls[call]?.unsent += 1
        calls[call]?.phase = .waiting
        if state.asynchronous {
            // The next attempt gets a deadline of its own.
            calls[call]?.deadline = .distantFuture
            functions[state.function]?.due.prepend(call)
            waitingDue += 1
        } else {
            functions[state.function]?.queue.putBack(call)
            waitingCallers += 1
        }
    }

    /// Serves the function whose call has ended, and those whose calls wait for what it has left. It has no right of its own to that: kept
    /// by one function after the other, a few that wait for others would hold the node's CPU as long as anybody calls them.
    private mutating func serveInTurn(_ handle: FunctionHandle, _ outputs: inout [Output]) {
        guard harvester?.settings.waitingOrder == .expectedEnd, let place = functions.place(of: handle),
            functions[at: place]?.hasWaiting == true
        else {
            serveWaiting(handle, &outputs)
            return serveStarved(&outputs)
        }
        if !starved.contains(handle) { starved.append(handle) }
        serveStarved(&outputs)
        if functions[at: place]?.hasWaiting == true, !blocked.contains(handle) { ensureReplicas(handle, &outputs) }
    }

    private mutating func serveWaiting(_ handle: FunctionHandle, _ outputs: inout [Output]) {
        guard let place = functions.place(of: handle), functions[at: place]?.hasWaiting == true else { return }
        dispatch(handle, &outputs)
        if functions[at: place]?.hasWaiting == true, !blocked.contains(handle) { ensureReplicas(handle, &outputs) }
    }

    /// While the node goes down an asynchronous call goes back to wait, on disk, for the next start.
    private func mayBeResent(_ state: CallState) -> Bool {
        guard functions[state.function]?.removed == false else { return false }
        if draining, state.asynchronous { return true }
        return !halted && state.unsent < settings.unsentRetries
    }

    private static let unsentFailure = CallFailure(
        .unsent, "The function's replicas went away before the call could be handed over; try again.")

    private mutating func learnRunTime(_ state: CallState) {
        guard let place = functions.place(of: state.function) else { return }
        let mean = functions[at: place]?.meanRunNanoseconds ?? 0
        functions[at: place]?.meanRunNanoseconds = mean + (now.nanoseconds - state.began.nanoseconds - mean) / 8
    }

    private mutating func attemptEnded(_ call: CallID, succeeded: Bool, _ outputs: inout [Output]) {
        guard let state = calls[call] else { return }
        if succeeded {
            endAsynchronous(call)
            outputs.append(.complete(call))
            learnRunTime(state)
            return
        }
        let failed = state.failedAttempts + 1
        guard failed < settings.asynchronousAttempts, functions[state.function]?.removed == false else {
            endAsynchronous(call)
            outputs.append(.bury(call, failedAttempts: failed))
            return
        }
        let due = now + settings.asynchronousBackoff.pause(after: failed)
        calls[call]?.failedAttempts = failed
        calls[call]?.phase = .backingOff
        calls[call]?.deadline = .distantFuture
        timers.arm(.attemptDue(call), at: due)
        outputs.append(.retry(call, failedAttempts: failed, at: due))
    }

    private mutating func endAsynchronous(_ call: CallID) {
        guard let state = calls.remove(call) else { return }
        functions[state.function]?.asynchronousCount -= 1
        asynchronousCalls -= 1
    }

    /// Takes a call out of whatever it waits in.
    private mutating func withdraw(_ call: CallID, _ state: CallState) {
        if functions[state.function]?.queue.remove(call) == true {
            waitingCallers -= 1
        } else if let index = functions[state.function]?.due.firstIndex(of: call) {
            functions[state.function]?.due.remove(at: index)
            waitingDue -= 1
        }
    }

    mutating func abandon(_ call: CallID, _ outputs: inout [Output]) {
        guard let state = calls[call] else { return }
        switch state.phase {
        case .offered:
            endAsynchronous(call)
        case .waiting, .backingOff:
            withdraw(call, state)
            if state.asynchronous { endAsynchronous(call) } else { calls.remove(call) }
        case .running(let replica):
            markOverrun(call, on: replica)
            outputs.append(.cancel(call, on: replica))
        case .overrun:
            break
        }
    }

    mutating func deadlinePassed(_ call: CallID, armedFor deadline: Instant, _ outputs: inout [Output]) {
        guard let state = calls[call], state.deadline == deadline else { return }
        switch state.phase {
        case .waiting:
            withdraw(call, state)
            if state.asynchronous { endAsynchronous(call) } else { calls.remove(call) }
            outputs.append(.expire(call, on: nil))
        case .running(let replica):
            markOverrun(call, on: replica)
            outputs.append(.expire(call, on: replica))
        case .offered, .backingOff, .overrun:
            break
        }
    }

    private mutating func markOverrun(_ call: CallID, on replica: ReplicaID) {
        calls[call]?.phase = .overrun(replica)
        timers.arm(.overrun(call), at: Swift.max(calls[call]?.deadline ?? now, now) + settings.overrunGrace)
    }

    /// The grace after a deadline is over: the replica gets no more calls, and ends once nothing but overdue calls is on it.
    mutating func overrunEnded(_ call: CallID, _ outputs: inout [Output]) {
        guard let state = calls[call], case .overrun(let replica) = state.phase else { return }
        condemn(replica, &outputs)
    }

    /// Fails everything that waits for a function.
    mutating func failWaiting(_ handle: FunctionHandle, _ failure: CallFailure, _ outputs: inout [Output]) {
        failCallers(handle, failure, &outputs)
        let due = functions[handle]?.due ?? []
        functions[handle]?.due.removeAll()
        for call in due {
            waitingDue -= 1
            attemptEnded(call, succeeded: false, &outputs)
        }
    }

    private mutating func failCallers(_ handle: FunctionHandle, _ failure: CallFailure, _ outputs: inout [Output]) {
        for call in functions[handle]?.queue.removeAll() ?? [] {
            waitingCallers -= 1
            calls.remove(call)
            outputs.append(.fail(call, failure))
        }
    }

    /// Buries what waits for another attempt of a removed function: its time would come and find nobody.
    mutating func buryBackingOff(_ handle: FunctionHandle, _ outputs: inout [Output]) {
        guard functions[handle]?.asynchronousCount ?? 0 > 0 else { return }
        for call in calls.sortedKeys where calls[call]?.function == handle && calls[call]?.phase == .backingOff {
            let failed = calls[call]?.failedAttempts ?? 0
            endAsynchronous(call)
            outputs.append(.bury(call, failedAttempts: failed))
        }
    }

    /// The time for going down is over: callers that still wait are told. Asynchronous calls stay on disk for the next start.
    mutating func halt(_ outputs: inout [Output]) {
        draining = true
        halted = true
        for handle in functions.sortedKeys {
            failCallers(handle, CallFailure(.stopped, "The node is shutting down; try again on another node or later."), &outputs)
        }
    }
}
