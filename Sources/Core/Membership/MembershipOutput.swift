// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// A member as this node sees it.
public struct Member: Sendable, Hashable, Identifiable {
    public let record: MemberRecord
    /// Since when it has had its status, on this node's clock.
    public let since: Instant
    /// Smoothed time from a probe to its answer; nil before the first one, and for this node itself.
    public let roundTrip: Duration?
    /// Whether it is this node.
    public let isSelf: Bool

    public var id: NodeID { record.id }
    public var status: MemberStatus { record.status }
    public var meta: MemberMeta { record.meta }
    public var isDraining: Bool { record.isDraining }
}

/// Something that the owner of a ``Membership`` should know.
public enum MembershipEvent: Sendable, Equatable {
    /// A member that was not known before.
    case joined(MemberRecord)
    /// It did not answer `by`; it may still contradict.
    case suspected(MemberRecord, by: NodeID)
    /// A suspicion was wrong: it contradicted in time.
    case trusted(MemberRecord)
    /// It was silent too long.
    case dead(MemberRecord)
    /// It said goodbye.
    case left(MemberRecord)
    /// It was expelled for good: end its connections and refuse it.
    case removed(MemberRecord)
    /// It began or ceased to drain.
    case drained(MemberRecord)
    /// It was dead, gone or restarted, and is back with a new incarnation.
    case returned(MemberRecord)
    /// Its address, version, labels or pairs changed.
    case metaChanged(MemberRecord)
    /// Somebody asked this node to drain (or to cease).
    case askedToDrain(Bool, by: NodeID)
    /// This node was expelled: it takes no part any more.
    case expelled
    /// Another process runs with this node's identity; `yields` tells whether this one withdrew.
    case identityClash(otherSession: UInt64, yields: Bool)
    /// A frame was thrown away. The reason is for people.
    case refused(from: NodeID, reason: String)
}

/// A frame to hand to the link as ``LinkKind/membership``.
public struct MembershipFrame: Sendable, Equatable {
    public let to: NodeID
    public let bytes: [UInt8]
}

/// What one step of a ``Membership`` asks its owner to do, in this order.
public struct MembershipOutput: Sendable, Equatable {
    public var frames: [MembershipFrame] = []
    public var events: [MembershipEvent] = []

    public init() {}
}

/// Running sums, for metrics and for tests.
public struct MembershipCounts: Sendable, Hashable {
    public var framesSent = 0
    public var framesReceived = 0
    public var framesRefused = 0
    public var bytesSent = 0
    public var probes = 0
    public var probesFailed = 0
    /// Suspicions that this node raised itself.
    public var suspicions = 0
    /// Times that this node contradicted what was said of it.
    public var refutations = 0
    /// Full lists that went out because digests differed.
    public var listsSent = 0

    public init() {}
}
