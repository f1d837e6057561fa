// SPDX-License-Identifier: Apache-2.0

public import BrumeModel
public import BrumeWorkload

/// One trace, played under several policies: what a report is made of.
public struct Experiment: Sendable {
    /// The policy that all others are compared with.
    public static let baseline = "static"

    /// Of the program that ran it.
    public var version: String
    /// The machine in a few words: processor, cores, memory, kernel.
    public var machine: String
    /// What was played, in a few words.
    public var trace: String
    /// From the first call's being due to the last one's.
    public var length: Duration
    public var seed: UInt64
    /// What running calls may have altogether on the real node.
    public var capacity: Resources
    /// In the order in which they ran. A policy that ran several times is there several times.
    public var runs: [PolicyRun]

    public init(
        version: String, machine: String, trace: String, length: Duration, seed: UInt64, capacity: Resources, runs: [PolicyRun] = []
    ) {
        self.version = version
        self.machine = machine
        self.trace = trace
        self.length = length
        self.seed = seed
        self.capacity = capacity
        self.runs = runs
    }

    /// The runs of one policy, real or simulated, in the order of their first ones.
    public struct Rounds: Sendable {
        public let policy: String
        public let isSimulated: Bool
        public let runs: [PolicyRun]

        /// The first one: its distribution and its course are what is drawn.
        var first: PolicyRun { runs[0] }
    }

    /// Grouped by policy; real and simulated apart.
    public var rounds: [Rounds] {
        var order: [(policy: String, isSimulated: Bool)] = []
        for run in runs where !order.contains(where: { $0 == (run.policy, run.isSimulated) }) {
            order.append((run.policy, run.isSimulated))
        }
        return order.map { key in
            Rounds(
                policy: key.policy, isSimulated: key.isSimulated,
                runs: runs.filter { $0.policy == key.policy && $0.isSimulated == key.isSimulated })
        }
    }

    /// What the policy of these rounds is compared with; nil where that did not run.
    func baseline(of rounds: Rounds) -> Rounds? {
        self.rounds.first { $0.policy == Self.baseline && $0.isSimulated == rounds.isSimulated }
    }
}
