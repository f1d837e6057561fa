// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// The four movements that everything else is made of. Each keeps the sum.
extension LoanBook {
    /// Remembers the limit before the operation's first change to it.
    mutating func touch(_ place: Int) {
        guard shares[place].limitBefore == nil else { return }
        shares[place].limitBefore = shares[place].limit
        touched.append(place)
    }

    /// Takes an amount out of the lender's limit; it lies idle.
    mutating func offer(_ place: Int, _ amount: Int, _ effects: inout HarvestEffects) {
        guard amount > 0 else { return }
        touch(place)
        changeOffered(place, by: amount)
        enlist(place)
        effects.movements.append(.offered(shares[place].party, kind, amount))
    }

    /// Puts an idle amount back into the lender's limit.
    mutating func withdraw(_ place: Int, _ amount: Int, _ effects: inout HarvestEffects) {
        guard amount > 0 else { return }
        precondition(amount <= shares[place].idle, "more was withdrawn than lies idle")
        touch(place)
        changeOffered(place, by: -amount)
        effects.movements.append(.withdrawn(shares[place].party, kind, amount))
    }

    private mutating func changeOffered(_ place: Int, by amount: Int) {
        overdue -= shares[place].overdue
        shares[place].offered += amount
        overdue += shares[place].overdue
    }

    /// Sets what a share should offer; ``settle(_:_:_:)`` brings it about.
    mutating func setGoal(_ place: Int, _ goal: Int) {
        overdue -= shares[place].overdue
        shares[place].goal = goal
        overdue += shares[place].overdue
    }

    /// Gives an idle amount of the lender to the borrower.
    mutating func lend(_ lender: Int, _ borrower: Int, _ amount: Int, _ effects: inout HarvestEffects) {
        guard amount > 0, let call = shares[borrower].call else { return }
        precondition(amount <= shares[lender].idle, "more was lent than lies idle")
        touch(borrower)
        shares[lender].onLoan += amount
        shares[borrower].borrowed += amount
        let newest = shares[borrower].firstIn
        if newest >= 0, loans[newest].lender == lender {
            loans[newest].amount += amount
        } else {
            link(Loan(lender: lender, borrower: borrower, amount: amount))
        }
        effects.movements.append(.lent(shares[lender].party, call, kind, amount, until: shares[lender].end))
    }

    /// Ends a loan, or a part of one; the amount lies idle at its lender.
    ///
    /// What the lender wants back, or all of it if it is to be withdrawn, does not stay in the pool.
    mutating func takeBack(
        _ loan: Int, _ amount: Int, _ cause: ReturnCause, withdrawing: Bool = false, _ effects: inout HarvestEffects
    ) {
        let (lender, borrower) = (loans[loan].lender, loans[loan].borrower)
        guard amount > 0, let call = shares[borrower].call else { return }
        precondition(amount <= loans[loan].amount, "more was taken back than was lent")
        touch(borrower)
        shares[lender].onLoan -= amount
        shares[borrower].borrowed -= amount
        loans[loan].amount -= amount
        if loans[loan].amount == 0 { unlink(loan) }
        let end = shares[lender].end
        effects.movements.append(.returned(shares[lender].party, call, kind, amount, until: end, cause))
        line(borrower)
        let unwanted = withdrawing ? amount : shares[lender].offered - shares[lender].goal
        withdraw(lender, min(shares[lender].idle, unwanted), &effects)
        enlist(lender)
    }

    private mutating func link(_ loan: Loan) {
        let index = freeLoans.popLast() ?? loans.count
        if index == loans.count { loans.append(loan) } else { loans[index] = loan }
        loans[index].nextOut = shares[loan.lender].firstOut
        loans[index].nextIn = shares[loan.borrower].firstIn
        if loans[index].nextOut >= 0 { loans[loans[index].nextOut].previousOut = index }
        if loans[index].nextIn >= 0 { loans[loans[index].nextIn].previousIn = index }
        shares[loan.lender].firstOut = index
        shares[loan.borrower].firstIn = index
        loanCount += 1
    }

    private mutating func unlink(_ index: Int) {
        let loan = loans[index]
        if loan.previousOut >= 0 { loans[loan.previousOut].nextOut = loan.nextOut } else { shares[loan.lender].firstOut = loan.nextOut }
        if loan.previousIn >= 0 { loans[loan.previousIn].nextIn = loan.nextIn } else { shares[loan.borrower].firstIn = loan.nextIn }
        if loan.nextOut >= 0 { loans[loan.nextOut].previousOut = loan.previousOut }
        if loan.nextIn >= 0 { loans[loan.nextIn].previousIn = loan.previousIn }
        loans[index] = Loan(lender: -1, borrower: -1, amount: 0)
        freeLoans.append(index)
        loanCount -= 1
    }

    /// Puts the share into the line of entries if it has something worth lending and is not in it.
    mutating func enlist(_ place: Int) {
        guard shares[place].entryTicket == 0, shares[place].idle >= quantum else { return }
        shares[place].entryTicket = entries.issue(place, rank: LatestEnd(end: shares[place].end))
        entries.sweepIfNeeded { shares[$0.place].entryTicket == $0.serial }
    }

    /// Puts the share into the line of waiters if it needs something; called again when what it needs becomes its own by right.
    mutating func line(_ place: Int) {
        guard shares[place].need > 0, shares[place].call != nil else { return }
        let isOwed = shares[place].borrowed < shares[place].owed
        guard isOwed || topsUp else { return }
        guard shares[place].waitTicket == 0 || isOwed != shares[place].waitsAsOwed else { return }
        shares[place].waitsAsOwed = isOwed
        shares[place].waitTicket = waiters.issue(place, rank: Claim(isOwed: isOwed, arrival: shares[place].arrival))
        waiters.sweepIfNeeded { shares[$0.place].waitTicket == $0.serial }
    }
}
