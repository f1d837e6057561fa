// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What the movements are made for.
extension LoanBook {
    /// Brings what a share offers and borrows to what it should offer and would use.
    mutating func settle(_ place: Int, _ cause: ReturnCause, _ effects: inout HarvestEffects) {
        if shares[place].offered > shares[place].goal {
            withdraw(place, min(shares[place].idle, shares[place].offered - shares[place].goal), &effects)
            callIn(place, shares[place].offered - shares[place].goal, cause, &effects)
        } else {
            offer(place, shares[place].goal - shares[place].offered, &effects)
        }
        if shares[place].need < 0 { giveBack(place, -shares[place].need, .borrowerNeedsLess, &effects) }
        line(place)
    }

    /// Calls in loans of a lender, the newest first, as far as their borrowers can do without them; it offers that much less.
    mutating func callIn(_ lender: Int, _ amount: Int, _ cause: ReturnCause, _ effects: inout HarvestEffects) {
        var left = amount
        var loan = shares[lender].firstOut
        while loan >= 0, left > 0 {
            work += 1
            let next = loans[loan].nextOut
            let part = min(loans[loan].amount, left, room(loans[loan].borrower))
            takeBack(loan, part, cause, &effects)
            left -= part
            loan = next
        }
    }

    /// Gives back what a borrower holds, the newest loan first, as far as its floor allows.
    mutating func giveBack(_ borrower: Int, _ amount: Int, _ cause: ReturnCause, _ effects: inout HarvestEffects) {
        var left = min(amount, room(borrower))
        var loan = shares[borrower].firstIn
        while loan >= 0, left > 0 {
            work += 1
            let next = loans[loan].nextIn
            let part = min(loans[loan].amount, left)
            takeBack(loan, part, cause, &effects)
            left -= part
            loan = next
        }
    }

    /// How far the limit of a share may be lowered.
    func room(_ place: Int) -> Int { max(0, shares[place].limit - shares[place].floor) }

    /// Makes loans of one lender, which cannot be called in, loans of another.
    mutating func hand(over amount: Int, from old: Int, to new: Int, _ cause: ReturnCause, _ effects: inout HarvestEffects) {
        precondition(shares[old].idle == 0, "loans are handed over only once nothing lies idle")
        var left = amount
        while left > 0 {
            let loan = shares[old].firstOut
            guard loan >= 0 else { preconditionFailure("more loans were to be handed over than there are") }
            work += 1
            let part = min(loans[loan].amount, left)
            let borrower = loans[loan].borrower
            takeBack(loan, part, cause, withdrawing: true, &effects)
            offer(new, part, &effects)
            lend(new, borrower, part, &effects)
            left -= part
        }
    }

    /// Serves the waiting calls from what lies idle, and then those that are owed something from what others hold beyond their own.
    mutating func topUp(_ effects: inout HarvestEffects) {
        while let ticket = waiters.first {
            let place = ticket.place
            guard shares[place].waitTicket == ticket.serial else {
                waiters.dropFirst()
                continue
            }
            work += 1
            serve(place, upTo: shares[place].need, &effects)
            if shares[place].borrowed < shares[place].owed { preempt(for: place, &effects) }
            let onlyWants = ticket.rank.isOwed && shares[place].borrowed >= shares[place].owed
            // The pool is empty: this call and all behind it go on waiting.
            guard shares[place].need <= 0 || onlyWants else { return }
            shares[place].waitTicket = 0
            waiters.dropFirst()
            line(place)
        }
    }

    /// Lends to one call until it has what it needs or nothing is left.
    ///
    /// - Returns: what it got.
    @discardableResult
    mutating func serve(_ place: Int, upTo amount: Int, _ effects: inout HarvestEffects) -> Int {
        var left = amount
        while left > 0, let ticket = entries.first {
            let lender = ticket.place
            guard shares[lender].entryTicket == ticket.serial, shares[lender].idle >= quantum else {
                if shares[lender].entryTicket == ticket.serial { shares[lender].entryTicket = 0 }
                entries.dropFirst()
                continue
            }
            work += 1
            let part = min(shares[lender].idle, left)
            lend(lender, place, part, &effects)
            left -= part
            if shares[lender].idle < quantum {
                shares[lender].entryTicket = 0
                entries.dropFirst()
            }
        }
        return amount - left
    }

    /// Gives a call that is below its own allocation what others hold beyond theirs.
    ///
    /// Looks at every loan, but happens only while memory in use cannot be taken back or admission went by predicted demand.
    private mutating func preempt(for place: Int, _ effects: inout HarvestEffects) {
        var index = 0
        while index < loans.count, shares[place].borrowed < shares[place].owed {
            defer { index += 1 }
            work += 1
            let (lender, borrower) = (loans[index].lender, loans[index].borrower)
            guard borrower >= 0, borrower != place, lender != place else { continue }
            let beyond = min(shares[borrower].borrowed - shares[borrower].owed, room(borrower))
            let part = min(loans[index].amount, beyond, shares[place].owed - shares[place].borrowed)
            guard part > 0 else { continue }
            takeBack(index, part, .preempted, &effects)
            lend(lender, place, min(part, shares[lender].idle), &effects)
        }
    }
}
