// SPDX-License-Identifier: Apache-2.0

/// The comparison as a table: a row for each policy.
public struct SummaryTable: Sendable {
    public static let columns = [
        "POLICY", "CALLS", "FAILED", "MEAN", "P50", "P99", "CPU", "MEMORY", "WORST", "SLOWER", "SAFEGUARDS", "KILLS", "COMPLETION",
        "CALLS/MIN",
    ]
    /// What the columns say, in their order.
    public static let meanings = [
        "policy", "calls", "failed calls", "mean latency", "median latency", "99th percentile", "CPU used", "memory used",
        "worst slowdown of a call", "calls over 5 % slower", "safeguards", "kills for want of memory", "completion",
        "calls served per minute",
    ]

    public let rows: [[String]]

    public init(_ summaries: [PolicySummary]) {
        let baseline = summaries.first { $0.name == Experiment.baseline }
        rows = summaries.map { summary in
            let isBaseline = summary.name == Experiment.baseline
            func time(_ value: KeyPath<PolicySummary, Double>) -> String {
                let text = Figure.milliseconds(summary[keyPath: value])
                guard let then = baseline?[keyPath: value], then > 0, !isBaseline else { return text }
                return "\(text) (\(Figure.change(summary[keyPath: value] / then - 1)))"
            }
            return [
                summary.name, "\(summary.calls)", "\(summary.failed)", time(\.meanMilliseconds), time(\.p50Milliseconds),
                time(\.p99Milliseconds), Figure.percent(summary.cpuUtilisation), Figure.percent(summary.memoryUtilisation),
                isBaseline ? "" : summary.worstSlowdown.map(Figure.change) ?? "",
                isBaseline ? "" : summary.slowerCalls.map { "\($0)" } ?? "", "\(summary.safeguards)",
                "\(summary.outOfMemoryKills)", Figure.milliseconds(summary.completionSeconds * 1000),
                Figure.decimal(summary.callsPerMinute, 1),
            ]
        }
    }
}
