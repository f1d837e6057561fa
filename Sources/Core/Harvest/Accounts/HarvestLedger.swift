// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What harvesting has done with one resource of a function, of a call or of the node.
public struct HarvestAccount: Hashable, Sendable {
    /// Held by others.
    public var lent = ResourceTime.zero
    /// Held of others'.
    public var borrowed = ResourceTime.zero
    /// Done without, and used by nobody.
    public var idle = ResourceTime.zero
    /// Taken back from borrowers before the time that had been estimated.
    public var reclaimed = ResourceTime.zero
    /// Taken away by lenders before the time that had been estimated.
    public var lost = ResourceTime.zero
    /// How often something was taken back.
    public var reclaims = 0
    /// How often the safeguard gave it its own allocation back.
    public var safeguards = 0
    /// Of memory: kills at the limit, and those of them at a limit below the user's allocation.
    public var kills = 0
    public var killsWhileLending = 0

    public init() {}

    public static func + (left: HarvestAccount, right: HarvestAccount) -> HarvestAccount {
        var sum = left
        sum.lent = left.lent + right.lent
        sum.borrowed = left.borrowed + right.borrowed
        sum.idle = left.idle + right.idle
        sum.reclaimed = left.reclaimed + right.reclaimed
        sum.lost = left.lost + right.lost
        sum.reclaims += right.reclaims
        sum.safeguards += right.safeguards
        sum.kills += right.kills
        sum.killsWhileLending += right.killsWhileLending
        return sum
    }
}

/// One loan that began or ended, as a call sees it.
public struct LoanEvent: Hashable, Sendable {
    public let at: Instant
    public let kind: ResourceKind
    public let peer: Lender
    /// The other call's function; nil for the node.
    public let peerFunction: FunctionHandle?
    /// Positive where the call got it, negative where it gave it away; the reverse when the loan ends.
    public let amount: Int
    /// Nil where the loan began.
    public let ended: ReturnCause?
}

/// What harvesting did to one call, for `explain` and for records.
public struct CallStatement: Hashable, Sendable {
    /// Loan events kept; what a long call with many peers does beyond that is only counted.
    public static let eventsMax = 32

    public let call: CallID
    public let function: FunctionHandle
    /// When it began to run.
    public let began: Instant
    /// The user's allocation, and the limits that it began with.
    public var allocation = Resources.zero
    public var limits = Resources.zero
    /// What was expected of it; nil where nothing was known of calls like it.
    public var prediction: Prediction?
    /// Measured; nil where they were not.
    public var peakMillicores: Int?
    public var peakMemoryBytes: Int?
    /// The limit at which the kernel killed a process of it, or nil.
    public var killedAtBytes: Int?
    public var cpu = HarvestAccount()
    public var memory = HarvestAccount()
    public var events: [LoanEvent] = []
    public var eventsOmitted = 0

    public subscript(kind: ResourceKind) -> HarvestAccount { kind == .cpu ? cpu : memory }
}

/// Adds up what the movements of a pool come to: by function, for the node, and by call while it runs.
///
/// A movement costs constant time. Remembered are the functions and the running calls.
public struct HarvestLedger: Sendable {
    private var functions: [FunctionHandle: Position] = [:]
    private var node = Position()
    private var calls: [CallID: OpenCall] = [:]
    /// Calls that run, by function; and functions to forget when there are none.
    private var runningCalls: [FunctionHandle: Int] = [:]
    private var toForget: Set<FunctionHandle> = []
    /// What functions had come to that are forgotten.
    private var removed = (cpu: HarvestAccount(), memory: HarvestAccount())

    /// Begins the books of a pool that no call has entered yet; what it lends of its own lies idle from now on.
    public init(opening pool: HarvestPool, now: Instant) {
        for kind in ResourceKind.allCases { node[kind].idle.add(pool.shares(kind).first?.idle ?? 0, now: now) }
    }

    /// Takes the movements of one operation.
    ///
    /// - Returns: the statements of the calls that left.
    @discardableResult
    public mutating func apply(_ movements: some Sequence<PoolMovement>, now: Instant) -> [CallStatement] {
        var closed: [CallStatement] = []
        for movement in movements {
            switch movement {
            case .entered(let call, let function):
                calls[call] = OpenCall(function: function, began: now)
                runningCalls[function, default: 0] += 1
            case .left(let call):
                if let statement = statement(of: call, now: now) { closed.append(statement) }
                close(call)
            case .offered(let lender, let kind, let amount): change(lender, kind) { $0.idle.add(amount, now: now) }
            case .withdrawn(let lender, let kind, let amount): change(lender, kind) { $0.idle.add(-amount, now: now) }
            case .lent(let lender, let borrower, let kind, let amount, _):
                move(amount, lender, borrower, kind, now)
                note(lender, borrower, kind, amount, nil, now)
            case .returned(let lender, let borrower, let kind, let amount, let until, let cause):
                move(-amount, lender, borrower, kind, now)
                note(lender, borrower, kind, -amount, cause, now)
                if cause.isReclaim { reclaim(amount, lender, borrower, kind, until, now) }
            case .safeguarded(let call, let kind): change(.call(call), kind) { $0.counts.safeguards += 1 }
            }
        }
        return closed
    }

    /// What a function's calls have lent and borrowed until now, those that run included.
    public func account(of function: FunctionHandle, _ kind: ResourceKind, now: Instant) -> HarvestAccount {
        functions[function]?[kind].account(now) ?? HarvestAccount()
    }

    /// What the node has lent of what no call had reserved.
    public func nodeAccount(_ kind: ResourceKind, now: Instant) -> HarvestAccount { node[kind].account(now) }

    /// What functions have come to that are forgotten.
    public func removedAccount(_ kind: ResourceKind) -> HarvestAccount { kind == .cpu ? removed.cpu : removed.memory }

