// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What admission sets aside for a call.
public enum AdmissionRule: String, Hashable, Sendable, CaseIterable {
    /// Its user's allocation: what it does not use is lent.
    case allocation
    /// The CPU it is expected to use, where that is less: what is left over admits more calls. Memory always by the allocation, because
    /// memory that another call uses cannot be had back.
    case predictedDemand = "predicted-demand"
    /// The CPU it is expected to use on average, where that is less than the allocation: for nodes that share CPU by weight, where a call
    /// that works alone for a while leaves its other cores to everybody.
    case predictedUse = "predicted-use"
}

/// Who begins first of the calls that wait for CPU.
public enum WaitingOrder: String, Hashable, Sendable, CaseIterable {
    /// The function that was held back first; one whose call ends goes on with its next call.
    case arrival
    /// The function whose next call would have ended first if it had begun when it came, the one whose call has just ended like all others:
    /// short calls pass long ones, but no call for long.
    case expectedEnd = "expected-end"
}

/// How a node harvests.
public struct HarvesterSettings: Sendable {
    public var pool: HarvestSettings
    public var profiler: ProfilerSettings
    public var safeguard = SafeguardSettings()
    public var admission = AdmissionRule.allocation
    public var waitingOrder = WaitingOrder.expectedEnd
    /// Off only to show what it is good for.
    public var usesSafeguard = true
    /// Whether lenders are watched for their CPU. Not where CPU goes by weight: no quota holds them back there.
    public var guardsCPU = true
    /// No call is left with less CPU: it is what the kernel's smallest quota, 1 ms, comes to in periods of 20 ms.
    public var millicoresMin = 50
    /// Where set, a call is left with its expected peak rounded up to the next of these units, whether that comes near its limit or not
    /// (Libra's rule: whole cores and 128 MB); otherwise with enough to stay below the safeguard's threshold.
    public var units: Resources?
    /// What earlier calls have taught, or nil where every function is new.
    public var experience: Profiler?

    public init(capacity: Resources) {
        pool = HarvestSettings(capacity: capacity)
        profiler = ProfilerSettings(millicoresMax: capacity.millicores)
    }
}

/// A call that is about to run on a replica of its own.
public struct HarvestCall: Hashable, Sendable {
    public var id: CallID
    public var function: FunctionHandle
    /// The user's allocation.
    public var allocation: Resources
    public var features: CallFeatures
    /// What the warm replica holds before the call.
    public var memoryInUseBytes: Int
    /// What the function's spec lets it take part in, as lender and as borrower.
    public var takesPart: Set<ResourceKind> = [.cpu, .memory]

    public init(id: CallID, function: FunctionHandle, allocation: Resources, features: CallFeatures, memoryInUseBytes: Int = 0) {
        self.id = id
        self.function = function
        self.allocation = allocation
        self.features = features
        self.memoryInUseBytes = memoryInUseBytes
    }
}

/// How a call that was harvested ended.
public enum HarvestEnd: Hashable, Sendable {
    /// It ran to its end; nil where a peak was not measured.
    case ran(peakMillicores: Int?, peakMemoryBytes: Int?)
    /// It was killed at its memory limit.
    case outOfMemory(peakMemoryBytes: Int)
    /// Failed, timed out, crashed, abandoned: nothing is learned of its demand.
    case other
}

/// Pool, profiler, safeguard and ledger of one node, put together: what the engine tells of calls goes in, limits to write come out.
///
/// Calls that overlap in one replica are one call here: the first that came, with the limits of the replica.
public struct Harvester: Sendable {
    public let settings: HarvesterSettings
    public private(set) var pool: HarvestPool
    public private(set) var profiler: Profiler
    public private(set) var safeguard: Safeguard
    public private(set) var ledger: HarvestLedger
    private var running: [CallID: Running] = [:]
    /// Statements of the calls that left in the latest operation.
    private var closed: [CallStatement] = []

    /// What is remembered of a running call besides the pool's books.
    private struct Running: Sendable {
        let call: HarvestCall
        let prediction: Prediction?
        let began: Instant
        var cpuLimit = Meter()
        var highestMillicores = 0
        var memoryFloor: Int
        /// What it began with.
        var limits = Resources.zero
        /// The limit at which the kernel killed a process of it.
        var killedAtBytes: Int?
    }

    /// A change of memory in use that is told to the pool: a quarter of the margin.
    private var floorStep: Int { max(1, settings.safeguard.memoryMarginBytes / 4) }

    public init(settings: HarvesterSettings, now: Instant) {
        self.settings = settings
        pool = HarvestPool(settings: settings.pool)
        ledger = HarvestLedger(opening: pool, now: now)
        profiler = settings.experience ?? Profiler(settings: settings.profiler)
        profiler.settings = settings.profiler
        safeguard = Safeguard(settings: settings.safeguard)
    }

