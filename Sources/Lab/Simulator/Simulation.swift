// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel
import HeapModule

/// A node in virtual time: the same ``Engine`` as in a real one, sandboxes and callers drawn from a seed, a referee that checks every step.
///
/// ```swift
/// var simulation = Simulation(seed: 7, plan: SimulationPlan(faults: .heavy))
/// let report = try simulation.run()
/// ```
public struct Simulation: Sendable {
    public let seed: UInt64
    public let plan: SimulationPlan

    var engine: Engine
    var referee: Referee
    var host = VirtualHost()
    var agenda = Heap<Appointment>()
    var sequence: UInt64 = 0
    var clock = Instant.zero
    var digest = Digest()
    /// What it has come to so far; complete when the run is at rest.
    public internal(set) var report: Report
    var trace: TraceRing
    var latencies: [Int64] = []

    /// One stream of chance for each part, so that a fault more in one does not move the draws of the others.
    var arrivals: SeededGenerator
    var world: SeededGenerator
    var changes: SeededGenerator
    /// What calls use; drawn only where calls lend.
    var usage: SeededGenerator
    /// Limits as they are written, where calls lend.
    var limits: [ReplicaID: WrittenLimits] = [:]

    var population: [Inhabitant] = []
    var nextHandle = 0
    var arrivalsLeft: Int
    var nextCall: UInt64 = 1
    /// What a real node has on disk: asynchronous calls that were accepted and have neither ended nor died.
    var disk: [CallID: QueuedAttempt] = [:]
    var outputs: [Output] = []
    let saboteur: Saboteur?
    var sabotages = 0
    /// Receives each event as a line; for `--trace`.
    public var listener: (@Sendable (String) -> Void)?

    /// A function as the simulated world knows it.
    struct Inhabitant: Sendable {
        var handle: FunctionHandle
        var policy: FunctionPolicy
        var meanRunNanoseconds: Int
        var meanStartNanoseconds: Int
        var broken: Bool
    }

    struct QueuedAttempt: Sendable {
        var function: FunctionHandle
        var failedAttempts: Int
        var notBefore: Instant
    }

    /// Something that will happen in the world.
    struct Appointment: Comparable, Sendable {
        enum Event: Sendable {
            case arrival
            case change(Change)
            case stored(CallID, FunctionHandle)
            case tick
            case startEnds(ReplicaID, works: Bool)
            case handOver(CallID, ReplicaID, deadline: Instant)
            /// The attempt that began as the call's so-manieth ends.
            case callEnds(CallID, ReplicaID, attempt: UInt32, CallEnd)
            /// The caller has its answer, the replica is not through yet.
            case answered(CallID, attempt: UInt32)
            case crash(ReplicaID)
            case stopped(ReplicaID)
            case abandon(CallID)
            case drain
            case halt
            /// The watcher looks at a replica.
            case look(ReplicaID)
        }

        enum Change: Sendable { case redeploy, scale, remove, restart }

        let at: Instant
        let sequence: UInt64
        let event: Event

        static func == (left: Appointment, right: Appointment) -> Bool { left.sequence == right.sequence }
        static func < (left: Appointment, right: Appointment) -> Bool {
            left.at != right.at ? left.at < right.at : left.sequence < right.sequence
        }
    }

    public init(seed: UInt64, plan: SimulationPlan) { self.init(seed: seed, plan: plan, saboteur: nil) }

    init(seed: UInt64, plan: SimulationPlan, saboteur: Saboteur?) {
        self.seed = seed
        self.plan = plan
        self.saboteur = saboteur
        var root = SeededGenerator(seed: seed)
        arrivals = root.fork()
        world = root.fork()
        changes = root.fork()
        usage = root.fork()
        engine = Engine(settings: plan.settings)
        referee = Referee(settings: plan.settings)
        report = Report(seed: seed)
        trace = TraceRing()
        arrivalsLeft = plan.calls
    }

    // MARK: Running

    /// Runs to rest.
    ///
    /// - Throws: the first promise that was broken.
    public mutating func run() throws(Violation) -> Report {
        while try advance(events: .max) {}
        return report
    }

    /// Runs until so many more events of the world have happened, or to rest.
    ///
    /// - Returns: whether there is more to do.
    public mutating func advance(events: Int) throws(Violation) -> Bool {
        if population.isEmpty { begin() }
        var left = events
        while left > 0, let next = agenda.popMin() {
            left -= 1
            clock = next.at
            happen(next.event)
            if let rule = referee.violation {
                throw Violation(seed: seed, step: report.steps, time: clock, rule: rule, trace: trace.lines)
            }
        }
        if !agenda.isEmpty { return true }
        referee.checkRest(engine)
        if let rule = referee.violation {
            throw Violation(seed: seed, step: report.steps, time: clock, rule: "at rest, " + rule, trace: trace.lines)
        }
        report.virtualNanoseconds = clock.nanoseconds
        report.digest = digest.value
        report.setLatencies(latencies)
        return false
    }

