// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
import BrumeModel
public import BrumeWorkload
import DequeModule
import HeapModule

/// One trace in virtual time under one policy: the engines of real nodes, calls whose speed follows their limits, schedulers before them.
///
/// ```swift
/// var replay = Replay(plan, .harvest, seed: 7)
/// let run = replay.run()
/// ```
public struct Replay: Sendable {
    public let plan: ReplayPlan
    public let policy: ReplayPolicy

    var nodes: [ReplayNode]
    var schedulers: [SchedulerShard]
    /// Calls for which no node had room, by scheduler.
    var waiting: [Deque<Int>]
    var statuses: [DestinationStatus]
    /// What schedulers know of functions.
    var knowledge: Profiler
    var agenda = Heap<Appointment>()
    var sequence: UInt64 = 0
    var clock = Instant.zero
    /// How long starts take, by function: the n-th start of a function takes as long under every policy.
    var starts: [SeededGenerator]
    var digest = Digest()
    var unfinished: Int
    var result: PolicyRun
    public internal(set) var outcome = ReplayOutcome()
    var placed: [Placement]
    /// Which scheduler each call comes to: at random, as a balancer before them would do it.
    let schedulerOf: [Int]
    /// Receives each event as a line.
    public var listener: (@Sendable (String) -> Void)?

    struct Placement: Sendable {
        var node: Int?
        var began: Instant?
        /// When a node took it.
        var accepted: Instant?
        var prediction: Prediction?
    }

    struct Appointment: Comparable, Sendable {
        enum Event: Sendable {
            case arrival(Int)
            case started(ReplicaID)
            case exited(ReplicaID, ReplicaExit)
            case machine
            case tick
            case look
            case heartbeat
        }

        let at: Instant
        let sequence: UInt64
        let node: Int
        let event: Event

        static func == (left: Appointment, right: Appointment) -> Bool { left.sequence == right.sequence }
        static func < (left: Appointment, right: Appointment) -> Bool {
            left.at != right.at ? left.at < right.at : left.sequence < right.sequence
        }
    }

    public init(_ plan: ReplayPlan, _ policy: ReplayPolicy, seed: UInt64) {
        precondition(plan.nodes > 0 && (plan.schedulers > 0 || plan.nodes == 1), "several nodes need a scheduler before them")
        self.plan = plan
        self.policy = policy
        var root = SeededGenerator(seed: seed)
        starts = plan.functions.map { _ in root.fork() }
        schedulerOf = plan.calls.map { _ in root.below(max(1, plan.schedulers)) }
        var settings = EngineSettings(capacity: plan.capacity)
        settings.harvest = policy.settings(capacity: plan.capacity, experience: plan.experience)
        settings.concurrentStarts = plan.concurrentStarts
        // A replay measures how long calls wait, not how many are refused.
        settings.queueLimitPerFunction = max(settings.queueLimitPerFunction, plan.calls.count)
        settings.queueLimit = max(settings.queueLimit, plan.calls.count)
        nodes = (0..<plan.nodes).map { _ in ReplayNode(settings, sharing: policy.sharing) }
        let capacities = [Resources](repeating: plan.capacity, count: plan.nodes)
        let least = plan.functions.reduce(Resources.zero) { most, function in
            Resources(
                millicores: max(most.millicores, function.allocation.millicores),
                memoryBytes: max(most.memoryBytes, function.allocation.memoryBytes))
        }
        schedulers = (0..<plan.schedulers).map {
            SchedulerShard(plan.placement, capacities: capacities, index: $0, of: plan.schedulers, leastSlice: least)
        }
        waiting = [Deque<Int>](repeating: [], count: plan.schedulers)
        statuses = [DestinationStatus](repeating: DestinationStatus(), count: plan.nodes)
        var profiler = settings.harvest?.profiler ?? ProfilerSettings(millicoresMax: plan.capacity.millicores)
        profiler.millicoresMax = plan.capacity.millicores
        knowledge = settings.harvest?.experience ?? Profiler(settings: profiler)
        unfinished = plan.calls.count
        placed = [Placement](repeating: Placement(), count: plan.calls.count)
        result = PolicyRun(
            policy: policy.name, isSimulated: true,
            capacity: Resources(
                millicores: plan.capacity.millicores * plan.nodes, memoryBytes: plan.capacity.memoryBytes * plan.nodes))
        result.records = plan.calls.enumerated().map { index, call in
            ReplayRecord(
                index: index, function: plan.functions[call.function].name, due: call.offset, inputSize: call.work.inputSize)
        }
    }