    /// What a call is expected to need, or nil where nothing is known of calls like it.
    public func predict(_ call: HarvestCall) -> Prediction? { profiler.predict(call.function, call.features) }

    /// What admission would set aside for the call now; it can begin if that fits into ``HarvestPool/unreserved``.
    public func reservation(for call: HarvestCall) -> Resources { reservation(call, predict(call)) }

    /// A call begins to run.
    ///
    /// - Parameter bringing: see ``HarvestPool/enter(_:_:bringing:into:)``.
    /// - Returns: false, changing nothing, if its reservation does not fit.
    public mutating func begin(
        _ call: HarvestCall, bringing: Resources = .zero, now: Instant, into effects: inout HarvestEffects
    ) -> Bool {
        let prediction = predict(call)
        let reserved = reservation(call, prediction)
        guard reserved.fits(in: pool.unreserved + bringing) else { return false }
        var terms = HarvestTerms(call.function, reserved: reserved, demand: reserved, end: .zero)
        terms.entitlement = call.allocation
        terms.memoryFloorBytes = settings.safeguard.memoryFloor(usedBytes: call.memoryInUseBytes)
        terms.borrows = call.takesPart
        terms.lends = call.takesPart.filter { safeguard.mayLend(call.function, $0, now: now) }
        // Without a prediction the resource is neither lent nor borrowed; idle CPU is tried out.
        for kind in ResourceKind.allCases where prediction?.known.contains(kind) ?? false {
            terms.demand[kind] = demand(peak: prediction?.peak[kind] ?? 0, reserved: reserved[kind], kind)
        }
        terms.demand.millicores = max(terms.demand.millicores, min(settings.millicoresMin, reserved.millicores))
        if !(prediction?.known.contains(.cpu) ?? false) {
            terms.exploresCPU = true
            terms.demand.millicores = profiler.exploration(call.function, allocated: reserved.millicores)
        }
        if let prediction { terms.end = now + prediction.duration(millicores: terms.demand.millicores) }
        running[call.id] = Running(call: call, prediction: prediction, began: now, memoryFloor: terms.memoryFloorBytes)
        let isIn = operate(now, &effects) { pool, effects in pool.enter(call.id, terms, bringing: bringing, into: &effects) }
        running[call.id]?.limits = Resources(
            millicores: pool.limit(of: call.id, .cpu) ?? 0, memoryBytes: pool.limit(of: call.id, .memory) ?? 0)
        return isIn
    }

    /// What harvesting has done to a running call until now, or nil if it does not run here.
    public func statement(of id: CallID, now: Instant) -> CallStatement? {
        guard let run = running[id], let statement = ledger.statement(of: id, now: now) else { return nil }
        return complete(statement, run)
    }

    private func complete(_ statement: CallStatement, _ run: Running) -> CallStatement {
        var statement = statement
        statement.allocation = run.call.allocation
        statement.limits = run.limits
        statement.prediction = run.prediction
        statement.killedAtBytes = run.killedAtBytes
        return statement
    }

    /// Calls in the books.
    public var runningCount: Int { running.count }

    /// A call is over.
    ///
    /// - Parameter withdrawing: see ``HarvestPool/leave(_:withdrawing:into:)``.
    /// - Returns: what harvesting did to it, or nil if it did not run here.
    @discardableResult
    public mutating func end(
        _ id: CallID, _ end: HarvestEnd, withdrawing: Resources = .zero, now: Instant, into effects: inout HarvestEffects
    ) -> CallStatement? {
        guard let run = running[id] else { return nil }
        learn(run, end, now)
        safeguard.end(id, now: now)
        operate(now, &effects) { $0.leave(id, withdrawing: withdrawing, into: &$1) }
        running[id] = nil
        return closed.first { $0.call == id }.map { complete($0, run) }
    }

    /// A look at a running call: of lenders for the safeguard, of all others for the memory that cannot be taken from them.
    public mutating func sample(_ id: CallID, _ sample: UsageSample, into effects: inout HarvestEffects) {
        guard let run = running[id] else { return }
        if settings.usesSafeguard {
            for kind in safeguard.sample(id, sample) {
                operate(sample.at, &effects) { $0.restore(id, kind, into: &$1) }
            }
        }
        // A lender's limit is not lowered while it runs, and raised by the safeguard alone.
        guard let used = sample.memoryBytes, used >= 0, !safeguard.watches(id, .memory) else { return }
        let floor = min(used, Int.max / 2) + settings.safeguard.memoryMarginBytes
        guard abs(floor - run.memoryFloor) >= floorStep else { return }
        running[id]?.memoryFloor = floor
        operate(sample.at, &effects) { $0.setMemoryFloor(id, bytes: floor, into: &$1) }
    }

