// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import Crypto
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOPosix
import NIOSSL
import Synchronization

/// How a node becomes a member.
package enum Enrolment {
    /// What joining gives.
    package struct Joined: Sendable {
        /// Stored in the node's directory already.
        package let credentials: NodeCredentials
        /// Whom to connect to: the members that the cluster knows, this node excluded.
        package let members: [LinkMember]
        /// The node that admitted this one.
        package let admittedBy: NodeID
    }

    /// Joins the cluster of the node at `address`, which must hold the cluster's key.
    ///
    /// The token says which cluster's certificate to trust, so a stranger in between is noticed before the secret is sent.
    ///
    /// - Parameters:
    ///   - address: `HOST:PORT` of the node that made the token.
    ///   - directory: this node's data directory; the certificate is stored there.
    ///   - advertised: `HOST:PORT` where this node will listen, told to the others; nil if nobody can reach it.
    /// - Throws: `BrumeError`: `invalid` (address), `permission` (token, wrong cluster), `unavailable` (nobody answers),
    ///   `unsupported` (versions, or a member that may not admit).
    package static func join(
        _ address: String, token: JoinToken, directory: String, identity: NodeIdentity, advertised: String?,
        settings: LinkSettings = LinkSettings()
    ) async throws(BrumeError) -> Joined {
        let found = Mutex<AuthorityCertificate?>(nil)
        let answer = Mutex<EnrolReply?>(nil)
        let request = EnrolRequest(
            tokenNumber: token.number, tokenSecret: token.secret, request: try CertificateProfile.request(for: identity),
            address: advertised ?? "")
        let context = try TLSContexts.stranger()
        let admittedBy: NodeID
        do {
            let client = try await LinkClient.connect(
                to: address, context: context, settings: settings, meter: SocketMeter(), group: MultiThreadedEventLoopGroup.singleton
            ) { certificates throws(BrumeError) in
                let authority = try pinned(certificates, token, address)
                found.withLock { $0 = authority }
                guard let der = try? certificates.first?.toDERBytes() else {
                    throw BrumeError(.permission, "The certificate cannot be read.")
                }
                return try CertificateProfile.verify(der, by: authority, now: WallClock.now())
            }
            try await client.call(LinkMethods.enrol) { stream in
                try await stream.outbound.write(contentsOf: [.metadata([:]), .message(GRPCNIOTransportBytes(request.encoded))])
                await stream.outbound.finish()
                var parts = stream.inbound.makeAsyncIterator()
                guard let bytes = try await LinkClient.message(&parts) else {
                    throw BrumeError(.unavailable, "The member ended the connection without an answer.")
                }
                let reply = try EnrolReply(decoding: bytes)
                answer.withLock { $0 = reply }
            }
            admittedBy = client.record.certified?.id ?? identity.id
        } catch let error as BrumeError {
            throw BrumeError(error.code, "Joining at \(address) failed: \(error.message)", cause: error.cause)
        } catch {
            throw BrumeError(.unavailable, "Joining at \(address) failed: \(FailureText.sentence(error))", cause: error)
        }
        guard let authority = found.withLock({ $0 }), let reply = answer.withLock({ $0 }) else {
            throw BrumeError(.unavailable, "Joining at \(address) failed: there was no answer.")
        }
        let credentials = try NodeCredentials.store(
            certificate: reply.certificate, authority: authority, revocations: reply.revocations, directory: directory, identity: identity)
        return Joined(credentials: credentials, members: reply.members, admittedBy: admittedBy)
    }

    /// The cluster's certificate out of a chain, if it is the one the token names.
    private static func pinned(
        _ certificates: [NIOSSLCertificate], _ token: JoinToken, _ address: String
    ) throws(BrumeError) -> AuthorityCertificate {
        for certificate in certificates.dropFirst().prefix(4) {
            guard let der = try? certificate.toDERBytes(), Array(SHA256.hash(data: der)) == token.fingerprint else { continue }
            return try AuthorityCertificate(der: der)
        }
        throw BrumeError(
            .permission, "The node at \(address) is not of the cluster that made the token; check the address, or make a new token there.")
    }
}
