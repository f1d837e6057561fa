// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What one policy can serve.
public struct DensityLine: Sendable, Hashable, Codable {
    public var policy: String
    /// The highest rate whose P99 latency is at most the bound, the latency there, and the part of the CPU that calls used.
    public var callsPerMinute: Double
    public var p99Seconds: Double
    public var cpuUtilisation: Double
    /// The highest rate whose P99 slowdown is at most the bound.
    public var callsPerMinuteAtSlowdown: Double

    enum CodingKeys: String, CodingKey {
        case policy
        case callsPerMinute = "calls_per_minute"
        case p99Seconds = "p99_s"
        case cpuUtilisation = "cpu_utilisation"
        case callsPerMinuteAtSlowdown = "calls_per_minute_at_slowdown"
    }
}

/// Calls that one node serves under each policy at equal latency.
public struct DensityReport: Sendable, Hashable, Codable {
    public var millicores: Int
    public var memoryBytes: Int
    public var seeds: Int
    /// Of each seed.
    public var calls: Int
    /// The rate at which static limits have the P99 that is the bound.
    public var referencePerMinute: Double
    public var p99BoundSeconds: Double
    public var slowdownBound: Double
    public var lines: [DensityLine]

    enum CodingKeys: String, CodingKey {
        case millicores, seeds, calls
        case memoryBytes = "memory_bytes"
        case referencePerMinute = "reference_per_minute"
        case p99BoundSeconds = "p99_bound_s"
        case slowdownBound = "slowdown_bound"
        case lines = "policies"
    }

    init(
        capacity: Resources, seeds: Int, calls: Int, reference: Double, p99BoundSeconds: Double, slowdownBound: Double,
        lines: [DensityLine] = []
    ) {
        (millicores, memoryBytes) = (capacity.millicores, capacity.memoryBytes)
        (self.seeds, self.calls, referencePerMinute) = (seeds, calls, reference)
        (self.p99BoundSeconds, self.slowdownBound, self.lines) = (p99BoundSeconds, slowdownBound, lines)
    }

    public static let columns = ["POLICY", "CALLS/MIN AT EQUAL P99", "P99", "CPU", "CALLS/MIN AT SLOWDOWN"]

    /// The table's rows: the first policy is what the others are compared with.
    public var rows: [[String]] {
        func rate(_ value: Double, _ base: Double) -> String {
            let text = TestbedLine.text(value)
            return base > 0 && value != base ? "\(text) (\(TestbedLine.text(value / base))x)" : text
        }
        return lines.map { line in
            [
                line.policy, rate(line.callsPerMinute, lines[0].callsPerMinute), "\(TestbedLine.text(line.p99Seconds)) s",
                "\(Int((line.cpuUtilisation * 100).rounded())) %",
                rate(line.callsPerMinuteAtSlowdown, lines[0].callsPerMinuteAtSlowdown),
            ]
        }
    }

    /// What the rows mean.
    public var words: String {
        """
        One node of \(TestbedLine.text(Double(millicores) / 1000)) cores; \(calls) calls of ten functions at random times, \(seeds) \
        seed\(seeds == 1 ? "" : "s"). P99 at most \(TestbedLine.text(p99BoundSeconds)) s, which static limits have at \
        \(TestbedLine.text(referencePerMinute)) calls a minute; slowdown (latency over the time alone under its own limits) at most \
        \(TestbedLine.text(slowdownBound)) at the P99.
        """
    }

    /// A line of titles and one for each policy.
    public var csv: [String] {
        ["policy,calls_per_minute,p99_s,cpu_utilisation,calls_per_minute_at_slowdown"]
            + lines.map {
                "\($0.policy),\($0.callsPerMinute),\($0.p99Seconds),\($0.cpuUtilisation),\($0.callsPerMinuteAtSlowdown)"
            }
    }
}
