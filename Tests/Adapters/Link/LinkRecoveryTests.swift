// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Crypto
import Dispatch
import Synchronization
import Testing

@testable import BrumeLink

@Suite("Links that break, fill up and change their certificates", .serialized, .timeLimit(.minutes(2)))
struct LinkRecoveryTests {
    /// Frames that carry their number.
    private func frame(_ number: Int, count: Int = 100) -> [UInt8] {
        var frame = [UInt8](repeating: 0, count: max(8, count))
        for place in 0..<8 { frame[place] = UInt8(truncatingIfNeeded: number >> (8 * place)) }
        return frame
    }

    private static func number(_ frame: [UInt8]) -> Int { (0..<8).reduce(0) { $0 | Int(frame[$1]) << (8 * $1) } }

    @Test("After the other's death frames may be missing, but none comes twice or out of order, and the link comes back")
    func reconnect() async throws {
        let founder = try TestNode.founder()
        let authority = try #require(founder.authority)
        let first = try TestNode.member(of: authority)
        try await running([founder]) {
            var numbers: [Int] = []
            var next = 0
            var port = 0
            for life in 0..<4 {
                var settings = TestNode.settings
                settings.port = port
                let node = TestNode(
                    directory: first.directory, identity: first.identity, credentials: first.credentials, authority: nil, settings: settings
                )
                let running = Task { try await node.link.run() }
                port = try #require(await node.link.port)
                if life == 0 { founder.link.connect(to: node.id, at: "127.0.0.1:\(port)") }
                await founder.sawUp(node, times: life + 1)
                var queued = 0
                while queued < 500 {
                    guard founder.link.send(frame(next, count: 3_000), kind: .state, to: node.id) == .queued else { break }
                    next += 1
                    queued += 1
                }
                let wanted = min(100, queued)
                await node.events.wait("some frames") { events in
                    events.count { if case .received = $0 { true } else { false } } >= wanted
                }
                // No goodbye: the process is gone with whatever was under way.
                running.cancel()
                _ = await running.result
                numbers += node.frames(.state).map(Self.number)
                await founder.events.wait("down \(life)") { events in
                    events.count { if case .down(node.id, _) = $0 { true } else { false } } == life + 1
                }
            }
            #expect(numbers == Array(Set(numbers)).sorted(), "none twice, none before an earlier one")
            #expect(numbers.count >= 400)
        }
    }

    @Test("Two that dial each other at the same moment get one link, and nobody is told of a failure")
    func crossedDials() async throws {
        let founder = try TestNode.founder()
        let authority = try #require(founder.authority)
        try await running([founder]) {
            for round in 0..<12 {
                let node = try TestNode.member(of: authority)
                try await running([node]) {
                    let addresses = (try await founder.address, try await node.address)
                    node.link.connect(to: founder.id, at: addresses.0)
                    founder.link.connect(to: node.id, at: addresses.1)
                    await node.sawUp(founder)
                    await founder.sawUp(node)
                    #expect(node.downs(founder).isEmpty && founder.downs(node).isEmpty, "round \(round)")
                    // While both run: what the founder says of the node afterwards is true, since it is gone.
                    let loud = (node.notices.all + founder.notices.all).filter {
                        $0.loudness == .trouble && $0.concerns(node.id, founder.id)
                    }
                    #expect(loud.isEmpty, "round \(round): \(loud)")
                }
                founder.link.disconnect(from: node.id)
            }
        }
    }

    @Test("What an operator need not know is told quietly, what he may have to act on loudly")
    func levels() {
        let id = NodeID(publicKey: Curve25519.Signing.PrivateKey().publicKey)
        let quiet: [LinkNotice] = [.unneeded(id, address: ""), .address(id, "")]
        let plain: [LinkNotice] = [.listening(port: 1), .joined(id, address: nil), .renewed(expires: 0), .signs]
        let loud: [LinkNotice] = [
            .unreachable(id, address: "", reason: ""), .refused(nil, from: "", reason: ""), .joinRefused(from: "", reason: ""),
            .duplicateIdentity(id, from: ""), .removed(id), .renewalFailed(reason: ""), .keyRefused(reason: ""),
        ]
        #expect(quiet.allSatisfy { $0.loudness == .detail } && plain.allSatisfy { $0.loudness == .news })
        #expect(loud.allSatisfy { $0.loudness == .trouble })
    }

