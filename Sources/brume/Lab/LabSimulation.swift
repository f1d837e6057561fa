// SPDX-License-Identifier: Apache-2.0
import BrumeHarvest
import BrumeModel
import BrumeSimulator
import BrumeWorkload

extension LabPolicy {
    /// The same in virtual time.
    fileprivate var simulated: ReplayPolicy {
        var policy: ReplayPolicy =
            switch self {
            case .static: .reserved
            case .overcommit: .fixed
            case .weights: .weights
            case .harvest: .harvest
            case .harvestWeights: .harvestAndWeights
            case .harvestWithoutSafeguard: .withoutSafeguard
            case .harvestWithoutProfiler: .withoutProfiler
            case .harvestWithoutTopUp: .withoutTopUp
            case .density: .density
            case .densityWeights: .shared
            }
        policy.overcommits = self == .overcommit || self == .weights
        policy.name = rawValue
        return policy
    }
}

/// The same calls once more in virtual time: the engine of a node, and calls that need what they were seen to need on the real one.
struct LabSimulation {
    /// Less than this part is not believed: calls would have been measured while others had nearly all of the machine.
    private static let usedPartMin = 0.5

    let suite: LabSuite
    let traces: LabTraces
    let capacity: Resources
    let seed: UInt64

    /// Plays the trace under each policy.
    ///
    /// - Parameter measured: the run on the real node under static limits, in which every call had its user's allocation to itself.
    /// - Throws: `CommandFailure` (words) if the trace calls what the suite has not.
    func runs(of policies: [LabPolicy], after measured: PolicyRun) throws -> [PolicyRun] {
        let allocations = try suite.allocations(of: traces.trace)
        let functions = zip(traces.trace.functions, allocations).map { function, allocation in
            var virtual = VirtualFunction(function.name, allocation: allocation)
            virtual.replicasMax = suite.functions.first { $0.id.callPath == function.name }?.replicasAtMost
            return virtual
        }
        let observed = zip(traces.trace.calls, measured.records).map { call, record in
            let floor = measured.records.filter { $0.function == record.function }.compactMap(\.resources.peakMemoryBytes).min()
            return VirtualCall(
                offset: call.offset, function: call.function,
                work: work(of: call, record, allocation: allocations[call.function], baseMemoryBytes: floor))
        }
        let factor = Self.usedPart(of: observed, measured)
        let calls = observed.map { call in
            var call = call
            call.work = call.work.scaled(work: factor, limit: Double(allocations[call.function].millicores) / 1000)
            return call
        }
        var plan = ReplayPlan(functions: functions, calls: calls, capacity: capacity)
        plan.experience = experience(calls, allocations)
        return policies.map { policy in
            var replay = Replay(plan, policy.simulated, seed: seed)
            return replay.run()
        }
    }

    /// How much of the work that their run times would allow calls have really done: what they used altogether was measured. Who stands at
    /// a limit gets a little less than it allows, and at times the processor was with somebody else.
    private static func usedPart(of calls: [VirtualCall], _ measured: PolicyRun) -> Double {
        var (used, before) = (0.0, Duration.zero)
        for point in measured.utilisation {
            used += (point.at - before).inSeconds * Double(point.usedMillicores) / 1000
            before = point.at
        }
        let allowed = calls.reduce(0) { $0 + $1.work.coreSeconds }
        guard used > 0, allowed > 0 else { return 1 }
        return min(1, max(usedPartMin, used / allowed))
    }

    /// What a call needs, from how it ran.
    private func work(of call: TraceCall, _ record: ReplayRecord, allocation: Resources, baseMemoryBytes: Int?) -> VirtualWork {
        let function = traces.trace.functions[call.function].name
        let known = SuiteFunction.libra.first { $0.name == function }
        let memory = record.resources.peakMemoryBytes ?? allocation.memoryBytes / 4
        var observed = ObservedCall(
            running: record.running?.inSeconds ?? 0, allocation: allocation, peakMillicores: record.resources.peakMillicores,
            peakMemoryBytes: memory, baseMemoryBytes: baseMemoryBytes ?? memory / 2)
        observed.parallel = known?.parallel ?? 1
        if let place = traces.trace.parameterNames.firstIndex(of: "wait_ms"), let wait = call.parameters[place],
            let piece = known?.pieceSize
        {
            observed.waits = ((call.inputSize ?? 0) + piece - 1) / piece
            observed.waitSeconds = wait / 1000
        }
        let size = call.inputSize ?? 0
        return VirtualWork(
            phases: observed.phases, baseMemoryBytes: observed.baseMemoryBytes,
            features: CallFeatures(inputBytes: 64, parameters: [Double(size)]), inputSize: call.inputSize)
    }

    /// What the profiler has learned before: as on the real node, from as many other calls, those that warm its replicas first.
    private func experience(_ calls: [VirtualCall], _ allocations: [Resources]) -> Profiler {
        var profiler = Profiler(settings: ProfilerSettings(millicoresMax: capacity.millicores))
        let replicas = traces.trace.functions.map { function in
            suite.functions.first { $0.id.callPath == function.name }?.warmReplicas ?? 0
        }
        for taught in traces.warmUp(replicas: replicas).calls + traces.training.calls {
            let same = calls.filter { $0.function == taught.function }
            let size = taught.inputSize ?? 0
            guard let like = same.min(by: { abs(($0.work.inputSize ?? 0) - size) < abs(($1.work.inputSize ?? 0) - size) }) else { continue }
            let own = allocations[taught.function]
            let limit = Double(own.millicores) / 1000
            profiler.learn(
                FunctionHandle(taught.function), like.work.features,
                CallObservation(
                    duration: .nanoseconds(Int64(like.work.seconds(cores: limit) * 1e9)),
                    peak: Resources(
                        millicores: Int(like.work.measuredPeakCores(cores: limit) * 1000), memoryBytes: like.work.peakMemoryBytes),
                    allocatedMillicores: own.millicores))
        }
        return profiler
    }
}
