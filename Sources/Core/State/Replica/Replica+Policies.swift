// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
public import BrumeModel

// Who keeps which namespace is said in a key space of Brume's own, a string for each namespace: every node keeps it and every node follows
// it, so all agree as soon as they have heard of one another, and the last word counts.

extension Replica {
    /// Says from now on, and on every node, who keeps a namespace; nil leaves it to the default.
    ///
    /// - Throws: `StateError`: `invalid` for a name that is none, or a number of copies beyond its bounds; `quota` where policies are said
    ///   for as many namespaces as a node may hold.
    public mutating func keep(_ name: String, _ policy: InterestPolicy?, _ now: StateTime) throws(StateError) {
        let key = try policyKey(name, policy)
        let word = Bytes(policy?.word ?? InterestPolicy.defaultWord)
        if let object = policyObject(key.name), object.content.value == word, !object.content.stamp.isOfStart { return }
        use(key.space, now)
        try set(key, word, now)
        adoptPolicy(of: name)
    }

    /// Says what `brume up` was told of a namespace: it counts until anybody says otherwise by ``keep(_:_:_:)``, on whatever node.
    ///
    /// - Throws: as `keep` does.
    public mutating func keepAtStart(_ name: String, _ policy: InterestPolicy, _ now: StateTime) throws(StateError) {
        let key = try policyKey(name, policy)
        let word = Bytes(policy.word)
        if let seen = policyObject(key.name), !seen.content.stamp.isOfStart || seen.content.value == word { return }
        use(key.space, now)
        let object = try writing(string: key, now)
        object.set(word, at: Stamp(time: HybridTime.zero.next, site: site))
        changed(object, clock.now(wall: now.wallMilliseconds), now)
        adoptPolicy(of: name)
    }

    private mutating func policyKey(_ name: String, _ policy: InterestPolicy?) throws(StateError) -> ObjectKey {
        _ = try SpaceName(name)
        if let policy { _ = try InterestPolicy(word: policy.word) }
        guard knownNamespace(name) != nil || namespaces.count < settings.spacesMax else {
            throw StateError(.quota, "This node knows \(namespaces.count) namespaces already; it is set to know no more.")
        }
        return ObjectKey(makeSpace(.policies).id, Bytes(name))
    }

    private func policyObject(_ name: Bytes) -> StringObject? {
        guard let number = spaceNumbers[.policies] else { return nil }
        let space = spaces[number]
        let found = space.table.all(space.hash(name), name).first { $0.kind == .string }
        return found.map { unsafe unsafeDowncast($0, to: StringObject.self) }
    }

    /// What was said of a namespace; nil where nothing was, or what this version does not understand.
    func policy(of name: String) -> InterestPolicy? {
        guard let text = policyObject(Bytes(name))?.content.value?.text else { return nil }
        return try? InterestPolicy(word: text)
    }

    /// Follows what other nodes have said, once what they sent is merged.
    mutating func adoptPolicies() {
        guard !changedPolicies.isEmpty else { return }
        let names = changedPolicies
        changedPolicies = []
        for name in names { adoptPolicy(of: name.text) }
    }

    private mutating func adoptPolicy(of name: String) {
        guard (try? SpaceName(name)) != nil else { return }
        // A node that knows as many as it may takes the default for the rest: it keeps more than it has to, and nothing is lost.
        guard knownNamespace(name) != nil || namespaces.count < settings.spacesMax else { return }
        let namespace = namespace(name)
        if readPolicy(of: namespace) {
            decideInterest(in: namespace)
            announceInterestSoon()
        }
    }

    /// Reads what was said of a namespace; answers whether that is news.
    private func readPolicy(of namespace: Namespace) -> Bool {
        let policy = policy(of: namespace.name)
        let interest = policy ?? settings.settings(for: namespace.name).interest
        guard namespace.hasPolicy != (policy != nil) || namespace.settings.interest != interest else { return false }
        namespace.hasPolicy = policy != nil
        namespace.settings.interest = interest
        return true
    }

