// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT
public import BrumeModel
import DequeModule

/// A node's copy of the objects it is interested in: operations on them, and the protocol that keeps copies alike.
///
/// A value under one lock: it owns no clock, no socket and no file. Operations change objects at once and collect what changed; `flush`
/// puts that into a numbered batch for the log and for the peers; `receive` merges what comes; ``takeOutputs()`` is what the shell has to
/// do after each step. Not copyable: its objects lie in classes that nobody else holds, which is also why it may go from thread to thread.
public struct Replica: ~Copyable, @unchecked Sendable {
    /// The node whose replica it is.
    public let node: NodeID
    /// This incarnation: what its writes are numbered under.
    public internal(set) var site: SiteID
    public internal(set) var settings: StateSettings

    var clock = HybridClock()
    var random: SeededGenerator

    var spaces: [Space] = []
    var spaceNumbers: [SpaceName: Int] = [:]
    /// By name.
    var namespaces: [Namespace] = []
    /// Namespaces of which another node has said who keeps them, since this replica last followed that.
    var changedPolicies: [Bytes] = []
    /// Promises to keep a namespace that wait for the disk; one for each peer and namespace.
    var promises: [PendingPromise] = []

    /// Key spaces with changes to flush, in the order of their first change.
    var dirtySpaces: [Int] = []
    /// Objects with changes to flush.
    var dirtyCount = 0
    /// When the oldest of those changes wants to travel.
    var flushDue: Instant?
    /// Whether some of those changes belong together.
    var isAtomic = false
    /// The number of the batch that the next flush makes.
    var nextBatch: UInt64 = 1
    var nextRecord: UInt64 = 1
    /// Records up to here are on disk.
    var loggedRecord: UInt64 = 0
    /// This incarnation's batches up to here are durable.
    var durableBatch: UInt64 = 0
    var durables = DurableQueue()
    var isVectorUnsaved = false
    /// What was merged when the snapshot that is being written began.
    var roundVector: VersionVector?
    /// While a log is read: when the record that is read was written; the end of time otherwise.
    var replaying = HybridTime.max
    /// The moment of the last step: for what has no time of its own.
    var lastInstant = Instant.zero

    /// The highest number this site ever used in an object that was collected since: numbers are never used again.
    var floor: UInt64 = 0
    /// Everything up to here has reached every member.
    var stable = HybridTime.zero
    /// What ceased to exist up to here is forgotten: it is stable, and so is all that anybody wrote before he heard of it.
    var forgettable = HybridTime.zero
    /// What is forgettable once everything up to `heardAt` is stable too.
    var ripening: (moment: HybridTime, heardAt: HybridTime)?
    var forgotten = Forgotten()

    var ring = BatchRing()
    var recent = RecentBatches()
    /// By node.
    var peers: [Peer] = []
    var origins = Origins()
    /// What single objects that came by comparison may show already, before all of it is here: a session that reads them has seen it.
    var ahead = VersionVector()
    var membership = Membership()
    var pulls = Pulls()
    var waits = Waits()
    var groups = AtomicGroups()
    var expiries = ExpiryQueue()
    var leases = Leases()
    var handover: Handover?
    var takeovers: [Takeover] = []
    var scratch = ByteWriter()
    var outputs: [StateOutput] = []
    /// Whether somebody wants to hear of changes.
    public var isWatched = false
    var changes: [StateChange] = []
    public internal(set) var counts = StateCounts()
    var nextHeartbeat = Instant.zero
    var nextRepair = Instant.zero
    var repairTurn = 0
    var nextRightsAt = Instant.zero
    /// A number that tells answers to this run's questions from those of an earlier one.
    var nextNonce: UInt64

    /// A replica without objects.
    ///
    /// - Parameters:
    ///   - site: never used before, unless ``StateRecovery`` says that all it ever wrote is known.
    ///   - seed: of its random draws (retries, samples); from the operating system's generator in a node.
    public init(node: NodeID, site: SiteID, settings: StateSettings, seed: UInt64, now: StateTime) {
        self.node = node
        self.site = site
        self.settings = settings
        random = SeededGenerator(seed: seed)
        nextNonce = random.next() >> 1
        nextHeartbeat = now.instant + settings.heartbeat
        nextRepair = now.instant + settings.repairInterval
        // An earlier run of this node may have granted what it does not remember.
        leases.silentUntil = now.instant + settings.lease
    }

    /// The batch that holds everything written so far, also what was not flushed yet.
    public var mark: WriteMark { WriteMark(batch: dirtySpaces.isEmpty ? nextBatch - 1 : nextBatch) }

    /// Whether a flush would have something to do.
    public var isDirty: Bool { !dirtySpaces.isEmpty }

    /// What the shell has to do, in order; it is handed out once.
    public mutating func takeOutputs() -> [StateOutput] {
        flushChanges()
        guard !outputs.isEmpty else { return [] }
        let taken = outputs
        outputs = []
        return taken
    }

    /// Whether ``takeOutputs()`` would answer anything.
    public var hasOutputs: Bool { !outputs.isEmpty || !changes.isEmpty }

    /// Whether it would answer something that must not wait; records of the log that nobody waits for may, for ``wake`` at the longest.
    public var hasUrgentOutputs: Bool {
        guard hasOutputs else { return false }
        return !changes.isEmpty
            || outputs.contains {
                if case .log(_, _, now: false) = $0 { return false }
                return true
            }
    }

    /// Whether so much has changed since the last flush that the next one should not wait.
    public func isFlushDue(_ now: StateTime) -> Bool { flushDue.map { $0 <= now.instant } ?? false }

    /// A hybrid time after all that this replica has given out or heard.
    @inline(__always) mutating func stamp(_ now: StateTime) -> Stamp {
        Stamp(time: clock.now(wall: now.wallMilliseconds), site: site)
    }

    /// Milliseconds since 1970 by the hybrid clock: what expiry goes by, so that no two nodes disagree for longer than their messages take.
    @inline(__always) func milliseconds(_ now: StateTime) -> Int64 {
        Int64(clamping: max(now.wallMilliseconds, clock.last.milliseconds))
    }
}
