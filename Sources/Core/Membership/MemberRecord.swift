// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// How it is with a member, from the best to the worst; of two statements about one incarnation the later in this list holds.
public enum MemberStatus: UInt8, Sendable, Hashable, Comparable, CaseIterable {
    /// It answers, or answered lately.
    case alive = 0
    /// It did not answer somebody; it has a moment to say otherwise.
    case suspect = 1
    /// It did not answer in time. It may return.
    case dead = 2
    /// It said goodbye. It may return.
    case left = 3
    /// It was expelled. It never returns under this identity.
    case removed = 4

    public static func < (left: MemberStatus, right: MemberStatus) -> Bool { left.rawValue < right.rawValue }

    /// Whether it takes part: frames are sent to it, and it is probed.
    public var isPresent: Bool { self <= .suspect }

    /// One word for people and programs.
    public var word: String { "\(self)" }
}

/// One statement about a member: what nodes tell one another and what a node keeps over restarts.
///
/// Records of one member form a chain, so merging is taking the later one: it does not matter how often, in which order and over whom
/// they arrive. Only the member itself begins an incarnation and says `alive`, `left` or what its meta data is; everybody may say
/// `suspect` and `dead` of an incarnation, and `removed` of the member for good.
public struct MemberRecord: Sendable, Hashable {
    public var id: NodeID
    public var status: MemberStatus
    /// Grows each time the member contradicts what is said of it, and each time it tells something new.
    public var incarnation: UInt64
    /// A random number of the member's process: two processes with one identity differ in it.
    public var session: UInt64
    /// How long that process had run when the incarnation began, in milliseconds.
    public var ageMilliseconds: UInt64
    /// It finishes what it has and wants nothing new.
    public var isDraining: Bool
    /// Who says `suspect`, `dead` or `removed`, at most ``accusersMax``; empty for what the member says itself.
    public var accusers: [NodeID]
    public var meta: MemberMeta

    /// Most accusers that are named: more make nobody more dead.
    public static let accusersMax = 4

    public init(
        id: NodeID, status: MemberStatus = .alive, incarnation: UInt64, session: UInt64, ageMilliseconds: UInt64 = 0,
        isDraining: Bool = false, accusers: [NodeID] = [], meta: MemberMeta
    ) {
        self.id = id
        self.status = status
        self.incarnation = incarnation
        self.session = session
        self.ageMilliseconds = ageMilliseconds
        self.isDraining = isDraining
        self.accusers = accusers
        self.meta = meta
    }

    /// Whether this record replaces `other`, which is about the same member.
    public func supersedes(_ other: MemberRecord) -> Bool {
        if (status == .removed) != (other.status == .removed) { return status == .removed }
        if incarnation != other.incarnation { return incarnation > other.incarnation }
        if session != other.session { return session > other.session }
        return status > other.status
    }

    /// A number that differs, all but surely, between records that differ in what matters; a suspicion passes and does not count.
    var digest: UInt64 {
        var sum: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in id.description.utf8 { sum = (sum ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        if status == .removed { return Self.mix(sum ^ 0x5EED) }
        sum = Self.mix(sum ^ incarnation)
        sum = Self.mix(sum ^ session)
        return Self.mix(sum ^ UInt64(status == .suspect ? 0 : status.rawValue))
    }

    /// SplitMix64's finalizer.
    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
