// SPDX-License-Identifier: Apache-2.0

import HeapModule

/// Places in order of rank, where a place may leave or change its rank at any time.
///
/// Tickets are not withdrawn: one that is void is thrown away when it comes up, or when the void ones outnumber the valid ones. So each
/// operation costs amortised O(log n) in what lives now.
struct TicketHeap<Rank: Comparable & Sendable>: Sendable {
    struct Ticket: Comparable, Sendable {
        let rank: Rank
        /// Breaks ties by order of issue, so that a run is reproducible. No two tickets share it.
        let serial: UInt64
        let place: Int

        static func == (left: Ticket, right: Ticket) -> Bool { left.serial == right.serial }
        static func < (left: Ticket, right: Ticket) -> Bool {
            left.rank == right.rank ? left.serial < right.serial : left.rank < right.rank
        }
    }

    /// Void tickets tolerated before a sweep: cheap to keep, and sweeps stay rare.
    private static var slack: Int { 64 }

    private var heap = Heap<Ticket>()
    private var serial: UInt64 = 0
    private var sweepAt = TicketHeap.slack

    /// Void tickets included.
    var count: Int { heap.count }

    /// - Returns: the ticket's number, by which its owner tells whether it is still valid.
    mutating func issue(_ place: Int, rank: Rank) -> UInt64 {
        serial += 1
        heap.insert(Ticket(rank: rank, serial: serial, place: place))
        return serial
    }

    var first: Ticket? { heap.min }
    mutating func dropFirst() { _ = heap.popMin() }

    mutating func sweepIfNeeded(isValid: (Ticket) -> Bool) {
        guard heap.count >= sweepAt else { return }
        heap = Heap(heap.unordered.filter(isValid))
        sweepAt = heap.count * 2 + Self.slack
    }
}
