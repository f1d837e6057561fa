// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeReport
import BrumeWorkload

/// What the simulator is told of a function: its user's allocation, and what its calls were seen to need on the real node.
struct LabDemand: Sendable {
    /// One call as it ran under static limits.
    struct Observation: Sendable {
        var inputSize: Int
        /// Time in the function, with the allocation.
        var running: Duration
        /// Peaks; nil where they were not measured.
        var peakMillicores: Int?
        var peakMemoryBytes: Int?
    }

    var function: String
    var allocation: Resources
    /// Threads or processes that work on one call.
    var parallelism: Int
    var warmReplicas: Int
    var observations: [Observation]
}

extension LabDemand {
    /// What the records of a run under static limits tell of each function of its trace.
    static func observed(in run: PolicyRun, trace: Trace, suite: LabSuite) throws -> [LabDemand] {
        let allocations = try suite.allocations(of: trace)
        return trace.functions.enumerated().map { index, function in
            let settings = suite.functions.first { $0.id.callPath == function.name }
            let observations = run.records.filter { $0.function == function.name && $0.succeeded }.compactMap { record in
                record.running.map {
                    Observation(
                        inputSize: record.inputSize ?? 0, running: $0, peakMillicores: record.resources.peakMillicores,
                        peakMemoryBytes: record.resources.peakMemoryBytes)
                }
            }
            return LabDemand(
                function: function.name, allocation: allocations[index],
                parallelism: SuiteFunction.libra.first { $0.name == function.name }?.parallel ?? 1,
                warmReplicas: settings?.warmReplicas ?? 0, observations: observations)
        }
    }
}
