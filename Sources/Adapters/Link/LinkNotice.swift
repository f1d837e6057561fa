// SPDX-License-Identifier: Apache-2.0

package import BrumeModel

/// What a link tells the composition root beside ``LinkEvent``s: for logs, for the list of members, and for whoever watches.
package enum LinkNotice: Sendable, Equatable {
    /// The link listens on this port.
    case listening(port: Int)
    /// A node joined through this one. `address` is where it says it listens.
    case joined(NodeID, address: String?)
    /// Somebody tried to join and may not.
    case joinRefused(from: String, reason: String)
    /// A peer said where it listens: what to tell other nodes, and what to connect to.
    case address(NodeID, String)
    /// A connection was refused or ended before it stood. `node` is known once a certificate was shown.
    case refused(NodeID?, from: String, reason: String)
    /// A connection to a peer could not be made; the link tries again.
    case unreachable(NodeID, address: String, reason: String)
    /// A connection that was being made is not needed: the peer has connected meanwhile, or nobody wants it any more.
    case unneeded(NodeID, address: String)
    /// Two processes use one identity; the one that came second was refused.
    case duplicateIdentity(NodeID, from: String)
    /// The cluster removed this node; it may be the very node this is told on.
    case removed(NodeID)
    /// This node's certificate was renewed and now lasts until this time (seconds since 1970).
    case renewed(expires: Int64)
    /// Another holder gave this node the cluster's key: it admits, removes and renews from now on.
    case signs
    /// A key that a peer sent was not taken.
    case keyRefused(reason: String)
    /// Nobody who holds the cluster's key answered, or it refused; the link tries again.
    case renewalFailed(reason: String)
}

extension LinkNotice {
    /// How loud a notice is told, from the quietest.
    package enum Loudness: Sendable, Comparable {
        /// What happens all the time.
        case detail
        /// What an operator may want to know.
        case news
        /// What he may have to do something about.
        case trouble
    }

    package var loudness: Loudness {
        switch self {
        case .address, .unneeded: .detail
        case .listening, .joined, .renewed, .signs: .news
        case .joinRefused, .refused, .unreachable, .duplicateIdentity, .removed, .renewalFailed, .keyRefused: .trouble
        }
    }
}

/// A member as enrolment tells of it.
package struct LinkMember: Sendable, Equatable {
    package let id: NodeID
    /// `HOST:PORT`.
    package let address: String

    package init(id: NodeID, address: String) {
        self.id = id
        self.address = address
    }
}
