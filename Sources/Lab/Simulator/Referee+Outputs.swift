// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
import BrumeModel

/// What the engine says, held against the books.
extension Referee {
    mutating func observe(_ output: Output) {
        switch output {
        case .start(let replica, let handle): start(replica, handle)
        case .run(let call, let replica, let cold, let deadline): run(call, replica, cold: cold, deadline)
        case .refuse(let call, let refusal): refuse(call, refusal)
        case .fail(let call, _):
            let phase = book(call).phase
            if !(!book(call).asynchronous && (phase == .waiting || phase == .arriving)) { breach("\(call) failed while it was \(phase)") }
            guard violation == nil else { return }
            if arriving == call { arriving = nil }
            unqueue(call)
            end(call)
        case .expire(let call, let replica): expire(call, replica)
        case .cancel(let call, let replica):
            if !(owesCancel == call && book(call).replica == replica.number) {
                breach("\(call) was cancelled on \(replica) without reason")
            }
            owesCancel = nil
        case .complete(let call):
            if !(book(call).verdictDue && book(call).lastEndSucceeded) { breach("\(call) was completed while it was \(book(call).phase)") }
            settle(call)
            if violation == nil { end(call) }
        case .retry(let call, _, let at):
            if !(book(call).verdictDue || book(call).phase == .waiting) { breach("\(call) is retried while it was \(book(call).phase)") }
            if book(call).verdictDue, book(call).lastEndSucceeded { breach("\(call) is retried after its success") }
            if !book(call).asynchronous { breach("\(call) is retried and has a caller") }
            settle(call)
            guard violation == nil else { return }
            calls[Int(call.number)].phase = .backingOff
            backingOff.append((at, call))
        case .bury(let call, _):
            let phase = book(call).phase
            if !(book(call).asynchronous && (book(call).verdictDue || phase == .waiting || phase == .backingOff)) {
                breach("\(call) was buried while it was \(phase)")
            }
            settle(call)
            if violation == nil { end(call) }
        case .stop(let replica, _): stop(replica)
        case .limit: break
        case .wake(let at): if at < now { breach("a wake-up lies in the past") }
        case .note(.stoppedReplica(let replica, _, _)):
            if !knows(replica) { breach("\(replica) was taken out of rotation and does not exist") }
            if violation == nil { leaveRotation(Int(replica.number) - 1) }
        case .note(.queued(let call, let ahead)):
            if arriving != call { breach("\(call) was queued and had not arrived") }
            guard violation == nil else { return }
            arriving = nil
            let function = Int(book(call).function)
            if ahead != functions[function].callers.count {
                breach("\(call) queued behind \(ahead), not behind \(functions[function].callers.count)")
            }
            queue(call)
            if functions[function].pinned == 0 { functions[function].pinned = nil }
            if !(functions[function].callers.count <= settings.queueLimitPerFunction) {
                breach("the queue of f\(function) is longer than its limit")
            }
            if !(waitingCallers <= settings.queueLimit) { breach("the node's queue is longer than its limit") }
        case .note: break
        }
    }

    private mutating func settle(_ call: CallID) {
        guard violation == nil else { return }
        if owesVerdict == call { owesVerdict = nil }
        calls[Int(call.number)].verdictDue = false
        if book(call).phase == .waiting { unqueue(call) }
    }

    private mutating func start(_ replica: ReplicaID, _ handle: FunctionHandle) {
        if replica.number != UInt64(replicas.count) + 1 { breach("\(replica) does not follow r\(replicas.count)") }
        if !knowsFunction(handle.index) { breach("\(replica) was started for \(handle), which is not deployed") }
        if halted { breach("\(replica) was started after the node went down") }
        guard violation == nil else { return }
        let function = functions[handle.index]
        replicas.append(
            ReplicaBook(
                function: handle.index, revision: function.revision, slots: function.policy.concurrency, reserved: function.policy.requests)
        )
        functions[handle.index].newest += 1
        reserved = reserved + function.policy.requests
        livingReplicas += 1
        starting += 1
        if !(reserved.fits(in: settings.capacity)) { breach("\(replica) exceeds the capacity: \(reserved.millicores)m are reserved") }
        if !(starting <= settings.concurrentStarts) { breach("\(starting) replicas are starting, \(settings.concurrentStarts) may") }
        if !(functions[handle.index].newest <= function.policy.scale.max) {
            breach("\(handle) has more than \(function.policy.scale.max) replicas of one revision")
        }
    }

