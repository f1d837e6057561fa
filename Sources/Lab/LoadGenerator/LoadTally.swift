// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Histogram

/// Why a request got no answer.
public enum LoadFailure: String, Hashable, Sendable, CaseIterable, Codable {
    /// Nobody listens there.
    case connectionRefused
    /// No connection within the time for it.
    case connectTimedOut
    /// No connection for another reason: no such socket, no descriptors left.
    case connectFailed
    /// The server reset the connection in the middle of a request.
    case connectionReset
    /// The server closed the connection before the answer was complete.
    case closedEarly
    /// No complete answer within the timeout.
    case timedOut
    /// The answer is not HTTP/1.
    case malformedReply
    /// Due, but no connection was free until the end of the run, or too many were waiting already.
    case notSent
}

/// What one thread counts during a run. Only requests that were due in the measured window count.
struct LoadTally: Sendable {
    /// Longest latency told apart, in nanoseconds: longer ones count as this.
    static let latencyMax = UInt64(LoadPlan.durationMax.wholeNanoseconds + LoadPlan.timeoutMax.wholeNanoseconds)

    /// Latencies of successful requests from the moment they were due.
    var fromDue = Self.histogram()
    /// The same from the moment they were sent.
    var fromSend = Self.histogram()
    /// Requests that were due.
    var due = 0
    /// Requests that went out.
    var sent = 0
    /// Requests answered with 2xx.
    var succeeded = 0
    /// Answers of any kind that were complete within the window, whenever they were asked for.
    var completedInWindow = 0
    /// Answers with 2xx that were complete within the window.
    var succeededInWindow = 0
    /// Answers by status. Statuses have three digits.
    var statuses: [Int: Int] = [:]
    var failures: [LoadFailure: Int] = [:]
    /// Connections opened again during the run, for whatever reason.
    var reconnects = 0
    /// When the last answer was complete, in nanoseconds from the beginning of the window.
    var lastCompletion: UInt64 = 0

    /// Microsecond resolution is not enough for a call of 20 us; 128 ns is finer than the clock call costs.
    private static func histogram() -> Histogram<UInt64> {
        Histogram(lowestDiscernibleValue: 128, highestTrackableValue: latencyMax, numberOfSignificantValueDigits: .three)
    }

    mutating func countFailure(_ kind: LoadFailure, count: Int = 1) {
        guard count > 0 else { return }
        failures[kind, default: 0] += count
    }

    /// Counts a complete answer; times are in nanoseconds.
    mutating func countAnswer(status: Int, fromDue dueLatency: UInt64, fromSend sendLatency: UInt64) {
        if status == 200 { ok200 += 1 } else { statuses[status, default: 0] += 1 }
        guard (200..<300).contains(status) else { return }
        succeeded += 1
        fromDue.record(min(dueLatency, Self.latencyMax))
        fromSend.record(min(sendLatency, Self.latencyMax))
    }

    /// Counts an answer that was complete within the window, whenever it was asked for.
    mutating func countCompletion(status: Int) {
        completedInWindow += 1
        if (200..<300).contains(status) { succeededInWindow += 1 }
    }

    /// Answers with 200, apart from the table so that the common case touches no hash table.
    private var ok200 = 0

    /// All statuses that occurred, in order.
    var sortedStatuses: [(status: Int, count: Int)] {
        var all = statuses
        if ok200 > 0 { all[200, default: 0] += ok200 }
        return all.sorted { $0.key < $1.key }.map { (status: $0.key, count: $0.value) }
    }

    /// Adds what another thread counted.
    mutating func add(_ other: LoadTally) {
        fromDue.add(other.fromDue)
        fromSend.add(other.fromSend)
        due += other.due
        sent += other.sent
        succeeded += other.succeeded
        completedInWindow += other.completedInWindow
        succeededInWindow += other.succeededInWindow
        reconnects += other.reconnects
        ok200 += other.ok200
        lastCompletion = max(lastCompletion, other.lastCompletion)
        statuses.merge(other.statuses) { $0 + $1 }
        failures.merge(other.failures) { $0 + $1 }
    }
}