    @Test("A slow owner fills the queues of its peers, urgent frames pass bulk ones, and room is told")
    func backpressure() async throws {
        let gate = Gate()
        let order = Recorder<LinkKind>()
        let founder = try TestNode.founder()
        let slow = try TestNode.member(of: try #require(founder.authority)) { event in
            guard case .received(_, let kind, _) = event else { return }
            if kind == .bulk { gate.pass() }
            order.add(kind)
        }
        try await running([founder, slow]) {
            try await founder.connect(to: slow)
            await founder.sawUp(slow)
            let long = [UInt8](repeating: 7, count: 1 << 20)
            var bulk = 0
            var filled = 0
            // Until the line, the owner's backlog and the queue are all full; what drains meanwhile is bounded by their sizes.
            while filled < 3, bulk < 200 {
                if founder.link.send(long, kind: .bulk, to: slow.id) == .full {
                    filled += 1
                    try await Task.sleep(for: .milliseconds(100))
                } else {
                    bulk += 1
                    filled = 0
                }
                await Task.yield()
            }
            #expect(filled == 3)
            #expect(bulk < 100, "the queue, the line and the backlog hold tens of megabytes at most")
            for _ in 0..<10 { #expect(founder.link.send([1], kind: .membership, to: slow.id) == .queued) }
            gate.open()
            let total = bulk + 10
            await order.wait("everything") { $0.count == total }
            let urgent = order.all.lastIndex(of: .membership) ?? total
            #expect(urgent < total - 1, "urgent frames overtook the bulk that waited behind them")
            await founder.events.wait("room") { $0.contains(.writable(slow.id, .bulk)) }
        }
    }

    @Test("Certificates are renewed and connections replaced while frames flow: none is lost, and the link never goes down")
    func rotation() async throws {
        var settings = TestNode.settings
        settings.certificateLife = .seconds(15)
        let founder = try TestNode.founder(settings: settings)
        let member = try TestNode.member(of: try #require(founder.authority), settings: settings, life: .seconds(15))
        try await running([founder, member]) {
            try await member.connect(to: founder)
            await member.sawUp(founder)
            await founder.sawUp(member)
            let sent = try await withThrowingTaskGroup(of: Int.self) { group in
                for (from, to) in [(founder, member), (member, founder)] {
                    group.addTask {
                        var number = 0
                        // Until the certificate has been renewed and another connection has followed the first, and a little longer.
                        var rest = 100
                        while rest > 0 {
                            if from.link.statistics.connections > 1, from.notices.all.contains(where: Self.isRenewal) { rest -= 1 }
                            let count = number.isMultiple(of: 50) ? 200_000 : 200
                            if from.link.send(self.frame(number, count: count), kind: .state, to: to.id) == .queued { number += 1 }
                            try await Task.sleep(for: .milliseconds(2))
                        }
                        return number
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(sent.allSatisfy { $0 > 500 })
            for node in [founder, member] {
                await node.events.wait("all frames") { events in
                    sent.contains(events.count { if case .received = $0 { true } else { false } })
                }
                let numbers = node.frames(.state).map(Self.number)
                #expect(numbers == Array(0..<numbers.count))
            }
            #expect(founder.downs(member).isEmpty)
            #expect(member.downs(founder).isEmpty)
        }
    }

    private static func isRenewal(_ notice: LinkNotice) -> Bool { if case .renewed = notice { true } else { false } }

    @Test("A link whose certificates cannot be renewed ends when they run out, and says why")
    func expiry() async throws {
        var settings = TestNode.settings
        settings.certificateLife = .seconds(3_600)
        let founder = try TestNode.founder(settings: settings)
        let authority = try #require(founder.authority)
        let one = try TestNode.member(of: authority, life: .seconds(3))
        let other = try TestNode.member(of: authority, life: .seconds(3))
        try await running([one, other]) {
            try await one.connect(to: other)
            await one.sawUp(other)
            await one.events.wait("down") { events in events.contains { if case .down = $0 { true } else { false } } }
            await one.notices.wait("nobody to renew") { notices in
                notices.contains(.renewalFailed(reason: "No node that holds the cluster's key is connected."))
            }
            await one.notices.wait("refused") { notices in
                notices.contains { if case .unreachable(_, _, let reason) = $0 { reason.contains("expired") } else { false } }
            }
        }
    }

    @Test("Nodes that dial each other at the same moment end with one connection, again and again")
    func crossing() async throws {
        let founder = try TestNode.founder()
        let authority = try #require(founder.authority)
        for _ in 0..<10 {
            let left = try TestNode.member(of: authority)
            let right = try TestNode.member(of: authority)
            try await running([left, right]) {
                let addresses = (try await left.address, try await right.address)
                left.link.connect(to: right.id, at: addresses.1)
                right.link.connect(to: left.id, at: addresses.0)
                await left.sawUp(right)
                await right.sawUp(left)
                for number in 0..<50 {
                    #expect(left.link.send(frame(number), kind: .call, to: right.id) == .queued)
                    #expect(right.link.send(frame(number), kind: .call, to: left.id) == .queued)
                }
                for node in [left, right] {
                    await node.events.wait("all frames") { events in
                        events.count { if case .received = $0 { true } else { false } } == 50
                    }
                    #expect(node.frames(.call).map(Self.number) == Array(0..<50))
                }
                #expect(left.link.statistics.connections == 1)
                #expect(right.link.statistics.connections == 1)
            }
        }
    }

    @Test("A peer that is forgotten is told, and connected anew when it is wanted again")
    func forgotten() async throws {
        let founder = try TestNode.founder()
        let other = try TestNode.member(of: try #require(founder.authority))
        try await running([founder, other]) {
            try await founder.connect(to: other)
            await other.sawUp(founder)
            await founder.sawUp(other)
            founder.link.disconnect(from: other.id)
            await other.events.wait("down") { events in events.contains { if case .down = $0 { true } else { false } } }
            await founder.events.wait("its own down") { events in events.contains { if case .down = $0 { true } else { false } } }
            #expect(founder.downs(other) == ["This node ended the connection."])
            #expect(founder.link.send([1], kind: .call, to: other.id) == .unknown)
            try await founder.connect(to: other)
            await founder.sawUp(other, times: 2)
        }
    }
}

/// Holds an owner's thread until it is opened: an owner that is at work for long.
final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func open() { semaphore.signal() }

    func pass() {
        semaphore.wait()
        semaphore.signal()
    }
}

extension LinkNotice {
    /// Whether it is about one of two nodes as seen by the other.
    fileprivate func concerns(_ one: NodeID, _ other: NodeID) -> Bool {
        switch self {
        case .unreachable(let peer, _, _), .duplicateIdentity(let peer, _): peer == one || peer == other
        case .refused(let peer, _, _): peer.map { $0 == one || $0 == other } ?? true
        default: false
        }
    }
}