    private mutating func run(_ call: CallID, _ replica: ReplicaID, cold: Bool, _ deadline: Instant) {
        let before = book(call)
        if !(before.phase == .arriving || before.phase == .waiting) { breach("\(call) is run while it was \(before.phase)") }
        if !knows(replica) { breach("\(call) is run on \(replica), which was never started") }
        guard violation == nil else { return }
        let index = Int(replica.number) - 1
        let function = Int(before.function)
        let place = replicas[index]
        if !(place.phase == .ready && place.rotating) { breach("\(call) is run on \(replica), which is not in rotation") }
        if place.function != function { breach("\(call) of f\(function) is run on a replica of f\(place.function)") }
        if !(place.calls < place.slots) { breach("\(replica) gets \(call) beside \(place.calls) others and takes \(place.slots)") }
        if halted || (draining && before.asynchronous) { breach("\(call) is run while the node goes down") }
        let isNext =
            before.asynchronous
            ? functions[function].callers.isEmpty && functions[function].due.first == call
            : before.phase == .arriving ? functions[function].callers.isEmpty : functions[function].callers.first == call
        if !isNext { breach("\(call) was run before its turn") }
        if !(cold == (before.waitingSince < place.readySince)) { breach("\(call) is called \(cold ? "cold" : "warm") and is not") }
        if !(before.asynchronous || deadline == before.deadline) { breach("\(call) runs with another deadline than it arrived with") }
        guard violation == nil else { return }
        if arriving == call {
            arriving = nil
            if functions[function].pinned == 0 { functions[function].pinned = nil }
        }
        if before.phase == .waiting { unqueue(call) }
        calls[Int(call.number)].phase = .running
        calls[Int(call.number)].replica = replica.number
        calls[Int(call.number)].runs += 1
        calls[Int(call.number)].deadline = deadline
        replicas[index].calls += 1
        replicas[index].running += 1
        functions[function].freeSlots -= 1
        running += 1
    }

    private mutating func refuse(_ call: CallID, _ refusal: Refusal) {
        let before = book(call)
        if !(before.phase == .arriving || before.phase == .offered) { breach("\(call) is refused while it was \(before.phase)") }
        guard violation == nil else { return }
        if case .queueFull = refusal {
            let function = functions[Int(before.function)]
            if before.asynchronous {
                if !(function.asynchronous > settings.asynchronousLimitPerFunction) {
                    breach("\(call) was refused by a queue that has room")
                }
            } else {
                if !(function.callers.count >= settings.queueLimitPerFunction || waitingCallers >= settings.queueLimit) {
                    breach("\(call) was refused and \(function.callers.count) of \(settings.queueLimitPerFunction) wait")
                }
            }
        }
        if arriving == call { arriving = nil }
        end(call, .refused)
    }

    private mutating func expire(_ call: CallID, _ replica: ReplicaID?) {
        let before = book(call)
        if !(now >= before.deadline) { breach("\(call) expired before its deadline") }
        guard let replica else {
            if !(!before.asynchronous && before.phase == .waiting) { breach("\(call) expired waiting while it was \(before.phase)") }
            guard violation == nil else { return }
            unqueue(call)
            end(call)
            return
        }
        if !(before.phase == .running && before.replica == replica.number) {
            breach("\(call) expired on \(replica) while it was \(before.phase)")
        }
        guard violation == nil else { return }
        calls[Int(call.number)].phase = .overdue
        replicas[Int(replica.number) - 1].running -= 1
    }

    private mutating func stop(_ replica: ReplicaID) {
        if !knows(replica) { breach("\(replica) is stopped and does not exist") }
        guard violation == nil else { return }
        let index = Int(replica.number) - 1
        if replicas[index].stopped { breach("\(replica) is stopped twice") }
        if replicas[index].rotating { breach("\(replica) is stopped and was not taken out of rotation") }
        if replicas[index].running != 0 { breach("\(replica) is stopped with \(replicas[index].running) calls on it that are in time") }
        replicas[index].stopped = true
    }

