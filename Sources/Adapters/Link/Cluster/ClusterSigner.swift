// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import Synchronization

/// The cluster's key on this node, which it may get while it runs.
final class ClusterSigner: Sendable {
    private let held: Mutex<ClusterAuthority?>

    init(_ authority: ClusterAuthority?) { held = Mutex(authority) }

    var authority: ClusterAuthority? { held.withLock { $0 } }

    /// Takes the key unless there is one already; answers whether that is news.
    func take(_ adopt: () throws(BrumeError) -> ClusterAuthority) throws(BrumeError) -> Bool {
        try held.withLock { held throws(BrumeError) in
            guard held == nil else { return false }
            held = try adopt()
            return true
        }
    }
}

extension GRPCLink {
    /// Gives another member the cluster's key, so that it admits, removes and renews as well. It says so itself once it does.
    ///
    /// The key goes over a connection between the two alone, encrypted and with both certificates checked; whoever holds it once can
    /// sign for ever.
    ///
    /// - Throws: `BrumeError`: `unsupported` if this node does not hold the key, `invalid` for this node itself, `unavailable` if no
    ///   connection to the other stands.
    package func shareKey(with node: NodeID) throws(BrumeError) {
        guard let authority else {
            throw BrumeError(.unsupported, "This node does not hold the cluster's key; have one give it that does.")
        }
        guard node != id else { throw BrumeError(.invalid, "This node holds the cluster's key already.") }
        guard let connection = table.withLock({ $0.peers[node]?.active }) else {
            throw BrumeError(.unavailable, "There is no connection to node \(node); try again when 'brume node list' shows it alive.")
        }
        connection.post(.authorityKey(authority.sharedKey))
    }

    /// - Returns: why the connection must end, or nil if it goes on.
    func takeKey(_ bytes: [UInt8]) -> String? {
        do {
            let isNews = try signer.take { () throws(BrumeError) in
                try ClusterAuthority.adopt(bytes, certificate: credentials.authority, directory: credentials.directory)
            }
            guard isNews else { return nil }
            for connection in table.withLock({ $0.peers.values.compactMap(\.active) }) { connection.post(.signs) }
            notices(.signs)
            return nil
        } catch {
            notices(.keyRefused(reason: error.message))
            return error.message
        }
    }
}
