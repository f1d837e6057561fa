// SPDX-License-Identifier: Apache-2.0

import BrumeMembership
import BrumeModel
import BrumeNode
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import Testing

/// Memberships of two real services that talk over a link of this process.
@Suite("The cluster service")
struct ClusterServiceTests {
    /// Hands frames to the other services at once, on their own thread.
    final class Wire: Sendable {
        struct State {
            var services: [NodeID: ClusterService] = [:]
            var cut: Set<NodeID> = []
            var asked: [String] = []
        }

        let state = Mutex(State())
        let loop = MultiThreadedEventLoopGroup.singleton.next()

        func end(of id: NodeID) -> End { End(id: id, wire: self) }
        var asked: [String] { state.withLock { $0.asked } }
    }

    struct End: PeerLink {
        let id: NodeID
        let wire: Wire

        func send(_ frame: [UInt8], kind: LinkKind, to peer: NodeID) -> LinkSend {
            let service = wire.state.withLock { $0.cut.contains(peer) || $0.cut.contains(id) ? nil : $0.services[peer] }
            guard let service else { return .unknown }
            wire.loop.execute { service.take(.received(frame, kind: kind, from: id)) }
            return .queued
        }

        func connect(to peer: NodeID, at address: String) { wire.state.withLock { $0.asked.append("connect \(peer) \(address)") } }
        func disconnect(from peer: NodeID) { wire.state.withLock { $0.asked.append("disconnect \(peer)") } }
    }

    static func node(_ number: Int) throws -> NodeID {
        try NodeID(String(repeating: "0", count: NodeID.length - 1) + "\(number)")
    }

    static func service(
        _ number: Int, on wire: Wire, keep: @escaping @Sendable ([MemberRecord]) async -> Void = { _ in }
    ) throws
        -> ClusterService
    {
        let id = try node(number)
        let clock = NodeClock(wallClock: .zero)
        let identity = Membership.Identity(
            id: id, session: UInt64(number), meta: try MemberMeta(address: "10.0.0.\(number):7700"))
        var logger = Logger(label: "cluster-tests")
        logger.logLevel = .critical
        let service = ClusterService(
            Membership(identity, seed: UInt64(number), now: clock.now),
            world: ClusterWorld(now: { clock.now }, loop: wire.loop, keep: keep), logger: logger)
        service.attach(wire.end(of: id))
        wire.state.withLock { $0.services[id] = service }
        return service
    }

    static func eventually(_ condition: () -> Bool) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(15)
        while ContinuousClock.now < deadline {
            if condition() { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    static func status(_ service: ClusterService, _ number: Int) throws -> String? {
        let id = try node(number)
        return service.report().nodes.first { $0.id == id }?.status
    }

    @Test("two join, one falls silent and is dead in seconds, and returns")
    func life() async throws {
        let wire = Wire()
        let services = try (1...3).map { try Self.service($0, on: wire) }
        services[0].start()
        for service in services.dropFirst() { service.start(seeds: [(id: try Self.node(1), address: "10.0.0.1:7700")]) }
        #expect(try await Self.eventually { services.allSatisfy { $0.report().nodes.count == 3 } })
        #expect(wire.asked.contains("connect \(try Self.node(3)) 10.0.0.3:7700"), "members are connected to: \(wire.asked)")
        let third = try Self.node(3)
        wire.state.withLock { _ = $0.cut.insert(third) }
        for service in services.prefix(2) { service.take(.down(third, reason: "cut")) }
        #expect(try await Self.eventually { services.prefix(2).allSatisfy { (try? Self.status($0, 3)) == "dead" } })
        wire.state.withLock { $0.cut = [] }
        #expect(try await Self.eventually { services.allSatisfy { $0.report().nodes.allSatisfy { $0.status == "alive" } } })
    }

    @Test("frames of other kinds go to their owners, those of membership do not")
    func dispatch() throws {
        let wire = Wire()
        let service = try Self.service(1, on: wire)
        let peer = try Self.node(2)
        let taken = Mutex<[LinkEvent]>([])
        service.addTaker { event in taken.withLock { $0.append(event) } }
        let events: [LinkEvent] = [
            .up(peer), .received([1], kind: .state, from: peer), .received([9, 9], kind: .membership, from: peer),
            .received([2], kind: .call, from: peer), .writable(peer, .bulk), .down(peer, reason: "gone"),
        ]
        for event in events { service.take(event) }
        #expect(taken.withLock { $0 } == [events[0], events[1], events[3], events[4], events[5]])
        #expect(service.counts.framesRefused == 1)
    }

    @Test("a removed member is disconnected, kept in the records and no longer told as one")
    func removal() async throws {
        let wire = Wire()
        let services = try (1...2).map { try Self.service($0, on: wire) }
        services[0].start()
        services[1].start(seeds: [(id: try Self.node(1), address: "10.0.0.1:7700")])
        #expect(try await Self.eventually { services.allSatisfy { $0.report().nodes.count == 2 } })
        let told = Mutex<[MemberStatus?]>([])
        let second = try Self.node(2)
        services[0].onMembers { members in told.withLock { $0.append(members.first { $0.id == second }?.status) } }
        try services[0].remove(second)
        #expect(told.withLock { $0 } == [.alive, .removed])
        #expect(try await Self.eventually { wire.asked.contains("disconnect \(second)") })
        #expect(try await Self.eventually { services[1].report().standing == "expelled" })
        #expect(throws: BrumeError.self) { try services[0].remove(services[0].id) }
        #expect(throws: BrumeError.self) { try services[0].drain(second, true) }
    }

    @Test("what is known is kept, and the end says goodbye")
    func goodbye() async throws {
        let wire = Wire()
        let kept = Mutex<[MemberRecord]>([])
        let leaving = try Self.service(1, on: wire) { records in kept.withLock { $0 = records } }
        let staying = try Self.service(2, on: wire)
        leaving.start()
        staying.start(seeds: [(id: try Self.node(1), address: "10.0.0.1:7700")])
        #expect(try await Self.eventually { leaving.report().nodes.count == 2 && staying.report().nodes.count == 2 })
        var logger = Logger(label: "cluster-tests")
        logger.logLevel = .critical
        let group = ServiceGroup(services: [leaving], gracefulShutdownSignals: [], logger: logger)
        let running = Task { try await group.run() }
        #expect(try await Self.eventually { kept.withLock { $0.count } == 2 })
        await group.triggerGracefulShutdown()
        try await running.value
        #expect(try Self.status(staying, 1) == "left")
        #expect(kept.withLock { $0.contains { $0.status == .left } })
    }
}
