// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// The batch that holds a write: what a caller that wants more than `local` waits for.
public struct WriteMark: Hashable, Comparable, Sendable {
    /// The number of the batch among this incarnation's.
    public let batch: UInt64

    public init(batch: UInt64) { self.batch = batch }

    /// Nothing was written.
    public static let nothing = WriteMark(batch: 0)

    public static func < (left: WriteMark, right: WriteMark) -> Bool { left.batch < right.batch }
}

/// How far a write must have come before it is answered.
public enum Settlement: Sendable, Hashable {
    /// In this node's memory.
    case accepted
    /// In this node's log, on disk.
    case durable
    /// On so many nodes, this one among them; each has it as durably as its own settings for the namespace ask.
    case replicas(Int)
}

/// What a read or an operation needs before it may run.
public enum StateNeed: Sendable, Hashable {
    /// This node has all that the session has seen.
    case session(SessionToken)
    /// The keys' namespaces are held here; pulls what is missing at first use.
    case present([ObjectKey])
    /// The keys were joined with the state of so many nodes, this one among them.
    case quorum([ObjectKey], Int)
    /// This node is the only one that owns the key, and has all that earlier owners wrote.
    case exclusive(ObjectKey)
    /// This node holds rights to take `amount` from a bounded counter.
    case rights(ObjectKey, amount: Int64)
}

/// A wait that was begun and ends with ``StateOutput/ready(_:_:)``.
public struct StateTicket: Hashable, Comparable, Sendable {
    public let number: UInt64
    public static func < (left: StateTicket, right: StateTicket) -> Bool { left.number < right.number }
}

/// What the shell has to do after a step, in this order.
public enum StateOutput: Sendable {
    /// Hand a frame to the link. When the link's queue is full, call ``Replica/refused(_:kind:)``.
    case send([UInt8], LinkKind, NodeID)
    /// Append a record to the log and call ``Replica/logged(through:now:)`` once it is on disk; `now` asks for that at once.
    case log([UInt8], number: UInt64, now: Bool)
    /// A wait is over: with nil when what it waited for is there.
    case ready(StateTicket, StateError?)
    /// Objects changed, here or elsewhere; only while somebody watches.
    case changed([StateChange])
    /// The replica goes on under another identity: write that down before anything else.
    case incarnation(UInt64)
    /// Something a person should know.
    case note(StateNote)
}

/// A change of an object.
public struct StateChange: Sendable, Hashable {
    public var key: ObjectKey
    public var kind: ObjectKind
    /// Whether this node made it.
    public var isLocal: Bool
    /// Whether the object ceased to exist.
    public var isRemoval: Bool
}

/// Something a person should know.
public enum StateNote: Sendable, Hashable {
    /// Another node writes under this replica's identity: a copied data directory. This replica goes on under a new one.
    case duplicateIdentity(peer: NodeID, incarnation: UInt64)
    /// A frame was refused; the peer goes on.
    case refusedFrame(peer: NodeID, reason: String)
    /// The peer speaks a version this node does not know.
    case newerPeer(NodeID, version: UInt8)
    /// The peer's clock is further ahead than a hybrid clock follows.
    case clockAhead(NodeID, milliseconds: UInt64)
    /// Two nodes made one key with two kinds; the one named first is visible.
    case kindConflict(ObjectKey, visible: ObjectKind, hidden: ObjectKind)
}