    // MARK: After a start

    /// Decides what of the log this node still keeps.
    ///
    /// - Parameter wasKept: what the log says of a namespace last; nil where it says nothing.
    mutating func recoverInterest(_ now: StateTime, wasKept: (String) -> KeptState?) {
        if let number = spaceNumbers[.policies] {
            var names: [Bytes] = []
            spaces[number].table.forEach { names.append($0.name) }
            for name in names where (try? SpaceName(name.text)) != nil { _ = namespace(name.text) }
        }
        changedPolicies = []
        for namespace in namespaces {
            _ = readPolicy(of: namespace)
            let hasObjects = spaces.contains { $0.namespace === namespace && $0.table.count > 0 }
            var interest = LocalInterest()
            interest.isPinned = isPinned(namespace.name, namespace.settings.interest)
            let state = wasKept(namespace.name)
            // What was said while this node was away may keep here what it has never had, and what was being pulled is not whole: both
            // are taken up once the members are known.
            interest.isHeld = state.map { $0 == .whole } ?? (hasObjects || interest.isPinned && !namespace.hasPolicy)
            interest.wasUsed = state.map { $0 != .dropped } ?? false
            interest.lastUsed = now.instant
            namespace.interest = interest
            namespace.isWritten = hasObjects
        }
    }

    // MARK: Telling

    /// Who keeps a namespace, as this node knows.
    public func keeping(_ name: String) -> KeptNamespace {
        let namespace = knownNamespace(name)
        let interest = namespace?.interest ?? LocalInterest()
        let policy = namespace?.settings.interest ?? settings.settings(for: name).interest
        let isHeld = namespace.map { $0.interest.isHeld } ?? self.interest.keeps(name)
        var kept = KeptNamespace(name: name, policy: policy)
        kept.isDefault = !(namespace?.hasPolicy ?? false)
        kept.isKept = isHeld
        kept.isPinned = isPinned(name, policy)
        kept.isComplete = isHeld && interest.isFilled
        kept.users = interest.users
        kept.objects = namespace?.objects ?? 0
        kept.bytes = namespace?.bytes ?? 0
        kept.keepers = peers.filter { $0.isMember && $0.interest.keeps(name) }.map { KeptNamespace.Keeper(node: $0.node, isUp: $0.isUp) }
        if isHeld { kept.keepers.append(KeptNamespace.Keeper(node: node, isUp: true)) }
        kept.keepers.sort { $0.node < $1.node }
        return kept
    }

    /// The same of every namespace that has objects here, or a policy of its own, by name.
    public func keeping() -> [KeptNamespace] {
        namespaces.filter { !$0.isOwn && ($0.objects > 0 || $0.hasPolicy || $0.interest.users > 0) }.map { keeping($0.name) }
    }
}

/// Who keeps a namespace.
public struct KeptNamespace: Sendable, Hashable {
    public var name: String
    /// What is in force.
    public var policy: InterestPolicy
    /// Whether that is the default, because nobody has said anything of this namespace.
    public var isDefault = true
    /// Whether this node keeps it, for whatever reason.
    public var isKept = false
    /// Whether its policy keeps it here.
    public var isPinned = false
    /// Whether this node has all of it.
    public var isComplete = false
    /// What holds it here beside the policy: functions, and subscriptions that are open.
    public var users = 0
    /// Objects, and their bytes, approximately, on this node.
    public var objects = 0
    public var bytes = 0
    /// The nodes that keep it, this one included, by node.
    public var keepers: [Keeper] = []

    /// A node that keeps a namespace.
    public struct Keeper: Sendable, Hashable {
        public var node: NodeID
        /// Whether frames reach it at the moment.
        public var isUp: Bool
    }

    init(name: String, policy: InterestPolicy) {
        self.name = name
        self.policy = policy
    }
}

extension Stamp {
    /// Whether it is of a start: earlier than any clock tells, so that whatever anybody says later wins, also what was said before.
    fileprivate var isOfStart: Bool { time.milliseconds == 0 }
}
