// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Crypto
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import BrumeLink

@Suite("Who may not link", .serialized, .timeLimit(.minutes(1)))
struct LinkSecurityTests {
    /// Opens a socket, writes bytes, and waits until the other side closes it.
    private func closedAfter(_ bytes: [UInt8], port: Int) async throws {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port).get()
        if !bytes.isEmpty { try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }
        try await channel.closeFuture.get()
    }

    private func unreachable(_ node: TestNode, _ words: String, location: SourceLocation = #_sourceLocation) async {
        await node.notices.wait("unreachable because of '\(words)'", location: location) { notices in
            notices.contains { if case .unreachable(_, _, let reason) = $0 { reason.contains(words) } else { false } }
        }
    }

    @Test("Members of different clusters refuse each other, and both say why")
    func wrongCluster() async throws {
        let one = try TestNode.founder()
        let other = try TestNode.founder()
        try await running([one, other]) {
            try await one.connect(to: other)
            await unreachable(one, "another cluster")
            try await other.connect(to: one)
            await unreachable(other, "another cluster")
        }
        #expect(one.events.all.isEmpty)
        #expect(other.events.all.isEmpty)
    }

    @Test("A client whose certificate is of another cluster is refused by the server, whatever the client thinks")
    func wrongClient() async throws {
        let founder = try TestNode.founder()
        let stranger = try TestNode.founder()
        try await running([founder]) {
            let address = try await founder.address
            await #expect(throws: (any Error).self) {
                let client = try await LinkClient.connect(
                    to: address, context: stranger.credentials.clientContext, settings: TestNode.settings, meter: SocketMeter(),
                    group: MultiThreadedEventLoopGroup.singleton
                ) { _ in founder.credentials.certified }
                try await client.call(LinkMethods.open) { stream in
                    try await stream.outbound.write(.metadata([:]))
                    var parts = stream.inbound.makeAsyncIterator()
                    _ = try await LinkClient.message(&parts)
                }
            }
            await founder.notices.wait("refused") { notices in
                notices.contains { if case .refused(nil, _, let reason) = $0 { reason.contains("another cluster") } else { false } }
            }
        }
    }

    @Test("Without a certificate there is no link, also not with a made-up socket number")
    func noCertificate() async throws {
        let founder = try TestNode.founder()
        let member = try TestNode.member(of: try #require(founder.authority))
        try await running([founder, member]) {
            try await member.connect(to: founder)
            await member.sawUp(founder)
            let address = try await founder.address
            for number in 0..<4 {
                let error = try await #require(throws: BrumeError.self) {
                    let client = try await LinkClient.connect(
                        to: address, context: try TLSContexts.stranger(), settings: TestNode.settings, meter: SocketMeter(),
                        group: MultiThreadedEventLoopGroup.singleton
                    ) { _ in founder.credentials.certified }
                    try await client.call(LinkMethods.open) { stream in
                        // The member's own socket has one of these numbers.
                        try await stream.outbound.write(.metadata([StampHandler.name: "\(number)-1"]))
                        var parts = stream.inbound.makeAsyncIterator()
                        _ = try await LinkClient.message(&parts)
                    }
                }
                #expect(error.code == .permission)
                #expect(error.message == "Only members may open a link; join first.")
            }
        }
    }

    @Test("Plain text, HTTP and garbage are closed at once; the link goes on")
    func garbage() async throws {
        let founder = try TestNode.founder()
        let member = try TestNode.member(of: try #require(founder.authority))
        try await running([founder, member]) {
            let port = try #require(await founder.link.port)
            try await closedAfter(Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), port: port)
            try await closedAfter(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8), port: port)
            var chance = SeededGenerator(seed: 3)
            for _ in 0..<20 { try await closedAfter((0..<500).map { _ in UInt8(chance.below(256)) }, port: port) }
            try await member.connect(to: founder)
            await member.sawUp(founder)
        }
    }

    @Test("Sockets that say nothing, or stop half way through TLS, are closed after the handshake's time")
    func silent() async throws {
        var settings = TestNode.settings
        settings.handshakeTimeout = .milliseconds(300)
        let founder = try TestNode.founder(settings: settings)
        try await running([founder]) {
            let port = try #require(await founder.link.port)
            let begun = ContinuousClock.now
            try await closedAfter([], port: port)
            // The head of a TLS record that announces more than follows.
            try await closedAfter([0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC], port: port)
            #expect(ContinuousClock.now - begun >= .milliseconds(500))
        }
    }

    @Test("More strangers at once than allowed are turned away; members still get in once there is room")
    func strangers() async throws {
        var settings = TestNode.settings
        settings.strangersMax = 3
        settings.handshakeTimeout = .milliseconds(700)
        let founder = try TestNode.founder(settings: settings)
        let member = try TestNode.member(of: try #require(founder.authority))
        try await running([founder, member]) {
            let port = try #require(await founder.link.port)
            try await withThrowingTaskGroup(of: Duration.self) { group in
                for _ in 0..<10 {
                    group.addTask {
                        let begun = ContinuousClock.now
                        try await closedAfter([], port: port)
                        return ContinuousClock.now - begun
                    }
                }
                let times = try await group.reduce(into: []) { $0.append($1) }
                #expect(times.count { $0 >= .milliseconds(600) } == 3, "three were let wait")
            }
            try await member.connect(to: founder)
            await member.sawUp(founder)
        }
    }

    @Test("A removed node's links end everywhere at once with the reason, and it finds no new ones")
    func removed() async throws {
        let founder = try TestNode.founder()
        let authority = try #require(founder.authority)
        let member = try TestNode.member(of: authority)
        let bad = try TestNode.member(of: authority)
        try await running([founder, member, bad]) {
            try await founder.connect(to: member)
            try await founder.connect(to: bad)
            try await bad.connect(to: member)
            for node in [founder, member, bad] { for other in [founder, member, bad] where other !== node { await node.sawUp(other) } }
            #expect(throws: BrumeError.self) { try member.link.remove(bad.id) }
            #expect(throws: BrumeError.self) { try founder.link.remove(founder.id) }
            try founder.link.remove(bad.id)
            let reason = "Node \(bad.id) was removed from the cluster."
            for node in [founder, member] {
                await node.events.wait("down") { $0.contains(.down(bad.id, reason: reason)) }
                #expect(node.notices.all.contains(.removed(bad.id)))
            }
            await unreachable(bad, "was removed from the cluster")
            // It learns of its own removal, and cannot join again under this name.
            await bad.notices.wait("own removal") { $0.contains(.removed(bad.id)) }
            let token = try authority.mintToken()
            let address = try await founder.address
            let error = try await #require(throws: BrumeError.self) {
                _ = try await Enrolment.join(
                    address, token: token, directory: bad.directory.path, identity: bad.identity, advertised: nil)
            }
            #expect(error.message.contains("was removed"))
            #expect(
                try #require(try NodeCredentials.load(directory: member.directory.path, identity: member.identity)).revocations.contains(
                    bad.id))
        }
    }

    @Test("A member that was away hears of removals when it connects")
    func lateNews() async throws {
        let founder = try TestNode.founder()
        let authority = try #require(founder.authority)
        let member = try TestNode.member(of: authority)
        let gone = try TestNode.member(of: authority)
        // So many that they take several messages.
        let long = try (0..<1_200).map { _ in try authority.revocation(of: NodeID(publicKey: Curve25519.Signing.PrivateKey().publicKey)) }
        #expect(try founder.credentials.merge(long).count == 1_200)
        try await running([founder, member]) {
            try founder.link.remove(gone.id)
            try await member.connect(to: founder)
            await member.notices.wait("removals") { $0.count { if case .removed = $0 { true } else { false } } == 1_201 }
            #expect(member.link.wasRemoved(gone.id))
            #expect(member.credentials.revocations.digest == founder.credentials.revocations.digest)
            // Nobody dials a removed node, whoever asks for it.
            member.link.connect(to: gone.id, at: "127.0.0.1:9")
            #expect(member.link.send([1], kind: .call, to: gone.id) == .unknown)
        }
    }

    @Test("Of two nodes with one identity the second is refused, told why, and the first keeps its link")
    func twins() async throws {
        let founder = try TestNode.founder()
        let first = try TestNode.member(of: try #require(founder.authority))
        let second = TestNode(
            directory: first.directory, identity: first.identity, credentials: first.credentials, authority: nil,
            settings: TestNode.settings)
        try await running([founder, first, second]) {
            try await first.connect(to: founder)
            await first.sawUp(founder)
            try await second.connect(to: founder)
            await unreachable(second, "Another running node has the identity \(first.id)")
            await founder.notices.wait("twins") { notices in
                notices.contains { if case .duplicateIdentity(first.id, _) = $0 { true } else { false } }
            }
            #expect(first.downs(founder).isEmpty)
            #expect(first.link.send([1], kind: .call, to: founder.id) == .queued)
            await founder.events.wait("frame") { $0.contains(.received([1], kind: .call, from: first.id)) }
        }
    }

    @Test("A node behind another name than expected is not linked")
    func wrongName() async throws {
        let founder = try TestNode.founder()
        let authority = try #require(founder.authority)
        let one = try TestNode.member(of: authority)
        let other = try TestNode.member(of: authority)
        try await running([founder, one]) {
            founder.link.connect(to: other.id, at: try await one.address)
            await unreachable(founder, "is node \(one.id), not \(other.id)")
            // Its own address under another name is noticed too.
            founder.link.connect(to: one.id, at: try await founder.address)
            await unreachable(founder, "is node \(founder.id), not \(one.id)")
        }
    }

    /// A member that says what a test wants it to say.
    private func greet(_ founder: TestNode, as member: TestNode, _ change: (inout Greeting) -> Void) async throws -> BrumeError? {
        var greeting = Greeting(node: member.id.description, instance: 5, connection: 6)
        change(&greeting)
        let bytes = Packet(control: [.greeting(greeting)]).encoded
        let client = try await LinkClient.connect(
            to: try await founder.address, context: member.credentials.clientContext, settings: TestNode.settings, meter: SocketMeter(),
            group: MultiThreadedEventLoopGroup.singleton
        ) { _ in founder.credentials.certified }
        do {
            try await client.call(LinkMethods.open) { stream in
                try await stream.outbound.write(contentsOf: [.metadata([:]), .message(GRPCNIOTransportBytes(bytes))])
                var parts = stream.inbound.makeAsyncIterator()
                _ = try await LinkClient.message(&parts)
            }
            return nil
        } catch {
            return error as? BrumeError
        }
    }

    @Test("A peer of a newer version is refused with the versions of both, and so is one that lies about itself")
    func versions() async throws {
        let founder = try TestNode.founder()
        let member = try TestNode.member(of: try #require(founder.authority))
        try await running([founder]) {
            let newer = try #require(
                try await greet(founder, as: member) {
                    $0.versionMin = 2
                    $0.versionMax = 3
                })
            #expect(newer.code == .unsupported)
            #expect(newer.message.contains("speaks versions 2 to 3"))
            #expect(newer.message.contains("update \(founder.id)"))
            let liar = try #require(try await greet(founder, as: member) { $0.node = founder.id.description })
            #expect(liar.code == .permission)
            let empty = try #require(try await greet(founder, as: member) { $0.instance = 0 })
            #expect(empty.code == .invalid)
            // One that speaks this version and newer ones is welcome.
            #expect(try await greet(founder, as: member) { $0.versionMax = 9 } == nil)
        }
    }

    @Test(
        "A member that sends garbage after its greeting loses its connection, with the reason told",
        arguments: [
            ([0x12, 5], "The peer sent a field longer than its message."),
            (
                [UInt8](repeating: 0, count: WireLimits.requestBytesMax + 1),
                "The peer sent a message that is compressed or longer than \(WireLimits.requestBytesMax) bytes."
            ),
        ] as [([UInt8], String)])
    func badMember(_ garbage: [UInt8], reason: String) async throws {
        let founder = try TestNode.founder()
        let member = try TestNode.member(of: try #require(founder.authority))
        try await running([founder]) {
            let client = try await LinkClient.connect(
                to: try await founder.address, context: member.credentials.clientContext, settings: TestNode.settings,
                meter: SocketMeter(), group: MultiThreadedEventLoopGroup.singleton
            ) { _ in founder.credentials.certified }
            let greeting = Packet(control: [.greeting(Greeting(node: member.id.description, instance: 5, connection: 6))]).encoded
            try? await client.call(LinkMethods.open) { stream in
                try await stream.outbound.write(contentsOf: [
                    .metadata([:]), .message(GRPCNIOTransportBytes(greeting)), .message(GRPCNIOTransportBytes(garbage)),
                ])
                var parts = stream.inbound.makeAsyncIterator()
                while try await LinkClient.message(&parts) != nil {}
            }
            await founder.events.wait("down") { $0.contains(.down(member.id, reason: reason)) }
        }
    }
}
