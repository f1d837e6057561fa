// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

/// Who owns objects that one node at a time may write: by a lease that a majority of the members granted.
///
/// A member grants an object to one node until the lease ends by its own clock; the owner stops before that by its own. Two majorities
/// share a member, so there are never two owners; while the network is cut, the side without a majority has none.
///
/// Each ownership has an epoch, later than those of all before it, and content of a later epoch replaces that of an earlier one: so what an
/// old owner wrote alone is refused wherever it comes later. Epochs are times only to begin with: a member tells, when it grants, after
/// which epoch the next one must be, and remembers the epoch that it is then asked to promise. No clock has to follow another for that,
/// so wrong clocks neither let an old owner win nor keep anybody from owning.
struct Leases {
    /// Names an object on every node.
    struct Subject: Hashable, Comparable {
        let space: SpaceName
        let name: Bytes

        static func < (one: Subject, other: Subject) -> Bool { (one.space, one.name) < (other.space, other.name) }
    }

    /// What this node owns, or tries to.
    struct Claim {
        let key: ObjectKey
        var nonce: UInt64
        /// The epoch under which the owner writes, asked of the members with the second question; zero before.
        var epoch = Stamp.zero
        /// The latest epoch that a member told of with its first grant.
        var floor = Stamp.zero
        /// Who granted at the first question, and until when nobody else can have been granted the object there.
        var heard: [NodeID] = []
        var heardUntil = Instant.zero
        /// Until when this node owns it.
        var until: Instant?
        var grants: [NodeID] = []
        /// When the question was sent: a lease counts from there.
        var askedAt: Instant
        var retryAt: Instant
    }

    /// What this node granted to others, or to itself.
    struct Grant {
        var owner: NodeID
        /// The incarnation of the owner, and the number of its last question: what it said before is over.
        var site: SiteID
        var nonce: UInt64
        var until: Instant
        var epoch: Stamp
    }

    /// A question for an object.
    struct Question {
        let owner: NodeID
        let site: SiteID
        let nonce: UInt64
        let length: Duration
        /// Zero in the first question.
        let epoch: Stamp
    }

    /// An epoch up to which the log knows that epochs may have been promised, and the record that says so.
    struct Mark {
        var time = HybridTime.zero
        var record: UInt64 = 0
    }

    var claims: [Subject: Claim] = [:]
    private(set) var grants: [Subject: Grant] = [:]
    /// This node grants nothing before: an earlier run of it may have.
    var silentUntil = Instant.zero
    /// The latest epoch promised for an object that is not among ``grants`` any more.
    private(set) var horizon = Stamp.zero
    var logged = Mark()
    /// The epoch under which an owner writes at this moment.
    var writing: Stamp?
    /// Whether this run granted something: with its first grant it promises all that an earlier run may have, and not written down.
    var hasGranted = false

    /// Objects owned or granted at most; more are refused.
    static let countMax = 16_384
    /// How far ahead the log is written, so that it is not written for each epoch.
    static let aheadMilliseconds: UInt64 = 10_000
    /// Epochs after its own that an owner may begin by deleting, before it has to own the object anew: they end before the next owner's,
    /// which is two milliseconds later at least.
    static let deletionsMax: UInt64 = 60_000
    static let apartMilliseconds: UInt64 = 2

    static let lastSite = SiteID(rawValue: .max)

    /// After which epoch the next owner's must be.
    func floor(of subject: Subject) -> Stamp { max(grants[subject]?.epoch ?? .zero, horizon) }

    /// Whether another node has the object at this moment, or no more can be remembered.
    func isTaken(_ subject: Subject, for owner: NodeID, _ now: Instant) -> Bool {
        guard let grant = grants[subject] else { return grants.count >= Self.countMax }
        return grant.owner != owner && grant.until > now
    }

    mutating func grant(_ subject: Subject, _ question: Question, _ now: Instant) {
        let epoch = max(grants[subject]?.epoch ?? .zero, question.epoch)
        // A question that comes late says less than what came before it.
        let isLate = grants[subject].map { $0.site == question.site && $0.nonce > question.nonce } ?? false
        let nonce = isLate ? grants[subject]?.nonce ?? question.nonce : question.nonce
        grants[subject] = Grant(owner: question.owner, site: question.site, nonce: nonce, until: now + question.length, epoch: epoch)
    }

    /// Forgets a grant, but not that its epoch is over.
    mutating func forget(_ subject: Subject) {
        guard let grant = grants.removeValue(forKey: subject) else { return }
        raise(to: grant.epoch)
    }

    /// Promises that no epoch up to this one is begun any more.
    mutating func raise(to epoch: Stamp) { horizon = max(horizon, epoch) }

    /// Forgets the grants that ended, and claims that nobody waits for; `grace` after their end, since answers may be on their way.
    mutating func forgetEnded(_ now: Instant, grace: Duration, except waiting: [Subject]) {
        let over = claims.keys.filter { subject in
            guard let claim = claims[subject] else { return true }
            return max(claim.until ?? .zero, claim.retryAt) + grace < now
        }
        for subject in over.sorted() where !waiting.contains(subject) { claims[subject] = nil }
        let ended = grants.keys.filter { grants[$0].map { $0.until <= now } ?? true }
        for subject in ended.sorted() { forget(subject) }
    }
}
