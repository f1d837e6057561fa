// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import Testing

@testable import BrumeLink

@Suite("Joining a cluster", .timeLimit(.minutes(1)))
struct EnrolmentTests {
    private func join(_ founder: TestNode, _ token: JoinToken, _ directory: TemporaryDirectory) async throws -> Enrolment.Joined {
        let identity = try NodeIdentity.load(directory: directory.path)
        return try await Enrolment.join(
            try await founder.address, token: token, directory: directory.path, identity: identity, advertised: "127.0.0.1:7",
            settings: TestNode.settings)
    }

    @Test("A node with a token gets a certificate, links with the founder, and is a member after a restart")
    func good() async throws {
        let founder = try TestNode.founder()
        let token = try #require(founder.authority).mintToken()
        let directory = try TemporaryDirectory()
        try await running([founder]) {
            let joined = try await join(founder, token, directory)
            #expect(joined.admittedBy == founder.id)
            let identity = try NodeIdentity.load(directory: directory.path)
            let told = LinkNotice.joined(identity.id, address: "127.0.0.1:7")
            #expect(await founder.notices.wait("joined") { $0.contains(told) })
            let stored = try #require(try NodeCredentials.load(directory: directory.path, identity: identity))
            let node = TestNode(
                directory: directory, identity: identity, credentials: stored, authority: nil, settings: TestNode.settings)
            try await running([node]) {
                try await node.connect(to: founder)
                await node.sawUp(founder)
                await founder.sawUp(node)
            }
        }
    }

