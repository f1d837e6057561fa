// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import Crypto
import Synchronization

/// The cluster's key and the join tokens: the node that founded the cluster has them, and those to whom an operator has it give the key.
///
/// Each makes tokens of its own. While no holder is up, nobody can join, be removed or renew a certificate; links go on, and new ones are
/// made, until certificates run out.
package final class ClusterAuthority: Sendable {
    private static let keyFile = "cluster.key"
    private static let tokensFile = "tokens"
    /// Longest life of a join token.
    package static let tokenLifeMax = Duration.seconds(90 * 24 * 3_600)
    /// Most joinings one token allows.
    package static let tokenUsesMax = 10_000

    let certificate: AuthorityCertificate
    private let key: Curve25519.Signing.PrivateKey
    private let files: IdentityFiles
    private let tokens: Mutex<TokenBook>

    /// The authority whose key lies in `DIRECTORY/identity/cluster.key`, or nil if this node has none.
    ///
    /// - Throws: `BrumeError`: `corrupt` if a file cannot be read as what it should be, `permission` if it cannot be read at all.
    package static func load(directory: String) throws(BrumeError) -> ClusterAuthority? {
        let files = try IdentityFiles(directory: directory)
        guard let text = try files.read(keyFile) else { return nil }
        let key = try KeyText.key(
            from: text, path: "\(files.path)/\(keyFile)", advice: "remove it: this node then stays a member but can no longer sign")
        guard let certificate = try NodeCredentials.storedAuthority(files) else {
            // A crash while founding leaves the key alone; nothing was signed with it, so the cluster is founded anew.
            guard try NodeCredentials.isMember(files) else { return nil }
            throw BrumeError(.corrupt, "\(files.path) holds the cluster's key but not its certificate; restore it from a backup.")
        }
        return try ClusterAuthority(key: key, certificate: certificate, files: files)
    }

    /// Founds a cluster: makes its key and certificate. A node that is already a member of one cannot.
    ///
    /// - Throws: `BrumeError`: `exists` if this directory belongs to a cluster already, `permission` if it cannot be written.
    package static func found(directory: String, settings: LinkSettings = LinkSettings()) throws(BrumeError) -> ClusterAuthority {
        let files = try IdentityFiles(directory: directory)
        guard try NodeCredentials.storedAuthority(files) == nil, try !NodeCredentials.isMember(files) else {
            throw BrumeError(.exists, "\(directory) belongs to a cluster already.")
        }
        let key = Curve25519.Signing.PrivateKey()
        let certificate = try AuthorityCertificate(der: try CertificateProfile.authority(key: key, now: WallClock.now()))
        // The certificate goes last: a crash between the two leaves no cluster, and the next start founds one.
        try files.write(KeyText.text(of: key), to: keyFile)
        try NodeCredentials.storeAuthority(certificate, files)
        return try ClusterAuthority(key: key, certificate: certificate, files: files)
    }

    /// The key, for another member to sign with.
    var sharedKey: [UInt8] { Array(key.rawRepresentation) }

    /// Takes the cluster's key from another holder, and stores it.
    ///
    /// - Throws: `BrumeError`: `permission` unless it is the key of this very cluster, or if it cannot be stored.
    static func adopt(_ bytes: [UInt8], certificate: AuthorityCertificate, directory: String) throws(BrumeError) -> ClusterAuthority {
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes),
            key.publicKey.rawRepresentation == certificate.publicKey.rawRepresentation
        else { throw BrumeError(.permission, "The peer sent a key that is not this cluster's.") }
        let files = try IdentityFiles(directory: directory)
        try files.write(KeyText.text(of: key), to: keyFile)
        return try ClusterAuthority(key: key, certificate: certificate, files: files)
    }

    private init(key: Curve25519.Signing.PrivateKey, certificate: AuthorityCertificate, files: IdentityFiles) throws(BrumeError) {
        guard key.publicKey.rawRepresentation == certificate.publicKey.rawRepresentation else {
            throw BrumeError(.corrupt, "The cluster's key and certificate in \(files.path) do not belong together; restore both.")
        }
        self.key = key
        self.certificate = certificate
        self.files = files
        let text = try files.read(Self.tokensFile) ?? []
        tokens = Mutex(try TokenBook(text: text, path: "\(files.path)/\(Self.tokensFile)"))
    }

    /// Makes a join token; only its hash is stored, so this is the one time it can be shown.
    ///
    /// - Throws: `BrumeError`: `invalid` for a life or number of uses out of range, `tooLarge` if there are too many tokens.
    package func mintToken(life: Duration = .seconds(3_600), uses: Int = 1) throws(BrumeError) -> JoinToken {
        guard life > .zero, life <= Self.tokenLifeMax else {
            throw BrumeError(.invalid, "A join token lasts between a second and 90 days.")
        }
        guard (1...Self.tokenUsesMax).contains(uses) else {
            throw BrumeError(.invalid, "A join token allows between 1 and \(Self.tokenUsesMax) joinings.")
        }
        var chance = SystemRandomNumberGenerator()
        let token = JoinToken(
            fingerprint: certificate.fingerprint,
            number: (0..<JoinToken.numberBytes).map { _ in UInt8.random(in: 0...255, using: &chance) },
            secret: (0..<JoinToken.secretBytes).map { _ in UInt8.random(in: 0...255, using: &chance) })
        let now = WallClock.now()
        try change { book throws(BrumeError) in
            try book.add(token, expires: now + life.components.seconds, uses: uses, now: now)
        }
        return token
    }

    /// The tokens that still count.
    package var tokenSummaries: [TokenSummary] { tokens.withLock { $0.summaries(now: WallClock.now()) } }

    /// Makes a token worthless.
    ///
    /// - Throws: `BrumeError` (`notFound`) if there is no such token.
    package func revokeToken(number: String) throws(BrumeError) {
        try change { book throws(BrumeError) in
            guard let bytes = Hexadecimal.bytes(number), book.remove(number: bytes) else {
                throw BrumeError(.notFound, "There is no join token \(number.prefix(40)); 'brume node token --list' shows them.")
            }
        }
    }

    /// Takes one use of a token, stored before this returns.
    func spend(number: [UInt8], secret: [UInt8]) throws(BrumeError) {
        try change { book throws(BrumeError) in try book.spend(number: number, secret: secret, now: WallClock.now()) }
    }

    func issue(for publicKey: Curve25519.Signing.PublicKey, life: Duration) throws(BrumeError) -> [UInt8] {
        try CertificateProfile.node(
            publicKey, issuer: certificate, key: key, lifeSeconds: max(1, life.components.seconds), now: WallClock.now())
    }

    func revocation(of node: NodeID) throws(BrumeError) -> Revocation {
        try Revocation(node: node, at: WallClock.now(), key: key)
    }

    /// Changes the book and stores it, under one lock: a use that is not on disk was not taken.
    private func change(_ body: (inout TokenBook) throws(BrumeError) -> Void) throws(BrumeError) {
        try tokens.withLock { book throws(BrumeError) in
            var changed = book
            // A refusal may change the book too: wrong secrets are counted.
            let refusal: BrumeError?
            do throws(BrumeError) {
                try body(&changed)
                refusal = nil
            } catch {
                refusal = error
            }
            if changed != book {
                try files.write(changed.text, to: Self.tokensFile)
                book = changed
            }
            if let refusal { throw refusal }
        }
    }
}
