// SPDX-License-Identifier: Apache-2.0

public import BrumeHarvest
import BrumeModel
import BrumeSimulator

/// What the profiler knows before the measured calls come: Libra's workload duplicator runs each function with up to a hundred sizes at the
/// largest allocation, 8 cores and 1024 MB.
public enum Experience {
    /// Runs of each function (the paper's most).
    private static let runs = 100
    static let millicoresMax = 8000

    public static func piloted(seed: UInt64, relation: @Sendable (Int) -> TestbedFunction.Relation = { _ in .related }) -> Profiler {
        var chance = SeededGenerator(seed: seed ^ 0x70_69_6C_6F_74)
        var profiler = Profiler(settings: ProfilerSettings(millicoresMax: millicoresMax))
        for (index, function) in TestbedFunction.all.enumerated() {
            for _ in 0..<runs {
                let multiple = Double(chance.draw(function.multiples))
                let told = relation(index) == .related ? multiple : Double(chance.draw(function.multiples))
                let work = function.work(multiple, told: told, &chance)
                let observation = CallObservation(
                    duration: .nanoseconds(Int64(work.seconds(cores: Double(millicoresMax) / 1000) * 1e9)),
                    peak: Resources(millicores: Int(work.measuredPeakCores(cores: Double(millicoresMax) / 1000) * 1000), memoryBytes: work.peakMemoryBytes),
                    allocatedMillicores: millicoresMax)
                profiler.learn(FunctionHandle(index), work.features, observation)
            }
        }
        return profiler
    }
}
