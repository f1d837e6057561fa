// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
import BrumeModel
import BrumeWorkload

/// What happens in the world of a replay, and what engines want done.
extension Replay {
    /// A replica that is told to stop is gone after this.
    private static let stopTime = Duration.milliseconds(2)
    /// The watcher goes on looking for so long after use has changed: a window of the safeguard and two looks.
    private func lookTime(_ settings: HarvesterSettings) -> Duration {
        settings.safeguard.cpuWindow + (policy.harvest?.lookInterval ?? .zero) * 2
    }

    mutating func happen(_ appointment: Appointment) {
        let node = appointment.node
        switch appointment.event {
        case .arrival(let call): arrive(call)
        case .heartbeat: heartbeat()
        case .started(let replica): submit(.started(replica), node)
        case .exited(let replica, let exit):
            guard nodes[node].boxes[replica] != nil else { return }
            nodes[node].exit(replica)
            submit(.exited(replica, exit), node)
        case .tick:
            guard nodes[node].tickAt == appointment.at else { return }
            nodes[node].tickAt = nil
            submit(.tick, node)
        case .look:
            guard nodes[node].lookAt == appointment.at else { return }
            nodes[node].lookAt = nil
            look(node)
        case .machine:
            guard nodes[node].machineAt == appointment.at else { return }
            nodes[node].machineAt = nil
            machineEvents(node)
        }
        attend(node)
    }

    /// Arranges for what the machine will do next.
    private mutating func attend(_ node: Int) {
        nodes[node].advance(to: clock)
        let next = nodes[node].machine.next()
        if let next, nodes[node].machineAt != next {
            nodes[node].machineAt = next
            schedule(.machine, node, at: next)
        } else if next == nil {
            nodes[node].machineAt = nil
        }
    }

    private mutating func machineEvents(_ node: Int) {
        nodes[node].advance(to: clock)
        for event in nodes[node].machine.takeEvents() {
            switch event {
            case .ended(let call): ended(call, node)
            case .changed(let call): watch(call, node, atOnce: false)
            case .grew(let call): watch(call, node, atOnce: true)
            case .reachedMemoryLimit(let call): reachedMemoryLimit(call, node)
            }
        }
    }

    // MARK: Calls

    private mutating func arrive(_ index: Int) {
        guard !schedulers.isEmpty else { return hand(index, to: 0) }
        let scheduler = schedulerOf[index]
        waiting[scheduler].append(index)
        place(scheduler)
    }

    /// Places what waits at a scheduler, in order, until the first call for which there is no room.
    private mutating func place(_ scheduler: Int) {
        while let index = waiting[scheduler].first {
            let call = plan.calls[index]
            var request = PlacementRequest(
                function: FunctionHandle(call.function), allocation: plan.functions[call.function].allocation, now: clock)
            if policy.harvest != nil, let prediction = knowledge.predict(request.function, call.work.features) {
                var peak = request.allocation
                for kind in ResourceKind.allCases where prediction.known.contains(kind) { peak[kind] = prediction.peak[kind] }
                request.demand = BrumeModel.Demand(peak: peak, duration: prediction.duration(millicores: peak.millicores))
            }
            guard let node = schedulers[scheduler].place(request, on: statuses) else { return }
            waiting[scheduler].removeFirst()
            hand(index, to: node)
            attend(node)
        }
    }

    private mutating func hand(_ index: Int, to node: Int) {
        placed[index].node = node
        placed[index].accepted = clock
        let call = plan.calls[index]
        nodes[node].advance(to: clock)
        submit(.arrive(CallID(UInt64(index) + 1), FunctionHandle(call.function), timeout: nil, features: call.work.features), node)
    }

    private mutating func heartbeat() {
        for index in nodes.indices {
            nodes[index].advance(to: clock)
            statuses[index] = nodes[index].status
        }
        if unfinished > 0 { schedule(.heartbeat, 0, at: clock + plan.heartbeat) }
    }

    private mutating func begin(_ call: CallID, on replica: ReplicaID, cold: Bool, _ node: Int) {
        let index = Int(call.number) - 1
        let limits = nodes[node].boxes[replica]?.limits ?? .zero
        nodes[node].setBusy(replica, true)
        let function = plan.functions[plan.calls[index].function]
        nodes[node].machine.begin(call, on: replica, plan.calls[index].work, allocation: function.allocation, limits: limits)
        placed[index].began = clock
        placed[index].prediction = nodes[node].engine.harvester?.prediction(of: call)
        result.records[index].requestID = "\(call)"
        result.records[index].isCold = cold
        if cold { outcome.coldStarts += 1 }
        watch(call, node, atOnce: false)
    }

