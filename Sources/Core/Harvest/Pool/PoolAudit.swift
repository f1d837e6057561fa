// SPDX-License-Identifier: Apache-2.0

import BrumeModel

extension HarvestPool {
    /// Checks everything that must hold between two operations.
    ///
    /// Costs time proportional to all that lives: for tests and simulators.
    ///
    /// - Returns: what is wrong, in words; empty if nothing is.
    public func audit() -> [String] { cpu.audit() + memory.audit() }
}

extension LoanBook {
    func audit() -> [String] {
        var faults: [String] = []
        func check(_ holds: Bool, _ fault: @autoclosure () -> String) {
            if !holds { faults.append("\(kind): \(fault())") }
        }
        let living = [Self.node] + places.values.sorted()
        var lent: [Int: Int] = [:]
        var held: [Int: Int] = [:]
        for loan in loans where loan.lender >= 0 {
            check(loan.amount > 0, "a loan of \(loan.amount)")
            check(loan.lender != loan.borrower, "a loan to oneself")
            check(living.contains(loan.lender), "a loan without a lender")
            check(living.contains(loan.borrower) && loan.borrower != Self.node, "a loan without a borrower")
            lent[loan.lender, default: 0] += loan.amount
            held[loan.borrower, default: 0] += loan.amount
        }
        for place in living {
            let share = shares[place]
            check(share.idle >= 0 && share.onLoan >= 0 && share.borrowed >= 0, "\(share.party) has a negative amount")
            check(share.reserved >= share.offered, "\(share.party) offers more than it has reserved")
            check(share.onLoan == lent[place] ?? 0, "\(share.party) has \(share.onLoan) on loan, its loans say \(lent[place] ?? 0)")
            check(share.borrowed == held[place] ?? 0, "\(share.party) borrowed \(share.borrowed), its loans say \(held[place] ?? 0)")
            check(share.idle < quantum || share.entryTicket != 0, "\(share.party) has \(share.idle) idle and is not in the pool")
            check(share.idle == 0 || share.offered <= share.goal, "\(share.party) has something idle that it wants back")
            let isOwed = share.borrowed < share.owed
            check(
                share.need <= 0 || share.call == nil || share.waitTicket != 0 || !(topsUp || isOwed),
                "\(share.party) needs \(share.need) and is not waiting")
            check(share.need >= 0 || room(place) == 0 || share.borrowed == 0, "\(share.party) holds more than it needs")
            check(share.limitBefore == nil, "\(share.party) is still touched")
        }
        let limits = living.dropFirst().reduce(0) { $0 + shares[$1].limit }
        let idle = living.reduce(0) { $0 + shares[$1].idle }
        check(
            limits + idle + shares[Self.node].limit == capacity,
            "limits \(limits), idle \(idle) and kept \(shares[Self.node].limit) are not the capacity \(capacity)")
        check(shares[Self.node].limit >= 0, "the limits are \(limits), the capacity is \(capacity)")
        check(overdue == living.reduce(0) { $0 + shares[$1].overdue }, "the sum of overdue loans is wrong")
        check(loanCount == loans.count { $0.lender >= 0 }, "the number of loans is wrong")
        let waiting = living.filter { shares[$0].need > 0 && shares[$0].call != nil }
        let worth = living.filter { shares[$0].idle >= quantum }
        check(!topsUp || waiting.isEmpty || worth.isEmpty, "something lies idle while somebody waits")
        return faults
    }
}
