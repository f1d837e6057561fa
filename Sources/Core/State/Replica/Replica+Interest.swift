// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
public import BrumeModel

/// Why, and how far, this node keeps a namespace.
struct LocalInterest {
    /// Whether a policy keeps it here.
    var isPinned = false
    /// Users that hold it: running functions, subscriptions.
    var users = 0
    /// When it was last asked for.
    var lastUsed = Instant.zero
    var wasUsed = false
    /// Whether this node keeps it.
    var isHeld = false
    /// Whether everything that others had when it was taken up has come.
    var isFilled = true
    /// A number that all comparisons have which began after this node took it up.
    var takenUp: UInt64 = 0
    /// From whom it has still to come.
    var sources: [NodeID] = []
    /// Who was asked whether this node may drop it, when, and under which number.
    var release: (nonce: UInt64, waiting: [NodeID], until: Instant)?
    /// Until when another node relies on this one keeping it.
    var promisedUntil = Instant.zero

    mutating func wasFilled(by node: NodeID) {
        guard !isFilled else { return }
        sources.removeAll { $0 == node }
        if sources.isEmpty { isFilled = true }
    }
}

extension Replica {
    /// What this replica tells others that it keeps.
    var interest: PeerInterest {
        var interest = PeerInterest()
        let standard = settings.standard.interest
        interest.others = isPinned("", standard)
        // A policy that counts copies decides for each namespace by name, so none is kept unheard of.
        if case .copies = standard { interest.others = false }
        var names = namespaces.map { ($0.name, $0.interest.isHeld) }
        for name in settings.namespaces.keys.sorted() where knownNamespace(name) == nil {
            names.append((name, isPinned(name, settings.settings(for: name).interest)))
        }
        names.sort { $0.0 < $1.0 }
        interest.named = names.filter { $0.1 != interest.others }.map { PeerInterest.Named(namespace: $0.0, isKept: $0.1) }
        return interest
    }

    /// Whether a policy keeps the namespace on this node.
    func isPinned(_ namespace: String, _ policy: InterestPolicy) -> Bool {
        switch policy {
        case .used: return false
        case .all: return true
        case .edge: return settings.tier == .edge
        case .cloud: return settings.tier == .cloud
        case .copies(let count):
            // The nodes with the largest hashes of node and namespace: all agree, and a new member moves few namespaces.
            let mine = rank(node, namespace)
            return membership.others.filter { rank($0.node, namespace) > mine }.count < count
        }
    }

    private func rank(_ node: NodeID, _ namespace: String) -> UInt64 {
        stableHash(Bytes(node.description + "/" + namespace), seed: 11)
    }

    /// Decides whether this node keeps a namespace; what it does not keep any more is dropped only when another node says it has it.
    mutating func decideInterest(in namespace: Namespace) {
        namespace.interest.isPinned = isPinned(namespace.name, namespace.settings.interest)
        let wants = namespace.interest.isPinned || namespace.interest.users > 0 || namespace.interest.wasUsed
        if wants, !namespace.interest.isHeld { takeUp(namespace) }
    }

    private mutating func takeUp(_ namespace: Namespace) {
        namespace.interest.isHeld = true
        nextNonce += 1
        namespace.interest.takenUp = nextNonce
        logInterest(in: namespace)
        let others = peers.filter(\.isMember).map(\.node)
        namespace.interest.sources = others
        namespace.interest.isFilled = others.isEmpty
        for other in others { pulls.request(other, full: true) }
        announceInterestSoon()
    }

    /// A caller uses a key space: the node keeps its namespace from now on, and pulls what it lacks. O(1); call it with each run of
    /// commands, so that what is only read does not count as idle.
    public mutating func use(_ space: SpaceID, _ now: StateTime) {
        let namespace = spaces[space.index].namespace
        namespace.interest.lastUsed = now.instant
        if namespace.interest.isHeld {
            namespace.interest.wasUsed = true
            return
        }
        namespace.interest.wasUsed = true
        takeUp(namespace)
    }

    /// Keeps a namespace here as long as somebody holds it: a running function, a subscription. Balanced by ``unpin(_:_:)``.
    public mutating func pin(_ space: SpaceID, _ now: StateTime) {
        spaces[space.index].namespace.interest.users += 1
        use(space, now)
    }

    public mutating func unpin(_ space: SpaceID, _ now: StateTime) {
        let namespace = spaces[space.index].namespace
        precondition(namespace.interest.users > 0, "a namespace is unpinned as often as it was pinned")
        namespace.interest.users -= 1
        namespace.interest.lastUsed = now.instant
    }

    /// Whether the key space is complete here: what every policy and every use so far has asked for has come.
    public func isPresent(_ space: SpaceID) -> Bool {
        let interest = spaces[space.index].namespace.interest
        return interest.isHeld && interest.isFilled
    }

