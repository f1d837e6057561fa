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
            // Nothing is predicted and nothing is tried out: every call keeps what it has, and is admitted as harvested ones are.
            case .static:
                ReplayPolicy(
                    rawValue,
                    harvest: ReplayPolicy.Harvest(isExperienced: false) {
                        $0.profiler.callsBeforePrediction = .max
                        $0.profiler.explores = false
                    })
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
    /// A call that waits for others does so in this many pieces at most: finer ones cost time and change nothing.
    private static let piecesMax = 20

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
        let calls = zip(traces.trace.calls, measured.records).map { call, record in
            let floor = measured.records.filter { $0.function == record.function }.compactMap(\.resources.peakMemoryBytes).min()
            return VirtualCall(
                offset: call.offset, function: call.function,
                work: work(of: call, record, allocation: allocations[call.function], baseMemoryBytes: floor))
        }
        var plan = ReplayPlan(functions: functions, calls: calls, capacity: capacity)
        plan.experience = experience(calls, allocations)
        return policies.map { policy in
            var replay = Replay(plan, policy.simulated, seed: seed)
            return replay.run()
        }
    }

    /// What a call needs, from how it ran: its CPU work is the time that it did not wait, times the CPU that it used meanwhile.
    private func work(of call: TraceCall, _ record: ReplayRecord, allocation: Resources, baseMemoryBytes: Int?) -> VirtualWork {
        let function = traces.trace.functions[call.function].name
        let known = SuiteFunction.libra.first { $0.name == function }
        let running = max(0.001, record.running?.inSeconds ?? 0.001)
        var (waits, waiting) = (0, 0.0)
        if let place = traces.trace.parameterNames.firstIndex(of: "wait_ms"), let wait = call.parameters[place],
            let piece = known?.pieceSize
        {
            waits = ((call.inputSize ?? 0) + piece - 1) / piece
            waiting = min(running * 0.99, Double(waits) * wait / 1000)
        }
        let own = Double(allocation.millicores) / 1000
        let peak = Double(record.resources.peakMillicores ?? allocation.millicores) / 1000
        // At its limit it would have used more: as much as it has threads or processes.
        let cores = peak < own * 0.95 ? max(0.01, peak) : Double(max(1, known?.parallel ?? 1))
        let coreSeconds = (running - waiting) * min(own, cores)
        let memory = record.resources.peakMemoryBytes ?? allocation.memoryBytes / 4
        let base = min(baseMemoryBytes ?? memory / 2, memory)
        let pieces = max(1, min(waits, Self.piecesMax))
        var phases: [VirtualPhase] = []
        for piece in 1...pieces {
            let reached = base + (memory - base) / pieces * piece
            if waiting > 0 { phases.append(VirtualPhase(cores: 0, amount: waiting / Double(pieces), memoryBytes: reached)) }
            phases.append(VirtualPhase(cores: cores, amount: coreSeconds / Double(pieces), memoryBytes: reached))
        }
        let size = call.inputSize ?? 0
        return VirtualWork(
            phases: phases, baseMemoryBytes: base, features: CallFeatures(inputBytes: 64, parameters: [Double(size)]),
            inputSize: call.inputSize)
    }

    /// What the profiler has learned before: as on the real node, from as many other calls.
    private func experience(_ calls: [VirtualCall], _ allocations: [Resources]) -> Profiler {
        var profiler = Profiler(settings: ProfilerSettings(millicoresMax: capacity.millicores))
        for taught in traces.training.calls {
            let same = calls.filter { $0.function == taught.function }
            let size = taught.inputSize ?? 0
            guard let like = same.min(by: { abs(($0.work.inputSize ?? 0) - size) < abs(($1.work.inputSize ?? 0) - size) }) else { continue }
            let own = allocations[taught.function]
            let cores = min(like.work.peakCores, Double(own.millicores) / 1000)
            profiler.learn(
                FunctionHandle(taught.function), like.work.features,
                CallObservation(
                    duration: .nanoseconds(Int64(like.work.seconds(cores: cores) * 1e9)),
                    peak: Resources(millicores: Int(like.work.peakCores * 1000), memoryBytes: like.work.peakMemoryBytes),
                    allocatedMillicores: own.millicores))
        }
        return profiler
    }
}
