// SPDX-License-Identifier: Apache-2.0
import BrumeWorkload

/// What a replay measured, for people and for programs.
struct LoadReplayReport: Encodable {
    struct Failure: Encodable {
        var reason: String
        var calls: Int
    }

    /// All calls first, then each function.
    var summaries: [ReplaySummary]
    var failures: [Failure]
    /// Rows of the trace that made no sense.
    var skippedRows: Int

    init(records: [ReplayRecord], skipped: Int) {
        summaries = ReplaySummary.table(of: records)
        skippedRows = skipped
        var counts: [String: Int] = [:]
        for record in records where !record.succeeded {
            let status = record.status.map { "status \($0)" }
            let reason = [record.failure == "status" ? nil : record.failure, status].compactMap { $0 }.joined(separator: ", ")
            counts[reason, default: 0] += 1
        }
        failures = counts.keys.sorted().map { Failure(reason: $0, calls: counts[$0] ?? 0) }
    }

    func rendered(style: Style) -> String {
        var table = Table([
            .init("FUNCTION"), .init("CALLS", .right), .init("FAILED", .right), .init("COLD", .right), .init("MEAN", .right),
            .init("P50", .right), .init("P95", .right), .init("P99", .right), .init("WORST", .right),
        ])
        for summary in summaries {
            let times = [
                summary.meanMilliseconds, summary.p50Milliseconds, summary.p95Milliseconds, summary.p99Milliseconds,
                summary.worstMilliseconds,
            ]
            let hasTimes = summary.calls > summary.failed
            table.add(
                [summary.name, "\(summary.calls)", "\(summary.failed)", "\(summary.cold)"]
                    + times.map { hasTimes ? Wording.milliseconds($0) : "-" })
        }
        var text = table.rendered(style: style)
        if let all = summaries.first {
            text += "from the first call to the last answer \(Wording.milliseconds(all.completionSeconds * 1000))\n"
        }
        if !failures.isEmpty {
            let reasons = failures.map { "\(Wording.count($0.calls, "call")) \($0.reason)" }.joined(separator: "; ")
            text += style.bad("failed: \(reasons)") + "\n"
        }
        if skippedRows > 0 { text += style.careful("\(Wording.count(skippedRows, "row")) of the trace skipped") + "\n" }
        return text
    }
}
