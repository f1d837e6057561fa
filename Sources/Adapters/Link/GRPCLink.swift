// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import ServiceLifecycle

/// The way between real nodes: one gRPC stream per pair over mutual TLS 1.3.
///
/// ```swift
/// let identity = try NodeIdentity.load(directory: data)
/// // The first node:                                        A node that joins:
/// let authority = try ClusterAuthority.load(directory: data)   // nil on nodes that do not hold the cluster's key
///     ?? ClusterAuthority.found(directory: data)
/// let credentials = try NodeCredentials.founder(directory: data, identity: identity, authority: authority)
/// // or: try NodeCredentials.load(directory: data, identity: identity)
/// //     ?? (try await Enrolment.join(address, token: JoinToken(text), directory: data, identity: identity, ...)).credentials
/// let link = GRPCLink(settings: settings, credentials: credentials, authority: authority, members: { ... }, notices: { ... }) { event in ... }
/// // link is a Service: run() listens, dials, delivers events one at a time, and ends at graceful shutdown or cancellation.
/// ```
package final class GRPCLink: PeerLink, Service {
    /// - Parameters:
    ///   - authority: the cluster's key, if this node holds it: it then admits, removes and renews.
    ///   - members: the members to tell a node that joins here; called on any thread.
    ///   - notices: called on any thread, never under a lock.
    ///   - events: called one event at a time, never under a lock; while it works, receiving waits.
    package init(
        settings: LinkSettings, credentials: NodeCredentials, authority: ClusterAuthority?,
        members: @escaping @Sendable () -> [LinkMember],
        notices: @escaping @Sendable (LinkNotice) -> Void = { _ in },
        events: @escaping @Sendable (LinkEvent) -> Void
    ) {}

    /// Serves until graceful shutdown or cancellation, then says goodbye to every peer.
    ///
    /// - Throws: `BrumeError` if it cannot listen.
    package func run() async throws {}

    /// The port it listens on, as soon as it does; nil if it never will.
    package var port: Int? { get async { nil } }

    package func send(_ frame: [UInt8], kind: LinkKind, to peer: NodeID) -> LinkSend { .unknown }
    package func connect(to peer: NodeID, at address: String) {}
    package func disconnect(from peer: NodeID) {}

    /// Removes a node from the cluster for good: its links end, it finds no new ones, and its certificate is not renewed.
    ///
    /// - Throws: `BrumeError`: `unsupported` if this node does not hold the cluster's key, `invalid` for this node itself,
    ///   `tooLarge` if the cluster has removed as many as it can remember.
    package func remove(_ node: NodeID) throws(BrumeError) {}

    /// What went over the link so far.
    package var statistics: LinkStatistics { LinkStatistics() }
}

/// Counts of a link since it started.
package struct LinkStatistics: Sendable, Equatable {
    /// Frames and their bytes of one kind in one direction.
    package struct Flow: Sendable, Equatable {
        package var frames = 0
        package var bytes = 0
    }

    /// By raw value of the kind.
    package var sent = [Flow](repeating: Flow(), count: LinkKind.allCases.count)
    package var received = [Flow](repeating: Flow(), count: LinkKind.allCases.count)
    /// Frames that were queued and never left, because a connection broke or a peer was forgotten.
    package var lost = 0
    /// Bytes that crossed the sockets, TLS and HTTP/2 included, handshakes too.
    package var socketBytesSent = 0
    package var socketBytesReceived = 0
    /// Connections that stood, over all peers and time.
    package var connections = 0
    /// Peers connected now.
    package var peersUp = 0
}
