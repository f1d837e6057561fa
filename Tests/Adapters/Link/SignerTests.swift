// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Crypto
import Synchronization
import Testing

@testable import BrumeLink

@Suite("A second node that holds the cluster's key", .serialized, .timeLimit(.minutes(1)))
struct SignerTests {
    private func signs(_ node: TestNode) async {
        await node.notices.wait("signs") { $0.contains(.signs) }
    }

    @Test("admits, removes and renews when the first is gone, also after its own restart")
    func takesOver() async throws {
        let founder = try TestNode.founder()
        let authority = try #require(founder.authority)
        let second = try TestNode.member(of: authority)
        let third = try TestNode.member(of: authority, life: .seconds(4))
        try await running([second, third]) {
            try await running([founder]) {
                try await second.connect(to: founder)
                try await third.connect(to: second)
                await second.sawUp(founder)
                await third.sawUp(second)
                #expect(throws: BrumeError.self) { try second.link.shareKey(with: founder.id) }
                try founder.link.shareKey(with: second.id)
                await signs(second)
            }
            // Nobody else could renew it, and the connection was made before the second held the key.
            await third.notices.wait("renewed") { $0.contains { if case .renewed = $0 { true } else { false } } }
            let held = try #require(second.link.authority)
            let token = try held.mintToken()
            let directory = try TemporaryDirectory()
            let identity = try NodeIdentity.load(directory: directory.path)
            let joined = try await Enrolment.join(
                try await second.address, token: token, directory: directory.path, identity: identity, advertised: nil,
                settings: TestNode.settings)
            #expect(joined.admittedBy == second.id)
            try second.link.remove(founder.id)
            await third.notices.wait("removed") { [id = founder.id] in $0.contains(.removed(id)) }
        }
        #expect(try ClusterAuthority.load(directory: second.directory.path) != nil)
    }

    @Test("no other key is taken, and who sends one is cut off")
    func otherKey() async throws {
        let founder = try TestNode.founder()
        let member = try TestNode.member(of: try #require(founder.authority))
        try await running([founder, member]) {
            try await member.connect(to: founder)
            await member.sawUp(founder)
            let connection = try #require(member.link.table.withLock { $0.peers[founder.id]?.active })
            // The member asks the founder to take another cluster's key: it has one, and ignores it. The other way round it has none.
            connection.post(.authorityKey(Array(Curve25519.Signing.PrivateKey().rawRepresentation)))
            let back = try #require(founder.link.table.withLock { $0.peers[member.id]?.active })
            back.post(.authorityKey(Array(Curve25519.Signing.PrivateKey().rawRepresentation)))
            await member.notices.wait("refused") { $0.contains { if case .keyRefused = $0 { true } else { false } } }
            #expect(member.link.authority == nil)
            #expect(founder.link.authority?.certificate.fingerprint == founder.authority?.certificate.fingerprint)
        }
        #expect(try ClusterAuthority.load(directory: member.directory.path) == nil)
    }
}
