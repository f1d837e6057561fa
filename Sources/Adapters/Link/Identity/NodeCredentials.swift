// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import Crypto
import NIOCore
import NIOSSL
import SwiftASN1
import Synchronization

/// What a member shows to other members, and what it checks them by: its certificate, the cluster's, and the list of removed nodes.
///
/// It lives in `DIRECTORY/identity`: `node.crt`, `cluster.crt`, `revocations`.
package final class NodeCredentials: Sendable {
    private static let nodeFile = "node.crt"
    private static let authorityFile = "cluster.crt"
    private static let revocationsFile = "revocations"
    private static let label = "CERTIFICATE"

    private struct State {
        var certificate: [UInt8]
        var node: CertifiedNode
        var server: NIOSSLContext
        var client: NIOSSLContext
        var revocations: Revocations
    }

    let identity: NodeIdentity
    let authority: AuthorityCertificate
    private let files: IdentityFiles
    private let state: Mutex<State>

    /// The membership stored in this directory, or nil if this node is no member yet.
    ///
    /// An expired certificate is loaded all the same: a holder of the cluster's key renews its own, others must join again.
    ///
    /// - Throws: `BrumeError`: `corrupt` if a file cannot be read as what it should be, `permission` if it cannot be read at all.
    package static func load(directory: String, identity: NodeIdentity) throws(BrumeError) -> NodeCredentials? {
        let files = try IdentityFiles(directory: directory)
        guard let authority = try storedAuthority(files), let text = try files.read(nodeFile) else { return nil }
        let certificate = try der(text, path: "\(files.path)/\(nodeFile)")
        return try NodeCredentials(identity: identity, certificate: certificate, authority: authority, files: files)
    }

    /// The founder's own membership, signed by itself: loaded, or issued at the first start or when what is stored has expired.
    package static func founder(
        directory: String, identity: NodeIdentity, authority: ClusterAuthority, settings: LinkSettings = LinkSettings()
    ) throws(BrumeError) -> NodeCredentials {
        if let stored = try load(directory: directory, identity: identity), stored.certified.renewAt > WallClock.now() { return stored }
        let files = try IdentityFiles(directory: directory)
        let certificate = try authority.issue(for: identity.key.publicKey, life: settings.certificateLife)
        try files.write(pem(certificate), to: nodeFile)
        return try NodeCredentials(identity: identity, certificate: certificate, authority: authority.certificate, files: files)
    }

    /// Stores what enrolment gave.
    static func store(
        certificate: [UInt8], authority: AuthorityCertificate, revocations: [Revocation], directory: String, identity: NodeIdentity
    ) throws(BrumeError) -> NodeCredentials {
        let files = try IdentityFiles(directory: directory)
        let node = try CertificateProfile.verify(certificate, by: authority, now: WallClock.now())
        guard node.id == identity.id else {
            throw BrumeError(.failed, "The cluster certified \(node.id), but this node is \(identity.id).")
        }
        try files.write(pem(certificate), to: nodeFile)
        try storeAuthority(authority, files)
        let credentials = try NodeCredentials(identity: identity, certificate: certificate, authority: authority, files: files)
        _ = try credentials.merge(revocations)
        return credentials
    }

    private init(
        identity: NodeIdentity, certificate: [UInt8], authority: AuthorityCertificate, files: IdentityFiles
    ) throws(BrumeError) {
        self.identity = identity
        self.authority = authority
        self.files = files
        let text = try files.read(Self.revocationsFile) ?? []
        let revocations = try Revocations(
            text: text, path: "\(files.path)/\(Self.revocationsFile)", authority: authority.publicKey)
        state = Mutex(try Self.state(identity, certificate, authority, revocations))
    }

    /// The node's data directory.
    var directory: String { files.directory }

    /// Who this node is by its present certificate.
    var certified: CertifiedNode { state.withLock { $0.node } }

    /// When the certificate runs out, in seconds since 1970.
    package var expires: Int64 { certified.notAfter }

    /// The contexts of connections made from now on.
    var serverContext: NIOSSLContext { state.withLock { $0.server } }
    var clientContext: NIOSSLContext { state.withLock { $0.client } }
    var revocations: Revocations { state.withLock { $0.revocations } }

    /// Whether this node was removed from its cluster.
    package var wasRemoved: Bool { state.withLock { $0.revocations.contains(identity.id) } }

    /// Takes a newer certificate into use: connections that stand are not touched.
    func renew(_ certificate: [UInt8]) throws(BrumeError) {
        let node = try CertificateProfile.verify(certificate, by: authority, now: WallClock.now())
        guard node.id == identity.id else { throw BrumeError(.failed, "The renewed certificate is of another node, \(node.id).") }
        try state.withLock { state throws(BrumeError) in
            guard node.notAfter > state.node.notAfter else { return }
            let next = try Self.state(identity, certificate, authority, state.revocations)
            try files.write(Self.pem(certificate), to: Self.nodeFile)
            state = next
        }
    }

    /// Adds removals that the authority signed, and stores them.
    ///
    /// - Returns: the nodes that were not removed before.
    func merge(_ revocations: [Revocation]) throws(BrumeError) -> [NodeID] {
        try state.withLock { state throws(BrumeError) in
            var merged = state.revocations
            let added = merged.merge(revocations, authority: authority.publicKey)
            guard !added.isEmpty else { return [] }
            try files.write(merged.text, to: Self.revocationsFile)
            state.revocations = merged
            return added
        }
    }

    static func storedAuthority(_ files: IdentityFiles) throws(BrumeError) -> AuthorityCertificate? {
        guard let text = try files.read(authorityFile) else { return nil }
        return try AuthorityCertificate(der: try der(text, path: "\(files.path)/\(authorityFile)"))
    }

    /// Whether this folder holds a certificate of the node.
    static func isMember(_ files: IdentityFiles) throws(BrumeError) -> Bool { try files.read(nodeFile) != nil }

    static func storeAuthority(_ authority: AuthorityCertificate, _ files: IdentityFiles) throws(BrumeError) {
        try files.write(pem(authority.der), to: authorityFile)
    }

    private static func pem(_ der: [UInt8]) -> [UInt8] {
        Array(PEMDocument(type: label, derBytes: der).pemString.utf8) + [UInt8(ascii: "\n")]
    }

    private static func der(_ text: [UInt8], path: String) throws(BrumeError) -> [UInt8] {
        guard let document = try? PEMDocument(pemString: String(decoding: text, as: UTF8.self)), document.discriminator == label else {
            throw BrumeError(.corrupt, "\(path) is no certificate; restore it from a backup, or remove it and join again.")
        }
        return document.derBytes
    }

    private static func state(
        _ identity: NodeIdentity, _ certificate: [UInt8], _ authority: AuthorityCertificate, _ revocations: Revocations
    ) throws(BrumeError) -> State {
        // Expiry is checked where it matters, at each handshake: a founder that slept for months must be able to start.
        let node = try CertificateProfile.verify(certificate, by: authority, now: nil)
        guard node.id == identity.id else {
            throw BrumeError(.corrupt, "The certificate is of node \(node.id), but the key is of \(identity.id); restore both together.")
        }
        let contexts = try TLSContexts.member(identity: identity, certificate: certificate, authority: authority.der)
        return State(
            certificate: certificate, node: node, server: contexts.server, client: contexts.client, revocations: revocations)
    }
}

