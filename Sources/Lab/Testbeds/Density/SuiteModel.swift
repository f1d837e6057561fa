// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import BrumeSimulator
import BrumeWorkload

/// What calls of Examples/serverless-suite need, as they were measured by `brume lab harvest` on two cores (AMD EPYC) with the allocations
/// of the suite's `lab.yml`: straight lines over the size through two traces of 165 calls.
struct SuiteModel: Sendable {
    let id: String
    /// What its user asks for.
    let allocation: Resources
    /// Core-seconds of every call, and of each unit of size.
    let work: (fixed: Double, unit: Double)
    /// Peak in MB, in the same way; and what an idle replica holds.
    let memory: (fixed: Double, unit: Double, idle: Double)

    /// Spread of the work from call to call, as a deviation of the logarithm: what the lines leave.
    private static let noise = 0.08
    /// Calls wait for others so many times as long as in the sets of `brume load generate`, as in `brume lab harvest`.
    private static let waitFactor = 2.0
    /// Replicas that `lab.yml` allows, and of a function that waits for others.
    private static let replicasMax = (working: 3, waiting: 5)
    /// Calls of each function from which the profiler has learned.
    private static let lessons = 20

    private static let mebibyte = 1 << 20

    static let all: [SuiteModel] = [
        .init("dh", 500, 512, work: (0.008, 1.04e-5), memory: (12, 0, 12)),
        .init("eg", 500, 512, work: (0.005, 1.80e-3), memory: (12.5, 0, 11)),
        .init("ip", 250, 256, work: (0.033, 3.40e-2), memory: (60, 0.2, 38)),
        .init("vp", 500, 256, work: (0.176, 9.70e-2), memory: (60, 4.7, 52)),
        .init("ir", 250, 512, work: (0.050, 8.10e-2), memory: (220, 2, 134)),
        .init("knn", 500, 512, work: (0.013, 2.85e-5), memory: (75, 6e-4, 75)),
        .init("alu", 500, 512, work: (0.003, 1.50e-7), memory: (5.3, 0, 5)),
        .init("ms", 500, 256, work: (0.003, 2.95e-6), memory: (15.7, 2.1e-4, 12)),
        .init("gd", 250, 512, work: (0.010, 2.40e-4), memory: (22, 0, 21)),
        .init("dv", 250, 512, work: (0.003, 2.80e-7), memory: (10.8, 8.8e-5, 11)),
    ]

    private init(
        _ id: String, _ millicores: Int, _ mebibytes: Int, work: (Double, Double), memory: (Double, Double, Double)
    ) {
        self.id = id
        allocation = Resources(millicores: millicores, memoryBytes: mebibytes * Self.mebibyte)
        (self.work, self.memory) = (work, memory)
    }

    static var functions: [VirtualFunction] {
        zip(all, SuiteFunction.libra).map { model, function in
            var virtual = VirtualFunction(function.name, allocation: model.allocation)
            virtual.replicasMax = function.wait == nil ? replicasMax.working : replicasMax.waiting
            return virtual
        }
    }

    /// A call of one function with a size that is drawn.
    static func call(of index: Int, _ chance: inout SeededGenerator) -> VirtualWork {
        let (model, function) = (all[index], SuiteFunction.libra[index])
        let size = chance.draw(function.sizes)
        let seconds = (model.work.fixed + model.work.unit * Double(size)) * Elementary.exponential(noise * chance.normal())
        let idle = Int(model.memory.idle * 1e6)
        let peak = max(idle, Int((model.memory.fixed + model.memory.unit * Double(size)) * 1e6))
        let cores = Double(function.parallel ?? 1)
        var phases: [VirtualPhase] = []
        if let wait = function.wait, let piece = function.pieceSize {
            let pieces = (size + piece - 1) / piece
            for number in 1...pieces {
                let reached = idle + (peak - idle) * number / pieces
                phases.append(VirtualPhase(cores: 0, amount: Double(wait) * waitFactor / 1000, memoryBytes: reached))
                phases.append(VirtualPhase(cores: cores, amount: seconds / Double(pieces), memoryBytes: reached))
            }
        } else {
            phases.append(VirtualPhase(cores: cores, amount: seconds, memoryBytes: peak))
        }
        return VirtualWork(
            phases: phases, baseMemoryBytes: idle, features: CallFeatures(inputBytes: 64, parameters: [Double(size)]), inputSize: size)
    }

    /// What the profiler knows before the first call: calls under their users' allocations.
    static func experience(capacity: Resources, seed: UInt64) -> Profiler {
        var chance = SeededGenerator(seed: seed ^ 0x6C_65_73_73_6F_6E)
        var profiler = Profiler(settings: ProfilerSettings(millicoresMax: capacity.millicores))
        for (index, model) in all.enumerated() {
            let cores = Double(model.allocation.millicores) / 1000
            for _ in 0..<lessons {
                let work = call(of: index, &chance)
                profiler.learn(
                    FunctionHandle(index), work.features,
                    CallObservation(
                        duration: .nanoseconds(Int64(work.seconds(cores: cores) * 1e9)),
                        peak: Resources(
                            millicores: Int(work.measuredPeakCores(cores: cores) * 1000), memoryBytes: work.peakMemoryBytes),
                        allocatedMillicores: model.allocation.millicores))
            }
        }
        return profiler
    }
}