    /// Share of the arrivals that have happened, 0 to 1.
    public var progress: Double { plan.calls == 0 ? 1 : Double(plan.calls - arrivalsLeft) / Double(plan.calls) }

    private mutating func begin() {
        for _ in 0..<Swift.max(plan.functions, 1) {
            let inhabitant = drawInhabitant()
            population.append(inhabitant)
            submit(.deploy(inhabitant.handle, inhabitant.policy))
        }
        if arrivalsLeft > 0 { schedule(.arrival, after: .zero) }
        if plan.drains {
            let span = plan.meanGap * (plan.calls / 2)
            let drain = changes.draw(.zero...span)
            schedule(.drain, after: drain)
            schedule(.halt, after: drain + changes.draw(.zero...Duration.milliseconds(100)))
        }
    }

    mutating func schedule(_ event: Appointment.Event, at: Instant) {
        sequence += 1
        agenda.insert(Appointment(at: at, sequence: sequence, event: event))
    }

    mutating func schedule(_ event: Appointment.Event, after pause: Duration) { schedule(event, at: clock + pause) }

    mutating func schedule(_ event: Appointment.Event, afterNanoseconds pause: Int) {
        schedule(event, at: Instant(nanoseconds: clock.nanoseconds + Int64(pause)))
    }

    /// Faults end with the arrivals, so that every run can come to rest.
    var faultsActive: Bool { arrivalsLeft > 0 }

    mutating func fault(_ ratio: Ratio) -> Bool { faultsActive && world.happens(ratio) }

    // MARK: The engine

    /// Gives the engine one event and performs what it says.
    mutating func submit(_ input: Input) {
        for output in decide(input) { perform(output) }
    }

    /// Gives the engine one event.
    ///
    /// - Returns: what it says; nothing once a promise is broken.
    mutating func decide(_ input: Input) -> [Output] {
        referee.observe(input, at: clock)
        if case .finished(let call, _, _) = input { markIdle(after: call) }
        digest.add(input, at: clock)
        trace.add(clock, input)
        listener?("\(clock.short) \(input)")
        report.steps += 1
        outputs.removeAll(keepingCapacity: true)
        stepEngine(input)
        for output in outputs {
            referee.observe(output)
            digest.add(output)
            trace.add(clock, output)
            listener?("\(clock.short)   \(output)")
        }
        report.events += 1 + outputs.count
        referee.closeStep(engine)
        return referee.violation == nil ? outputs : []
    }

    private mutating func stepEngine(_ input: Input) {
        guard let saboteur else {
            engine.step(input, now: clock, into: &outputs)
            return
        }
        if saboteur.swallows(input, &sabotages) { return }
        engine.step(input, now: clock, into: &outputs)
        saboteur.spoil(&outputs, &sabotages)
    }

    // MARK: Ends of callers

    enum Ending: Sendable { case succeeded, failed, expired, refused, abandoned, cutOff }

    /// Tells a caller how its call ended. Whoever comes second finds nobody waiting.
    mutating func answer(_ call: CallID, _ ending: Ending) {
        let index = Int(call.number)
        guard referee.calls[index].callerWaits else { return }
        referee.calls[index].callerWaits = false
        switch ending {
        case .succeeded: report.succeeded += 1
        case .failed: report.failed += 1
        case .expired: report.expired += 1
        case .refused: report.refused += 1
        case .abandoned: report.abandoned += 1
        case .cutOff: report.cutOff += 1
        }
        if ending == .succeeded || ending == .failed {
            latencies.append(clock.nanoseconds - referee.calls[index].arrived.nanoseconds)
        }
    }
}

/// The last events, kept as they came and made into text only when somebody asks.
struct TraceRing: Sendable {
    /// Enough to see what led to a broken promise on a small plan.
    static let length = 50

    private enum Line: Sendable {
        case input(Input)
        case output(Output)
    }

    private var ring: ContiguousArray<(at: Instant, line: Line)> = []
    private var next = 0

    mutating func add(_ at: Instant, _ input: Input) { add(at, .input(input)) }
    mutating func add(_ at: Instant, _ output: Output) { add(at, .output(output)) }

    private mutating func add(_ at: Instant, _ line: Line) {
        if ring.count < Self.length { ring.append((at, line)) } else { ring[next] = (at, line) }
        next = (next + 1) % Self.length
    }

    var lines: [String] {
        let ordered = ring.count < Self.length ? ring[...] : ring[next...] + ring[..<next]
        return ordered.map { entry in
            switch entry.line {
            case .input(let input): "\(entry.at.short) \(input)"
            case .output(let output): "\(entry.at.short)   \(output)"
            }
        }
    }
}
