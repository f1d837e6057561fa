// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
public import BrumeModel

/// Why, and how far, this node keeps a namespace.
struct LocalInterest {
    /// Whether a policy keeps it here.
    var isPinned = false
    /// Users that hold it: functions, subscriptions.
    var users = 0
    /// When it was last asked for.
    var lastUsed = Instant.zero
    var wasUsed = false
    /// Whether this node keeps it.
    var isHeld = false
    /// Whether everything that others had when it was taken up has come.
    var isFilled = true
    /// A number that all comparisons have which began after this node took it up; zero where it was kept all along.
    var takenUp: UInt64 = 0
    /// Whether this node did not keep it before, so that it lacks what others had.
    var wasAbsent = false
    /// While it comes: up to where everything of others has come by those that were compared with since.
    var heard = VersionVector()
    /// From whom it has still to come.
    var sources: [NodeID] = []
    /// Whom this node has asked to keep it, so that it may drop it.
    var release: Release?
    /// Before which nobody is asked again.
    var quietUntil = Instant.zero
    /// Until when another node relies on this one keeping it.
    var promisedUntil = Instant.zero

    /// A question to others whether this node may drop a namespace.
    struct Release {
        let nonce: UInt64
        let until: Instant
        /// How many must promise.
        let needed: Int
        /// What the namespace's key spaces came to when it was asked: what came later nobody has promised to keep.
        let roots: [UInt64]
        /// How often it was asked again because something had come meanwhile.
        var turn = 0
        var waiting: [NodeID]
        var promised: [NodeID] = []
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
        // What all follow comes to a node that keeps nothing else.
        let policies = SpaceName.policies.namespace
        if knownNamespace(policies) == nil { names.append((policies, true)) }
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
            // Whoever does not know the members yet cannot count; what it kept it still keeps.
            guard membership.isKnown else { return false }
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
        namespace.interest.wasAbsent = true
        counts.takenUpNamespaces += 1
        expectAll(of: namespace)
        logInterest(in: namespace)
        for other in peers where other.isMember { pulls.request(other.node, full: true) }
        announceInterestSoon()
    }

    /// From here on the namespace is complete once every member that keeps it was compared with.
    mutating func expectAll(of namespace: Namespace) {
        nextNonce += 1
        namespace.interest.takenUp = nextNonce
        namespace.interest.heard = VersionVector()
        namespace.interest.sources = peers.filter { $0.isMember && $0.interest.keeps(namespace.name) }.map(\.node)
        namespace.interest.isFilled = namespace.interest.sources.isEmpty
        if namespace.interest.isFilled { namespace.interest.wasAbsent = false }
    }

    /// A comparison is over: what the peer had of the namespaces that came to be kept before it began is here.
    mutating func noteFilled(by peer: Peer, _ pull: Pull) {
        for namespace in namespaces where !namespace.interest.isFilled && namespace.interest.takenUp < pull.first {
            for entry in pull.vector.entries where pull.speaksForOthers || entry.site == peer.site {
                namespace.interest.heard.raise(entry.site, to: entry.sequence)
            }
            wasFilled(namespace, by: peer.node)
        }
    }

    /// A peer has given all that it had of a namespace, or has nothing to give.
    mutating func wasFilled(_ namespace: Namespace, by node: NodeID) {
        guard !namespace.interest.isFilled else { return }
        namespace.interest.sources.removeAll { $0 == node }
        guard namespace.interest.sources.isEmpty else { return }
        namespace.interest.isFilled = true
        namespace.interest.wasAbsent = false
        logInterest(in: namespace)
    }

    /// Takes note of what a peer says that it keeps.
    mutating func learn(_ interest: PeerInterest, of peer: Peer) {
        peer.interest = interest
        for namespace in namespaces where !namespace.interest.isFilled && !interest.keeps(namespace.name) {
            wasFilled(namespace, by: peer.node)
        }
    }

    /// A caller uses a key space: the node keeps its namespace from now on, and pulls what it lacks. O(1); call it with each run of
    /// commands, so that what is only read does not count as idle.
    public mutating func use(_ space: SpaceID, _ now: StateTime) { use(spaces[space.index].namespace, now) }

    @inline(__always) private mutating func use(_ namespace: Namespace, _ now: StateTime) {
        namespace.interest.lastUsed = now.instant
        namespace.interest.wasUsed = true
        if !namespace.interest.isHeld { takeUp(namespace) }
    }

    /// Keeps a namespace here as long as somebody holds it: a function, a subscription. Balanced by ``unpin(_:_:)``.
    public mutating func pin(_ namespace: String, _ now: StateTime) throws(StateError) {
        let space = try space(SpaceName(namespace))
        pin(space, now)
    }

    /// The same for a key space that is open.
    public mutating func pin(_ space: SpaceID, _ now: StateTime) {
        spaces[space.index].namespace.interest.users += 1
        use(space, now)
    }

    public mutating func unpin(_ space: SpaceID, _ now: StateTime) { unpin(spaces[space.index].namespace, now) }

    /// The same by name.
    public mutating func unpin(_ name: String, _ now: StateTime) {
        guard let namespace = knownNamespace(name) else { preconditionFailure("a namespace is unpinned as often as it was pinned") }
        unpin(namespace, now)
    }

    private mutating func unpin(_ namespace: Namespace, _ now: StateTime) {
        precondition(namespace.interest.users > 0, "a namespace is unpinned as often as it was pinned")
        namespace.interest.users -= 1
        namespace.interest.lastUsed = now.instant
    }

    /// Whether the key space is complete here: what every policy and every use so far has asked for has come.
    public func isPresent(_ space: SpaceID) -> Bool {
        let interest = spaces[space.index].namespace.interest
        return interest.isHeld && interest.isFilled
    }

    /// Whether this node may speak for a namespace where a number of nodes must have it: it keeps it, and has all that it should.
    func vouches(for name: String) -> Bool {
        guard let namespace = knownNamespace(name) else { return interest.keeps(name) }
        return namespace.interest.isHeld && !namespace.interest.wasAbsent
    }

    /// How many nodes keep all of some namespaces, this one included, whether they answer or not.
    private func keeperCount(_ names: [String]) -> Int {
        1 + peers.filter { peer in peer.isMember && names.allSatisfy { peer.interest.keeps($0) } }.count
    }

    /// Refuses what needs more nodes than keep the namespaces, since waiting would not help.
    ///
    /// - Throws: `StateError` (`unavailable`) that says what would.
    func checkKeepers(_ names: [String], atLeast count: Int) throws(StateError) {
        let nodes = membership.others.count + 1
        guard count <= nodes else {
            throw StateError(.unavailable, "The call asks for \(count) nodes, and the cluster has \(nodes); ask for fewer.")
        }
        let keepers = keeperCount(names)
        guard count > keepers, let name = names.first else { return }
        throw StateError(
            .unavailable,
            """
            The call needs \(count) nodes that keep '\(name)', and \(keepers) of \(nodes) do; ask for fewer, or have more nodes keep it, \
            for example with: brume state keep \(name) all
            """)
    }

    /// The peers that answer and have what this node lacks of a namespace.
    func suppliers(of namespace: Namespace) -> [Peer] {
        guard !namespace.interest.isFilled else { return [] }
        return peers.filter { $0.isMember && $0.isUp && namespace.interest.sources.contains($0.node) }
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
}
