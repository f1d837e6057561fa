// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

/// Who owns objects that one node at a time may write: by a lease that a majority of the members granted.
///
/// A member grants an object to one node until the lease ends by its own clock; the owner stops before that by its own. Two majorities
/// share a member, so there are never two owners; while the network is cut, the side without a majority has none.
struct Leases {
    /// Names an object on every node.
    struct Subject: Hashable {
        let space: SpaceName
        let name: Bytes
    }

    /// What this node owns, or tries to.
    struct Claim {
        let key: ObjectKey
        var nonce: UInt64
        /// The epoch under which the owner writes, once it has all that was written before.
        var epoch: Stamp
        /// Whether the epoch was taken after a majority had answered once, and before it was asked again: it is then later than those of
        /// all earlier owners, whose majorities share a member with this one, and whoever grants has heard of it.
        var isEpochHeard = false
        /// Until when this node owns it.
        var until: Instant?
        var grants: [NodeID] = []
        var refusals = 0
        /// When the question was sent: a lease counts from there.
        var askedAt: Instant
        var retryAt: Instant
    }

    /// What this node granted to others.
    struct Grant {
        var owner: NodeID
        var until: Instant
    }

    var claims: [Subject: Claim] = [:]
    var grants: [Subject: Grant] = [:]
    /// This node grants nothing before: an earlier run of it may have.
    var silentUntil = Instant.zero

    /// Objects owned or granted at most; more are refused.
    static let countMax = 16_384
}

extension Replica {
    private func subject(_ key: ObjectKey) -> Leases.Subject { Leases.Subject(space: name(of: key.space), name: key.name) }

    /// Whether this node owns the object now and has all that earlier owners wrote.
    public func owns(_ key: ObjectKey, _ now: StateTime) -> Bool {
        guard let claim = leases.claims[subject(key)], let until = claim.until else { return false }
        return now.instant < until
    }

    /// Runs operations on an object that this node owns; wait for ``StateNeed/exclusive(_:)`` before, and for a majority afterwards.
    ///
    /// Its writes count as of a new epoch: what an earlier owner wrote and nobody here had heard of is refused when it comes.
    ///
    /// - Throws: `StateError` (`fenced`) if this node does not own it, or not any more.
    public mutating func exclusively<Result>(
        _ key: ObjectKey, _ now: StateTime, _ body: (inout Replica) throws(StateError) -> Result
    ) throws(StateError) -> Result {
        guard owns(key, now), let claim = leases.claims[subject(key)] else {
            throw StateError(.fenced, "This node does not own the object, or not any more; ask for it again.")
        }
        let result = try body(&self)
        if let object = visible(key, now) ?? anyObject(key), object.epoch < claim.epoch {
            object.makeSide().epoch = claim.epoch
            // Whoever still writes in an older epoch is replaced, so this one must be told whole.
            object.resendAll()
            object.side?.isDirty = true
            changed(object, clock.now(wall: now.wallMilliseconds), now)
        }
        return result
    }

    private func anyObject(_ key: ObjectKey) -> StateObject? {
        let space = spaces[key.space.index]
        return space.table.find(space.hash(key.name), key.name)
    }

    /// How many nodes a write by an owner must reach before it counts: a majority.
    public var majority: Int { (membership.others.count + 1) / 2 + 1 }

    /// Gives up an object that this node owns.
    public mutating func release(_ key: ObjectKey, _ now: StateTime) {
        guard let claim = leases.claims.removeValue(forKey: subject(key)) else { return }
        for peer in peers where peer.isMember && peer.isUp { ask(key, claim.nonce, .zero, peer, now) }
        leases.grants[subject(key)] = nil
    }

    mutating func seekLease(_ key: ObjectKey, _ now: StateTime) {
        let subject = subject(key)
        if let claim = leases.claims[subject], claim.retryAt > now.instant { return }
        nextNonce += 1
        let claim = Leases.Claim(
            key: key, nonce: nextNonce, epoch: leases.claims[subject]?.epoch ?? stamp(now), until: nil, askedAt: now.instant,
            retryAt: now.instant + .milliseconds(Int64(random.draw(200...600))))
        // What this node owns, or granted to itself, it may not forget while it asks again.
        let owned = leases.claims[subject]?.until
        leases.claims[subject] = claim
        leases.claims[subject]?.until = owned
        askAll(subject, claim, now)
    }

