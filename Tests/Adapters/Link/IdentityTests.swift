// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Crypto
import Foundation
import Testing

@testable import BrumeLink

@Suite("Identities and what they are stored in")
struct IdentityTests {
    @Test("A node's key is made once, readable by its owner alone, and names it by the hash of the public key")
    func once() throws {
        let directory = try TemporaryDirectory()
        let first = try NodeIdentity.load(directory: directory.path)
        let second = try NodeIdentity.load(directory: directory.path)
        #expect(first.id == second.id)
        let digest = SHA256.hash(data: first.key.publicKey.rawRepresentation).prefix(16)
        #expect(first.id.description == digest.map { String(format: "%02x", $0) }.joined())
        let path = directory.path + "/identity/node.key"
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try String(contentsOfFile: path, encoding: .utf8).hasPrefix("-----BEGIN PRIVATE KEY-----"))
    }

    @Test(
        "A damaged key is told, not replaced",
        arguments: ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", String(repeating: "a", count: 100_000)])
    func damaged(text: String) throws {
        let directory = try TemporaryDirectory()
        _ = try NodeIdentity.load(directory: directory.path)
        let path = directory.path + "/identity/node.key"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        let error = try #require(throws: BrumeError.self) { _ = try NodeIdentity.load(directory: directory.path) }
        #expect(error.code == .corrupt)
        #expect(error.message.contains(path))
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
    }

    @Test("A cluster is founded once, found again, and not founded where a node is a member of another")
    func founding() throws {
        let directory = try TemporaryDirectory()
        #expect(try ClusterAuthority.load(directory: directory.path) == nil)
        let authority = try ClusterAuthority.found(directory: directory.path)
        let again = try #require(try ClusterAuthority.load(directory: directory.path))
        #expect(again.certificate.fingerprint == authority.certificate.fingerprint)
        let error = try #require(throws: BrumeError.self) { _ = try ClusterAuthority.found(directory: directory.path) }
        #expect(error.code == .exists)
    }

    @Test("A key that was left alone by a crash while founding does not stand in the way")
    func halfFounded() throws {
        let directory = try TemporaryDirectory()
        _ = try ClusterAuthority.found(directory: directory.path)
        try FileManager.default.removeItem(atPath: directory.path + "/identity/cluster.crt")
        #expect(try ClusterAuthority.load(directory: directory.path) == nil)
        _ = try ClusterAuthority.found(directory: directory.path)
    }

    @Test("Tokens outlive a restart, without their secrets on disk; revoked ones do not")
    func tokens() throws {
        let directory = try TemporaryDirectory()
        let authority = try ClusterAuthority.found(directory: directory.path)
        let token = try authority.mintToken(life: .seconds(60), uses: 3)
        let text = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/identity/tokens"))
        #expect(text.firstRange(of: Data(Hexadecimal.text(token.secret).utf8)) == nil)
        let again = try #require(try ClusterAuthority.load(directory: directory.path))
        #expect(again.tokenSummaries.map(\.uses) == [3])
        try again.spend(number: token.number, secret: token.secret)
        #expect(again.tokenSummaries.map(\.uses) == [2])
        try again.revokeToken(number: Hexadecimal.text(token.number))
        #expect(throws: BrumeError.self) { try again.spend(number: token.number, secret: token.secret) }
        #expect(throws: BrumeError.self) { try again.revokeToken(number: "zz") }
        #expect(throws: BrumeError.self) { _ = try again.mintToken(life: .zero) }
        #expect(throws: BrumeError.self) { _ = try again.mintToken(uses: 0) }
        #expect(try #require(try ClusterAuthority.load(directory: directory.path)).tokenSummaries.isEmpty)
    }

    @Test("A certificate counts for its authority, its key and its time only")
    func profile() throws {
        let one = try ClusterAuthority.found(directory: try TemporaryDirectory().path)
        let other = try ClusterAuthority.found(directory: try TemporaryDirectory().path)
        let key = Curve25519.Signing.PrivateKey()
        let now = WallClock.now()
        let der = try one.issue(for: key.publicKey, life: .seconds(100))
        let node = try CertificateProfile.verify(der, by: one.certificate, now: now)
        #expect(node.id == NodeID(publicKey: key.publicKey))
        #expect(node.renewAt > now + 50 && node.renewAt < now + 80)
        for (certificate, authority, time, words) in [
            (der, other.certificate, now, "another cluster"), (der, one.certificate, now + 102, "expired"),
            (der, one.certificate, now - 1_000, "future"), (one.certificate.der, one.certificate, now, "not one of a node"),
            ([1, 2], one.certificate, now, "cannot be read"),
        ] {
            let error = try #require(throws: BrumeError.self) {
                _ = try CertificateProfile.verify(certificate, by: authority, now: time)
            }
            #expect(error.message.contains(words))
        }
        // Any changed bit is noticed.
        for place in stride(from: 0, to: der.count, by: 7) {
            var bad = der
            bad[place] ^= 1
            #expect(throws: BrumeError.self) { _ = try CertificateProfile.verify(bad, by: one.certificate, now: now) }
        }
    }

    @Test("Removals are merged once, kept in order, refused without the cluster's signature, and read back")
    func revocations() throws {
        let authority = try ClusterAuthority.found(directory: try TemporaryDirectory().path)
        let key = authority.certificate.publicKey
        let nodes = (0..<20).map { _ in NodeID(publicKey: Curve25519.Signing.PrivateKey().publicKey) }
        let all = try nodes.map { try authority.revocation(of: $0) }
        var left = Revocations()
        var right = Revocations()
        #expect(left.merge(all, authority: key).count == 20)
        #expect(right.merge(all.reversed() + all, authority: key).count == 20)
        #expect(left.digest == right.digest)
        #expect(left.entries.map(\.node) == nodes.sorted())
        #expect(try Revocations(text: left.text, path: "", authority: key).digest == left.digest)
        let forged = Revocation(node: NodeID(publicKey: key), at: 5, signature: all[0].signature)
        #expect(left.merge([forged], authority: key).isEmpty)
        #expect(throws: BrumeError.self) { _ = try Revocations(text: Array("x y z\n".utf8), path: "", authority: key) }
    }
}
