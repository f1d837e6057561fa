// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What happens to the books from outside. After each of these ``HarvestPool`` collects the changed limits and closes the operation.
extension LoanBook {
    /// A call begins to run. Its reservation must fit into what is unreserved, and what it brings along.
    ///
    /// - Parameter brought: what the node has more from now on. Nobody else is to get it for a moment.
    mutating func enter(_ call: CallID, _ terms: ShareTerms, bringing brought: Int, _ effects: inout HarvestEffects) {
        precondition(terms.reserved >= 0 && terms.demand >= 0 && terms.floor >= 0, "amounts of a call are never negative")
        let brought = max(0, brought)
        precondition(terms.reserved <= unreserved + brought, "a call entered that does not fit beside what is reserved")
        arrivals += 1
        let share = Share(.call(call), arrival: arrivals, terms: terms)
        let place = freeShares.popLast() ?? shares.count
        if place == shares.count { shares.append(share) } else { shares[place] = share }
        let before = places.updateValue(place, forKey: call)
        precondition(before == nil, "\(call) entered the pool twice")
        // It has no limit yet: until now the amount was the node's.
        shares[place].limitBefore = 0
        touched.append(place)
        capacity += brought
        changeUnreserved(by: brought - terms.reserved, .reserved, heir: place, &effects)
        aim(place)
        settle(place, .reserved, &effects)
        balance(&effects)
        // Nobody waits longer than this one where nobody is served later.
        if !topsUp { serve(place, upTo: shares[place].need, &effects) }
    }

    /// A call is over, however it ended. It gives back what it holds and gets back what it lent; then it is forgotten.
    ///
    /// - Parameter withdrawn: of its reservation, so much goes with it: nobody is to get that for a moment, who then cannot do without it.
    mutating func leave(_ call: CallID, withdrawing withdrawn: Int, _ effects: inout HarvestEffects) {
        guard let place = places.removeValue(forKey: call) else { return }
        shares[place].floor = 0
        shares[place].want = 0
        shares[place].claim = 0
        giveBack(place, shares[place].borrowed, .borrowerEnded, &effects)
        setGoal(place, 0)
        settle(place, .lenderEnded, &effects)
        // What cannot be taken back is a loan of the node's from now on.
        let kept = shares[place].onLoan
        let reserved = shares[place].reserved
        hand(over: kept, from: place, to: Self.node, .lenderEnded, &effects)
        // It may have had a shortage, and have borrowed against that meanwhile.
        giveBack(place, shares[place].borrowed, .borrowerEnded, &effects)
        precondition(
            shares[place].offered == 0 && shares[place].borrowed == 0, "a call left the pool with something lent or borrowed")
        shares[place] = Share(.call(call), arrival: 0, terms: ShareTerms(reserved: 0, demand: 0, end: .zero))
        touched.removeAll { $0 == place }
        freeShares.append(place)
        let reservedByOthers = capacity - unreserved - reserved
        changeUnreserved(by: reserved - min(max(0, withdrawn), reserved), .lenderEnded, heir: nil, &effects)
        capacity = reservedByOthers + unreserved
        balance(&effects)
    }

    /// Gives a call its own allocation back, for as long as it runs. What it borrowed it keeps.
    mutating func restore(_ call: CallID, _ effects: inout HarvestEffects) {
        guard let place = places[call] else { return }
        effects.movements.append(.safeguarded(call, kind))
        shares[place].mayLend = false
        shares[place].claim = shares[place].entitlement - shares[place].reserved
        setGoal(place, 0)
        settle(place, .safeguard, &effects)
        balance(&effects)
    }

    /// Something else is expected of a call than before.
    mutating func revise(_ call: CallID, demand: Int, end: Instant, _ effects: inout HarvestEffects) {
        guard let place = places[call] else { return }
        shares[place].demand = min(max(0, demand), Share.amountMax)
        if shares[place].end != end {
            shares[place].end = end
            // Its places in both lines go by the end.
            shares[place].entryTicket = 0
            shares[place].waitTicket = 0
        }
        aim(place)
        settle(place, .reestimated, &effects)
        enlist(place)
        balance(&effects)
    }

    /// The limit of a call must not be lowered below `floor` from now on, and is raised to it as far as the call's own allocation goes.
    mutating func setFloor(_ call: CallID, _ floor: Int, _ effects: inout HarvestEffects) {
        let floor = min(max(0, floor), Share.amountMax)
        guard let place = places[call], shares[place].floor != floor else { return }
        let sinks = floor < shares[place].floor
        // Even where nothing else changes: it may hold something only because it could not give it back.
        touch(place)
        shares[place].floor = floor
        if shares[place].mayLend {
            aim(place)
            settle(place, .reestimated, &effects)
        }
        if sinks, overdue > 0, shares[place].borrowed > 0 { repay(place, &effects) }
        balance(&effects)
    }

    /// The node has more or less than before. Never less than what is reserved and what cannot be called in.
    mutating func setCapacity(_ wanted: Int, _ effects: inout HarvestEffects) {
        let reserved = capacity - unreserved
        changeUnreserved(by: max(wanted, reserved) - capacity, .reserved, heir: nil, &effects)
        capacity = reserved + unreserved
        balance(&effects)
    }

