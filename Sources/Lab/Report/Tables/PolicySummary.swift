// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload

/// What the runs of one policy come to. Of several rounds times and shares are means, counts are sums.
public struct PolicySummary: Hashable, Sendable, Codable {
    public var name: String
    public var rounds: Int
    public var calls: Int
    public var failed: Int
    /// From when calls were due to the ends of their answers; successful calls only.
    public var meanMilliseconds: Double
    public var p50Milliseconds: Double
    public var p99Milliseconds: Double
    /// CPU time used, of capacity times completion.
    public var cpuUtilisation: Double
    /// Memory used on average, of capacity.
    public var memoryUtilisation: Double
    /// How much longer the call took that lost most against static limits, as a part of its time there; null where there were none.
    public var worstSlowdown: Double?
    /// Which call that was, and why.
    public var worstCall: Worst?
    /// Calls that took more than a twentieth longer than under static limits.
    public var slowerCalls: Int?
    public var safeguards: Int
    public var outOfMemoryKills: Int
    /// From the first call's being due to the last answer.
    public var completionSeconds: Double
    /// Calls that were served in that time, by the minute: at its own P99, so density at equal P99 is another figure (`brume lab density`).
    public var callsPerMinute: Double

    /// The call that lost most.
    public struct Worst: Hashable, Sendable, Codable {
        public var index: Int
        public var function: String
        public var milliseconds: Double
        public var staticMilliseconds: Double
        public var why: String

        enum CodingKeys: String, CodingKey {
            case index, function, why
            case milliseconds = "ms"
            case staticMilliseconds = "static_ms"
        }
    }

    enum CodingKeys: String, CodingKey {
        case name, rounds, calls, failed, safeguards
        case meanMilliseconds = "mean_ms"
        case p50Milliseconds = "p50_ms"
        case p99Milliseconds = "p99_ms"
        case cpuUtilisation = "cpu_utilisation"
        case memoryUtilisation = "memory_utilisation"
        case worstSlowdown = "worst_slowdown"
        case worstCall = "worst_call"
        case slowerCalls = "slower_calls"
        case outOfMemoryKills = "oom_kills"
        case completionSeconds = "completion_s"
        case callsPerMinute = "calls_per_minute"
    }

    init(_ rounds: Experiment.Rounds, baseline: Experiment.Rounds?) {
        let summaries = rounds.runs.map { ReplaySummary("all", of: $0.records) }
        func mean(_ value: (ReplaySummary) -> Double) -> Double { summaries.reduce(0) { $0 + value($1) } / Double(max(1, summaries.count)) }
        let uses = rounds.runs.map { RunUse($0) }
        name = rounds.policy
        self.rounds = rounds.runs.count
        calls = summaries.reduce(0) { $0 + $1.calls }
        failed = summaries.reduce(0) { $0 + $1.failed }
        meanMilliseconds = mean(\.meanMilliseconds)
        p50Milliseconds = mean(\.p50Milliseconds)
        p99Milliseconds = mean(\.p99Milliseconds)
        completionSeconds = mean(\.completionSeconds)
        callsPerMinute = mean { $0.completionSeconds > 0 ? Double($0.calls - $0.failed) * 60 / $0.completionSeconds : 0 }
        cpuUtilisation = uses.reduce(0) { $0 + $1.cpu } / Double(max(1, uses.count))
        memoryUtilisation = uses.reduce(0) { $0 + $1.memory } / Double(max(1, uses.count))
        safeguards = rounds.runs.reduce(0) { $0 + $1.safeguards }
        outOfMemoryKills = rounds.runs.reduce(0) { $0 + $1.outOfMemoryKills }
        guard let baseline else { return }
        guard baseline.policy != rounds.policy else {
            (worstSlowdown, slowerCalls) = (0, 0)
            return
        }
        let comparison = Comparison(rounds.runs, with: baseline.runs)
        worstSlowdown = comparison.worst?.slowdown
        slowerCalls = comparison.slower
        worstCall = comparison.worst.map {
            Worst(
                index: $0.index, function: $0.function, milliseconds: $0.policy.inMilliseconds,
                staticMilliseconds: $0.baseline.inMilliseconds, why: $0.why)
        }
    }
}

/// How much of a node one run used, as parts of capacity times completion.
struct RunUse: Hashable, Sendable {
    let cpu: Double
    let memory: Double

    init(_ run: PolicyRun) {
        let end = ReplaySummary("all", of: run.records).completionSeconds
        let first = run.records.map(\.due).min() ?? .zero
        var (cpuSeconds, byteSeconds) = (0.0, 0.0)
        var before = 0.0
        for point in run.utilisation {
            // Points are counted from the run's beginning, completion from the first call.
            let at = min(max(0, (point.at - first).inSeconds), end)
            cpuSeconds += (at - before) * Double(point.usedMillicores) / 1000
            byteSeconds += (at - before) * Double(point.usedMemoryBytes)
            before = max(before, at)
        }
        cpu = end > 0 ? cpuSeconds * 1000 / (Double(max(1, run.capacity.millicores)) * end) : 0
        memory = end > 0 ? byteSeconds / (Double(max(1, run.capacity.memoryBytes)) * end) : 0
    }
}