    /// The nodes that keep a key space, this one included: for sending a call to where its state is.
    public func holders(of space: SpaceID) -> [NodeID] {
        let namespace = spaces[space.index].namespace
        let others = peers.filter { $0.isMember && $0.isUp && $0.interest.keeps(namespace.name) }.map(\.node)
        return namespace.interest.isHeld ? ([node] + others).sorted() : others
    }

    mutating func announceInterestSoon() {
        for peer in peers {
            peer.tellsInterest = true
            peer.statusDue = .zero
        }
    }

    mutating func announceInterest(_ now: StateTime) {
        announceInterestSoon()
    }

    // MARK: Dropping

    /// How long a node that says it keeps a namespace keeps it for the one that asked.
    private static let promise = Duration.seconds(60)

    /// Asks others to keep what nobody here has used for long.
    mutating func releaseIdle(_ now: StateTime) {
        for namespace in namespaces where namespace.interest.isHeld {
            let interest = namespace.interest
            guard !interest.isPinned, interest.users == 0, now.instant - interest.lastUsed >= namespace.settings.idle,
                interest.promisedUntil <= now.instant, interest.isFilled, (interest.release?.until ?? .zero) <= now.instant
            else { continue }
            let others = peers.filter { $0.isMember && $0.isUp && $0.interest.keeps(namespace.name) }
            guard !others.isEmpty else { continue }
            nextNonce += 1
            namespace.interest.release = (nextNonce, others.map(\.node), now.instant + .seconds(10))
            for peer in others { askRelease(namespace, peer, now) }
        }
    }

    private mutating func askRelease(_ namespace: Namespace, _ peer: Peer, _ now: StateTime) {
        var writer = Frame.writer(.releaseAsked, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nextNonce)
        writer.string(Bytes(namespace.name))
        let mine = spaces.filter { $0.namespace === namespace && $0.count > 0 }
        writer.count(mine.count)
        for space in mine {
            writer.spaceName(space.name)
            writer.fixed(space.root)
        }
        transmit(writer.bytes, .bulk, to: peer)
    }

    /// Promises to keep a namespace if this node has, durably, all that the other one has of it.
    mutating func answerRelease(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let name = try reader.string().text
        var isEqual = true
        for _ in 0..<(try reader.count(entryBytes: 10)) {
            let space = try reader.spaceName()
            let root = try reader.fixed()
            isEqual = isEqual && spaceNumbers[space].map { spaces[$0].root } == root
        }
        try reader.finish()
        var promises = false
        if let namespace = knownNamespace(name), isEqual, namespace.interest.isHeld, namespace.interest.isFilled,
            namespace.interest.release == nil
        {
            namespace.interest.promisedUntil = now.instant + Self.promise
            promises = true
        }
        var writer = Frame.writer(.releaseAnswered, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nonce)
        writer.string(Bytes(name))
        writer.byte(promises ? 1 : 0)
        transmit(writer.bytes, .bulk, to: peer)
    }

    mutating func takeRelease(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let name = try reader.string().text
        let promises = try reader.byte() == 1
        try reader.finish()
        guard let namespace = knownNamespace(name), let release = namespace.interest.release, release.nonce == nonce,
            release.until > now.instant
        else { return }
        guard promises else {
            namespace.interest.release?.waiting.removeAll { $0 == peer.node }
            // Both may have asked each other at once: each waits another random while before it asks again.
            if namespace.interest.release?.waiting.isEmpty ?? true {
                namespace.interest.release = nil
                namespace.interest.lastUsed =
                    now.instant - namespace.settings.idle + .milliseconds(Int64(random.draw(1_000...10_000)))
            }
            return
        }
        let isUnused = namespace.interest.users == 0 && now.instant - namespace.interest.lastUsed >= namespace.settings.idle
        let isClean = !spaces.contains { $0.namespace === namespace && !$0.dirty.isEmpty }
        guard isUnused, isClean, durableBatch + 1 >= nextBatch, peer.durable >= peer.sent else { return namespace.interest.release = nil }
        drop(namespace, now)
        announceInterestSoon()
    }

    /// Forgets a namespace's objects here; another node has them.
    ///
    /// This replica's counts in them are forgotten too, so it must never count on under the same identity.
    private mutating func drop(_ namespace: Namespace, _ now: StateTime) {
        namespace.interest = LocalInterest()
        counts.droppedNamespaces += 1
        forgetObjects(of: namespace)
        logInterest(in: namespace)
        reincarnate(as: SiteID(rawValue: random.next()), now)
    }

    /// Takes every object of a namespace out, without a word to anybody.
    mutating func forgetObjects(of namespace: Namespace) {
        for space in spaces where space.namespace === namespace {
            var all: [StateObject] = []
            space.table.forEach { all.append($0) }
            for object in all { space.drop(object) }
            space.stale = []
            space.shells = []
            space.unsaved.fill()
        }
    }
}
