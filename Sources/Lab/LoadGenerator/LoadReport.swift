// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload
import Histogram

/// Latencies of one kind, in milliseconds. All zero where nothing was recorded.
public struct LatencySummary: Hashable, Sendable, Codable {
    public var count: Int
    public var mean: Double
    public var p50: Double
    public var p90: Double
    public var p99: Double
    public var p999: Double
    public var max: Double

    init(_ histogram: Histogram<UInt64>) {
        func milliseconds(_ percentile: Double) -> Double {
            histogram.totalCount == 0 ? 0 : Double(histogram.valueAtPercentile(percentile)) / 1e6
        }
        count = Int(histogram.totalCount)
        mean = histogram.totalCount == 0 ? 0 : histogram.mean / 1e6
        p50 = milliseconds(50)
        p90 = milliseconds(90)
        p99 = milliseconds(99)
        p999 = milliseconds(99.9)
        max = histogram.totalCount == 0 ? 0 : Double(histogram.maxRecorded) / 1e6
    }
}

/// What a run of load measured.
public struct LoadReport: Sendable, Codable {
    public struct Failures: Hashable, Sendable, Codable {
        public var kind: LoadFailure
        public var count: Int
    }

    public struct Statuses: Hashable, Sendable, Codable {
        public var status: Int
        public var count: Int
    }

    public var target: String
    /// `open`, `closed` or `burst`.
    public var pace: String
    public var connections: Int
    public var threads: Int
    /// Length of the measured window, in seconds; of a burst, the time until the last answer.
    public var seconds: Double
    /// Requests per second the arrival process asked for; nil where there is none.
    public var offeredRate: Double?
    /// Requests that were due in the window.
    public var due: Int
    /// Those of them that went out.
    public var sent: Int
    /// Those of them answered with 2xx.
    public var succeeded: Int
    /// Those of them answered otherwise or not at all.
    public var failed: Int
    /// Requests sent per second.
    public var achievedRate: Double
    /// Successful answers per second within the window.
    public var throughput: Double
    /// Latencies of successful requests from the moment they were due, so that waiting for a stalled server counts. In the closed loop
    /// a request is due when it is sent.
    public var latency: LatencySummary
    /// Latencies of the same requests from the moment they were sent.
    public var latencyFromSend: LatencySummary
    public var statuses: [Statuses]
    public var failures: [Failures]
    /// Connections that had to be opened again.
    public var reconnects: Int

    init(plan: LoadPlan, tally: LoadTally) {
        target = plan.target.description
        connections = plan.connections
        threads = plan.threads
        offeredRate = nil
        seconds = plan.duration.inSeconds
        switch plan.pace {
        case .open(let process):
            pace = "open"
            offeredRate = process.meanRate
        case .closed: pace = "closed"
        case .burst:
            pace = "burst"
            seconds = Double(max(tally.lastCompletion, 1)) / 1e9
        }
        due = tally.due
        sent = tally.sent
        succeeded = tally.succeeded
        failed = tally.due - tally.succeeded
        achievedRate = Double(tally.sent) / seconds
        throughput = Double(tally.succeededInWindow) / seconds
        latency = LatencySummary(tally.fromDue)
        latencyFromSend = LatencySummary(tally.fromSend)
        statuses = tally.sortedStatuses.map { Statuses(status: $0.status, count: $0.count) }
        failures = LoadFailure.allCases.compactMap { kind in
            tally.failures[kind].map { Failures(kind: kind, count: $0) }
        }
        reconnects = tally.reconnects
    }
}

extension LoadReport {
    /// How many requests failed in this way.
    public func count(of kind: LoadFailure) -> Int { failures.first { $0.kind == kind }?.count ?? 0 }

    /// How many answers had this status.
    public func count(ofStatus status: Int) -> Int { statuses.first { $0.status == status }?.count ?? 0 }
}