    /// The kernel did not lower a limit: the books follow it.
    ///
    /// - Parameter batch: the changes that the refused one came with; what grows in them has not grown yet.
    /// - Returns: false if what the call holds could not be found elsewhere: then the limit was lowered because the node has less, and it has
    ///   that less only when the call no longer holds it.
    mutating func refused(_ call: CallID, heldAt limit: Int, batch: [LimitChange], _ effects: inout HarvestEffects) -> Bool {
        guard let place = places[call], limit > shares[place].limit else { return true }
        touch(place)
        shares[place].floor = max(shares[place].floor, limit)
        if shares[place].mayLend {
            aim(place)
            settle(place, .shrinkRefused, &effects)
        }
        var excess = max(0, limit - shares[place].limit)
        excess -= serve(place, upTo: excess, &effects)
        excess -= lendKept(to: place, upTo: excess, &effects)
        for change in batch where excess > 0 && change.kind == kind && !change.isShrink && change.call != call {
            guard let grown = places[change.call] else { continue }
            // Its floor does not matter: it has not grown yet.
            var gain = min(excess, max(0, shares[grown].limit - change.from))
            excess -= gain
            gain -= takeOver(gain, from: grown, to: place, &effects)
            let forced = min(gain, shares[grown].reserved - shares[grown].offered)
            offer(grown, forced, &effects)
            lend(grown, place, forced, &effects)
            line(grown)
            excess += gain - forced
        }
        let isFound = excess == 0
        if !isFound {
            capacity += excess
            changeUnreserved(by: excess, .shrinkRefused, heir: nil, &effects)
            excess -= serve(place, upTo: excess, &effects)
            excess -= lendKept(to: place, upTo: excess, &effects)
        }
        balance(&effects)
        return isFound
    }

    /// Forgets which limits the operation has touched.
    mutating func closeOperation() {
        for place in touched { shares[place].limitBefore = nil }
        touched.removeAll(keepingCapacity: true)
    }

    /// Appends the limits that the operation has lowered, or those that it has raised, in the order in which they were touched.
    func collect(shrinks: Bool, _ effects: inout HarvestEffects) {
        for place in touched {
            guard let call = shares[place].call, let before = shares[place].limitBefore else { continue }
            let change = LimitChange(call: call, kind: kind, from: before, to: shares[place].limit)
            if change.from != change.to, change.isShrink == shrinks { effects.changes.append(change) }
        }
    }
}

extension LoanBook {
    /// Derives what a share should offer and would use from its demand.
    private mutating func aim(_ place: Int) {
        let share = shares[place]
        let spare = share.reserved - max(share.demand, share.floor)
        setGoal(place, share.mayLend && spare >= quantum ? spare : 0)
        let want = share.demand - share.reserved
        shares[place].want = share.mayBorrow && want >= quantum ? want : 0
    }

    /// Moves the border between what calls have reserved and what the node may lend.
    private mutating func changeUnreserved(by amount: Int, _ cause: ReturnCause, heir: Int?, _ effects: inout HarvestEffects) {
        shares[Self.node].reserved += amount
        settleNode(cause, &effects)
        let excess = shares[Self.node].onLoan - shares[Self.node].reserved
        guard excess > 0 else { return }
        if let heir {
            hand(over: excess, from: Self.node, to: heir, cause, &effects)
        } else {
            shares[Self.node].reserved += excess
        }
    }

    /// Lends what is otherwise not lent: what the node keeps, and what is too little to be worth it. Looks at every share.
    private mutating func lendKept(to borrower: Int, upTo amount: Int, _ effects: inout HarvestEffects) -> Int {
        var left = amount
        let kept = min(left, shares[Self.node].limit)
        offer(Self.node, kept, &effects)
        for lender in shares.indices where left > 0 && lender != borrower {
            let part = min(left, shares[lender].idle)
            lend(lender, borrower, part, &effects)
            left -= part
        }
        return amount - left
    }

    /// Makes loans of one borrower loans of another, or ends them where the other one is the lender.
    ///
    /// - Returns: how much.
    private mutating func takeOver(_ amount: Int, from old: Int, to new: Int, _ effects: inout HarvestEffects) -> Int {
        var left = amount
        var loan = shares[old].firstIn
        while loan >= 0, left > 0 {
            work += 1
            let (next, lender) = (loans[loan].nextIn, loans[loan].lender)
            let part = min(loans[loan].amount, left)
            takeBack(loan, part, .shrinkRefused, withdrawing: lender == new, &effects)
            if lender != new {
                // The lender may have wanted it back: it goes on waiting for it.
                offer(lender, part - min(part, shares[lender].idle), &effects)
                lend(lender, new, part, &effects)
            }
            left -= part
            loan = next
        }
        return amount - left
    }

    /// Returns what a borrower can do without to lenders that want it back.
    private mutating func repay(_ borrower: Int, _ effects: inout HarvestEffects) {
        var loan = shares[borrower].firstIn
        while loan >= 0 {
            work += 1
            let next = loans[loan].nextIn
            let part = min(loans[loan].amount, shares[loans[loan].lender].overdue, room(borrower))
            takeBack(loan, part, .reestimated, &effects)
            loan = next
        }
    }

    /// Returns what somebody holds and no longer needs, then serves those that wait.
    private mutating func balance(_ effects: inout HarvestEffects) {
        giveBackSurplus(&effects)
        // What was given back to the node may now be what it keeps.
        if keptBack > 0 { settleNode(.reestimated, &effects) }
        topUp(&effects)
        // What was taken from some for others may have given a third its own back, which then needs no loan in its place. Each round ends
        // an overdue loan, so there are few.
        while giveBackSurplus(&effects) { topUp(&effects) }
    }

    /// - Returns: whether anything was given back.
    @discardableResult
    private mutating func giveBackSurplus(_ effects: inout HarvestEffects) -> Bool {
        var (index, gave) = (0, false)
        while index < touched.count {
            let place = touched[index]
            let held = shares[place].borrowed
            if shares[place].need < 0, held > 0 { giveBack(place, min(-shares[place].need, held), .borrowerNeedsLess, &effects) }
            gave = gave || shares[place].borrowed < held
            index += 1
        }
        return gave
    }
}
