// SPDX-License-Identifier: Apache-2.0

import BrumeMembership
import BrumeModel
import Foundation
import Testing

@Suite("A death is seen by all within seconds")
struct DetectionTests {
    static let sizes = [2, 3, 5, 10, 25, 50]

    @Test("a silent death on a quiet network", arguments: sizes, [UInt64(1), 2, 3])
    func silent(size: Int, seed: UInt64) {
        var cluster = SimulatedCluster.formed(size, seed: seed)
        #expect(cluster.isWhole, "seed \(seed)")
        let times = Self.kill(size - 1, in: &cluster, links: false)
        #expect(times.count == size - 1, "seed \(seed): \(times)")
        // A second and a half until somebody's turn has come, half a second for an answer, a second to contradict, and the news.
        #expect(times.values.allSatisfy { $0 < .milliseconds(3_500) }, "seed \(seed): \(times)")
    }

    @Test("a death that also breaks its connections is seen in about two seconds", arguments: sizes, [UInt64(4), 5, 6])
    func broken(size: Int, seed: UInt64) {
        var cluster = SimulatedCluster.formed(size, seed: seed)
        let times = Self.kill(size - 1, in: &cluster, links: true)
        #expect(times.count == size - 1, "seed \(seed): \(times)")
        #expect(times.values.allSatisfy { $0 < .milliseconds(2_500) }, "seed \(seed): \(times)")
    }

    @Test("deaths under loss, repetition and reordering", arguments: [5, 20, 50], [UInt64(7), 8, 9])
    func underLoss(size: Int, seed: UInt64) {
        var cluster = SimulatedCluster.formed(size, seed: seed)
        cluster.weather = .init(lost: 100, repeated: 50, delayMilliseconds: 1...80)
        let times = Self.kill(size - 1, in: &cluster, links: false)
        #expect(times.count == size - 1, "seed \(seed): \(times)")
        #expect(times.values.allSatisfy { $0 < .seconds(5) }, "seed \(seed): \(times)")
    }

    @Test("half of the nodes at once", arguments: [UInt64(10), 11])
    func half(seed: UInt64) {
        var cluster = SimulatedCluster.formed(30, seed: seed)
        for victim in 15..<30 { cluster.processes[victim].isUp = false }
        let since = cluster.now
        cluster.run(for: .seconds(20))
        for victim in 15..<30 {
            let times = cluster.deaths(of: SimulatedCluster.node(victim), since: since)
            #expect(times.count == 15, "seed \(seed): node \(victim) \(times)")
        }
        #expect(cluster.isWhole && cluster.isAgreed, "seed \(seed)")
    }

    /// Ends a process and tells how long each of the others took to see it.
    static func kill(_ victim: Int, in cluster: inout SimulatedCluster, links: Bool) -> [Int: Duration] {
        cluster.processes[victim].isUp = false
        let since = cluster.now
        let id = cluster.processes[victim].id
        if links {
            for other in cluster.processes.indices where other != victim { cluster.step(other) { $0.linkDown(id, now: $1) } }
        }
        let others = cluster.processes.count - 1
        cluster.run(for: .seconds(15)) { $0.deaths(of: id, since: since).count == others }
        return cluster.deaths(of: id, since: since)
    }
}

@Suite("The living are not taken for dead")
struct FalsePositiveTests {
    @Test("under loss, suspicions are contradicted in time", arguments: [50, 100, 200], [UInt64(21), 22, 23])
    func loss(lost: Int, seed: UInt64) {
        var cluster = SimulatedCluster.formed(20, seed: seed)
        cluster.weather = .init(lost: lost, repeated: 20, delayMilliseconds: 1...30)
        cluster.run(for: .seconds(60))
        let wrong = cluster.count { if case .dead = $0 { true } else { false } }
        // 20 nodes watched by 20 for a minute: 20 wrong sightings are one wrong death seen by all.
        #expect(wrong <= (lost <= 100 ? 0 : 20), "seed \(seed): \(wrong) wrong deaths")
        cluster.weather = .init()
        cluster.run(for: .seconds(15))
        #expect(cluster.isWhole && cluster.isAgreed, "seed \(seed)")
    }

    @Test("a node that stood still accuses nobody, and is forgiven when it goes on", arguments: [UInt64(31), 32, 33])
    func standstill(seed: UInt64) {
        var cluster = SimulatedCluster.formed(10, seed: seed)
        cluster.processes[3].stopped = cluster.now + .seconds(8)
        cluster.run(for: .seconds(20))
        let accused = cluster.sightings.contains { sighting in
            if case .dead(let record) = sighting.event { return record.id != SimulatedCluster.node(3) }
            return false
        }
        #expect(!accused, "seed \(seed)")
        #expect(cluster.isWhole, "seed \(seed)")
        #expect(cluster.saw(0) { if case .returned(let record) = $0 { record.id == SimulatedCluster.node(3) } else { false } })
    }

    @Test("one slow node of ten does not take others for dead", arguments: [UInt64(34), 35])
    func slow(seed: UInt64) {
        var cluster = SimulatedCluster.formed(10, seed: seed)
        for _ in 0..<40 {
            cluster.processes[3].stopped = cluster.now + .milliseconds(700)
            cluster.run(for: .milliseconds(900))
        }
        let wrong = cluster.sightings.contains { sighting in
            if case .dead(let record) = sighting.event { return record.id != SimulatedCluster.node(3) }
            return false
        }
        #expect(!wrong, "seed \(seed)")
    }
}

