// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What one party lends, borrows and may use, of one resource.
public struct ShareView: Hashable, Sendable {
    public let party: Lender
    public let reserved: Int
    /// Taken out of its limit, idle or on loan.
    public let offered: Int
    public let onLoan: Int
    public let borrowed: Int
    /// What it would still use, if somebody had it.
    public let unmet: Int
    /// What it wants back, and its borrowers cannot do without.
    public let overdue: Int
    public let limit: Int
    public let end: Instant

    public var idle: Int { offered - onLoan }
}

/// One loan.
public struct LoanView: Hashable, Sendable {
    public let lender: Lender
    public let borrower: CallID
    public let amount: Int
    /// The lender's estimated end.
    public let until: Instant
}

/// How much a pool remembers; all of it is proportional to what lives now.
public struct PoolFootprint: Hashable, Sendable {
    public var shares: Int
    public var loans: Int
    /// Void ones included: at most twice the valid ones plus a constant.
    public var tickets: Int
    /// Loans looked at and calls served since the beginning.
    public var work: Int
}

extension HarvestPool {
    private func book(_ kind: ResourceKind) -> LoanBook { kind == .cpu ? cpu : memory }

    /// One call's part, or nil if it does not run here.
    public func share(of call: CallID, _ kind: ResourceKind) -> ShareView? {
        book(kind).places[call].map { Self.view(book(kind).shares[$0]) }
    }

    /// The limit a call has now, or nil if it does not run here.
    public func limit(of call: CallID, _ kind: ResourceKind) -> Int? { share(of: call, kind)?.limit }

    /// Everybody's part: the node's, then the calls' by number.
    public func shares(_ kind: ResourceKind) -> [ShareView] {
        let book = book(kind)
        let places = [LoanBook.node] + book.places.sorted { $0.key < $1.key }.map(\.value)
        return places.map { Self.view(book.shares[$0]) }
    }

    /// All loans, by lender and borrower; two loans between the same pair are one here.
    public func loans(_ kind: ResourceKind) -> [LoanView] {
        let book = book(kind)
        let single = book.loans.compactMap { loan -> LoanView? in
            guard loan.lender >= 0, let borrower = book.shares[loan.borrower].call else { return nil }
            let lender = book.shares[loan.lender]
            return LoanView(lender: lender.party, borrower: borrower, amount: loan.amount, until: lender.end)
        }
        var merged: [LoanView] = []
        for loan in single.sorted(by: { ($0.lender, $0.borrower) < ($1.lender, $1.borrower) }) {
            if let last = merged.last, last.lender == loan.lender, last.borrower == loan.borrower {
                merged[merged.count - 1] = LoanView(
                    lender: loan.lender, borrower: loan.borrower, amount: last.amount + loan.amount, until: loan.until)
            } else {
                merged.append(loan)
            }
        }
        return merged
    }

    /// What lies idle and until when, for those who look for a node.
    public var snapshot: PoolSnapshot { PoolSnapshot(cpu: Self.entries(cpu), memory: Self.entries(memory)) }

    public var footprint: PoolFootprint {
        PoolFootprint(
            shares: cpu.places.count + memory.places.count, loans: cpu.loanCount + memory.loanCount,
            tickets: cpu.entries.count + cpu.waiters.count + memory.entries.count + memory.waiters.count, work: cpu.work + memory.work)
    }

    private static func entries(_ book: LoanBook) -> [PoolSnapshot.Entry] {
        book.shares.filter { $0.idle >= book.quantum }
            .sorted { ($1.end, $0.arrival) < ($0.end, $1.arrival) }
            .map { PoolSnapshot.Entry(amount: $0.idle, end: $0.end) }
    }

    private static func view(_ share: Share) -> ShareView {
        ShareView(
            party: share.party, reserved: share.reserved, offered: share.offered, onLoan: share.onLoan, borrowed: share.borrowed,
            unmet: max(0, share.need), overdue: share.overdue, limit: share.limit, end: share.end)
    }
}
