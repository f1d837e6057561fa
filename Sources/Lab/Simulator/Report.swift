// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What a simulation came to. Two runs with the same seed and plan give equal reports.
public struct Report: Hashable, Sendable, Codable {
    public var seed: UInt64
    /// Arrivals of both kinds.
    public var arrived = 0
    public var accepted = 0
    public var refused = 0
    /// Ends of calls whose caller waited.
    public var succeeded = 0
    public var failed = 0
    public var expired = 0
    public var abandoned = 0
    /// Callers cut off by a restart of the node.
    public var cutOff = 0
    /// Ends of asynchronous calls.
    public var completed = 0
    public var buried = 0
    public var retries = 0
    public var resent = 0
    /// Attempts that were handed to a replica, and those of them that waited for its start.
    public var runs = 0
    public var coldRuns = 0
    public var starts = 0
    public var failedStarts = 0
    public var evictions = 0
    public var restarts = 0
    /// Inputs to the engine.
    public var steps = 0
    /// Inputs and outputs.
    public var events = 0
    /// Virtual nanoseconds from the first arrival to rest.
    public var virtualNanoseconds: Int64 = 0
    /// Of answered calls, arrival to answer, virtual nanoseconds.
    public var latencyP50Nanoseconds: Int64 = 0
    public var latencyP99Nanoseconds: Int64 = 0
    public var latencyMaxNanoseconds: Int64 = 0
    /// FNV-1a of all inputs and outputs in order.
    public var digest: UInt64 = 0

    init(seed: UInt64) { self.seed = seed }

    /// The digest as 16 hexadecimal digits.
    public var digestText: String {
        let digits = String(digest, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    mutating func setLatencies(_ unsorted: [Int64]) {
        let sorted = unsorted.sorted()
        guard let last = sorted.last else { return }
        latencyP50Nanoseconds = sorted[(sorted.count - 1) / 2]
        latencyP99Nanoseconds = sorted[(sorted.count - 1) * 99 / 100]
        latencyMaxNanoseconds = last
    }
}

/// A rule that was broken, with everything needed to see it again.
public struct Violation: Error, Hashable, Sendable, Codable, CustomStringConvertible {
    public let seed: UInt64
    public let step: Int
    public let time: Instant
    /// The rule, and how it was broken.
    public let rule: String
    /// The last events before it, the oldest first.
    public let trace: [String]

    public var description: String {
        let head = "seed \(seed), step \(step), \(Double(time.nanoseconds) / 1e9) s: \(rule)"
        return ([head] + trace.map { "  " + $0 }).joined(separator: "\n")
    }
}
