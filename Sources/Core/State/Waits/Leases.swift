// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

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
        let fenced = StateError(.fenced, "This node does not own the object, or not any more; ask for it again.")
        guard owns(key, now), let claim = leases.claims[subject(key)] else { throw fenced }
        let reached = anyObject(key)?.epoch.time.rawValue ?? 0
        guard reached < claim.epoch.time.rawValue + Leases.deletionsMax else {
            leases.claims[subject(key)] = nil
            throw fenced
        }
        leases.writing = claim.epoch
        defer { leases.writing = nil }
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

    /// The epoch in which an object begins anew: an owner's lies between its own and the next owner's, whatever its clock says.
    func epochAfter(_ object: StateObject, _ stamp: Stamp) -> Stamp {
        guard let writing = leases.writing else { return stamp.after(object.epoch) }
        return writing.after(object.epoch)
    }

    private func anyObject(_ key: ObjectKey) -> StateObject? {
        let space = spaces[key.space.index]
        return space.table.find(space.hash(key.name), key.name)
    }

    /// How many nodes a write by an owner must reach before it counts: a majority.
    public var majority: Int { (membership.others.count + 1) / 2 + 1 }

    /// Gives up an object that this node owns.
    public mutating func release(_ key: ObjectKey, _ now: StateTime) {
        let subject = subject(key)
        guard let claim = leases.claims.removeValue(forKey: subject) else { return }
        for peer in peers where peer.isMember && peer.isUp { ask(claim, .zero, peer, now) }
        leases.forget(subject)
    }

    // MARK: Asking

    mutating func seekLease(_ key: ObjectKey, _ now: StateTime) {
        let subject = subject(key)
        if let claim = leases.claims[subject], claim.retryAt > now.instant { return }
        nextNonce += 1
        var claim = Leases.Claim(
            key: key, nonce: nextNonce, askedAt: now.instant, retryAt: now.instant + .milliseconds(Int64(random.draw(200...600))))
        // What this node owns it may not forget while it asks again.
        claim.until = leases.claims[subject]?.until
        askAll(subject, claim, now)
    }

    private mutating func askAll(_ subject: Leases.Subject, _ claim: Leases.Claim, _ now: StateTime) {
        leases.claims[subject] = claim
        let question = Leases.Question(owner: node, site: site, nonce: claim.nonce, length: settings.lease, epoch: claim.epoch)
        if let floor = grant(subject, question, now) { count(node, floor, subject, now) }
        for peer in peers where peer.isMember && peer.isUp { ask(claim, settings.lease, peer, now) }
        decide(subject, now)
    }

    /// Asks once more, after a majority has told which epochs were before: the second question carries that of the new owner.
    private mutating func proposeEpoch(_ subject: Leases.Subject, _ now: StateTime) {
        guard var claim = leases.claims[subject] else { return }
        nextNonce += 1
        let before = max(claim.floor, anyObject(claim.key)?.epoch ?? .zero).time.milliseconds
        claim.nonce = nextNonce
        claim.epoch = Stamp(time: max(stamp(now).time, HybridTime(milliseconds: before + Leases.apartMilliseconds)), site: site)
        claim.heard = claim.grants
        claim.heardUntil = claim.askedAt + settings.lease - settings.leaseMargin
        claim.askedAt = now.instant
        claim.grants = []
        askAll(subject, claim, now)
    }

    /// Takes note of a grant, unless the object may have been another's there between the two questions.
    private mutating func count(_ granter: NodeID, _ floor: Stamp, _ subject: Leases.Subject, _ now: StateTime) {
        guard var claim = leases.claims[subject], !claim.grants.contains(granter) else { return }
        if claim.epoch == .zero {
            claim.floor = max(claim.floor, floor)
        } else {
            guard floor <= claim.epoch || claim.heard.contains(granter) && now.instant < claim.heardUntil else { return }
        }
        claim.grants.append(granter)
        leases.claims[subject] = claim
    }

    private mutating func decide(_ subject: Leases.Subject, _ now: StateTime) {
        guard let claim = leases.claims[subject] else { return }
        let nodes = membership.others.map(\.node) + [node]
        guard Self.isMajority(claim.grants, of: nodes),
            membership.confirmed.isEmpty || Self.isMajority(claim.grants, of: membership.confirmed)
        else { return }
        // An object may have come with the grants whose epoch nobody was asked about: a deletion by who does not own it.
        let isNew = claim.until.map { $0 <= now.instant } ?? true
        if claim.epoch == .zero || isNew && anyObject(claim.key)?.epoch ?? .zero >= claim.epoch { return proposeEpoch(subject, now) }
        leases.claims[subject]?.until = max(claim.until ?? .zero, claim.askedAt + settings.lease - settings.leaseMargin)
    }

    private mutating func ask(_ claim: Leases.Claim, _ length: Duration, _ peer: Peer, _ now: StateTime) {
        let time = clock.now(wall: now.wallMilliseconds)
        // Frames of before version 4 have no room for an epoch; their time stands for it.
        guard peer.version >= 4 || claim.epoch.time <= time else { return }
        let kind: Frame.Kind = peer.version >= 4 ? .ownershipWanted : peer.version >= 3 ? .leaseWanted : .leaseAsked
        var writer = Frame.writer(kind, site: site, time: time)
        writer.varint(claim.nonce)
        writer.spaceName(name(of: claim.key.space))
        writer.string(claim.key.name)
        writer.varint(UInt64(length.wholeNanoseconds))
        writer.fixed(membership.view)
        if kind == .ownershipWanted { writer.value(claim.epoch) }
        transmit(writer.bytes, .state, to: peer)
    }

    mutating func takeLease(from peer: Peer, _ head: FrameHead, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let subject = Leases.Subject(space: try reader.spaceName(), name: try reader.string())
        let isGranted = try reader.byte() == 1
        let batch = try Batch(from: &reader)
        guard let claim = leases.claims[subject], claim.nonce == nonce else { return }
        // Who answers in an older form has no more to tell than its time.
        var floor = Stamp(time: head.time, site: head.site)
        if head.kind == .ownershipGiven { floor = try Stamp(from: &reader) }
        let groups = try takeCompany(head.kind != .leaseAnswered, &reader)
        guard isGranted else { return }
        try mergeAnswer(batch, head, groups)
        count(peer.node, floor, subject, now)
        decide(subject, now)
    }

    /// Asks again for what somebody still waits for, and forgets what is over.
    mutating func renewLeases(_ now: StateTime) {
        var wanted: [ObjectKey] = []
        for wait in waits.list {
            if case .exclusive(let key) = wait.aim { wanted.append(key) }
        }
        for key in wanted where !owns(key, now) { seekLease(key, now) }
        leases.forgetEnded(now.instant, grace: settings.lease, except: wanted.map { subject($0) })
    }

    // MARK: Granting

    mutating func answerLease(from peer: Peer, _ head: FrameHead, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let space = try reader.spaceName()
        let name = try reader.string()
        let nanoseconds = try reader.varint()
        let view = try reader.fixed()
        let isWhole = head.kind == .ownershipWanted
        let epoch = isWhole ? try Stamp(from: &reader) : Stamp(time: head.time, site: head.site)
        try reader.finish()
        guard nanoseconds <= UInt64(Duration.seconds(600).wholeNanoseconds) else { throw reader.failure(.impossible) }
        let subject = Leases.Subject(space: space, name: name)
        let length = Duration.nanoseconds(Int64(nanoseconds))
        let question = Leases.Question(owner: peer.node, site: head.site, nonce: nonce, length: length, epoch: epoch)
        if length == .zero { return takeBack(subject, question) }
        let time = clock.now(wall: now.wallMilliseconds)
        // Whoever counts other members than this node does may find another majority; an answer in an older form can tell of no epoch
        // that is later than its time.
        var floor: Stamp?
        if peer.isMember, view == membership.view, isWhole || leases.floor(of: subject).time < time {
            floor = grant(subject, question, now)
        }
        if isDirty { flush(now) }
        let kind: Frame.Kind = isWhole ? .ownershipGiven : head.kind == .leaseWanted ? .leaseGiven : .leaseAnswered
        var writer = Frame.writer(kind, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nonce)
        writer.spaceName(space)
        writer.string(name)
        writer.byte(floor == nil ? 0 : 1)
        // The object itself, so that a majority of grants is a majority's knowledge too.
        let known = spaceNumbers[space].map { spaces[$0] }
        let objects = floor == nil ? [] : known.map { $0.table.all($0.hash(name), name) } ?? []
        let all = Peer(node: peer.node, settings: settings)
        all.interest = PeerInterest()
        batch(of: objects, all).encode(into: &writer) { _ in true }
        if isWhole { writer.value(floor ?? .zero) }
        if kind != .leaseAnswered { encodeCompany(of: objects, all.interest, into: &writer) }
        transmit(writer.bytes, .state, to: peer)
    }

    private mutating func takeBack(_ subject: Leases.Subject, _ question: Leases.Question) {
        // What comes late must not take back what was granted anew meanwhile.
        guard let grant = leases.grants[subject], grant.owner == question.owner, grant.site == question.site, grant.nonce <= question.nonce
        else { return }
        leases.forget(subject)
    }

    /// Grants an object unless another node has it, or the epoch could be forgotten by a crash; answers which epoch was the last before.
    private mutating func grant(_ subject: Leases.Subject, _ question: Leases.Question, _ now: StateTime) -> Stamp? {
        guard now.instant >= leases.silentUntil || membership.others.isEmpty else { return nil }
        // Who grants says what earlier owners wrote, too: so it must have that.
        guard vouches(for: subject.space.namespace) else { return nil }
        guard !leases.isTaken(subject, for: question.owner, now.instant) else { return nil }
        guard canPromise(question.epoch, now) else { return nil }
        if !leases.hasGranted {
            leases.hasGranted = true
            leases.raise(to: Stamp(time: clock.last, site: Leases.lastSite))
        }
        let floor = leases.floor(of: subject)
        leases.grant(subject, question, now.instant)
        return floor
    }

    /// Whether a later run of this node would know that the epoch is over; else the log is told, and the asker asks again.
    ///
    /// It begins with what its clock says once the time has passed in which it grants nothing.
    private mutating func canPromise(_ epoch: Stamp, _ now: StateTime) -> Bool {
        guard epoch > .zero else { return true }
        if epoch.time > leases.logged.time {
            let ahead = HybridTime(milliseconds: epoch.time.milliseconds + Leases.aheadMilliseconds)
            leases.logged = Leases.Mark(time: ahead, record: nextRecord)
            isVectorUnsaved = true
            var writer = logWriter(.epochs)
            writer.value(ahead)
            record(writer, now: true)
        }
        let soon = now.wallMilliseconds + UInt64(settings.lease.wholeNanoseconds / 1_000_000)
        return leases.logged.record <= loggedRecord || epoch.time.milliseconds <= soon
    }
}
