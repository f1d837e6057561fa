// SPDX-License-Identifier: Apache-2.0

package import BrumeModel

/// Links between nodes of one process, without sockets: for tests of what lies above.
package final class MemoryNetwork: Sendable {
    package init() {}
    /// A node's link in this network; `connect(to:at:)` ignores the address.
    package func link(of node: NodeID, events: @escaping @Sendable (LinkEvent) -> Void) -> MemoryLink { MemoryLink() }
}

/// One node's end of a ``MemoryNetwork``.
package final class MemoryLink: PeerLink {
    package func send(_ frame: [UInt8], kind: LinkKind, to peer: NodeID) -> LinkSend { .unknown }
    package func connect(to peer: NodeID, at address: String) {}
    package func disconnect(from peer: NodeID) {}
}
