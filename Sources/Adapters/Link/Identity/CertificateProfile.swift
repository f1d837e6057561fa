// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// A node as its certificate names it.
struct CertifiedNode: Sendable, Equatable {
    let id: NodeID
    /// Seconds since 1970.
    let notBefore: Int64
    /// Seconds since 1970.
    let notAfter: Int64

    /// When two thirds of its life are over, in seconds since 1970.
    var renewAt: Int64 { notAfter - max(1, notAfter - notBefore - CertificateProfile.backdateSeconds) / 3 }
}

/// The only two shapes of certificates a cluster has: its authority's, and its nodes', signed by the authority directly.
///
/// Everything is Ed25519. A node's certificate holds the very key its identity comes from, and the name `brume://node/ID`.
/// Nothing else is accepted: no intermediates, no other algorithms, no second name.
enum CertificateProfile {
    /// Certificates count from this long before their issue, because clocks differ.
    static let backdateSeconds: Int64 = 300
    /// An authority's own certificate outlives the machines it serves: thirty years.
    static let authorityLifeSeconds: Int64 = 30 * 365 * 24 * 3_600
    private static let namePrefix = "brume://node/"

    static func authority(key: Curve25519.Signing.PrivateKey, now: Int64) throws(BrumeError) -> [UInt8] {
        try encoded("The cluster's certificate could not be made.") {
            let name = try DistinguishedName { CommonName("Brume cluster \(NodeID(publicKey: key.publicKey).description.prefix(8))") }
            return try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
                notValidBefore: date(now - backdateSeconds), notValidAfter: date(now + authorityLifeSeconds), issuer: name, subject: name,
                signatureAlgorithm: .ed25519,
                extensions: Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                },
                issuerPrivateKey: .init(key))
        }
    }

    static func node(
        _ publicKey: Curve25519.Signing.PublicKey, issuer: AuthorityCertificate, key: Curve25519.Signing.PrivateKey, lifeSeconds: Int64,
        now: Int64
    ) throws(BrumeError) -> [UInt8] {
        let id = NodeID(publicKey: publicKey)
        return try encoded("The certificate of \(id) could not be made.") {
            try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(publicKey),
                notValidBefore: date(now - backdateSeconds), notValidAfter: date(now + lifeSeconds),
                issuer: issuer.certificate.subject, subject: try DistinguishedName { CommonName(id.description) },
                signatureAlgorithm: .ed25519,
                extensions: Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([.serverAuth, .clientAuth])
                    SubjectAlternativeNames([.uniformResourceIdentifier(namePrefix + id.description)])
                },
                issuerPrivateKey: .init(key))
        }
    }

    /// A PKCS #10 request, signed by the key it asks a certificate for.
    static func request(for identity: NodeIdentity) throws(BrumeError) -> [UInt8] {
        do {
            let request = try CertificateSigningRequest(
                version: .v1, subject: try DistinguishedName { CommonName(identity.id.description) }, privateKey: .init(identity.key),
                attributes: CertificateSigningRequest.Attributes(), signatureAlgorithm: .ed25519)
            return try serialized(request)
        } catch {
            throw BrumeError(.failed, "The request for a certificate could not be made.", cause: error)
        }
    }

    /// The key a request asks for, if the request is signed by it.
    ///
    /// - Throws: `BrumeError` (`invalid`).
    static func requestedKey(_ der: [UInt8]) throws(BrumeError) -> Curve25519.Signing.PublicKey {
        guard let request = try? CertificateSigningRequest(derEncoded: der), let key = Curve25519.Signing.PublicKey(request.publicKey),
            request.publicKey.isValidSignature(request.signature, for: request)
        else { throw BrumeError(.invalid, "The request for a certificate is not signed by an Ed25519 key of its own.") }
        return key
    }

    /// Who a certificate names, if the authority signed it and it counts now.
    ///
    /// - Parameter now: seconds since 1970; nil leaves the time out of it.
    /// - Throws: `BrumeError` (`permission`) with the reason.
    static func verify(_ der: [UInt8], by authority: AuthorityCertificate, now: Int64?) throws(BrumeError) -> CertifiedNode {
        guard let certificate = try? Certificate(derEncoded: der) else {
            throw BrumeError(.permission, "The certificate cannot be read.")
        }
        guard certificate.issuer == authority.certificate.subject, certificate.signatureAlgorithm == .ed25519,
            authority.certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
        else { throw BrumeError(.permission, "The certificate belongs to another cluster.") }
        guard let key = Curve25519.Signing.PublicKey(certificate.publicKey) else {
            throw BrumeError(.permission, "The certificate's key is not Ed25519.")
        }
        let id = NodeID(publicKey: key)
        guard let names = try? certificate.extensions.subjectAlternativeNames,
            Array(names) == [.uniformResourceIdentifier(namePrefix + id.description)],
            case .notCertificateAuthority? = try? certificate.extensions.basicConstraints
        else { throw BrumeError(.permission, "The certificate is not one of a node.") }
        let node = CertifiedNode(
            id: id, notBefore: seconds(certificate.notValidBefore), notAfter: seconds(certificate.notValidAfter))
        guard let now else { return node }
        guard now <= node.notAfter else {
            throw BrumeError(.permission, "The certificate of \(id) has expired; check both clocks, and whether it was renewed.")
        }
        guard now >= node.notBefore else {
            throw BrumeError(.permission, "The certificate of \(id) is from the future; check both clocks.")
        }
        return node
    }

    private static func encoded(_ problem: String, _ make: () throws -> Certificate) throws(BrumeError) -> [UInt8] {
        do { return try serialized(try make()) } catch { throw BrumeError(.failed, problem, cause: error) }
    }

    private static func serialized(_ element: some DERSerializable) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(element)
        return serializer.serializedBytes
    }

    private static func date(_ seconds: Int64) -> Date { Date(timeIntervalSince1970: Double(seconds)) }
    private static func seconds(_ date: Date) -> Int64 { Int64(date.timeIntervalSince1970) }
}

/// A cluster's certificate: whoever holds its key says who belongs.
struct AuthorityCertificate: Sendable {
    let der: [UInt8]
    /// SHA-256 of the certificate: what a join token names.
    let fingerprint: [UInt8]
    let certificate: Certificate
    let publicKey: Curve25519.Signing.PublicKey

    /// - Throws: `BrumeError` (`corrupt`) unless these bytes are an authority's certificate, signed by itself.
    init(der: [UInt8]) throws(BrumeError) {
        guard let certificate = try? Certificate(derEncoded: der), let key = Curve25519.Signing.PublicKey(certificate.publicKey),
            case .isCertificateAuthority? = try? certificate.extensions.basicConstraints,
            certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
        else { throw BrumeError(.corrupt, "These bytes are no cluster's certificate.") }
        self.der = der
        self.certificate = certificate
        publicKey = key
        fingerprint = Array(SHA256.hash(data: der))
    }
}
