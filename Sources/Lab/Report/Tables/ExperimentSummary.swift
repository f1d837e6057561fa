// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What `summary.json` holds.
public struct ExperimentSummary: Hashable, Sendable, Codable {
    public var version: String
    public var machine: String
    public var trace: String
    public var traceSeconds: Double
    public var seed: UInt64
    public var capacity: Capacity
    /// On the real node.
    public var real: [PolicySummary]
    /// In virtual time.
    public var simulated: [PolicySummary]

    public struct Capacity: Hashable, Sendable, Codable {
        public var millicores: Int
        public var memoryBytes: Int

        enum CodingKeys: String, CodingKey {
            case millicores
            case memoryBytes = "memory_bytes"
        }
    }

    enum CodingKeys: String, CodingKey {
        case version, machine, trace, seed, capacity, real, simulated
        case traceSeconds = "trace_s"
    }

    public init(_ experiment: Experiment) {
        version = experiment.version
        machine = experiment.machine
        trace = experiment.trace
        traceSeconds = experiment.length.inSeconds
        seed = experiment.seed
        capacity = Capacity(millicores: experiment.capacity.millicores, memoryBytes: experiment.capacity.memoryBytes)
        func summaries(simulated: Bool) -> [PolicySummary] {
            experiment.rounds.filter { $0.isSimulated == simulated }.map { PolicySummary($0, baseline: experiment.baseline(of: $0)) }
        }
        real = summaries(simulated: false)
        simulated = summaries(simulated: true)
    }
}
