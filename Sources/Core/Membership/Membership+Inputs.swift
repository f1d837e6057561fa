// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What the owner tells.
extension Membership {
    /// Asks these nodes for the list, again and again until each has answered. The link must know a way to them.
    public mutating func join(_ seeds: [NodeID], now: Instant) -> MembershipOutput {
        for seed in seeds where seed != own.id { contact(seed, tries: .max, now: now) }
        return finish(now)
    }

    /// A connection to a peer stands: the two compare what they know.
    public mutating func linkUp(_ peer: NodeID, now: Instant) -> MembershipOutput {
        guard !isSilent, peer != own.id else { return finish(now) }
        switch roster[peer]?.record.status {
        case .alive, .suspect: send(.digest(digest), to: peer)
        case .removed: send(.gossip, to: peer)
        case .dead, .left, nil: reach(peer, tries: Self.linkTries, now: now)
        }
        return finish(now)
    }

    /// A connection to a peer was lost: the peer is probed at once instead of when its turn comes.
    public mutating func linkDown(_ peer: NodeID, now: Instant) -> MembershipOutput {
        if !isSilent, standing == .taking, roster[peer]?.record.status.isPresent ?? false { startProbe(peer, now: now) }
        return finish(now)
    }

    /// A frame of kind ``LinkKind/membership`` came from a peer whose identity the link has checked.
    public mutating func receive(_ frame: [UInt8], from peer: NodeID, now: Instant) -> MembershipOutput {
        guard !isSilent else { return MembershipOutput() }
        counts.framesReceived += 1
        let message: MembershipMessage
        do {
            message = try MembershipMessage(decoding: frame)
        } catch {
            counts.framesRefused += 1
            output.events.append(.refused(from: peer, reason: error.message))
            return finish(now)
        }
        if roster[peer]?.record.status == .removed {
            // It may not know: what is sent to it begins with the record about itself.
            send(.gossip, to: peer)
            return finish(now)
        }
        for record in message.records where !isSilent { merge(message.body.isList ? doubted(record, by: peer) : record, now: now) }
        // A frame from this node itself is a loop of the link, or another process with its identity; its records told which.
        guard !isSilent, peer != own.id else { return finish(now) }
        heard(message.body, from: peer, now: now)
        answer(message, from: peer, now: now)
        return finish(now)
    }

    private mutating func answer(_ message: MembershipMessage, from peer: NodeID, now: Instant) {
        var hasReplied = false
        switch message.body {
        case .ping(let number):
            send(.ack(number), to: peer)
            hasReplied = true
        case .ack(let number): acknowledged(number, by: peer, now: now)
        case .pingRequest(let number, let target): relay(number, target: target, origin: peer, now: now)
        case .nack(let number): nacked(number)
        case .digest(let sum):
            if sum != digest {
                sendList(to: peer, wantsReply: true)
                hasReplied = true
            }
        case .list(let wantsReply):
            contacts.removeAll { $0.id == peer }
            if wantsReply {
                sendList(to: peer, wantsReply: false)
                hasReplied = true
            }
        case .ask(let drain):
            if own.isDraining != drain { output.events.append(.askedToDrain(drain, by: peer)) }
            setDrain(drain, now: now)
        case .gossip: break
        }
        guard let entry = roster[peer] else { return contact(peer, tries: Self.linkTries, now: now) }
        // It speaks, and yet it is held for dead, or another process is held for it: it must hear that, to contradict.
        let isAnother = entry.record.session != message.session
        if isAnother || entry.record.status == .dead && !hasReplied { send(.gossip, to: peer, tellsItself: true) }
    }

    /// Time has passed. Calling it early or often does no harm.
    public mutating func tick(now: Instant) -> MembershipOutput {
        guard !isSilent else { return MembershipOutput() }
        forgiveStandstill(now: now)
        advanceProbes(now: now)
        advanceRelays(now: now)
        buryOverdue(now: now)
        if standing == .taking {
            startPeriod(now: now)
            advanceContacts(now: now)
            advanceDrainAsks(now: now)
            compareLists(now: now)
        }
        if now >= nextGossip, !news.isEmpty, !roster.present.isEmpty { gossip(now: now) }
        promisedWake = now
        return finish(now)
    }