    @Test("A token is good for as many joinings as it says, and its text survives the way through a terminal")
    func uses() async throws {
        let founder = try TestNode.founder()
        let token = try JoinToken(try #require(founder.authority).mintToken(uses: 2).description)
        try await running([founder]) {
            for _ in 0..<2 { _ = try await join(founder, token, try TemporaryDirectory()) }
            let error = try await #require(throws: BrumeError.self) { _ = try await join(founder, token, try TemporaryDirectory()) }
            #expect(error.code == .permission)
            #expect(error.message.contains("used up"))
        }
        #expect(try #require(founder.authority).tokenSummaries.isEmpty)
    }

    @Test("An expired token is refused, also by the founder's next start")
    func expired() async throws {
        let founder = try TestNode.founder()
        let token = try #require(founder.authority).mintToken()
        let path = founder.directory.path + "/identity/tokens"
        let line = try String(contentsOfFile: path, encoding: .utf8).split(separator: " ")
        try "\(line[0]) \(line[1]) 1000000 \(line[3]) \(line[4])".write(toFile: path, atomically: true, encoding: .utf8)
        let restarted = TestNode(
            directory: founder.directory, identity: founder.identity, credentials: founder.credentials,
            authority: try ClusterAuthority.load(directory: founder.directory.path), settings: TestNode.settings)
        try await running([restarted]) {
            let error = try await #require(throws: BrumeError.self) { _ = try await join(restarted, token, try TemporaryDirectory()) }
            #expect(error.code == .permission)
            #expect(error.message.contains("expired"))
        }
    }

    @Test("A token of another cluster is noticed by the joining node before it tells its secret")
    func wrongCluster() async throws {
        let founder = try TestNode.founder()
        let stranger = try TestNode.founder()
        let token = try #require(stranger.authority).mintToken()
        try await running([founder]) {
            let error = try await #require(throws: BrumeError.self) { _ = try await join(founder, token, try TemporaryDirectory()) }
            #expect(error.code == .unavailable || error.code == .permission)
            #expect(error.message.contains("not of the cluster that made the token"))
            #expect(!founder.notices.all.contains { if case .joinRefused = $0 { true } else { false } })
        }
    }

    @Test("A wrong secret is refused, and ten of them make the token worthless even with the right one")
    func wrongSecret() async throws {
        let founder = try TestNode.founder()
        let token = try #require(founder.authority).mintToken()
        var secret = token.secret
        secret[31] ^= 1
        let wrong = JoinToken(fingerprint: token.fingerprint, number: token.number, secret: secret)
        try await running([founder]) {
            for _ in 0..<TokenBook.wrongSecretsMax {
                let error = try await #require(throws: BrumeError.self) { _ = try await join(founder, wrong, try TemporaryDirectory()) }
                #expect(error.message.contains("does not know this join token"))
            }
            let error = try await #require(throws: BrumeError.self) { _ = try await join(founder, token, try TemporaryDirectory()) }
            #expect(error.message.contains("does not know this join token"))
        }
    }

    @Test("A member without the cluster's key says that it cannot admit nodes")
    func notHere() async throws {
        let founder = try TestNode.founder()
        let member = try TestNode.member(of: try #require(founder.authority))
        let token = try #require(founder.authority).mintToken()
        try await running([member]) {
            let error = try await #require(throws: BrumeError.self) { _ = try await join(member, token, try TemporaryDirectory()) }
            #expect(error.code == .unsupported)
            #expect(error.message.contains("cannot admit"))
        }
    }

    @Test(
        "Texts that are no token are told from damaged and newer ones",
        arguments: [
            ("", "no join token"), ("hello", "no join token"), ("brume2.AAAA", "another version"), ("brume1.", "incomplete"),
            ("brume1.AAAA", "incomplete"), ("brume1.\u{1F600}", "incomplete"),
            ("brume1." + String(repeating: "A", count: 102), "incomplete"),
            ("brume1." + String(repeating: "A", count: 10_000), "incomplete"),
        ])
    func badTexts(text: String, words: String) throws {
        let error = try #require(throws: BrumeError.self) { _ = try JoinToken(text) }
        #expect(error.code == .invalid)
        #expect(error.message.contains(words))
    }

    @Test("A token whose text was changed anywhere is refused as damaged")
    func mangled() throws {
        let token = JoinToken(fingerprint: Array(0..<32), number: Array(0..<8), secret: Array(100..<132)).description
        #expect(try JoinToken(token).description == token)
        for place in token.indices.dropFirst(JoinToken.prefix.count) {
            var text = token
            text.replaceSubrange(place...place, with: token[place] == "x" ? "y" : "x")
            // The last character has unused bits.
            guard token.index(after: place) != token.endIndex else { continue }
            #expect(throws: BrumeError.self) { _ = try JoinToken(text) }
        }
    }

    @Test("A request with another key's signature gets no certificate")
    func foreignRequest() throws {
        let directory = try TemporaryDirectory()
        var request = try CertificateProfile.request(for: try NodeIdentity.load(directory: directory.path))
        _ = try CertificateProfile.requestedKey(request)
        request[request.count - 1] ^= 1
        #expect(throws: BrumeError.self) { _ = try CertificateProfile.requestedKey(request) }
        #expect(throws: BrumeError.self) { _ = try CertificateProfile.requestedKey([1, 2, 3]) }
    }

    @Test("Attempts to join are limited within a minute")
    func attempts() throws {
        let founder = try TestNode.founder()
        let desk = EnrolmentDesk(
            authority: founder.authority, credentials: founder.credentials, settings: TestNode.settings, members: { [] }, notices: { _ in })
        let request = try EnrolRequest(
            tokenNumber: [], tokenSecret: [], request: CertificateProfile.request(for: founder.identity)
        ).encoded
        for _ in 0..<EnrolmentDesk.attemptsMax {
            let error = try #require(throws: BrumeError.self) { _ = try desk.answer(request, from: "here") }
            #expect(error.code == .permission)
        }
        let error = try #require(throws: BrumeError.self) { _ = try desk.answer(request, from: "here") }
        #expect(error.code == .unavailable)
        #expect(throws: BrumeError.self) { _ = try desk.answer([UInt8](repeating: 0, count: 70_000), from: "here") }
    }
}