    // MARK: At the end of a step

    mutating func closeStep(_ engine: Engine) {
        guard violation == nil else { return }
        if let arriving { breach("\(arriving) arrived and was neither refused nor queued nor run") }
        if let owesVerdict { breach("the attempt of \(owesVerdict) has ended and nothing follows") }
        if let owesCancel { breach("the caller of \(owesCancel) has gone and the replica was not told") }
        let view = engine.view
        if view.reserved != reserved { breach("the engine counts \(view.reserved.millicores)m reserved, not \(reserved.millicores)m") }
        if view.queuedCalls != waitingCallers + waitingDue {
            breach("the engine counts \(view.queuedCalls) waiting, not \(waitingCallers + waitingDue)")
        }
        if view.runningCalls != running { breach("the engine counts \(view.runningCalls) running, there are \(running)") }
        if view.asynchronousCalls != asynchronous {
            breach("the engine counts \(view.asynchronousCalls) asynchronous, there are \(asynchronous)")
        }
        if view.replicas != livingReplicas { breach("the engine counts \(view.replicas) replicas, there are \(livingReplicas)") }
        if view.starting != starting { breach("the engine counts \(view.starting) starting, there are \(starting)") }
        if halted { return }
        if touched >= 0, touched < functions.count {
            workIsConserved(touched)
        } else if functions.count <= 16 {
            for index in functions.indices { workIsConserved(index) }
        }
    }

    private mutating func workIsConserved(_ index: Int) {
        // With harvesting a call may wait beside a free slot for what is to be set aside for it; at rest none may.
        if settings.harvest != nil { return }
        let waits = !functions[index].callers.isEmpty || (!draining && !functions[index].due.isEmpty)
        if waits, functions[index].freeSlots != 0 { breach("calls of f\(index) wait beside \(functions[index].freeSlots) free slots") }
    }

    // MARK: At rest

    /// Nothing more will happen by itself: everything has ended, and only what has to stay warm is there.
    mutating func checkRest(_ engine: Engine) {
        guard violation == nil else { return }
        var patient = 0
        for (index, book) in calls.enumerated() {
            switch book.phase {
            case .unknown, .refused, .ended: if book.callerWaits { breach("c\(index) has ended and its caller was told nothing") }
            case .waiting where book.asynchronous && (draining || !hasRoom(Int(book.function))): patient += 1
            case .backingOff where draining, .offered where draining: patient += 1
            case .waiting, .backingOff, .offered, .arriving, .running, .overdue: breach("c\(index) is lost: it is \(book.phase) for ever")
            }
        }
        if let harvester = engine.harvester {
            for fault in harvester.pool.audit() { breach(fault) }
            let loans = harvester.pool.loans(.cpu).count + harvester.pool.loans(.memory).count
            if loans != 0 { breach("\(loans) loans are left") }
        }
        if draining { return }
        let footprint = engine.footprint
        if footprint.calls != patient { breach("the engine remembers \(footprint.calls) calls and \(patient) live") }
        if footprint.timers != 0 { breach("\(footprint.timers) timers are left over") }
        for (index, function) in functions.enumerated() where knowsFunction(index) {
            let ready = engine.members(of: FunctionHandle(index)).count
            if ready < function.floor, hasRoom(index) { breach("f\(index) has \(ready) replicas at rest and is to keep \(function.floor)") }
            if !(ready <= function.floor) { breach("f\(index) has \(ready) replicas at rest and needs \(function.floor)") }
        }
        for (index, function) in functions.enumerated() where function.removed {
            let left = replicas.count { $0.function == index && $0.phase != .gone }
            if left != 0 { breach("f\(index) was removed and has \(left) replicas") }
        }
    }

    /// Whether one more replica would fit.
    ///
    /// At rest what is reserved is what other functions keep warm; an asynchronous call waits for that.
    private func hasRoom(_ function: Int) -> Bool {
        (reserved + functions[function].policy.requests).fits(in: settings.capacity)
    }
}
