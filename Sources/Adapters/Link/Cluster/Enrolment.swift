// SPDX-License-Identifier: Apache-2.0

package import BrumeModel

/// How a node becomes a member.
package enum Enrolment {
    /// What joining gives.
    package struct Joined: Sendable {
        /// Stored in the node's directory already.
        package let credentials: NodeCredentials
        /// Whom to connect to: the members that the cluster knows, this node excluded, the one asked first.
        package let members: [LinkMember]
    }

    /// Joins the cluster of the node at `address`; it must hold the cluster's key, or it names one that does.
    ///
    /// The token says which cluster's certificate to trust, so a stranger in between is noticed before the secret is sent.
    ///
    /// - Parameters:
    ///   - address: `HOST:PORT` of a member.
    ///   - directory: this node's data directory; the certificate is stored there.
    ///   - advertised: `HOST:PORT` where this node will listen, told to the others; nil if nobody can reach it.
    /// - Throws: `BrumeError`: `invalid` (address), `permission` (token, wrong cluster), `unavailable` (nobody answers), `unsupported` (versions).
    package static func join(
        _ address: String, token: JoinToken, directory: String, identity: NodeIdentity, advertised: String?,
        settings: LinkSettings = LinkSettings()
    ) async throws(BrumeError) -> Joined {
        throw BrumeError(.unsupported, "Joining is not there yet.")
    }
}