    private mutating func askAll(_ subject: Leases.Subject, _ claim: Leases.Claim, _ now: StateTime) {
        if grant(subject, to: node, settings.lease, now) { leases.claims[subject]?.grants.append(node) }
        for peer in peers where peer.isMember && peer.isUp { ask(claim.key, claim.nonce, settings.lease, peer, now) }
        decide(subject, now)
    }

    /// Asks a majority once more, after it has told how late it is: the second question carries the epoch of the new owner.
    private mutating func proposeEpoch(_ subject: Leases.Subject, _ now: StateTime) {
        guard var claim = leases.claims[subject] else { return }
        nextNonce += 1
        claim.nonce = nextNonce
        claim.epoch = stamp(now).after(anyObject(claim.key)?.epoch ?? .zero)
        claim.isEpochHeard = true
        claim.askedAt = now.instant
        claim.grants = []
        leases.claims[subject] = claim
        askAll(subject, claim, now)
    }

    private mutating func ask(_ key: ObjectKey, _ nonce: UInt64, _ length: Duration, _ peer: Peer, _ now: StateTime) {
        var writer = Frame.writer(peer.version >= 3 ? .leaseWanted : .leaseAsked, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nonce)
        writer.spaceName(name(of: key.space))
        writer.string(key.name)
        writer.varint(UInt64(length.wholeNanoseconds))
        writer.fixed(membership.view)
        transmit(writer.bytes, .state, to: peer)
    }

    /// Grants an object unless another node has it.
    private mutating func grant(_ subject: Leases.Subject, to owner: NodeID, _ length: Duration, _ now: StateTime) -> Bool {
        guard now.instant >= leases.silentUntil || membership.others.isEmpty else { return false }
        if let grant = leases.grants[subject], grant.owner != owner, grant.until > now.instant { return false }
        if leases.grants[subject] == nil, leases.grants.count >= Leases.countMax { return false }
        leases.grants[subject] = Leases.Grant(owner: owner, until: now.instant + length)
        return true
    }

    mutating func answerLease(from peer: Peer, _ head: FrameHead, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let space = try reader.spaceName()
        let name = try reader.string()
        let length = try reader.varint()
        let view = try reader.fixed()
        try reader.finish()
        guard length <= UInt64(Duration.seconds(600).wholeNanoseconds) else { throw reader.failure(.impossible) }
        let subject = Leases.Subject(space: space, name: name)
        if length == 0 {
            if leases.grants[subject]?.owner == peer.node { leases.grants[subject] = nil }
            return
        }
        // Whoever counts other members than this node does may find another majority.
        let isGranted = peer.isMember && view == membership.view && grant(subject, to: peer.node, .nanoseconds(Int64(length)), now)
        if isDirty { flush(now) }
        let kind = head.kind == .leaseWanted ? Frame.Kind.leaseGiven : .leaseAnswered
        var writer = Frame.writer(kind, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nonce)
        writer.spaceName(space)
        writer.string(name)
        writer.byte(isGranted ? 1 : 0)
        // The object itself, so that a majority of grants is a majority's knowledge too.
        let known = spaceNumbers[space].map { spaces[$0] }
        let objects = isGranted ? known.map { $0.table.all($0.hash(name), name) } ?? [] : []
        let all = Peer(node: peer.node, settings: settings)
        all.interest = PeerInterest()
        batch(of: objects, all).encode(into: &writer) { _ in true }
        if head.kind == .leaseWanted { encodeCompany(of: objects, all.interest, into: &writer) }
        transmit(writer.bytes, .state, to: peer)
    }

    mutating func takeLease(from peer: Peer, _ head: FrameHead, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let subject = Leases.Subject(space: try reader.spaceName(), name: try reader.string())
        let isGranted = try reader.byte() == 1
        let batch = try Batch(from: &reader)
        guard let claim = leases.claims[subject], claim.nonce == nonce else { return }
        let groups = try takeCompany(head.kind == .leaseGiven, &reader)
        guard isGranted else {
            leases.claims[subject]?.refusals += 1
            return
        }
        try mergeAnswer(batch, head, groups)
        if !claim.grants.contains(peer.node) { leases.claims[subject]?.grants.append(peer.node) }
        decide(subject, now)
    }

