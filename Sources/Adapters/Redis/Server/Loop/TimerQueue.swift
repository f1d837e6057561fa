// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import HeapModule

/// A timer, to cancel it by.
struct TimerNumber: Hashable {
    fileprivate let rawValue: UInt64
}

/// What is to happen at some time: O(log n) to add and to take, O(1) to cancel, amortised.
struct TimerQueue<Payload> {
    private struct Entry: Comparable {
        var at: Instant
        var number: UInt64

        static func < (left: Entry, right: Entry) -> Bool { (left.at, left.number) < (right.at, right.number) }
    }

    private var entries = Heap<Entry>()
    /// Timers that were not cancelled; the others' entries stay behind until their time, or until they are the more.
    private var payloads: [UInt64: Payload] = [:]
    private var last: UInt64 = 0

    /// Entries below which nobody tidies up.
    private static var fewEntries: Int { 64 }

    var isEmpty: Bool { payloads.isEmpty }
    /// How many entries take memory.
    var entryCount: Int { entries.count }

    mutating func add(at moment: Instant, _ payload: Payload) -> TimerNumber {
        last += 1
        entries.insert(Entry(at: moment, number: last))
        payloads[last] = payload
        return TimerNumber(rawValue: last)
    }

    mutating func cancel(_ timer: TimerNumber) {
        guard payloads.removeValue(forKey: timer.rawValue) != nil else { return }
        guard entries.count > Self.fewEntries, entries.count > 2 * payloads.count else { return }
        entries = Heap(entries.unordered.filter { payloads[$0.number] != nil })
    }

    /// When the next timer is due; it may be one that was cancelled.
    var next: Instant? { entries.min?.at }

    /// Takes the next timer that is due, those of one moment in the order they were added.
    mutating func popDue(_ now: Instant) -> Payload? {
        while let first = entries.min, first.at <= now {
            entries.removeMin()
            if let payload = payloads.removeValue(forKey: first.number) { return payload }
        }
        return nil
    }
}
