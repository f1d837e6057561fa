// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What one party has of one resource. The node itself is a party: it has what no call reserved, and keeps nothing for itself.
struct Share: Sendable, Equatable {
    /// Expectations and uses count as no more than this, so that no sum of a few overflows.
    static let amountMax = Int.max / 16

    let party: Lender
    /// Counted against the capacity. Of the node: what is left of it.
    var reserved: Int
    /// The user's allocation; more than `reserved` where admission went by the predicted demand.
    let entitlement: Int
    /// Taken out of its limit, idle or on loan.
    var offered = 0
    /// The part of `offered` that others hold.
    var onLoan = 0
    /// What it should offer. Less than `offered` only while loans cannot be called in.
    var goal = 0
    var borrowed = 0
    /// What it would use on top of `reserved`.
    var want = 0
    /// What it needs to come up to its entitlement.
    var claim = 0
    /// The limit is not lowered below this.
    var floor: Int
    /// When it is expected to end.
    var end: Instant
    let arrival: UInt64
    /// The most it is expected to use.
    var demand: Int
    /// Whether it gives away what it does not need. The safeguard ends that.
    var mayLend: Bool
    let mayBorrow: Bool
    /// Whether what it would use is not known but tried out.
    var explores: Bool

    /// The valid ticket in the line of entries and of waiters; 0 for none.
    var entryTicket: UInt64 = 0
    var waitTicket: UInt64 = 0
    /// Whether it waits for what is its own by right.
    var waitsAsOwed = false
    /// Heads of the lists of loans, or -1.
    var firstOut = -1
    var firstIn = -1
    /// The limit before the running operation, or nil if it has not been touched.
    var limitBefore: Int?

    init(_ party: Lender, arrival: UInt64, terms: ShareTerms) {
        self.party = party
        self.arrival = arrival
        reserved = terms.reserved
        entitlement = max(terms.reserved, min(terms.entitlement, Self.amountMax))
        demand = min(terms.demand, Self.amountMax)
        floor = min(terms.floor, Self.amountMax)
        end = terms.end
        mayLend = terms.mayLend
        mayBorrow = terms.mayBorrow
        explores = terms.explores
    }

    var idle: Int { offered - onLoan }
    var limit: Int { reserved - offered + borrowed }
    /// What it should have back and cannot get from its borrowers.
    var overdue: Int { max(0, offered - goal) }
    var shortage: Int { party == .node ? 0 : overdue }
    /// The part of its needs that is its own by right.
    var owed: Int { claim + shortage }
    var need: Int { want + owed - borrowed }
    var call: CallID? { if case .call(let call) = party { call } else { nil } }
}

/// What a call comes with, in one resource.
struct ShareTerms: Sendable {
    var reserved: Int
    var entitlement = 0
    var demand: Int
    var floor = 0
    var end: Instant
    var mayLend = true
    var mayBorrow = true
    var explores = false
}

/// An amount that one party holds of another's, in two lists: the lender's and the borrower's.
struct Loan: Sendable {
    var lender: Int
    var borrower: Int
    var amount: Int
    var nextOut = -1
    var previousOut = -1
    var nextIn = -1
    var previousIn = -1
}