/// How the links' TLS is set up: version 1.3, Ed25519 and nothing else.
enum TLSContexts {
    static func member(
        identity: NodeIdentity, certificate: [UInt8], authority: [UInt8]
    ) throws(BrumeError) -> (server: NIOSSLContext, client: NIOSSLContext) {
        do {
            let chain: [NIOSSLCertificateSource] = [
                .certificate(try NIOSSLCertificate(bytes: certificate, format: .der)),
                .certificate(try NIOSSLCertificate(bytes: authority, format: .der)),
            ]
            let key = try NIOSSLPrivateKey(bytes: KeyText.der(of: identity.key), format: .der)
            var server = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key))
            // A node that joins has no certificate yet; what such a stranger may do is decided per call.
            server.certificateVerification = .optionalVerification
            var client = base()
            client.certificateChain = chain
            client.privateKey = .privateKey(key)
            return (try NIOSSLContext(configuration: common(server)), try NIOSSLContext(configuration: client))
        } catch {
            throw BrumeError(.failed, "TLS could not be set up with this node's key and certificate.", cause: error)
        }
    }

    /// For a node that joins: no certificate of its own.
    static func stranger() throws(BrumeError) -> NIOSSLContext {
        do { return try NIOSSLContext(configuration: base()) } catch {
            throw BrumeError(.failed, "TLS could not be set up.", cause: error)
        }
    }

    private static func base() -> TLSConfiguration {
        var client = TLSConfiguration.makeClientConfiguration()
        client.certificateVerification = .noHostnameVerification
        return common(client)
    }

    private static func common(_ configuration: TLSConfiguration) -> TLSConfiguration {
        var configuration = configuration
        configuration.minimumTLSVersion = .tlsv13
        configuration.applicationProtocols = ["h2"]
        // A peer that is gone says no farewell.
        configuration.shutdownTimeout = .seconds(1)
        configuration.verifySignatureAlgorithms = [.ed25519]
        configuration.signingSignatureAlgorithms = [.ed25519]
        // Our own check replaces the library's; an empty list keeps the machine's public authorities out of the picture.
        configuration.trustRoots = .certificates([])
        return configuration
    }
}
