// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// The books of one resource on one node: who has reserved what, who does without how much, and who holds it meanwhile.
///
/// At every moment the capacity is the sum of all limits, of what lies idle in the pool and of what the node keeps back.
/// An operation costs O((1 + k) log n) for n running calls, where k is the number of loans it moves.
struct LoanBook: Sendable {
    /// The place of the node's own share.
    static let node = 0

    let kind: ResourceKind
    /// Smaller amounts are not lent.
    let quantum: Int
    let lendsUnreserved: Bool
    let topsUp: Bool
    var capacity: Int
    /// Places stay while their party lives, and are used again.
    var shares: [Share]
    var freeShares: [Int] = []
    var places: [CallID: Int] = [:]
    var loans: [Loan] = []
    var freeLoans: [Int] = []
    var loanCount = 0
    /// Idle amounts worth lending, the latest end first.
    var entries = TicketHeap<LatestEnd>()
    /// Calls that would use more, those below their own allocation first, then in order of arrival.
    var waiters = TicketHeap<Claim>()
    /// Shares whose limit may have changed in the running operation.
    var touched: [Int] = []
    /// The sum of what lenders want back and cannot get.
    var overdue = 0
    var arrivals: UInt64 = 0
    /// Loans looked at, entries and waiters served: what an operation costs, for tests.
    var work = 0

    /// Later ends first: what is lent from them stays lent longest.
    struct LatestEnd: Comparable, Sendable {
        let end: Instant
        static func < (left: LatestEnd, right: LatestEnd) -> Bool { left.end > right.end }
    }

    struct Claim: Comparable, Sendable {
        let isOwed: Bool
        let arrival: UInt64
        static func < (left: Claim, right: Claim) -> Bool {
            left.isOwed == right.isOwed ? left.arrival < right.arrival : left.isOwed
        }
    }

    init(_ kind: ResourceKind, capacity: Int, quantum: Int, lendsUnreserved: Bool, topsUp: Bool) {
        precondition(capacity >= 0 && quantum > 0, "a pool needs a capacity of 0 or more and a quantum of 1 or more")
        self.kind = kind
        self.quantum = quantum
        self.lendsUnreserved = lendsUnreserved
        self.topsUp = topsUp
        self.capacity = capacity
        shares = [
            Share(
                .node, arrival: 0,
                terms: ShareTerms(reserved: capacity, demand: 0, end: .distantFuture, mayLend: lendsUnreserved, mayBorrow: false))
        ]
        var effects = HarvestEffects()
        setGoal(Self.node, lendsUnreserved ? capacity : 0)
        settle(Self.node, .reestimated, &effects)
        closeOperation()
    }

    /// What no call has reserved.
    var unreserved: Int { shares[Self.node].reserved }
}