    private mutating func decide(_ subject: Leases.Subject, _ now: StateTime) {
        guard let claim = leases.claims[subject] else { return }
        let nodes = membership.others.map(\.node) + [node]
        guard Self.isMajority(claim.grants, of: nodes),
            membership.confirmed.isEmpty || Self.isMajority(claim.grants, of: membership.confirmed)
        else { return }
        let until = claim.askedAt + settings.lease - settings.leaseMargin
        // A new ownership is a new epoch, after all that the majority had seen.
        let isNew = claim.until.map { $0 <= now.instant } ?? true
        if isNew, !claim.isEpochHeard || anyObject(claim.key)?.epoch ?? .zero >= claim.epoch { return proposeEpoch(subject, now) }
        leases.claims[subject]?.until = max(claim.until ?? .zero, until)
    }

    /// Asks again for what somebody still waits for, and forgets what is over.
    mutating func renewLeases(_ now: StateTime) {
        var wanted: [ObjectKey] = []
        for wait in waits.list {
            if case .exclusive(let key) = wait.aim { wanted.append(key) }
        }
        for key in wanted where !owns(key, now) { seekLease(key, now) }
        let over = leases.claims.keys.filter { subject in
            guard let claim = leases.claims[subject] else { return true }
            return max(claim.until ?? .zero, claim.retryAt) + settings.lease < now.instant
        }
        let waiting = wanted.map { subject($0) }
        for subject in over.sorted(by: { ($0.space, $0.name) < ($1.space, $1.name) }) where !waiting.contains(subject) {
            leases.claims[subject] = nil
        }
        let ended = leases.grants.keys.filter { leases.grants[$0].map { $0.until <= now.instant } ?? true }
        for subject in ended.sorted(by: { ($0.space, $0.name) < ($1.space, $1.name) }) { leases.grants[subject] = nil }
    }

    // MARK: Rights of bounded counters

    func hasRights(_ key: ObjectKey, _ amount: Int64, _ now: StateTime) throws(StateError) -> Bool {
        try boundedRights(key, now) >= amount
    }

    /// Asks the nodes that hold most rights for what is missing here.
    mutating func seekRights(_ key: ObjectKey, _ amount: Int64, _ now: StateTime) {
        guard let object = try? reading(key, BoundedCounter.self, now) else { return }
        var missing = amount - object.content.rights(of: site)
        let holders = object.content.holders.filter { $0.site != site }.sorted { ($1.rights, $0.site) < ($0.rights, $1.site) }
        for holder in holders where missing > 0 {
            guard let peer = peers.first(where: { $0.site == holder.site && $0.isUp && $0.isMember }) else { continue }
            let asked = min(missing, holder.rights)
            missing -= asked
            var writer = Frame.writer(.rightsAsked, site: site, time: clock.now(wall: now.wallMilliseconds))
            writer.spaceName(name(of: key.space))
            writer.string(key.name)
            writer.varint(UInt64(asked))
            transmit(writer.bytes, .state, to: peer)
        }
    }

    mutating func answerRights(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let space = try reader.spaceName()
        let name = try reader.string()
        let asked = Int64(clamping: try reader.varint())
        try reader.finish()
        guard peer.isMember, let receiver = peer.site, let number = spaceNumbers[space] else { return }
        let key = ObjectKey(SpaceID(number), name)
        guard let object = try? reading(key, BoundedCounter.self, now) else { return }
        let held = object.content.rights(of: site)
        // All that is asked if it leaves half here, else half: two that ask by turns must not leave each other nothing.
        let given = min(asked, max(held / 2, held - asked, asked > held / 2 ? held / 2 : 0), held)
        let amount = given > 0 ? given : min(asked, held)
        guard amount > 0 else { return }
        _ = object.change { content, delta in
            try? content.transfer(amount, from: site, to: receiver, into: &delta)
        }
        changed(object, clock.now(wall: now.wallMilliseconds), now)
        counts.transfers += 1
        flush(now)
    }
}
