// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel

/// The world round the engine: callers, sandboxes, a disk, people who deploy.
extension Simulation {
    // MARK: What happens

    mutating func happen(_ event: Appointment.Event) {
        switch event {
        case .arrival: arrival()
        case .change(let change): apply(change)
        case .stored(let call, let function): stored(call, function)
        case .tick: submit(.tick)
        case .startEnds(let replica, let works): startEnds(replica, works: works)
        case .handOver(let call, let replica, let deadline): handOver(call, replica, deadline)
        case .callEnds(let call, let replica, let attempt, let end): callEnds(call, replica, attempt, end)
        case .answered(let call, let attempt): if referee.book(call).runs == attempt { answer(call, .succeeded) }
        case .crash(let replica): replicaEnds(replica, ReplicaExit(.signalled(number: 9), "crashed"))
        case .stopped(let replica): replicaEnds(replica, ReplicaExit(.stopped, "stopped"))
        case .abandon(let call):
            guard referee.calls[Int(call.number)].callerWaits else { return }
            answer(call, .abandoned)
            submit(.abandon(call))
        case .drain: submit(.drain)
        case .halt: submit(.halt)
        case .look(let replica): look(replica)
        }
    }

    private mutating func arrival() {
        arrivalsLeft -= 1
        if arrivalsLeft > 0 {
            schedule(.arrival, after: arrivals.draw(.zero...plan.meanGap * 2))
            drawChanges()
        }
        report.arrived += 1
        let call = CallID(nextCall)
        nextCall += 1
        // The smaller of two draws: some functions are called more than others.
        let index = Swift.min(arrivals.below(population.count), arrivals.below(population.count))
        let target = population[index]
        if arrivals.happens(plan.asynchronous) {
            submit(.offer(call, target.handle))
            guard referee.book(call).phase == .offered else {
                report.refused += 1
                return
            }
            schedule(.stored(call, target.handle), after: world.draw(.zero...Duration.microseconds(500)))
            return
        }
        let timeout: Duration? = arrivals.chance(1, in: 8) ? target.policy.timeout / 2 : nil
        submit(.arrive(call, target.handle, timeout: timeout, features: drawFeatures()))
        if referee.book(call).phase != .refused, violationFree {
            report.accepted += 1
            if fault(plan.faults.abandons) { schedule(.abandon(call), after: world.draw(.zero...target.policy.timeout)) }
        }
    }

    private var violationFree: Bool { referee.violation == nil }

    private mutating func stored(_ call: CallID, _ function: FunctionHandle) {
        if fault(plan.faults.storeFails) {
            submit(.abandon(call))
            report.refused += 1
            return
        }
        report.accepted += 1
        disk[call] = QueuedAttempt(function: function, failedAttempts: 0, notBefore: .zero)
        submit(.enqueue(call, function, failedAttempts: 0, notBefore: .zero))
    }

    private mutating func startEnds(_ replica: ReplicaID, works: Bool) {
        guard host.phase(of: replica) == .starting else { return }
        guard works else {
            report.failedStarts += 1
            replicaEnds(replica, ReplicaExit(.startFailed, "the program does not start"))
            return
        }
        _ = host.comeUp(replica)
        if fault(plan.faults.crashesWhenReady) { schedule(.crash(replica), after: world.draw(.zero...Duration.milliseconds(60))) }
        submit(.started(replica))
    }

    private mutating func handOver(_ call: CallID, _ replica: ReplicaID, _ deadline: Instant) {
        guard host.take(call, on: replica) else {
            submit(.finished(call, .unsent))
            return
        }
        beginLooking(replica)
        let attempt = referee.book(call).runs
        let mean = inhabitant(referee.book(call).function)?.meanRunNanoseconds ?? 1_000_000
        let time = world.draw(mean / 4...mean * 2)
        if fault(plan.faults.crashesInCall) {
            schedule(.crash(replica), afterNanoseconds: time / 2)
        } else if fault(plan.faults.overruns) {
            let late = (deadline - clock) + world.draw(.milliseconds(1)...plan.settings.overrunGrace * 3)
            schedule(.callEnds(call, replica, attempt: attempt, .succeeded), after: Swift.max(late, .zero))
        } else if fault(plan.faults.callFails) {
            schedule(.callEnds(call, replica, attempt: attempt, .failed), afterNanoseconds: time)
        } else if fault(plan.faults.lateEnds) {
            schedule(.answered(call, attempt: attempt), afterNanoseconds: time)
            schedule(.callEnds(call, replica, attempt: attempt, .succeeded), afterNanoseconds: time + time / 2)
        } else {
            schedule(.callEnds(call, replica, attempt: attempt, .succeeded), afterNanoseconds: time)
        }
    }

    private mutating func callEnds(_ call: CallID, _ replica: ReplicaID, _ attempt: UInt32, _ end: CallEnd) {
        // A later attempt may be on the same replica; what was arranged for this one no longer holds.
        guard referee.book(call).runs == attempt, host.release(call, on: replica) else { return }
        answer(call, end == .succeeded ? .succeeded : .failed)
        submit(.finished(call, end, usage: drawUsage(replica)))
    }