    private mutating func ended(_ call: CallID, _ node: Int) {
        guard let task = leave(call, node) else { return }
        let peak = Int((task.peak.cores * 1000).rounded())
        let usage = CallUsage(
            cpuTime: .nanoseconds(Int64((task.usedCoreSeconds * 1e9).rounded())), peakMillicores: peak, peakMemoryBytes: task.peakMemory)
        close(call, task, succeeded: true)
        submit(.finished(call, .succeeded, usage: usage), node)
        released(call, node)
    }

    private mutating func reachedMemoryLimit(_ call: CallID, _ node: Int) {
        guard let task = nodes[node].machine.find(call) else { return }
        let isLent = task.memoryLimit < task.allocation.memoryBytes
        if isLent, policy.harvest?.pausesAtLentLimit == true, nodes[node].engine.harvester?.settings.usesSafeguard == true {
            nodes[node].machine.stall(call)
            watch(call, node, atOnce: true)
            return
        }
        result.outOfMemoryKills += 1
        if isLent { outcome.killsByHarvesting += 1 }
        guard let task = leave(call, node) else { return }
        close(call, task, succeeded: false)
        submit(.finished(call, .failed), node)
        nodes[node].exit(task.replica)
        submit(.exited(task.replica, ReplicaExit(.outOfMemory, "The call used more memory than its limit.")), node)
        released(call, node)
    }

    private mutating func leave(_ call: CallID, _ node: Int) -> VirtualMachine.Running? {
        nodes[node].lookUntil[call] = nil
        guard let task = nodes[node].machine.end(call) else { return nil }
        nodes[node].setBusy(task.replica, false)
        unfinished -= 1
        return task
    }

    private mutating func close(_ call: CallID, _ task: VirtualMachine.Running, succeeded: Bool) {
        let index = Int(call.number) - 1
        let began = placed[index].began ?? clock
        let record = result.records[index]
        result.records[index].succeeded = succeeded
        result.records[index].status = succeeded ? 200 : 502
        if !succeeded { result.records[index].failure = "out-of-memory" }
        result.records[index].sent = record.due
        result.records[index].completion = clock - (.zero + record.due)
        result.records[index].queued = began - (.zero + record.due)
        result.records[index].running = clock - began
        result.records[index].resources.peakMillicores = Int((task.peak.cores * 1000).rounded())
        result.records[index].resources.peakMemoryBytes = task.peakMemory
        if let prediction = placed[index].prediction {
            if prediction.known.contains(.cpu) { result.records[index].resources.millicores = prediction.peak.millicores }
            if prediction.known.contains(.memory) { result.records[index].resources.memoryBytes = prediction.peak.memoryBytes }
            result.records[index].resources.predictedDuration = prediction.duration(millicores: task.allocation.millicores)
        }
        let seconds = (clock - began).inSeconds
        guard succeeded, seconds > 0, !schedulers.isEmpty else { return }
        let observation = CallObservation(
            duration: clock - began,
            peak: Resources(millicores: Int((task.peak.cores * 1000).rounded()), memoryBytes: task.peakMemory),
            allocatedMillicores: max(1, Int(task.allottedCoreSeconds / seconds * 1000)), highestMillicores: task.highestMillicores)
        knowledge.learn(FunctionHandle(plan.calls[index].function), task.work.features, observation)
    }

    private mutating func released(_ call: CallID, _ node: Int) {
        guard !schedulers.isEmpty else { return }
        let index = Int(call.number) - 1
        let scheduler = schedulerOf[index]
        schedulers[scheduler].release(plan.functions[plan.calls[index].function].allocation, on: node)
        place(scheduler)
    }

    // MARK: The watcher

    private mutating func watch(_ call: CallID, _ node: Int, atOnce: Bool) {
        guard let harvester = nodes[node].engine.harvester, let interval = policy.harvest?.lookInterval else { return }
        // Only what lends is watched for its CPU; memory that grows is told once.
        let until = atOnce ? clock + interval : clock + lookTime(harvester.settings)
        guard atOnce || harvester.safeguard.watches(call, .cpu) else { return }
        nodes[node].lookUntil[call] = max(nodes[node].lookUntil[call] ?? .zero, until)
        guard nodes[node].lookAt == nil else { return }
        let step = interval.wholeNanoseconds
        let at = Instant(nanoseconds: (clock.nanoseconds / step + 1) * step)
        nodes[node].lookAt = at
        schedule(.look, node, at: at)
    }