    /// Runs until all calls have ended.
    public mutating func run() -> PolicyRun {
        while advance(events: .max) {}
        return result
    }

    /// - Returns: whether there is more to do.
    public mutating func advance(events: Int) -> Bool {
        if outcome.steps == 0 { begin() }
        var left = events
        while left > 0, unfinished > 0, let next = agenda.popMin() {
            left -= 1
            clock = next.at
            happen(next)
        }
        if unfinished > 0, !agenda.isEmpty { return true }
        if outcome.completionSeconds == 0 { close() }
        return false
    }

    /// Share of the calls that have ended, 0 to 1.
    public var progress: Double { plan.calls.isEmpty ? 1 : 1 - Double(unfinished) / Double(plan.calls.count) }

    private mutating func begin() {
        for node in nodes.indices {
            for (index, function) in plan.functions.enumerated() {
                let most = function.replicasMax ?? Swift.max(1, plan.calls.count)
                var policy = FunctionPolicy(
                    requests: function.allocation, scale: Scale(min: 0, max: most, keepAlive: plan.keepAlive), timeout: .seconds(86_400))
                if self.policy.overcommits {
                    policy.requests.millicores = Swift.min(policy.requests.millicores, ReplayPolicy.overcommittedMillicores)
                }
                if let harvest = self.policy.harvest, !harvest.reservesForStarts { policy.requests.millicores = 0 }
                policy.allocation = function.allocation
                submit(.deploy(FunctionHandle(index), policy), node)
            }
        }
        for (index, call) in plan.calls.enumerated() { schedule(.arrival(index), 0, at: .zero + call.offset) }
        if !schedulers.isEmpty { schedule(.heartbeat, 0, at: .zero) }
    }

    private mutating func close() {
        outcome.completionSeconds = clock.inSeconds - (plan.calls.first?.offset.inSeconds ?? 0)
        outcome.digest = digest.value
        for index in nodes.indices {
            nodes[index].advance(to: clock)
            outcome.usedCoreSeconds += nodes[index].machine.usedCoreSeconds
            outcome.violations += nodes[index].faultsAtRest().map { "node \(index), at rest: \($0)" }
            guard let harvester = nodes[index].engine.harvester else { continue }
            for function in harvester.ledger.accountedFunctions {
                outcome.idleCoreSeconds += harvester.ledger.account(of: function, .cpu, now: clock).idle.coreSeconds
                outcome.idleMegabyteSeconds += harvester.ledger.account(of: function, .memory, now: clock).idle.byteSeconds / 1e6
            }
        }
        if unfinished > 0 { outcome.violations.append("\(unfinished) calls never ended") }
        result.utilisation = Self.sum(nodes.map(\.meter.points))
    }

    private static func sum(_ series: [[UtilisationPoint]]) -> [UtilisationPoint] {
        guard var total = series.first else { return [] }
        for points in series.dropFirst() {
            for (index, point) in points.enumerated() {
                guard index < total.count else {
                    total.append(point)
                    continue
                }
                total[index].usedMillicores += point.usedMillicores
                total[index].usedMemoryBytes += point.usedMemoryBytes
                total[index].allocatedMillicores += point.allocatedMillicores
                total[index].allocatedMemoryBytes += point.allocatedMemoryBytes
                total[index].running += point.running
            }
        }
        return total
    }

    mutating func schedule(_ event: Appointment.Event, _ node: Int, at: Instant) {
        sequence += 1
        agenda.insert(Appointment(at: max(at, clock), sequence: sequence, node: node, event: event))
    }
}

extension Instant {
    fileprivate var inSeconds: Double { Double(nanoseconds) / 1e9 }
}
