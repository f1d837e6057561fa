// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
public import BrumeModel
import DequeModule

/// How far another member is behind this replica, and how long nothing was heard of it.
public struct StatePeerLag: Sendable, Hashable {
    public var node: NodeID
    /// Whether frames reach it.
    public var isUp: Bool
    /// Whether it lacks batches that are not kept any more, so that it must compare.
    public var isBehind: Bool
    /// Batches that it has not acknowledged, those that do not concern it included, and their bytes.
    public var batches = 0
    public var bytes = 0
    /// The age of the oldest of them; nil where there is none.
    public var oldest: Duration?
    /// Since the last frame that came from it; nil where none ever came.
    public var silence: Duration?
}

extension Replica {
    /// The lag of every other member, by node. O(batches that are kept).
    public func lags(_ now: StateTime) -> [StatePeerLag] {
        // Of each kept batch, the bytes from it on: one walk for all peers.
        var rest = [Int](repeating: 0, count: ring.batches.count + 1)
        for index in ring.batches.indices.reversed() { rest[index] = rest[index + 1] + ring.batches[index].bytes }
        return peers.filter(\.isMember).map { peer in
            var lag = StatePeerLag(node: peer.node, isUp: peer.isUp, isBehind: peer.isBehind)
            lag.silence = peer.lastHeard.map { now.instant - $0 }
            guard peer.cleared + 1 < nextBatch else { return lag }
            lag.batches = Int(clamping: nextBatch - 1 - peer.cleared)
            let first = Int(clamping: peer.cleared + 1 > ring.first ? peer.cleared + 1 - ring.first : 0)
            guard first < ring.batches.count else { return lag }
            lag.bytes = rest[first]
            let age = milliseconds(now) - Int64(clamping: ring.batches[first].time.milliseconds)
            lag.oldest = .milliseconds(max(0, age))
            return lag
        }
    }
}
