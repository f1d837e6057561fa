// SPDX-License-Identifier: Apache-2.0

import BrumeMembership
import BrumeModel
import Testing

@Suite("What members say of themselves and of others")
struct MembershipLifeTests {
    static let fifth = SimulatedCluster.node(4)

    private func status(_ cluster: SimulatedCluster, _ position: Int, _ id: NodeID = fifth) -> MemberStatus? {
        cluster.processes[position].membership.member(id)?.status
    }

    @Test("a goodbye reaches everybody at once and is no death", arguments: [3, 40], [UInt64(1), 2])
    func leave(size: Int, seed: UInt64) {
        var cluster = SimulatedCluster.formed(size, seed: seed)
        let leaver = size - 1
        cluster.step(leaver) { $0.leave(now: $1) }
        cluster.run(for: .seconds(2)) { $0.processes[leaver].membership.hasSaidGoodbye }
        #expect(cluster.processes[leaver].membership.hasSaidGoodbye)
        cluster.processes[leaver].isUp = false
        cluster.run(for: .seconds(5))
        for other in 0..<leaver { #expect(status(cluster, other, SimulatedCluster.node(leaver)) == .left, "seed \(seed)") }
        #expect(cluster.count { if case .dead = $0 { true } else { false } } == 0, "seed \(seed)")
        #expect(cluster.count { if case .left = $0 { true } else { false } } == leaver, "each tells it once, seed \(seed)")
        // And it may return.
        cluster.start(leaver, joining: [1])
        cluster.run(for: .seconds(10)) { $0.isWhole }
        #expect(cluster.isWhole, "seed \(seed)")
    }

    @Test("a removed node learns it, falls silent and is never taken back", arguments: [UInt64(3), 4, 5])
    func remove(seed: UInt64) throws {
        var cluster = SimulatedCluster.formed(6, seed: seed)
        let output = try cluster.processes[0].membership.remove(Self.fifth, now: cluster.now)
        #expect(output.events.contains { if case .removed = $0 { true } else { false } })
        cluster.step(0) { _, _ in output }
        cluster.run(for: .seconds(3))
        #expect(cluster.processes[4].membership.standing == .expelled, "seed \(seed)")
        for other in [0, 1, 2, 3, 5] { #expect(status(cluster, other) == .removed, "seed \(seed)") }
        // A new process with the old identity, which has forgotten that it was expelled.
        cluster.processes[4].isUp = false
        let again = cluster.start(4, incarnation: 1_000, joining: [1, 2])
        cluster.run(for: .seconds(5))
        #expect(cluster.processes[again].membership.standing == .expelled, "seed \(seed)")
        for other in [0, 1, 2, 3, 5] { #expect(status(cluster, other) == .removed, "seed \(seed)") }
        // And one that remembers.
        let kept = cluster.processes[again].membership.records
        let third = cluster.start(4, known: kept, joining: [1])
        #expect(cluster.processes[third].membership.standing == .expelled)
    }

    @Test("one that joins while nobody is reached is in as soon as the link stands", arguments: [UInt64(20), 21])
    func lateLink(seed: UInt64) {
        var cluster = SimulatedCluster.formed(3, seed: seed)
        let late = cluster.start(7)
        cluster.processes[late].group = 1
        cluster.step(late) { $0.join([SimulatedCluster.node(0)], now: $1) }
        cluster.run(for: .seconds(20))
        cluster.processes[late].group = 0
        let linked = cluster.now
        cluster.step(late) { $0.linkUp(SimulatedCluster.node(0), now: $1) }
        cluster.run(for: .seconds(5)) { $0.isWhole }
        #expect(cluster.isWhole && cluster.now - linked < .milliseconds(500), "seed \(seed): \(cluster.now - linked)")
    }

    @Test("nobody removes itself")
    func removeSelf() {
        var cluster = SimulatedCluster.formed(2, seed: 6)
        #expect(throws: BrumeError.self) { try cluster.processes[0].membership.remove(SimulatedCluster.node(0), now: cluster.now) }
    }

    @Test("a drain asked at another node is seen by all, and taken back", arguments: [0, 200], [UInt64(7), 8])
    func drain(lost: Int, seed: UInt64) throws {
        var cluster = SimulatedCluster.formed(7, seed: seed)
        cluster.weather.lost = lost
        for wish in [true, false] {
            let output = try cluster.processes[2].membership.askToDrain(Self.fifth, wish, now: cluster.now)
            cluster.step(2) { _, _ in output }
            cluster.run(for: .seconds(6))
            let seen = cluster.processes.map { $0.membership.member(Self.fifth)?.isDraining }
            #expect(seen.allSatisfy { $0 == wish }, "seed \(seed)")
        }
        #expect(cluster.saw(4) { if case .askedToDrain(true, by: SimulatedCluster.node(2)) = $0 { true } else { false } })
        #expect(cluster.saw(0) { if case .drained(let record) = $0 { record.id == Self.fifth } else { false } })
    }

    @Test("what a node tells about itself reaches everybody and can change", arguments: [UInt64(9), 10])
    func meta(seed: UInt64) throws {
        var cluster = SimulatedCluster.formed(12, seed: seed)
        let meta = try MemberMeta(
            address: "10.0.0.7:7070", version: "0.4.0", labels: [.init("place", "edge"), .init("zone", "lyon")],
            pairs: [.init("snapshot", [1, 2, 255])])
        cluster.step(4) { $0.setMeta(meta, now: $1) }
        cluster.run(for: .seconds(3))
        for process in cluster.processes { #expect(process.membership.member(Self.fifth)?.meta == meta, "seed \(seed)") }
        #expect(cluster.saw(0) { if case .metaChanged(let record) = $0 { record.meta == meta } else { false } })
    }

    @Test("two processes with one identity: both say it, the younger withdraws", arguments: [UInt64(11), 12, 13, 14])
    func twins(seed: UInt64) {
        var cluster = SimulatedCluster.formed(6, seed: seed)
        let kept = cluster.processes[4].membership.records
        let copy = cluster.start(4, known: kept, joining: [0, 1, 2])
        cluster.run(for: .seconds(20))
        func said(_ process: Int, yields: Bool) -> Bool {
            cluster.saw(process) { if case .identityClash(_, yields) = $0 { true } else { false } }
        }
        #expect(said(copy, yields: true), "seed \(seed)")
        #expect(cluster.processes[copy].membership.standing == .yielded, "seed \(seed)")
        #expect(cluster.processes[4].membership.standing == .taking, "seed \(seed)")
        cluster.processes[copy].isUp = false
        cluster.run(for: .seconds(20))
        #expect(cluster.isWhole && cluster.isAgreed, "the rest works on, seed \(seed)")
    }

    @Test("twins that start together end as one", arguments: [UInt64(15), 16, 17])
    func twinsTogether(seed: UInt64) {
        var cluster = SimulatedCluster.formed(5, seed: seed)
        let first = cluster.start(9, joining: [0, 1])
        let second = cluster.start(9, joining: [2, 3])
        cluster.run(for: .seconds(30))
        let standings = [first, second].map { cluster.processes[$0].membership.standing }
        #expect(standings.contains(.taking) && standings.contains(.yielded), "seed \(seed): \(standings)")
    }

    @Test("the load of a node does not grow with the cluster")
    func load() {
        var perNode: [Int: (frames: Double, bytes: Double)] = [:]
        for size in [5, 20, 50] {
            var cluster = SimulatedCluster.formed(size, seed: 18)
            cluster.run(for: .seconds(20))
            let before = cluster.processes.map(\.membership.counts)
            cluster.run(for: .seconds(60))
            let after = cluster.processes.map(\.membership.counts)
            let frames = zip(after, before).reduce(0) { $0 + $1.0.framesSent - $1.1.framesSent }
            let bytes = zip(after, before).reduce(0) { $0 + $1.0.bytesSent - $1.1.bytesSent }
            perNode[size] = (Double(frames) / Double(size) / 60, Double(bytes) / Double(size) / 60)
        }
        for size in [5, 20, 50] {
            let load = perNode[size] ?? (0, 0)
            // A ping, an ack, and now and then a comparison: 2.1 frames for each half second.
            #expect(load.frames > 3 && load.frames < 5, "\(size) nodes: \(load)")
            #expect(load.bytes < 200, "\(size) nodes: \(load)")
        }
    }

    @Test("a burst of news is bounded for each node", arguments: [10, 50])
    func burst(size: Int) throws {
        var cluster = SimulatedCluster.formed(size, seed: 19)
        let before = cluster.processes.map(\.membership.counts)
        for number in 0..<size {
            let meta = try MemberMeta(address: "10.0.0.\(number):7070", labels: [.init("zone", "z\(number)")])
            cluster.step(number) { $0.setMeta(meta, now: $1) }
        }
        cluster.run(for: .seconds(10))
        #expect(cluster.isAgreed)
        let most = zip(cluster.processes, before).map { $0.membership.counts.framesSent - $1.framesSent }.max() ?? 0
        // 30 frames of gossip a second while there is news, and the probes.
        #expect(most < 200, "\(most)")
    }
}
