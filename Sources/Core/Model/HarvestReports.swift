// SPDX-License-Identifier: Apache-2.0

// What a node tells about its harvesting, as the documents of `/v1/harvest` have it: amounts in millicores and bytes, amounts over time
// in core-seconds and byte-seconds, times in milliseconds from now.

/// Who takes part in a loan.
public struct HarvestParty: Hashable, Sendable, Codable {
    /// The caller-visible id of a running call; nil for the node, which lends what no call has reserved.
    public var call: String?
    /// Its function as `name.namespace`; nil for the node.
    public var function: String?

    public init(call: String? = nil, function: String? = nil) {
        self.call = call
        self.function = function
    }
}

/// What is lent on a node now.
public struct HarvestReport: Hashable, Sendable, Codable {
    /// Rows of each list, so that an answer stays below a megabyte; what is more is counted, and in the sums.
    public static let rowsMax = 1_000

    /// One resource, all calls together.
    public struct Pool: Hashable, Sendable, Codable {
        /// What running calls may have altogether: what they are limited to, what is idle, and what the node keeps.
        public var capacity: Int
        /// The sum of the running calls' limits.
        public var limits: Int
        /// Held by borrowers.
        public var lent: Int
        /// What lies in the pool and nobody wants.
        public var idle: Int
        /// What lenders want back and their borrowers cannot do without at the moment.
        public var overdue: Int

        public init(capacity: Int = 0, limits: Int = 0, lent: Int = 0, idle: Int = 0, overdue: Int = 0) {
            self.capacity = capacity
            self.limits = limits
            self.lent = lent
            self.idle = idle
            self.overdue = overdue
        }
    }

    public struct Loan: Hashable, Sendable, Codable {
        public var kind: ResourceKind
        public var lender: HarvestParty
        public var borrower: HarvestParty
        public var amount: Int
        /// Until the lender is expected to end, negative where it should have; nil without an end.
        public var endsInMs: Double?

        public init(kind: ResourceKind, lender: HarvestParty, borrower: HarvestParty, amount: Int, endsInMs: Double?) {
            self.kind = kind
            self.lender = lender
            self.borrower = borrower
            self.amount = amount
            self.endsInMs = endsInMs
        }
    }

    /// An amount that lies idle in the pool.
    public struct Idle: Hashable, Sendable, Codable {
        public var kind: ResourceKind
        public var lender: HarvestParty
        public var amount: Int
        /// As ``Loan/endsInMs``.
        public var endsInMs: Double?

        public init(kind: ResourceKind, lender: HarvestParty, amount: Int, endsInMs: Double?) {
            self.kind = kind
            self.lender = lender
            self.amount = amount
            self.endsInMs = endsInMs
        }
    }

    /// What admission sets aside for a call: `allocation` or `predicted-demand`.
    public var admission: String
    /// Running calls, those that share a replica counted as one.
    public var calls: Int
    public var cpu: Pool
    public var memory: Pool
    /// The largest first, CPU before memory.
    public var loans: [Loan] = []
    public var loansOmitted = 0
    public var idle: [Idle] = []
    public var idleOmitted = 0

    public init(admission: String, calls: Int, cpu: Pool, memory: Pool) {
        self.admission = admission
        self.calls = calls
        self.cpu = cpu
        self.memory = memory
    }

    public subscript(kind: ResourceKind) -> Pool { kind == .cpu ? cpu : memory }
}

/// What lending has come to since a node started.
public struct HarvestLedgerReport: Hashable, Sendable, Codable {
    /// Functions told one by one; what is more is counted, and in the totals.
    public static let rowsMax = 1_000

    public struct Account: Hashable, Sendable, Codable {
        /// In core-seconds.
        public var cpu: HarvestTotals
        /// In byte-seconds.
        public var memory: HarvestTotals
        /// Kills at a memory limit, and those of them whose limit was below the user's allocation because of a loan.
        public var outOfMemoryKills: Int
        public var outOfMemoryKillsWhileLending: Int

        public init(
            cpu: HarvestTotals = HarvestTotals(), memory: HarvestTotals = HarvestTotals(), outOfMemoryKills: Int = 0,
            outOfMemoryKillsWhileLending: Int = 0
        ) {
            self.cpu = cpu
            self.memory = memory
            self.outOfMemoryKills = outOfMemoryKills
            self.outOfMemoryKillsWhileLending = outOfMemoryKillsWhileLending
        }

        public subscript(kind: ResourceKind) -> HarvestTotals { kind == .cpu ? cpu : memory }
    }

    public struct Row: Hashable, Sendable, Codable {
        /// `name.namespace`.
        public var function: String
        public var account: Account

        public init(function: String, account: Account) {
            self.function = function
            self.account = account
        }
    }

    /// The time that the ledger covers.
    public var seconds: Double
    /// By name.
    public var functions: [Row] = []
    public var functionsOmitted = 0
    /// What the node has lent of what no call had reserved.
    public var node: Account
    /// Functions that have been removed, together.
    public var removed: Account
    /// Functions, removed ones and the node together: what was lent is what was borrowed.
    public var total: Account
    /// Limits written to control groups.
    public var limitWrites: Int
    /// Looks at calls that made no sense: a counter or a clock that ran backwards, a file that could not be read.
    public var skippedSamples: Int
    /// How often a call had to wait although a replica was free, because what it would be given was not.
    public var heldBack: Int

    public init(
        seconds: Double, node: Account = Account(), removed: Account = Account(), total: Account = Account(), limitWrites: Int = 0,
        skippedSamples: Int = 0, heldBack: Int = 0
    ) {
        self.seconds = seconds
        self.node = node
        self.removed = removed
        self.total = total
        self.limitWrites = limitWrites
        self.skippedSamples = skippedSamples
        self.heldBack = heldBack
    }
}
