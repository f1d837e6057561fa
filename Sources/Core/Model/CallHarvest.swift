// SPDX-License-Identifier: Apache-2.0

/// What lending came to for one party and one resource: core-seconds of CPU, byte-seconds of memory.
public struct HarvestTotals: Hashable, Sendable, Codable {
    /// Held by others.
    public var lent: Double
    /// Held of others'.
    public var borrowed: Double
    /// Done without, and used by nobody.
    public var idle: Double
    /// Taken back from borrowers before the time that had been estimated: what they would still have had.
    public var reclaimed: Double
    /// The same, as the borrower sees it.
    public var lost: Double
    /// How often something was taken back so.
    public var reclaims: Int
    /// How often the safeguard gave a call its own allocation back.
    public var safeguards: Int

    public init(
        lent: Double = 0, borrowed: Double = 0, idle: Double = 0, reclaimed: Double = 0, lost: Double = 0, reclaims: Int = 0,
        safeguards: Int = 0
    ) {
        self.lent = lent
        self.borrowed = borrowed
        self.idle = idle
        self.reclaimed = reclaimed
        self.lost = lost
        self.reclaims = reclaims
        self.safeguards = safeguards
    }
}

/// What harvesting did to one call: what it was expected to need, what it began with, what it lent and borrowed, what it used.
public struct CallHarvest: Hashable, Sendable, Codable {
    /// What was expected before the call ran.
    public struct Expectation: Hashable, Sendable, Codable {
        /// Peaks that it would hardly exceed; nil where too little was known of calls like it.
        public var millicores: Int?
        public var memoryBytes: Int?
        /// Run time with the CPU that it began with.
        public var runMs: Double

        public init(millicores: Int?, memoryBytes: Int?, runMs: Double) {
            self.millicores = millicores
            self.memoryBytes = memoryBytes
            self.runMs = runMs
        }
    }

    /// A loan that began or ended.
    public struct Movement: Hashable, Sendable, Codable {
        /// Since the call began to run.
        public var atMs: Double
        public var kind: ResourceKind
        /// Millicores or bytes: positive where the call got it, negative where it gave it away; the reverse when the loan ends.
        public var amount: Int
        /// The caller-visible id of the other call; nil for the node itself, and where the other call is forgotten.
        public var peer: String?
        /// The other call's function as `name.namespace`; nil for the node itself.
        public var peerFunction: String?
        /// Why the loan ended; nil where it began.
        public var ended: String?

        public init(atMs: Double, kind: ResourceKind, amount: Int, peer: String?, peerFunction: String?, ended: String?) {
            self.atMs = atMs
            self.kind = kind
            self.amount = amount
            self.peer = peer
            self.peerFunction = peerFunction
            self.ended = ended
        }
    }

    /// The user's allocation.
    public var allocation: Resources
    /// The limits that it began to run with.
    public var began: Resources
    /// Nil where nothing was known of calls like it.
    public var expected: Expectation?
    /// Measured; nil where they were not: the call was too short, or others ran in the same replica meanwhile.
    public var peakMillicores: Int?
    public var peakMemoryBytes: Int?
    /// The limit of memory at which the kernel killed a process of it, the function's own or a lower one; nil where it killed none.
    public var killedAtBytes: Int?
    public var cpu: HarvestTotals
    public var memory: HarvestTotals
    /// The first movements, in order; nil in lists of calls.
    public var movements: [Movement]?
    /// Movements beyond those that are kept.
    public var movementsOmitted: Int

    public init(
        allocation: Resources, began: Resources, expected: Expectation? = nil, peakMillicores: Int? = nil, peakMemoryBytes: Int? = nil,
        killedAtBytes: Int? = nil, cpu: HarvestTotals = HarvestTotals(), memory: HarvestTotals = HarvestTotals(),
        movements: [Movement]? = [],
        movementsOmitted: Int = 0
    ) {
        self.allocation = allocation
        self.began = began
        self.expected = expected
        self.peakMillicores = peakMillicores
        self.peakMemoryBytes = peakMemoryBytes
        self.killedAtBytes = killedAtBytes
        self.cpu = cpu
        self.memory = memory
        self.movements = movements
        self.movementsOmitted = movementsOmitted
    }

    public subscript(kind: ResourceKind) -> HarvestTotals { kind == .cpu ? cpu : memory }
}

extension CallRecord {
    /// A ``CallHarvest`` beside the record: most nodes do not harvest, and their records stay small.
    indirect enum HarvestBox: Hashable, Sendable, Codable {
        case harvest(CallHarvest)
    }

    /// What harvesting did to the call; nil where the node does not harvest, where the call did not run, and where several calls in one
    /// replica are told under the first of them.
    public var harvest: CallHarvest? {
        get { if case .harvest(let harvest)? = harvestBox { harvest } else { nil } }
        set { harvestBox = newValue.map { .harvest($0) } }
    }
}
