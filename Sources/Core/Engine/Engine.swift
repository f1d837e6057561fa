// SPDX-License-Identifier: Apache-2.0

import BrumeBroker
public import BrumeHarvest
public import BrumeModel

/// Every decision of a node, as a value: events go in, what has to be done comes out.
///
/// The same inputs at the same times give the same outputs, on any machine and in any process. The node performs them on real sandboxes,
/// the simulator in virtual time. A step costs amortised constant time in the number of past calls.
public struct Engine: Sendable {
    public let settings: EngineSettings

    var functions = Roster<FunctionHandle, FunctionState>()
    var replicas = Roster<ReplicaID, ReplicaState>()
    var calls = Roster<CallID, CallState>()
    var ledger: CapacityLedger
    var timers = Timers()
    /// Functions that would start a replica and could not, in the order in which they will be asked again.
    var blocked: [FunctionHandle] = []
    var startsInProgress = 0
    /// Calls in all queues, by whether somebody waits for them: a backlog of asynchronous calls must not shut callers out.
    var waitingCallers = 0
    var waitingDue = 0
    var runningCalls = 0
    var asynchronousCalls = 0
    var draining = false
    var halted = false
    var nextReplica: UInt64 = 1
    /// Nil where nothing is lent.
    public internal(set) var harvester: Harvester?
    /// Which replica a call stands for in the harvester's books.
    var harvested = Roster<CallID, ReplicaID>()
    /// Names in those books for calls whose own name is taken: from the end, where no real number comes.
    var nextAlias = UInt64.max
    /// Memory reserved by replicas that are in those books.
    var harvestedMemory = 0
    /// Functions with a free replica whose next call would not get what is to be set aside for it, in the order of asking.
    var starved: [FunctionHandle] = []
    /// Memory that was called in for a replica that has not started yet: neither lent nor reserved.
    var heldRoom = 0
    /// Whether the limits that it was called in by have been written: whatever is refused is told before the next event.
    var isRoomMade = false
    var effects = HarvestEffects()
    /// Whether this step lowers limits of memory: the kernel may refuse, so nothing starts in what that frees before it has had its say.
    var lowersMemory = false
    /// Batches of limits that this step has appended.
    var limitBatches = 0
    var now = Instant.zero

    /// - Parameter now: from when on what lies idle is counted.
    public init(settings: EngineSettings, now: Instant = .zero) {
        self.settings = settings
        self.now = now
        ledger = CapacityLedger(capacity: settings.capacity)
        harvester = settings.harvest.map { Harvester(settings: $0, now: now) }
    }

    /// Takes one event and appends what has to be done.
    ///
    /// - Parameter now: not earlier than in the step before; an earlier time is treated as no time having passed.
    public mutating func step(_ input: Input, now: Instant, into outputs: inout [Output]) {
        self.now = Swift.max(self.now, now)
        if case .limitHeld = input {} else { (isRoomMade, lowersMemory) = (true, false) }
        let first = outputs.count
        limitBatches = 0
        switch input {
        case .deploy(let function, let policy): deploy(function, policy, &outputs)
        case .remove(let function): remove(function, &outputs)
        case .scale(let function, let count): scale(function, to: count, &outputs)
        case .arrive(let call, let function, let timeout, let features): arrive(call, function, timeout, features, &outputs)
        case .offer(let call, let function): offer(call, function, &outputs)
        case .enqueue(let call, let function, let failed, let notBefore): enqueue(call, function, failed, notBefore, &outputs)
        case .abandon(let call): abandon(call, &outputs)
        case .started(let replica): started(replica, &outputs)
        case .exited(let replica, let exit): exited(replica, exit, &outputs)
        case .finished(let call, let end, let usage): finished(call, end, usage, &outputs)
        case .sampled(let samples): sampled(samples, &outputs)
        case .limitHeld(let limit, let held, let batch): limitHeld(limit, held, batch, &outputs)
        case .tick: tick(&outputs)
        case .drain: draining = true
        case .halt: halt(&outputs)
        }
        if limitBatches > 1 { mergeLimits(from: first, &outputs) }
        if timers.needSweep { sweepTimers() }
        if let wake = timers.newWake() { outputs.append(.wake(at: wake)) }
    }

    /// The same, with a fresh list.
    public mutating func step(_ input: Input, now: Instant) -> [Output] {
        var outputs: [Output] = []
        step(input, now: now, into: &outputs)
        return outputs
    }

    private mutating func tick(_ outputs: inout [Output]) {
        timers.ticked(now)
        while let entry = timers.popDue(now) {
            switch entry.purpose {
            case .callDeadline(let call): deadlinePassed(call, armedFor: entry.at, &outputs)
            case .overrun(let call): overrunEnded(call, &outputs)
            case .attemptDue(let call): attemptDue(call, &outputs)
            case .replicaIdle(let replica): idleTimerFired(replica, &outputs)
            case .startRetry(let function): ensureReplicas(function, &outputs)
            case .roomMade(let function): useRoom(function, &outputs)
            }
        }
    }

    /// Drops timers whose subject has ended.
    private mutating func sweepTimers() {
        timers.sweep { entry in
            switch entry.purpose {
            case .callDeadline(let call): calls[call]?.deadline == entry.at
            case .overrun(let call), .attemptDue(let call): calls[call] != nil
            case .replicaIdle(let replica): replicas[replica] != nil
            case .startRetry(let function): functions[function] != nil
            case .roomMade: true
            }
        }
    }
}

extension Engine {
    /// How one function is doing, or nil if it is not deployed.
    public func view(of handle: FunctionHandle) -> FunctionView? {
        guard let function = functions[handle], !function.removed else { return nil }
        var view = FunctionView(
            replicas: 0, ready: 0, invocations: function.invocations, queued: function.waiting, running: 0, problem: function.problem)
        for member in function.members {
            guard let replica = replicas[member] else { continue }
            view.running += replica.calls.count
            if replica.phase == .ready { view.ready += 1 }
            if replica.phase == .ready || replica.phase == .starting { view.replicas += 1 }
        }
        return view
    }

    public var view: EngineView {
        EngineView(
            capacity: ledger.capacity, reserved: ledger.reserved, replicas: replicas.count, starting: startsInProgress,
            runningCalls: runningCalls, queuedCalls: waitingCallers + waitingDue, waitingCallers: waitingCallers,
            asynchronousCalls: asynchronousCalls)
    }

    /// The replicas of a function that have not begun to stop.
    public func members(of handle: FunctionHandle) -> [ReplicaID] {
        functions[handle]?.members.filter { replicas[$0]?.phase == .ready || replicas[$0]?.phase == .starting } ?? []
    }

    /// Whether the engine still answers for this call.
    public func knows(_ call: CallID) -> Bool { calls[call] != nil }
}

/// How much the engine remembers; all of it is proportional to what lives now.
public struct EngineFootprint: Hashable, Sendable {
    public var functions: Int
    public var replicas: Int
    public var calls: Int
    /// Armed timers, stale ones included: at most twice the living plus a constant.
    public var timers: Int
}

extension Engine {
    public var footprint: EngineFootprint {
        EngineFootprint(functions: functions.count, replicas: replicas.count, calls: calls.count, timers: timers.count)
    }
}
