// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import HeapModule

/// What the engine has to look at when a time comes. Entries are not withdrawn: whoever takes one checks whether it still holds.
struct Timers: Sendable {
    enum Purpose: Sendable {
        case callDeadline(CallID)
        case overrun(CallID)
        case attemptDue(CallID)
        case replicaIdle(ReplicaID)
        case startRetry(FunctionHandle)
        /// Limits were lowered for a replica of this function, and the kernel has had its say.
        case roomMade(FunctionHandle)
    }

    struct Entry: Comparable, Sendable {
        let at: Instant
        /// Breaks ties by order of arming, so that a run is reproducible.
        let sequence: UInt64
        let purpose: Purpose

        static func == (left: Entry, right: Entry) -> Bool { left.sequence == right.sequence }
        static func < (left: Entry, right: Entry) -> Bool { (left.at, left.sequence) < (right.at, right.sequence) }
    }

    /// Stale entries tolerated before a sweep: small enough to cost no memory, large enough that sweeps are rare.
    private static let slack = 4096

    private var heap = Heap<Entry>()
    private var sequence: UInt64 = 0
    private var sweepAt = Timers.slack
    private var announced = Instant.distantFuture

    var count: Int { heap.count }
    var needSweep: Bool { heap.count >= sweepAt }

    mutating func arm(_ purpose: Purpose, at: Instant) {
        sequence += 1
        heap.insert(Entry(at: at, sequence: sequence, purpose: purpose))
    }

    func hasDue(_ now: Instant) -> Bool { heap.min.map { $0.at <= now } ?? false }

    /// The next purpose that is due.
    mutating func popDue(_ now: Instant) -> Entry? {
        guard let first = heap.min, first.at <= now else { return nil }
        return heap.popMin()
    }

    /// Drops entries that no longer hold.
    ///
    /// Called once there are many, which keeps memory proportional to what is alive at an amortised constant cost.
    mutating func sweep(holds: (Entry) -> Bool) {
        heap = Heap(heap.unordered.filter(holds))
        sweepAt = heap.count * 2 + Self.slack
    }

    /// The time to announce, if it is earlier than what was announced before.
    mutating func newWake() -> Instant? {
        guard let next = heap.min?.at, next < announced else { return nil }
        announced = next
        return next
    }

    /// A tick came: whatever was announced up to now is used up.
    mutating func ticked(_ now: Instant) { if announced <= now { announced = .distantFuture } }
}
