// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// A connection to be made.
struct DialPlan: Sendable {
    let peer: NodeID
    let address: String
    /// The connection to take over from, or 0.
    let succeeding: UInt64
}

extension PeerTable {
    /// The connections to make now, and when to look again.
    ///
    /// - Parameter wall: seconds since 1970, which certificates are measured by.
    mutating func dialsDue(now: ContinuousClock.Instant, wall: Int64) -> (plans: [DialPlan], next: Duration?) {
        var plans: [DialPlan] = []
        var next: Duration?
        guard !isStopping else { return (plans, nil) }
        for (id, peer) in peers where peer.isWanted && !peer.isDialling && peer.next == nil {
            guard let address = peer.address else { continue }
            var wait = peer.dialAt - now
            if let active = peer.active {
                // A connection is replaced by whoever dialled it, once both may have newer certificates.
                guard active.isDialled else { continue }
                wait = max(wait, .seconds(active.renewAt - wall))
            }
            if wait <= .zero {
                plans.append(DialPlan(peer: id, address: address, succeeding: peer.active?.number ?? 0))
                peers[id]?.isDialling = true
                peers[id]?.hasGreeted = false
            } else if wait < next ?? .seconds(1_000_000_000) {
                next = wait
            }
        }
        return (plans, next)
    }

    /// Whether nobody wants the connection any more: the peer has connected meanwhile, its owner let it go, or the node stops.
    func isNeedless(_ plan: DialPlan) -> Bool {
        guard !isStopping, let known = peers[plan.peer], known.isWanted else { return true }
        return known.active.map { $0.number != plan.succeeding } ?? false
    }

    /// Notes that a dial has come to a connection or to nothing.
    ///
    /// - Parameter chance: between 0 and 1; spreads the next attempts of many nodes.
    mutating func dialEnded(_ peer: NodeID, failed: Bool, backoff: LinkSettings.DialBackoff, chance: Double, now: ContinuousClock.Instant) {
        guard var known = peers[peer] else { return }
        known.isDialling = false
        known.hasGreeted = false
        if failed {
            let longest = min(backoff.last, backoff.first * (1 << min(known.failures, 20)))
            known.dialAt = now + longest * (0.5 + chance / 2)
            known.failures += 1
        }
        peers[peer] = known
    }
}