@Suite("Partitions heal and nodes return")
struct HealingTests {
    @Test("two halves lose each other and merge", arguments: [6, 30], [UInt64(41), 42, 43])
    func partition(size: Int, seed: UInt64) {
        var cluster = SimulatedCluster.formed(size, seed: seed)
        for number in 0..<size / 3 { cluster.processes[number].group = 1 }
        cluster.run(for: .seconds(40))
        let last = SimulatedCluster.node(size - 1)
        #expect(cluster.processes[0].membership.member(last)?.status == .dead, "seed \(seed)")
        #expect(cluster.processes[0].membership.present.count == size / 3 - 1, "seed \(seed)")
        for number in 0..<size { cluster.processes[number].group = 0 }
        let healed = cluster.now
        cluster.run(for: .seconds(60)) { $0.isWhole && $0.isAgreed }
        #expect(cluster.isWhole && cluster.isAgreed, "seed \(seed)")
        #expect(cluster.now - healed < .seconds(15), "seed \(seed): \(cluster.now - healed)")
    }

    @Test("a process that was killed returns, and what it says counts more than its death", arguments: [0, 150], [UInt64(44), 45])
    func restart(lost: Int, seed: UInt64) throws {
        var cluster = SimulatedCluster.formed(8, seed: seed)
        cluster.weather.lost = lost
        _ = DetectionTests.kill(7, in: &cluster, links: false)
        let before = try #require(cluster.processes[0].membership.member(SimulatedCluster.node(7)))
        #expect(before.status == .dead)
        // Its data directory is lost: it begins at 1 again and hears what was said of it.
        let again = cluster.start(7, joining: [0])
        cluster.run(for: .seconds(20)) { $0.isWhole }
        #expect(cluster.isWhole, "seed \(seed)")
        let after = try #require(cluster.processes[0].membership.member(SimulatedCluster.node(7)))
        // By its incarnation, or in the same one by its session.
        #expect(after.record.supersedes(before.record) && after.record.session != before.record.session)
        #expect(cluster.saw(3) { if case .returned(let record) = $0 { record.id == SimulatedCluster.node(7) } else { false } })
        #expect(!cluster.saw(again) { if case .identityClash = $0 { true } else { false } }, "an ended process is no twin, seed \(seed)")
    }

    @Test("a restart before anybody noticed is told as a return", arguments: [UInt64(46), 47])
    func quickRestart(seed: UInt64) {
        var cluster = SimulatedCluster.formed(5, seed: seed)
        let kept = cluster.processes[4].membership.records
        cluster.processes[4].isUp = false
        cluster.run(for: .milliseconds(100))
        cluster.start(4, known: kept, joining: [0, 1])
        cluster.run(for: .seconds(5))
        #expect(cluster.isWhole && cluster.isAgreed, "seed \(seed)")
        #expect(cluster.saw(2) { if case .returned(let record) = $0 { record.id == SimulatedCluster.node(4) } else { false } })
        #expect(cluster.count { if case .dead = $0 { true } else { false } } == 0, "seed \(seed)")
    }

    @Test("fifty join through one seed while a fifth of all frames is lost", arguments: [UInt64(48), 49])
    func join(seed: UInt64) {
        var cluster = SimulatedCluster(seed: seed)
        cluster.weather.lost = 200
        for number in 0..<50 { cluster.start(number, joining: number == 0 ? [] : [0]) }
        cluster.run(for: .seconds(30)) { $0.processes.allSatisfy { $0.membership.members.count == 50 } }
        #expect(cluster.processes.allSatisfy { $0.membership.members.count == 50 }, "seed \(seed)")
    }
}

/// Prints what the comments and documents say, with `MEMBERSHIP_REPORT=1`.
@Suite("How long a death takes to be seen", .enabled(if: ProcessInfo.processInfo.environment["MEMBERSHIP_REPORT"] != nil))
struct DetectionReport {
    @Test("distribution over seeds", arguments: [3, 10, 50], [(0, false), (0, true), (50, false), (200, false)])
    func distribution(size: Int, weather: (lost: Int, links: Bool)) {
        var times: [Duration] = []
        var wrong = 0
        for seed in UInt64(100)..<112 {
            var cluster = SimulatedCluster.formed(size, seed: seed)
            cluster.weather.lost = weather.lost
            let seen = DetectionTests.kill(size - 1, in: &cluster, links: weather.links)
            times += seen.keys.sorted().compactMap { seen[$0] }
            wrong += cluster.count { if case .dead(let record) = $0 { record.id != SimulatedCluster.node(size - 1) } else { false } }
        }
        times.sort()
        func at(_ share: Double) -> Double { times[Int(Double(times.count - 1) * share)].inSeconds }
        print(
            "size \(size) lost \(weather.lost) links \(weather.links):",
            "p50 \(at(0.5)) p90 \(at(0.9)) p99 \(at(0.99)) max \(at(1)) wrong \(wrong)"
        )
    }
}
