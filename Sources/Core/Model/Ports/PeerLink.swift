// SPDX-License-Identifier: Apache-2.0

/// What a frame between nodes is about, most urgent first: a link sends frames of an earlier kind before those of a later one.
public enum LinkKind: UInt8, Sendable, CaseIterable, Comparable {
    /// Who is alive: small, and worthless when late.
    case membership = 0
    /// A call that runs elsewhere, and its answer.
    case call = 1
    /// New deltas and their acknowledgements.
    case state = 2
    /// Calls for bids, bids, awards.
    case market = 3
    /// Catching up: whole objects, range hashes, snapshots of pools.
    case bulk = 4

    public static func < (left: LinkKind, right: LinkKind) -> Bool { left.rawValue < right.rawValue }
}

/// What became of a frame that was handed to a link.
public enum LinkSend: Sendable, Equatable {
    /// It waits in the peer's queue or is on its way. It may still be lost: whoever needs an answer asks again.
    case queued
    /// The queue of this kind to this peer is full; ``LinkEvent/writable(_:_:)`` will tell when it is worth trying again.
    case full
    /// The link knows no way to this peer.
    case unknown
    /// It is longer than ``PeerLinkLimits/frameBytesMax``.
    case tooLarge
}

/// What a link tells its owner, in the order in which it happened for each peer.
public enum LinkEvent: Sendable, Equatable {
    /// A connection to the peer stands; frames flow both ways.
    case up(NodeID)
    /// It was lost; the link goes on trying. The reason is for people.
    case down(NodeID, reason: String)
    case received([UInt8], kind: LinkKind, from: NodeID)
    /// A queue that was full has room again.
    case writable(NodeID, LinkKind)
}

/// Limits that every link keeps, whatever carries it.
public enum PeerLinkLimits {
    /// Longest frame, in bytes: a batch of deltas or a slice of a snapshot; longer content is cut by whoever sends it.
    public static let frameBytesMax = 4 << 20
}

/// The one way between nodes: frames of bytes, each of a kind, at most once, in order for each kind and peer while a connection stands.
///
/// A link loses frames when a connection breaks and never repeats one. It delivers events one at a time.
public protocol PeerLink: Sendable {
    /// Queues a frame; never waits.
    func send(_ frame: [UInt8], kind: LinkKind, to peer: NodeID) -> LinkSend
    /// Begins to keep a connection to a peer that listens at `address` (`HOST:PORT`). A second call changes the address.
    func connect(to peer: NodeID, at address: String)
    /// Ends the connection to a peer and forgets what waits for it.
    func disconnect(from peer: NodeID)
}