    private mutating func replicaEnds(_ replica: ReplicaID, _ exit: ReplicaExit) {
        guard let unfinished = host.end(replica) else { return }
        limits[replica] = nil
        for call in unfinished {
            answer(call, .failed)
            submit(.finished(call, .failed))
            guard violationFree else { return }
        }
        submit(.exited(replica, exit))
    }

    // MARK: What the engine wants done

    mutating func perform(_ output: Output) {
        switch output {
        case .start(let replica, let handle):
            report.starts += 1
            host.start(replica)
            openLimits(replica, handle)
            guard let function = inhabitant(Int32(handle.index)) else { return }
            let works = !(function.broken && faultsActive) && !fault(plan.faults.startFails)
            schedule(
                .startEnds(replica, works: works),
                afterNanoseconds: world.draw(function.meanStartNanoseconds / 2...function.meanStartNanoseconds * 2))
        case .run(let call, let replica, let cold, let deadline):
            report.runs += 1
            if cold { report.coldRuns += 1 }
            if fault(plan.faults.vanishes) {
                schedule(.crash(replica), after: .zero)
                schedule(.handOver(call, replica, deadline: deadline), after: .microseconds(1))
            } else if referee.book(call).asynchronous {
                // Its body is read from disk first.
                schedule(.handOver(call, replica, deadline: deadline), after: world.draw(.microseconds(10)...Duration.milliseconds(2)))
            } else {
                handOver(call, replica, deadline)
            }
        case .refuse(let call, _):
            if !referee.book(call).asynchronous { answer(call, .refused) }
        case .fail(let call, _): answer(call, .failed)
        case .expire(let call, let replica):
            answer(call, .expired)
            if let replica { tellToGiveUp(call, replica) }
        case .cancel(let call, let replica): tellToGiveUp(call, replica)
        case .complete(let call):
            disk[call] = nil
            report.completed += 1
        case .retry(let call, let failed, let at):
            disk[call]?.failedAttempts = failed
            disk[call]?.notBefore = at
            report.retries += 1
        case .bury(let call, _):
            disk[call] = nil
            report.buried += 1
        case .stop(let replica, let grace):
            guard host.beginStop(replica) else { return }
            let pause = grace > .zero ? world.draw(.microseconds(100)...grace) : .microseconds(50)
            schedule(.stopped(replica), after: pause)
        case .wake(let at): schedule(.tick, at: Swift.max(at, clock))
        case .limit(let batch): write(batch)
        case .note(.resent): report.resent += 1
        case .note(.stoppedReplica(_, _, .evicted)): report.evictions += 1
        case .note: break
        }
    }

    private mutating func tellToGiveUp(_ call: CallID, _ replica: ReplicaID) {
        if world.happens(plan.faults.ignoresCancel) { return }
        let attempt = referee.book(call).runs
        schedule(.callEnds(call, replica, attempt: attempt, .failed), after: world.draw(.microseconds(10)...Duration.milliseconds(5)))
    }

    // MARK: People

    private mutating func drawChanges() {
        let moment = arrivals.draw(.zero...plan.meanGap)
        if changes.happens(plan.faults.redeploys) { schedule(.change(.redeploy), after: moment) }
        if changes.happens(plan.faults.scales) { schedule(.change(.scale), after: moment) }
        if changes.happens(plan.faults.removes) { schedule(.change(.remove), after: moment) }
        if changes.happens(plan.faults.restarts) { schedule(.change(.restart), after: moment) }
    }

    private mutating func apply(_ change: Appointment.Change) {
        if referee.draining { return }
        let index = changes.below(population.count)
        switch change {
        case .redeploy:
            let (old, fresh) = (population[index], drawInhabitant(handle: population[index].handle))
            population[index] = fresh
            population[index].broken = old.broken ? false : fresh.broken
            submit(.deploy(old.handle, fresh.policy))
        case .scale:
            let target = population[index]
            submit(.scale(target.handle, replicas: changes.draw(0...target.policy.scale.max)))
        case .remove:
            submit(.remove(population[index].handle))
            guard violationFree else { return }
            // A new function takes the place of the old one; it never gets the old handle.
            population[index] = drawInhabitant()
            submit(.deploy(population[index].handle, population[index].policy))
        case .restart: restart()
        }
    }

    /// The node is killed and starts again with what is on its disk.
    private mutating func restart() {
        report.restarts += 1
        for index in referee.calls.indices where referee.calls[index].callerWaits { answer(CallID(UInt64(index)), .cutOff) }
        for index in referee.calls.indices where referee.calls[index].phase == .offered { report.refused += 1 }
        referee.restart()
        host.removeAll()
        limits.removeAll()
        agenda = agenda.keeping { event in
            switch event {
            case .arrival, .change, .drain, .halt: true
            default: false
            }
        }
        engine = Engine(settings: plan.settings)
        for function in population {
            var policy = function.policy
            policy.prewarm = false
            submit(.deploy(function.handle, policy))
        }
        for call in disk.keys.sorted() {
            guard let queued = disk[call], violationFree else { continue }
            submit(.enqueue(call, queued.function, failedAttempts: queued.failedAttempts, notBefore: queued.notBefore))
        }
    }
}
