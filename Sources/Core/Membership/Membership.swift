// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// Who is in the cluster and who is alive: SWIM with suspicion and incarnations, as a value.
///
/// Each node probes one other in each period, in a random order that comes round to everybody; where no answer comes, some others try for
/// it; where they get none either, the member is suspected, told so, and dead if it does not contradict in time. News ride on probes and
/// go round by themselves while they are young, a bounded number of times. Now and then two nodes compare digests of their whole lists.
/// The load of a node does not depend on how many there are. A node that notices that it is itself slow probes more slowly
/// (Lifeguard's local health), and accuses less.
///
/// The owner hands in frames, the passing of time and what becomes of links, and performs the ``MembershipOutput``: it sends the frames,
/// acts on the events and calls ``tick(now:)`` at ``nextWake``. Time is a monotonic `Instant`; nothing depends on anybody's wall clock.
/// Whoever delivers frames vouches for their sender; members trust one another's statements.
///
///     var membership = Membership(identity, known: kept, settings: MembershipSettings(), seed: seed, now: now)
///     perform(membership.join([seedNode], now: now))          // once the link knows a way to seedNode
///     perform(membership.receive(frame, from: peer, now: now))
///     perform(membership.tick(now: now))                      // at membership.nextWake
///     keep(membership.records)                                // after each event: revocations and addresses outlive a restart
public struct Membership: Sendable {
    /// Who this node is.
    public struct Identity: Sendable {
        public var id: NodeID
        /// A random number, new at each start of the process.
        public var session: UInt64
        /// What the first incarnation says; raised past what is kept of earlier starts.
        public var incarnation: UInt64
        public var meta: MemberMeta

        public init(id: NodeID, session: UInt64, incarnation: UInt64 = 1, meta: MemberMeta) {
            self.id = id
            self.session = session
            self.incarnation = incarnation
            self.meta = meta
        }
    }

    /// Whether this node takes part.
    public enum Standing: Sendable, Equatable {
        case taking
        /// It said goodbye; it still answers until it ends.
        case left
        /// It was removed by somebody.
        case expelled
        /// Another process has its identity and stays.
        case yielded
    }

    public let settings: MembershipSettings
    public internal(set) var counts = MembershipCounts()
    public internal(set) var standing = Standing.taking
    /// Raised each time ``records`` changes in a way worth keeping.
    public internal(set) var revision = 0

    /// This node's own record.
    var own: MemberRecord
    let started: Instant
    var roster: Roster
    var news = NewsQueue()
    var chance: SeededGenerator
    var output = MembershipOutput()

    var probes: [Probe] = []
    var relays: [Relay] = []
    var probeOrder: [NodeID] = []
    /// Probes begun in turn.
    var periods = 0
    var nextNumber: UInt64 = 1
    /// How slow this node found itself: 0 is healthy.
    var slowness = 0
    var contacts: [Contact] = []
    var drainAsks: [DrainAsk] = []
    var rivals: [Rival] = []

    var nextProbe: Instant
    var nextGossip: Instant
    var nextSync: Instant
    var nextReconnect: Instant
    /// What ``nextWake`` promised last: a tick much later means that this node stood still.
    var promisedWake = Instant.distantFuture

    /// - Parameters:
    ///   - known: what ``records`` was before a restart; its members are taken for present until they prove silent.
    ///   - seed: of every random choice.
    public init(
        _ identity: Identity, known: [MemberRecord] = [], settings: MembershipSettings = MembershipSettings(), seed: UInt64, now: Instant
    ) {
        self.settings = settings
        started = now
        chance = SeededGenerator(seed: seed)
        roster = Roster(limit: settings.recordsMax)
        own = MemberRecord(id: identity.id, incarnation: identity.incarnation, session: identity.session, meta: identity.meta)
        // Nodes that start together must not probe together.
        nextProbe = now + .nanoseconds(chance.below(max(1, Int(settings.probePeriod.wholeNanoseconds))))
        periods = chance.below(Self.neighbourEvery)
        nextGossip = now
        nextSync = now + settings.syncPeriod
        nextReconnect = now + settings.reconnectPeriod
        for record in known {
            guard record.id != identity.id else {
                own.incarnation = max(own.incarnation, record.incarnation + 1)
                if record.status == .removed { standing = .expelled }
                continue
            }
            var kept = record
            if kept.status == .suspect { kept.status = .alive }
            _ = roster.put(kept, now: now)
        }
    }

    /// This node's identity.
    public var id: NodeID { own.id }

    /// Everybody that is known, this node included, in the order of their identities; those that left or were removed too.
    public var members: [Member] {
        let me = Member(record: ownStatement, since: started, roundTrip: nil, isSelf: true)
        return (roster.entries.map(\.member) + [me]).sorted { $0.id < $1.id }
    }

    /// One member, or nil.
    public func member(_ id: NodeID) -> Member? {
        if id == own.id { return Member(record: ownStatement, since: started, roundTrip: nil, isSelf: true) }
        return roster[id]?.member
    }

    /// The others that take part: alive or under suspicion, in the order of their identities.
    public var present: [NodeID] { roster.present }

    /// What to keep over a restart, this node's own record included.
    public var records: [MemberRecord] { roster.entries.map(\.record) + [ownStatement] }

    /// A sum of everything that is known, equal on nodes that agree; suspicions do not count.
    public var digest: UInt64 { roster.digest &+ ownStatement.digest }

    /// How many times slower than its settings this node probes now, because it found itself slow; 1 is healthy.
    public var slowdown: Int { slowness + 1 }

    var ownStatement: MemberRecord {
        var record = own
        switch standing {
        case .taking, .yielded: record.status = .alive
        case .left: record.status = .left
        case .expelled: record.status = .removed
        }
        return record
    }

    var isSilent: Bool { standing == .expelled || standing == .yielded }
}