    /// All functions, removed ones and the node together: what was lent is what was borrowed.
    ///
    /// Costs time proportional to the number of functions.
    public func totalAccount(_ kind: ResourceKind, now: Instant) -> HarvestAccount {
        accountedFunctions.reduce(nodeAccount(kind, now: now) + removedAccount(kind)) { $0 + account(of: $1, kind, now: now) }
    }

    /// A running call was killed at its memory limit.
    ///
    /// - Parameter lending: whether that limit was below the user's allocation.
    public mutating func countKill(of call: CallID, lending: Bool) {
        change(.call(call), .memory) {
            $0.counts.kills += 1
            if lending { $0.counts.killsWhileLending += 1 }
        }
    }

    /// What harvesting has done to a running call until now, or nil if it does not run.
    public func statement(of call: CallID, now: Instant) -> CallStatement? {
        guard let open = calls[call] else { return nil }
        var statement = CallStatement(call: call, function: open.function, began: open.began)
        statement.cpu = open.position.cpu.account(now)
        statement.memory = open.position.memory.account(now)
        statement.events = open.events
        statement.eventsOmitted = open.eventsOmitted
        return statement
    }

    /// Functions with an account, in order.
    public var accountedFunctions: [FunctionHandle] { functions.keys.sorted() }

    /// Forgets a function that was removed, once no call of it runs.
    public mutating func forget(_ function: FunctionHandle) {
        toForget.insert(function)
        forgetIfDone(function)
    }

    private mutating func close(_ call: CallID) {
        guard let function = calls.removeValue(forKey: call)?.function else { return }
        let left = runningCalls[function, default: 1] - 1
        runningCalls[function] = left > 0 ? left : nil
        forgetIfDone(function)
    }

    private mutating func forgetIfDone(_ function: FunctionHandle) {
        guard runningCalls[function] == nil, toForget.remove(function) != nil else { return }
        // Nothing of it is lent any more: its account is the same at every moment.
        guard let account = functions.removeValue(forKey: function) else { return }
        removed.cpu = removed.cpu + account.cpu.account(.zero)
        removed.memory = removed.memory + account.memory.account(.zero)
    }
}

extension HarvestLedger {
    /// One resource of one party.
    private struct Meters: Sendable {
        var lent = Meter()
        var borrowed = Meter()
        var idle = Meter()
        /// The rest of the account, whose metered fields stay zero.
        var counts = HarvestAccount()

        func account(_ now: Instant) -> HarvestAccount {
            var account = counts
            account.lent = lent.value(now)
            account.borrowed = borrowed.value(now)
            account.idle = idle.value(now)
            return account
        }
    }

    private struct Position: Sendable {
        var cpu = Meters()
        var memory = Meters()

        subscript(kind: ResourceKind) -> Meters {
            get { kind == .cpu ? cpu : memory }
            set { if kind == .cpu { cpu = newValue } else { memory = newValue } }
        }
    }

    private struct OpenCall: Sendable {
        let function: FunctionHandle
        let began: Instant
        var position = Position()
        var events: [LoanEvent] = []
        var eventsOmitted = 0
    }

    private mutating func change(_ party: Lender, _ kind: ResourceKind, _ body: (inout Meters) -> Void) {
        guard case .call(let call) = party else { return body(&node[kind]) }
        guard let open = calls[call] else { return }
        let function = open.function
        body(&calls[call, default: open].position[kind])
        body(&functions[function, default: Position()][kind])
    }

    /// From idle to lent, or back.
    private mutating func move(_ amount: Int, _ lender: Lender, _ borrower: CallID, _ kind: ResourceKind, _ now: Instant) {
        change(lender, kind) {
            $0.idle.add(-amount, now: now)
            $0.lent.add(amount, now: now)
        }
        change(.call(borrower), kind) { $0.borrowed.add(amount, now: now) }
    }

    private mutating func reclaim(
        _ amount: Int, _ lender: Lender, _ borrower: CallID, _ kind: ResourceKind, _ until: Instant, _ now: Instant
    ) {
        // What nobody has reserved is promised for no time.
        let promised = until == .distantFuture ? .zero : ResourceTime(amount: amount, for: max(.zero, until - now))
        change(lender, kind) {
            $0.counts.reclaimed = $0.counts.reclaimed + promised
            $0.counts.reclaims += 1
        }
        change(.call(borrower), kind) { $0.counts.lost = $0.counts.lost + promised }
    }

    private mutating func note(
        _ lender: Lender, _ borrower: CallID, _ kind: ResourceKind, _ amount: Int, _ cause: ReturnCause?, _ now: Instant
    ) {
        let call: CallID? = if case .call(let call) = lender { call } else { nil }
        let (lending, borrowing) = (call.flatMap { calls[$0]?.function }, calls[borrower]?.function)
        record(borrower, LoanEvent(at: now, kind: kind, peer: lender, peerFunction: lending, amount: amount, ended: cause))
        guard let call else { return }
        record(call, LoanEvent(at: now, kind: kind, peer: .call(borrower), peerFunction: borrowing, amount: -amount, ended: cause))
    }

    private mutating func record(_ call: CallID, _ event: LoanEvent) {
        guard let open = calls[call] else { return }
        if open.events.count < CallStatement.eventsMax {
            calls[call]?.events.append(event)
        } else {
            calls[call]?.eventsOmitted += 1
        }
    }
}

extension ReturnCause {
    /// Whether the borrower could have gone on using it.
    public var isReclaim: Bool {
        switch self {
        case .borrowerEnded, .borrowerNeedsLess: false
        case .lenderEnded, .safeguard, .reestimated, .reserved, .preempted, .shrinkRefused: true
        }
    }
}
