// SPDX-License-Identifier: Apache-2.0

package import BrumeModel

/// A link with a bad network in front of it: what is sent over it is delayed, throttled, lost or cut, per peer, changeable at any time.
///
/// It shapes what leaves this node; both directions of a pair are shaped when both nodes have one. A cut stops both directions here.
///
/// ```swift
/// let emulated = EmulatedLink(seed: 7) { event in ... }
/// emulated.attach(GRPCLink(..., events: { emulated.pass($0) }))
/// emulated.set(conditions, to: peer)
/// ```
package final class EmulatedLink: PeerLink {
    package init(seed: UInt64, events: @escaping @Sendable (LinkEvent) -> Void) {}
    /// The link underneath; called once, before anything is sent.
    package func attach(_ base: any PeerLink) {}
    /// What the link underneath tells.
    package func pass(_ event: LinkEvent) {}
    /// Conditions towards one peer from now on.
    package func set(_ conditions: NetworkConditions, to peer: NodeID) {}
    /// Conditions towards all peers that have none of their own.
    package func setAll(_ conditions: NetworkConditions) {}

    package func send(_ frame: [UInt8], kind: LinkKind, to peer: NodeID) -> LinkSend { .unknown }
    package func connect(to peer: NodeID, at address: String) {}
    package func disconnect(from peer: NodeID) {}
}