    /// A limit could not be lowered; see ``HarvestPool/refused(_:heldAt:batch:into:)``.
    @discardableResult
    public mutating func refused(
        _ change: LimitChange, heldAt limit: Int, batch: [LimitChange], now: Instant, into effects: inout HarvestEffects
    ) -> Bool {
        operate(now, &effects) { $0.refused(change, heldAt: limit, batch: batch, into: &$1) }
    }

    /// What running calls may have altogether has changed, for example because idle replicas hold memory.
    @discardableResult
    public mutating func setCapacity(_ capacity: Resources, now: Instant, into effects: inout HarvestEffects) -> Resources {
        operate(now, &effects) { $0.setCapacity(capacity, into: &$1) }
    }

    /// A function was deployed anew: what was learned of it no longer holds.
    public mutating func forget(_ function: FunctionHandle) {
        profiler.forget(function)
        safeguard.forget(function)
    }

    /// A function was removed; its accounts go when its last call has ended.
    public mutating func remove(_ function: FunctionHandle) {
        forget(function)
        ledger.forget(function)
    }

    /// The kernel killed a running call, or a process of it, at its memory limit; ``end(_:_:now:into:)`` follows.
    ///
    /// At a limit that a loan had lowered it counts as a trip of the safeguard, which was not in time or is off.
    public mutating func killed(_ id: CallID, now: Instant) {
        guard let run = running[id], let limit = pool.limit(of: id, .memory) else { return }
        // With the safeguard a lender is paused beyond what is left to it, and only killed beyond its own.
        let lending = !settings.usesSafeguard && limit < run.call.allocation.memoryBytes
        running[id]?.killedAtBytes = settings.usesSafeguard ? max(limit, run.call.allocation.memoryBytes) : limit
        ledger.countKill(of: id, lending: lending)
        if lending { safeguard.killed(id, now: now) }
    }

    /// What was expected of a running call, or nil where nothing was.
    public func prediction(of id: CallID) -> Prediction? { running[id]?.prediction }
}

extension Harvester {
    private func reservation(_ call: HarvestCall, _ prediction: Prediction?) -> Resources {
        guard settings.admission != .allocation, call.takesPart.contains(.cpu), let prediction, prediction.known.contains(.cpu) else {
            return call.allocation
        }
        let expected =
            settings.admission == .predictedUse
            ? prediction.meanMillicores
            : demand(peak: prediction.peak.millicores, reserved: call.allocation.millicores, .cpu)
        let needed = max(expected, settings.millicoresMin)
        return Resources(millicores: min(needed, call.allocation.millicores), memoryBytes: call.allocation.memoryBytes)
    }

    /// What a call is left with, of what it has reserved, or would like to have beyond it.
    private func demand(peak: Int, reserved: Int, _ kind: ResourceKind) -> Int {
        guard let unit = settings.units?[kind], unit > 0 else { return settings.safeguard.demand(peak: peak, reserved: reserved, kind) }
        return (min(peak, Int.max / 2) / unit + 1) * unit
    }

    /// Performs one operation on the pool and tells everybody what came of it.
    @discardableResult
    private mutating func operate<Result>(
        _ now: Instant, _ effects: inout HarvestEffects, _ body: (inout HarvestPool, inout HarvestEffects) -> Result
    ) -> Result {
        let (movementsBefore, changesBefore) = (effects.movements.count, effects.changes.count)
        let result = body(&pool, &effects)
        closed = ledger.apply(effects.movements[movementsBefore...], now: now)
        for change in effects.changes[changesBefore...] { follow(change, now) }
        return result
    }

    private mutating func follow(_ change: LimitChange, _ now: Instant) {
        guard let run = running[change.call] else { return }
        if change.kind == .cpu {
            running[change.call]?.cpuLimit.add(change.to - change.from, now: now)
            running[change.call]?.highestMillicores = max(run.highestMillicores, change.to)
        }
        if change.to < run.call.allocation[change.kind], change.kind == .memory || settings.guardsCPU {
            safeguard.watch(change.call, of: run.call.function, change.kind, limit: change.to)
        } else {
            safeguard.unwatch(change.call, change.kind)
        }
    }

    private mutating func learn(_ run: Running, _ end: HarvestEnd, _ now: Instant) {
        let duration = now - run.began
        guard duration > .zero else { return }
        let mean = run.cpuLimit.value(now).units / Int128(duration.wholeNanoseconds)
        var observation = CallObservation(
            duration: duration, peak: nil, allocatedMillicores: Int(mean), highestMillicores: run.highestMillicores)
        switch end {
        case .ran(let millicores, let bytes):
            observation.peakMillicores = millicores
            observation.peakMemoryBytes = bytes
        case .outOfMemory(let bytes):
            observation.peakMemoryBytes = bytes
            observation.outOfMemory = true
        case .other: return
        }
        profiler.learn(run.call.function, run.call.features, observation)
    }
}
