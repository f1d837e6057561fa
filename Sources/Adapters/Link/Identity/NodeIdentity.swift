// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import Crypto
import FoundationEssentials

/// Who this node is: an Ed25519 key that never leaves its directory, and the name that follows from it.
package struct NodeIdentity: Sendable {
    private static let file = "node.key"

    /// SHA-256 of the public key, cut to 128 bits.
    package let id: NodeID
    let key: Curve25519.Signing.PrivateKey

    /// The key in `DIRECTORY/identity/node.key`, made there at the first start.
    ///
    /// - Parameter directory: the node's data directory.
    /// - Throws: `BrumeError`: `corrupt` if the file holds no Ed25519 key, `permission` if it cannot be read or written.
    package static func load(directory: String) throws(BrumeError) -> NodeIdentity {
        let files = try IdentityFiles(directory: directory)
        if let text = try files.read(file) {
            return NodeIdentity(
                key: try KeyText.key(
                    from: text, path: "\(files.path)/\(file)", advice: "remove it and let the node join again under a new identity"))
        }
        let identity = NodeIdentity(key: Curve25519.Signing.PrivateKey())
        try files.write(KeyText.text(of: identity.key), to: file)
        return identity
    }

    init(key: Curve25519.Signing.PrivateKey) {
        self.key = key
        id = NodeID(publicKey: key.publicKey)
    }
}

extension NodeID {
    /// The name that belongs to a public key.
    init(publicKey: Curve25519.Signing.PublicKey) {
        let text = Hexadecimal.text(SHA256.hash(data: publicKey.rawRepresentation).prefix(16))
        do { self = try NodeID(text) } catch { preconditionFailure("Sixteen bytes in hexadecimal are a node's identity.") }
    }
}
