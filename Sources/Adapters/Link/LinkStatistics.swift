// SPDX-License-Identifier: Apache-2.0

package import BrumeModel

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
    /// Bytes that wait to be sent now, to all peers together.
    package var queuedBytes = 0
    /// Peers connected now.
    package var peersUp = 0

    package init() {}

    package func sent(_ kind: LinkKind) -> Flow { sent[Int(kind.rawValue)] }
    package func received(_ kind: LinkKind) -> Flow { received[Int(kind.rawValue)] }
}
