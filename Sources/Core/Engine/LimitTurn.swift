// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// The limits of one step while they are written: where one is refused, the engine is asked at once, and what it says then holds instead of
/// whatever the step still wanted of the same limits.
///
/// ```swift
/// turn.begin(batch)
/// for limit in batch where turn.isLatest(limit) { … }
/// turn.end(batch)
/// ```
public struct LimitTurn: Sendable {
    private struct Key: Hashable, Sendable {
        let replica: ReplicaID
        let kind: ResourceKind
    }

    private var newer: Set<Key> = []
    /// Batches that are being written, one inside the other.
    private var depth = 0

    public init() {}

    /// A new step: nothing newer has been said about its limits.
    public mutating func reset() { newer.removeAll(keepingCapacity: true) }

    /// A batch is to be written: of the step, or of the answer to a refusal within another batch.
    public mutating func begin(_ batch: [ReplicaLimit]) {
        if depth > 0, !newer.isEmpty { for limit in batch { newer.remove(Self.key(limit)) } }
        depth += 1
    }

    /// Whether nothing newer has been said about this limit of the batch that is being written.
    public func isLatest(_ limit: ReplicaLimit) -> Bool { newer.isEmpty || !newer.contains(Self.key(limit)) }

    /// The batch is written.
    public mutating func end(_ batch: [ReplicaLimit]) {
        depth -= 1
        if depth > 0 { for limit in batch { newer.insert(Self.key(limit)) } }
    }

    private static func key(_ limit: ReplicaLimit) -> Key { Key(replica: limit.replica, kind: limit.kind) }
}