    /// When ``tick(now:)`` has something to do, if nothing else happens before.
    public var nextWake: Instant {
        guard !isSilent else { return .distantFuture }
        var wake = Instant.distantFuture
        for probe in probes { wake = min(wake, probe.hasAskedOthers ? probe.ends : min(probe.asksOthersAt, probe.ends)) }
        for relay in relays { wake = min(wake, relay.hasNacked ? relay.ends : min(relay.nackAt, relay.ends)) }
        for id in roster.suspects { wake = min(wake, roster[id]?.deadline(settings) ?? wake) }
        if !roster.present.isEmpty, !news.isEmpty { wake = min(wake, nextGossip) }
        guard standing == .taking else { return wake }
        if !roster.present.isEmpty { wake = min(wake, nextProbe, nextSync) }
        if !roster.dead.isEmpty { wake = min(wake, nextReconnect) }
        for contact in contacts { wake = min(wake, contact.next) }
        for ask in drainAsks { wake = min(wake, ask.next) }
        return wake
    }

    /// Says goodbye, at once to some and by gossip to all. The owner goes on ticking until ``hasSaidGoodbye`` or its patience ends.
    public mutating func leave(now: Instant) -> MembershipOutput {
        guard standing == .taking else { return finish(now) }
        standing = .left
        probes = []
        contacts = []
        revision += 1
        news.add(own.id)
        for peer in pick(Self.goodbyes, now: now) { send(.gossip, to: peer) }
        return finish(now)
    }

    /// Whether the goodbye went round often enough, or nobody is there to hear it.
    public var hasSaidGoodbye: Bool {
        standing != .taking && (roster.present.isEmpty || !news.items.contains { $0.id == own.id })
    }

    /// Tells the others that this node wants no new work, or that it does again.
    public mutating func drain(_ isDraining: Bool, now: Instant) -> MembershipOutput {
        setDrain(isDraining, now: now)
        return finish(now)
    }

    /// Asks another member to drain, or to cease, until its record shows it; gives up after some seconds.
    ///
    /// - Throws: `BrumeError` (`notFound`, `unavailable`) unless the node is a member that takes part.
    public mutating func askToDrain(_ id: NodeID, _ drain: Bool, now: Instant) throws(BrumeError) -> MembershipOutput {
        if id == own.id { return self.drain(drain, now: now) }
        guard let record = roster[id]?.record else {
            throw BrumeError(.notFound, "No node \(id) is known here; `brume node list` shows the members.")
        }
        guard record.status.isPresent else {
            throw BrumeError(.unavailable, "Node \(id) is \(record.status.word) and cannot be asked to drain; try when it is back.")
        }
        drainAsks.removeAll { $0.id == id }
        if record.isDraining != drain {
            drainAsks.append(DrainAsk(id: id, drain: drain, next: now + settings.probePeriod, tries: Self.drainTries))
            send(.ask(drain: drain), to: id)
        }
        return finish(now)
    }

    /// Changes what this node tells about itself.
    public mutating func setMeta(_ meta: MemberMeta, now: Instant) -> MembershipOutput {
        if own.meta != meta, standing == .taking {
            own.meta = meta
            beginIncarnation(after: own.incarnation, now: now)
        }
        return finish(now)
    }

    /// Expels a node for good, whether it is a member or not: everybody refuses it from now on.
    ///
    /// - Throws: `BrumeError` (`invalid`) for this node itself.
    public mutating func remove(_ id: NodeID, now: Instant) throws(BrumeError) -> MembershipOutput {
        guard id != own.id else {
            throw BrumeError(.invalid, "A node cannot remove itself; run `brume node remove \(id)` at another node, or stop this one.")
        }
        var record = roster[id]?.record ?? MemberRecord(id: id, incarnation: 0, session: 0, meta: .empty)
        guard record.status != .removed else { return finish(now) }
        record.status = .removed
        record.accusers = [own.id]
        apply(record, now: now)
        send(.gossip, to: id)
        return finish(now)
    }

    /// The owner learned otherwise that the cluster removed this node.
    public mutating func expel(now: Instant) -> MembershipOutput {
        var record = own
        record.status = .removed
        if standing != .expelled { merge(record, now: now) }
        return finish(now)
    }

    /// How often a peer that called is asked for its list.
    private static let linkTries = 5
    /// To how many a goodbye is said directly.
    private static let goodbyes = 8
    /// How often a node is asked to drain, once in a probe period.
    private static let drainTries = 10

    func isOverdue(_ now: Instant) -> Bool { promisedWake != .distantFuture && now - promisedWake > settings.stall }

    private mutating func setDrain(_ isDraining: Bool, now: Instant) {
        guard own.isDraining != isDraining, standing == .taking else { return }
        own.isDraining = isDraining
        beginIncarnation(after: own.incarnation, now: now)
    }

    private mutating func finish(_ now: Instant) -> MembershipOutput {
        // Whoever is overdue stays so until it ticks, whatever it reads before.
        if !isOverdue(now) { promisedWake = max(now, nextWake) }
        defer { output = MembershipOutput() }
        return output
    }
}
