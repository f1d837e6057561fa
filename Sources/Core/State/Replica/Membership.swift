// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
public import BrumeModel

/// A node of the cluster.
public struct StateMember: Sendable, Hashable {
    public var node: NodeID
    public var tier: NodeTier

    public init(node: NodeID, tier: NodeTier) {
        self.node = node
        self.tier = tier
    }
}

/// Who belongs to the cluster, as far as this replica was told, and what follows for what is known everywhere.
struct Membership {
    /// Members other than this node, by node.
    var others: [StateMember] = []
    /// All that anybody did before this moment is here for good.
    var watermark = HybridTime.zero
    /// Members with whom this replica must compare before it may say so of a later moment: one of them began anew, or this one did.
    var holds: [NodeID] = []
    /// A digest of the set of members, this node included.
    var view: UInt64 = 0
    /// The last set of which a majority of its members said that they know it; ownership needs a majority of both.
    var confirmed: [NodeID] = []
    /// Whether what this replica held may have been lost, so that it must compare with everybody.
    var isRecovering = false
    /// Whether anybody has said who belongs to it.
    var isKnown: Bool { !confirmed.isEmpty }

    mutating func holdForAll() { holds = others.map(\.node) }

    mutating func release(_ node: NodeID) { holds.removeAll { $0 == node } }
}

extension Replica {
    /// Tells who belongs to the cluster: all that were not removed for good, reachable or not.
    ///
    /// What a removed node did not acknowledge is not waited for any more. A removed node that comes back must begin with an empty
    /// replica: what it kept may tell of objects whose end is forgotten.
    public mutating func members(_ list: [StateMember], _ now: StateTime) {
        let others = list.filter { $0.node != node }.sorted { $0.node < $1.node }
        let isFirst = membership.confirmed.isEmpty
        membership.others = others
        let nodes = others.map(\.node) + [node]
        membership.view = Self.view(of: nodes)
        if isFirst { membership.confirmed = nodes.sorted() }
        for peer in peers where !others.contains(where: { $0.node == peer.node }) {
            peer.isRemoved = peer.isRemoved || peer.isMember
            peer.isMember = false
            membership.release(peer.node)
        }
        for member in others {
            let peer = makePeer(member.node)
            peer.tier = member.tier
            peer.isRemoved = false
            guard !peer.isMember else { continue }
            peer.isMember = true
            peer.tellsInterest = true
            // A new member may bring what nobody here has.
            if !membership.holds.contains(member.node) { membership.holds.append(member.node) }
        }
        if membership.isRecovering {
            membership.isRecovering = false
            membership.holdForAll()
        }
        for namespace in namespaces {
            decideInterest(in: namespace)
            // What was taken up before anybody was known has still to come.
            if isFirst, namespace.interest.takenUp > 0 { expectAll(of: namespace) }
        }
        announceInterestSoon()
        confirmView()
        trimRing()
        advanceStability()
        checkWaits(now)
    }

    static func view(of nodes: [NodeID]) -> UInt64 {
        nodes.reduce(0) { $0 &+ stableHash(Bytes($1.description), seed: 7) }
    }

    /// Takes the current set of members as the one that decides, once majorities of it and of the former one know it.
    mutating func confirmView() {
        let nodes = (membership.others.map(\.node) + [node]).sorted()
        guard nodes != membership.confirmed else { return }
        let knowing = [node] + peers.filter { $0.view == membership.view }.map(\.node)
        guard Self.isMajority(knowing, of: nodes), Self.isMajority(knowing, of: membership.confirmed) else { return }
        membership.confirmed = nodes
    }

    static func isMajority(_ some: [NodeID], of all: [NodeID]) -> Bool {
        all.filter { some.contains($0) }.count * 2 > all.count
    }

    /// Frames reach the node from now on.
    public mutating func peerUp(_ node: NodeID, _ now: StateTime) {
        guard node != self.node else { return }
        let peer = makePeer(node)
        peer.isUp = true
        peer.isBlocked = false
        peer.isBulkBlocked = false
        peer.tellsInterest = true
        peer.assembly = Assembly()
        peer.hellos = 0
        peer.rewind(to: peer.acked)
        sendStatus(to: peer, now)
        pulls.request(node, full: membership.holds.contains(node))
        checkWaits(now)
    }

    /// Frames do not reach the node any more.
    public mutating func peerDown(_ node: NodeID, _ now: StateTime) {
        guard let peer = find(node) else { return }
        peer.isUp = false
        peer.rewind(to: peer.acked)
        pulls.active.removeAll { $0.node == node }
        waits.lost(node)
        checkWaits(now)
    }

    /// The nodes that belong to the cluster beside this one.
    public var otherMembers: [StateMember] { membership.others }
}
