// SPDX-License-Identifier: Apache-2.0

package import BrumeMembership
package import BrumeModel
import Logging
import NIOCore
import Synchronization

extension ClusterService {
    /// Acts on what the membership tells: connections follow members, and people read the rest.
    func act(on event: MembershipEvent, _ link: (any PeerLink)?) {
        switch event {
        case .joined(let record), .returned(let record):
            let word = if case .joined = event { "a node joined" } else { "a node is back" }
            logger.info("\(word)", metadata: Self.metadata(record))
            connect(record, link)
        case .metaChanged(let record): connect(record, link)
        case .suspected(let record, let accuser):
            logger.debug("a node does not answer", metadata: ["node": "\(record.id)", "by": "\(accuser)"])
        case .trusted(let record): logger.debug("a node answers again", metadata: ["node": "\(record.id)"])
        case .dead(let record): logger.warning("a node is dead", metadata: Self.metadata(record))
        case .left(let record): logger.info("a node left", metadata: Self.metadata(record))
        case .removed(let record): expel(record, link)
        case .drained(let record):
            logger.info("a node \(record.isDraining ? "drains" : "takes work again")", metadata: Self.metadata(record))
        case .askedToDrain(let drain, let asker):
            logger.info("this node was asked to \(drain ? "drain" : "take work again")", metadata: ["by": "\(asker)"])
        case .expelled:
            logger.error("the cluster removed this node: it works alone from now on; to join again it needs a new data directory")
            leaveAll(link)
        case .identityClash(_, let yields): clash(yields, link)
        case .refused(let peer, let reason): refused(peer, reason)
        }
    }

    private static func metadata(_ record: MemberRecord) -> Logger.Metadata {
        ["node": "\(record.id)", "address": "\(record.meta.address)"]
    }

    private func connect(_ record: MemberRecord, _ link: (any PeerLink)?) {
        guard !record.meta.address.isEmpty, record.status != .removed, record.status != .left else { return }
        link?.connect(to: record.id, at: record.meta.address)
    }

    private func expel(_ record: MemberRecord, _ link: (any PeerLink)?) {
        logger.warning("a node was removed from the cluster", metadata: Self.metadata(record))
        world.loop.scheduleTask(in: .nanoseconds(Self.expulsionPause.wholeNanoseconds)) { link?.disconnect(from: record.id) }
    }

    private func clash(_ yields: Bool, _ link: (any PeerLink)?) {
        guard yields else {
            return logger.error(
                """
                another process runs with this node's identity (\(id)): its data directory was copied; \
                stop it, and start it on a data directory of its own with a token of its own
                """)
        }
        logger.critical(
            """
            another process runs with this node's identity (\(id)) and has run longer: this one leaves the cluster and works alone; \
            stop it, and start it on a data directory of its own with a token of its own
            """)
        leaveAll(link)
    }

    private func leaveAll(_ link: (any PeerLink)?) {
        let members = state.withLock { $0.membership.members }
        for member in members where !member.isSelf { link?.disconnect(from: member.id) }
    }

    private func refused(_ peer: NodeID, _ reason: String) {
        let now = world.now()
        let isDue = state.withLock { state in
            guard now >= state.refusalsUntil else { return false }
            state.refusalsUntil = now + Self.refusalLogPause
            return true
        }
        if isDue { logger.warning("a frame was refused", metadata: ["node": "\(peer)", "reason": "\(reason)"]) }
    }

    // MARK: What operators ask

    /// The cluster as this node sees it.
    package func report() -> ClusterReport {
        let now = world.now()
        let (members, connected, standing) = state.withLock { ($0.membership.members, $0.connected, $0.membership.standing) }
        let word =
            switch standing {
            case .taking, .left: "member"
            case .expelled: "expelled"
            case .yielded: "yielded"
            }
        return ClusterReport(
            node: id, standing: word,
            nodes: members.map { member in
                ClusterReport.Node(
                    id: member.id, name: member.meta.pair(NodeWords.name).map { String(decoding: $0, as: UTF8.self) } ?? "",
                    isSelf: member.isSelf, status: member.status.word, isDraining: member.isDraining,
                    isConnected: member.isSelf || connected.contains(member.id), admits: member.meta.pair(NodeWords.admits) != nil,
                    address: member.meta.address, version: member.meta.version,
                    labels: Dictionary(member.meta.labels.map { ($0.key, $0.value) }) { first, _ in first },
                    sinceSeconds: (now - member.since).inSeconds, roundTripMs: member.roundTrip?.inMilliseconds,
                    handover: member.meta.pair(NodeWords.handover).flatMap { HandoverReport(words: String(decoding: $0, as: UTF8.self)) })
            })
    }

    /// What every node says of itself besides its labels.
    package enum NodeWords {
        /// What its operator calls it.
        package static let name = "name"
        /// There where the node holds the cluster's key.
        package static let admits = "admits"
        /// How far it has come with handing over; there where it drains.
        package static let handover = "handover"
    }

    /// The members as they are.
    package var members: [Member] { state.withLock { $0.membership.members } }

    /// Running sums of the membership.
    package var counts: MembershipCounts { state.withLock { $0.membership.counts } }

    /// Records that a node was expelled, and tells everybody.
    ///
    /// - Throws: `BrumeError` (`invalid`) for this node itself.
    package func remove(_ node: NodeID) throws(BrumeError) {
        try attempt { membership, now throws(BrumeError) in try membership.remove(node, now: now) }
    }

    /// The link learned that the cluster removed this node.
    package func expelled() { step { $0.expel(now: $1) } }

    /// Asks a node to drain or to take work again.
    ///
    /// - Throws: `BrumeError`: `notFound` where it is no member, `unavailable` where it does not answer.
    package func drain(_ node: NodeID, _ isDraining: Bool) throws(BrumeError) {
        try attempt { membership, now throws(BrumeError) in try membership.askToDrain(node, isDraining, now: now) }
    }

    /// Changes what this node tells about itself.
    package func describe(_ meta: MemberMeta) { step { $0.setMeta(meta, now: $1) } }

    private func attempt(_ body: (inout Membership, Instant) throws(BrumeError) -> MembershipOutput) throws(BrumeError) {
        var failure: BrumeError?
        step { membership, now in
            do throws(BrumeError) {
                return try body(&membership, now)
            } catch {
                failure = error
                return MembershipOutput()
            }
        }
        if let failure { throw failure }
    }
}