    private mutating func look(_ node: Int) {
        nodes[node].advance(to: clock)
        var samples: [ReplicaSample] = []
        var goesOn = false
        for task in nodes[node].machine.running {
            guard let until = nodes[node].lookUntil[task.call] else { continue }
            let sample = UsageSample(
                at: clock, cpuTime: .nanoseconds(Int64((task.usedCoreSeconds * 1e9).rounded())),
                throttledPeriods: Int(task.throttledSeconds / VirtualMachine.quotaPeriod), memoryBytes: task.memory)
            samples.append(ReplicaSample(replica: task.replica, usage: sample))
            if until <= clock { nodes[node].lookUntil[task.call] = nil } else { goesOn = true }
        }
        if goesOn, let interval = policy.harvest?.lookInterval {
            nodes[node].lookAt = clock + interval
            schedule(.look, node, at: clock + interval)
        }
        if !samples.isEmpty { submit(.sampled(samples), node) }
    }

    // MARK: The engine

    mutating func submit(_ input: Input, _ node: Int) {
        nodes[node].advance(to: clock)
        digest.add(input, at: clock)
        outcome.steps += 1
        listener?("\(clock.short) \(node) \(input)")
        var outputs: [Output] = []
        nodes[node].engine.step(input, now: clock, into: &outputs)
        for output in outputs {
            digest.add(output)
            listener?("\(clock.short) \(node)   \(output)")
            perform(output, node)
        }
    }

    private mutating func perform(_ output: Output, _ node: Int) {
        switch output {
        case .start(let replica, let handle):
            nodes[node].start(replica, handle.index, plan.functions[handle.index].allocation)
            schedule(.started(replica), node, at: clock + starts[handle.index].draw(plan.start))
        case .run(let call, let replica, let cold, _): begin(call, on: replica, cold: cold, node)
        case .stop(let replica, _):
            schedule(.exited(replica, ReplicaExit(.stopped, "The replica was stopped.")), node, at: clock + Self.stopTime)
        case .limit(let batch): write(batch, node)
        case .wake(let at):
            guard nodes[node].tickAt.map({ at < $0 }) ?? true else { return }
            nodes[node].tickAt = at
            schedule(.tick, node, at: at)
        case .note(.settled(let statement)): settle(statement)
        case .refuse(let call, _), .fail(let call, _), .expire(let call, _):
            outcome.violations.append("\(call) did not run to its end: \(output)")
            unfinished -= 1
        case .cancel, .complete, .retry, .bury, .note: break
        }
    }

    /// As the real node writes.
    private mutating func write(_ batch: [ReplicaLimit], _ node: Int) {
        var turn = LimitTurn(batch) { nodes[node].boxes[$0]?.limits.memoryBytes }
        // What else follows from refusals waits for the limits.
        var others: [Output] = []
        while let next = turn.next() {
            switch next {
            case .write(let limit):
                let held = heldAt(limit, node)
                apply(ReplicaLimit(replica: limit.replica, call: limit.call, kind: limit.kind, from: limit.from, to: held), node)
                turn.wrote(limit, inForce: held)
            case .tell(let limit, let held, let batch):
                var outputs: [Output] = []
                nodes[node].engine.step(.limitHeld(limit, at: held, batch: batch), now: clock, into: &outputs)
                for output in outputs {
                    digest.add(output)
                    if case .limit(let answer) = output { turn.answered(answer) } else { others.append(output) }
                }
            }
        }
        for output in others { perform(output, node) }
    }

    /// The kernel does not set a limit of memory below its use.
    private func heldAt(_ limit: ReplicaLimit, _ node: Int) -> Int {
        guard limit.kind == .memory, let task = nodes[node].machine.running.first(where: { $0.replica == limit.replica }) else {
            return limit.to
        }
        return max(limit.to, min(task.memory, limit.from))
    }

    private mutating func apply(_ limit: ReplicaLimit, _ node: Int) {
        if let fault = nodes[node].setLimit(limit) { outcome.violations.append("\(clock.nanoseconds) ns, node \(node): \(fault)") }
        if let call = limit.call { watch(call, node, atOnce: false) }
    }

    private mutating func settle(_ statement: CallStatement) {
        let index = Int(statement.call.number) - 1
        var resources = result.records[index].resources
        resources.wasSafeguarded = statement.cpu.safeguards + statement.memory.safeguards > 0
        result.safeguards += statement.cpu.safeguards + statement.memory.safeguards
        resources.millicoreSeconds = Self.seconds(statement.cpu.borrowed.units - statement.cpu.lent.units)
        resources.memoryByteSeconds = Self.seconds(statement.memory.borrowed.units - statement.memory.lent.units)
        resources.idleMillicoreSeconds = Self.seconds(statement.cpu.idle.units)
        resources.idleMemoryByteSeconds = Self.seconds(statement.memory.idle.units)
        result.records[index].resources = resources
    }

    private static func seconds(_ units: Int128) -> Int { Int(clamping: units / 1_000_000_000) }
}
