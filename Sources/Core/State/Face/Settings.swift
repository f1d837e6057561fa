// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// How hard a namespace's writes are to lose.
public enum StateDurability: UInt8, Sendable, Hashable, Comparable, CaseIterable {
    /// Memory of the nodes that hold it; nothing is written.
    case none = 0
    /// In the log within the log's interval (100 ms): a crash of the machine loses at most that, unless another node has it.
    case interval = 1
    /// On disk before the write is answered.
    case sync = 2

    public static func < (left: StateDurability, right: StateDurability) -> Bool { left.rawValue < right.rawValue }
}

/// What holds for one namespace.
public struct NamespaceSettings: Sendable, Hashable {
    public var durability = StateDurability.interval
    /// Who keeps it where nobody has said so for this namespace by ``Replica/keep(_:_:_:)``.
    ///
    /// Every node: whoever says nothing has a copy on each node, reads everywhere without waiting, and loses nothing with a node or the
    /// network. Fewer copies save memory and traffic, and are for operators to choose who know which nodes they can lose.
    public var interest = InterestPolicy.all
    /// Most objects of the namespace on this node: a million, so that one function cannot fill a small node.
    public var objectsMax = 1_000_000
    /// Most bytes of the namespace on this node, approximately.
    public var bytesMax = 1 << 30
    /// How long an unused namespace stays where no policy keeps it.
    public var idle = Duration.seconds(3600)

    public init() {}
}

/// What holds for a replica.
public struct StateSettings: Sendable {
    /// The namespaces that differ from ``standard``, by name.
    public var namespaces: [String: NamespaceSettings] = [:]
    /// What every other namespace gets.
    public var standard = NamespaceSettings()
    public var tier = NodeTier.edge

    /// How long a write may wait for company before it travels: long enough to share a frame, too short to be felt.
    public var flushDelay = Duration.milliseconds(2)
    /// Dirty objects at which a flush is due at once: a frame of about 100 KB of small deltas.
    public var flushObjects = 2_000
    /// Longest key, in bytes.
    public var keyBytesMax = 64 << 10
    /// Longest string, element, field or member, in bytes. Redis' limit is 512 MiB; ours keeps a write below two frames.
    public var valueBytesMax = 8 << 20
    /// Longest object that one write may be cut into frames for, and the most a peer may make us gather, in bytes.
    public var messageBytesMax = 64 << 20
    /// Key spaces of all namespaces together: each costs some kilobytes.
    public var spacesMax = 16_384

    /// Bytes of batches that are kept for peers that did not acknowledge them; past it the slowest are brought up to date by comparison.
    public var ringBytesMax = 32 << 20
    /// The same in batches.
    public var ringBatchesMax = 16_384
    /// Bytes that may be on the way to a peer without acknowledgement.
    public var windowBytesMax = 4 << 20
    /// How long an acknowledgement may wait for company.
    public var ackDelay = Duration.milliseconds(5)
    /// The same while batches follow one another no further apart than this: the next one proves what is missing, so that one word may be
    /// about several. Each word wakes both nodes.
    public var streamAckDelay = Duration.milliseconds(20)
    /// The longest that one of them waits so, however long the stream: what the sender keeps, and how late it learns that something is
    /// durable. A quarter of ``windowBytesMax`` is acknowledged at once.
    public var streamAckMax = Duration.milliseconds(100)
    /// After how long without acknowledgement a batch is sent again; grows by doubling up to ``resendMax``.
    public var resendAfter = Duration.milliseconds(250)
    public var resendMax = Duration.seconds(5)
    /// How often a node tells its peers how far it is.
    public var heartbeat = Duration.seconds(1)
    /// How often two nodes compare everything.
    public var repairInterval = Duration.seconds(10)
    /// How long a comparison may take without progress before it begins again.
    public var repairTimeout = Duration.seconds(5)
    /// Bytes of objects in one answer of a comparison.
    public var repairBytes = 1 << 20
    /// How long an expired object stays for an extension that is on its way.
    public var expiryGrace = Duration.seconds(1)
    /// Most objects that one step looks at to expire or collect: bounds the time a step takes.
    public var sweepMax = 2_000
    /// How long an exclusive owner owns without renewal.
    public var lease = Duration.seconds(4)
    /// What an owner gives up of its lease for clocks that run at different speeds.
    public var leaseMargin = Duration.milliseconds(500)
    /// Most waits that are open at once.
    public var waitsMax = 65_536

    public init() {}

    /// What holds for a namespace.
    public func settings(for namespace: String) -> NamespaceSettings { namespaces[namespace] ?? standard }
}
