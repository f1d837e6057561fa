// SPDX-License-Identifier: Apache-2.0

import BrumeModel
public import BrumeWorkload

/// One call under a policy beside the same call under static limits.
public struct CallComparison: Hashable, Sendable {
    public let index: Int
    public let function: String
    /// From when the call was due to the end of its answer; the median where there were several rounds.
    public let baseline: Duration
    public let policy: Duration
    /// In words, where that is known.
    public let why: String

    /// How much longer it took than under static limits, as a part of that; negative where it was faster.
    public var slowdown: Double { ratio - 1 }
    /// How many times faster it was.
    public var speedup: Double { 1 / ratio }

    private var ratio: Double { max(policy.inSeconds, 1e-9) / max(baseline.inSeconds, 1e-9) }
}

/// All calls of a trace under a policy beside those under static limits, call by call.
public struct Comparison: Hashable, Sendable {
    /// More than this much longer counts as slower: a twentieth, as the paper allows.
    public static let tolerance = 0.05

    /// Calls that succeeded under both, in the order of the trace.
    public let calls: [CallComparison]

    /// Compares the runs of a policy with those of static limits.
    public init(_ policy: [PolicyRun], with baseline: [PolicyRun]) {
        let count = min(policy.map(\.records.count).min() ?? 0, baseline.map(\.records.count).min() ?? 0)
        calls = (0..<count).compactMap { index in
            let ours = Self.median(policy.map { $0.records[index] })
            let theirs = Self.median(baseline.map { $0.records[index] })
            guard let ours, let theirs, let took = ours.completion, let tookThen = theirs.completion else { return nil }
            return CallComparison(
                index: ours.index, function: ours.function, baseline: tookThen, policy: took, why: Self.reason(ours, theirs))
        }
    }

    /// The call that lost the most.
    public var worst: CallComparison? { calls.max { ($0.slowdown, -$0.index) < ($1.slowdown, -$1.index) } }
    /// Calls that took more than ``tolerance`` longer.
    public var slower: Int { calls.count { $0.slowdown > Self.tolerance } }

    /// The record in the middle of the successful ones; of two, the faster.
    private static func median(_ records: [ReplayRecord]) -> ReplayRecord? {
        let sorted = records.filter { $0.succeeded && $0.completion != nil }.sorted { ($0.completion ?? .zero) < ($1.completion ?? .zero) }
        return sorted.isEmpty ? nil : sorted[(sorted.count - 1) / 2]
    }

    /// What took longer, by the node's own phases.
    private static func reason(_ ours: ReplayRecord, _ theirs: ReplayRecord) -> String {
        var phases: [(name: String, longer: Duration)] = []
        func compare(_ name: String, _ phase: KeyPath<ReplayRecord, Duration?>) {
            guard let now = ours[keyPath: phase], let then = theirs[keyPath: phase], now > then else { return }
            phases.append((name, now - then))
        }
        compare("waited for its turn", \.queued)
        compare("waited for a replica to start", \.starting)
        compare("ran", \.running)
        phases.sort { $0.longer > $1.longer }
        var words = phases.prefix(2).map { "\($0.name) \(Figure.milliseconds($0.longer.inMilliseconds)) longer" }
        if ours.resources.wasSafeguarded == true { words.append("the safeguard came") }
        return words.joined(separator: ", ")
    }
}
