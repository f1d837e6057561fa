// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeSandbox

/// Sharing by weight alone, on real control groups.
@Suite("Weights share the CPU", .serialized, .timeLimit(.minutes(2)), .enabled(if: ProcessBench.isRoot))
struct WeightTests {
    /// Wants all cores, so that on each of them everybody meets everybody.
    private static let spinEverywhere = """
        import os
        for _ in range(os.cpu_count() - 1):
            if os.fork() == 0: break
        print('on')
        while True: pass
        """

    /// CPU time, in seconds, that each has got until all together had enough to compare, and how long that took.
    private static func shares(_ subjects: [UsageFiles]) async throws -> (got: [Double], in: Double) {
        let clock = ContinuousClock()
        let (began, before) = (clock.now, subjects.map { $0.cpuNanoseconds ?? 0 })
        while true {
            try await Task.sleep(for: .milliseconds(500))
            let got = zip(subjects, before).map { Double(($0.cpuNanoseconds ?? 0) - $1) / 1e9 }
            let passed = (clock.now - began) / .seconds(1)
            // A busy machine takes longer over it; a thread gets what is its due only in the long run.
            if got.reduce(0, +) >= 1.5 || passed > 20 { return (got, passed) }
        }
    }

    @Test("under contention programs get CPU in proportion to their allocations, and one alone gets far more than its own")
    func proportion() async throws {
        let name = "brume-test-\(UInt32.random(in: 0..<UInt32.max))"
        let tree = CgroupTree.make(name: name)
        let amounts = [200, 600]
        var subjects: [ResizeTests.Subject] = []
        for (index, millicores) in amounts.enumerated() {
            let group = ReplicaCgroup(tree: tree, name: "r\(index)")
            try group.create(Resources(millicores: millicores, memoryBytes: 64 << 20), endsTogether: true, cpu: .weight)
            subjects.append(try ResizeTests.Subject(group, python: Self.spinEverywhere))
        }
        for subject in subjects { subject.waitForLine() }
        let files = try subjects.map { try UsageFiles($0.group) }
        let both = try await Self.shares(files)
        subjects[1].end()
        let alone = try await Self.shares([files[0]])
        subjects[0].end()
        for subject in subjects { await subject.group.remove() }
        tree.remove()
        let ratio = both.got[1] / both.got[0]
        #expect(ratio > 2 && ratio < 4.5, "\(both), wanted 1 to 3")
        // No quota: even on a busy machine it gets more than its own.
        #expect(alone.got[0] / alone.in > 0.25, "\(alone) alone, with an allocation of 0.2")
    }

    @Test(
        "a weight is what the kernel takes, however small or large the allocation",
        arguments: [
            (0, 2, 1), (1, 2, 1), (10, 10, 1), (500, 512, 50), (1000, 1024, 100), (64_000, 65_536, 6400), (Int.max, 262_144, 10_000),
        ])
    func range(millicores: Int, legacy: Int, unified: Int) {
        #expect(CPUWeight(millicores: millicores).legacy == legacy)
        #expect(CPUWeight(millicores: millicores).unified == unified)
    }

    @Test("a replica has a quota, a weight or both, as the node was told")
    func files() async throws {
        let tree = CgroupTree.make(name: "brume-test-\(UInt32.random(in: 0..<UInt32.max))")
        let limits = Resources(millicores: 300, memoryBytes: 64 << 20)
        for (control, hasQuota, hasWeight) in [(CPUControl.quota, true, false), (.weight, false, true), (.quotaAndWeight, true, true)] {
            let group = ReplicaCgroup(tree: tree, name: "r1")
            try group.create(limits, endsTogether: true, cpu: control)
            let path = try #require(group.limitPaths?.cpu)
            let quota = try #require(HostFiles.read(path))
            let directory = path.split(separator: "/").dropLast().joined(separator: "/")
            let weight = ["cpu.shares", "cpu.weight"].compactMap { HostFiles.number("/\(directory)/\($0)") }.first
            #expect(hasQuota == !(quota.hasPrefix("-1") || quota.hasPrefix("max")), "\(control): \(quota)")
            let weighed = tree.isLegacy ? CPUWeight(millicores: 300).legacy : CPUWeight(millicores: 300).unified
            #expect(weight == (hasWeight ? weighed : tree.isLegacy ? 1024 : 100), "\(control)")
            await group.remove()
        }
        tree.remove()
    }
}
