// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// How long calls took, from when they were due to the end of the answer, with exact percentiles.
public struct ReplaySummary: Hashable, Sendable, Codable {
    /// Whose calls; `all` for the sum.
    public var name: String
    public var calls: Int
    public var failed: Int
    public var timedOut: Int
    public var cold: Int
    /// Of successful calls, in milliseconds. A percentile is a value that occurred: the smallest that so many do not exceed.
    public var meanMilliseconds: Double
    public var p50Milliseconds: Double
    public var p95Milliseconds: Double
    public var p99Milliseconds: Double
    public var worstMilliseconds: Double
    /// From the first call's being due to the last answer, in seconds.
    public var completionSeconds: Double

    public init(_ name: String, of records: some Sequence<ReplayRecord>) {
        self.name = name
        var times: [Duration] = []
        var first: Duration?
        var last = Duration.zero
        (calls, failed, timedOut, cold) = (0, 0, 0, 0)
        for record in records {
            calls += 1
            first = min(first ?? record.due, record.due)
            if record.timedOut { timedOut += 1 }
            if record.isCold == true { cold += 1 }
            if let completion = record.completion { last = max(last, record.due + completion) }
            guard record.succeeded, let completion = record.completion else {
                failed += 1
                continue
            }
            times.append(completion)
        }
        times.sort()
        func percentile(_ percent: Int) -> Double {
            times.isEmpty ? 0 : times[max(0, (times.count * percent + 99) / 100 - 1)].inMilliseconds
        }
        // Milliseconds are added up one by one: nanoseconds of many long calls would overflow.
        meanMilliseconds = times.isEmpty ? 0 : times.reduce(0) { $0 + $1.inMilliseconds } / Double(times.count)
        p50Milliseconds = percentile(50)
        p95Milliseconds = percentile(95)
        p99Milliseconds = percentile(99)
        worstMilliseconds = times.last?.inMilliseconds ?? 0
        completionSeconds = first.map { max(.zero, last - $0).inSeconds } ?? 0
    }

    /// One summary of all records, then one of each function in the order of their first calls.
    public static func table(of records: [ReplayRecord]) -> [ReplaySummary] {
        var order: [String] = []
        var groups: [String: [ReplayRecord]] = [:]
        for record in records {
            if groups[record.function] == nil { order.append(record.function) }
            groups[record.function, default: []].append(record)
        }
        return [ReplaySummary("all", of: records)] + order.map { ReplaySummary($0, of: groups[$0] ?? []) }
    }
}
