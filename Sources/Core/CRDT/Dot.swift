// SPDX-License-Identifier: Apache-2.0

/// Who writes: one incarnation of a node's state, a random number that is never used again once its log was lost.
public struct ReplicaID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static func < (left: ReplicaID, right: ReplicaID) -> Bool { left.rawValue < right.rawValue }
}

/// One write to one object: the replica that made it, and which of its writes to this object it was, from 1.
public struct Dot: Hashable, Comparable, Sendable {
    public var replica: ReplicaID
    public var sequence: UInt64

    public init(replica: ReplicaID, sequence: UInt64) {
        self.replica = replica
        self.sequence = sequence
    }

    public static func < (left: Dot, right: Dot) -> Bool {
        left.replica == right.replica ? left.sequence < right.sequence : left.replica < right.replica
    }
}
