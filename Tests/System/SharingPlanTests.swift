// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import BrumeHarvest
import BrumeModel
import BrumeSandbox
import Testing

@testable import brume

@Suite("How the calls of a node share the machine")
struct SharingPlanTests {
    private static let capacity = Resources(millicores: 2000, memoryBytes: 1 << 30)

    private static func settings(_ choice: SharingChoice, without parts: [SharingPart] = []) throws -> HarvesterSettings? {
        try SharingPlan(choice, without: parts).harvesterSettings(capacity: capacity)
    }

    private static func required(_ choice: SharingChoice, without parts: [SharingPart] = []) throws -> HarvesterSettings {
        let made = try settings(choice, without: parts)
        return try #require(made)
    }

    @Test("only the policies that lend have a harvester")
    func harvesters() throws {
        for choice in SharingChoice.allCases {
            let settings = try Self.settings(choice)
            #expect((settings != nil) == [.harvest, .harvestWeights, .density, .densityWeights].contains(choice), "\(choice)")
            #expect(settings.map { $0.usesSafeguard && $0.pool.topsUp && $0.profiler.method == .learned } ?? true, "\(choice)")
            #expect((settings?.admission == .predictedDemand) == (choice == .density), "\(choice)")
            #expect((settings?.admission == .predictedUse) == (choice == .densityWeights), "\(choice)")
            #expect((settings?.guardsCPU == false) == (choice == .densityWeights), "\(choice)")
        }
    }

    @Test("weights alone have no quota, and harvesting alone no weights")
    func control() throws {
        let expected: [(SharingChoice, CPUControl)] = [
            (.static, .quotaAndWeight), (.weights, .weight), (.harvest, .quota), (.harvestWeights, .quotaAndWeight), (.density, .quota),
            (.densityWeights, .weight),
        ]
        for (choice, control) in expected {
            let plan = try SharingPlan(choice)
            #expect(plan.cpuControl == control, "\(choice)")
        }
    }

    @Test("each part can be left out, and the others stay")
    func parts() throws {
        let all = try Self.required(.harvest)
        let unguarded = try Self.required(.harvest, without: [.safeguard])
        #expect(!unguarded.usesSafeguard && unguarded.pool.topsUp && unguarded.profiler.method == all.profiler.method)
        let untopped = try Self.required(.density, without: [.topUp])
        #expect(untopped.usesSafeguard && !untopped.pool.topsUp && untopped.admission == .predictedDemand)
        let blind = try Self.required(.harvestWeights, without: [.profiler, .topUp])
        #expect(blind.profiler.method == .recentMaximum && !blind.profiler.explores && !blind.pool.topsUp && blind.usesSafeguard)
    }

    @Test("leaving a part out of what lends nothing is refused, and what to do is said", arguments: [SharingChoice.static, .weights])
    func refused(choice: SharingChoice) async throws {
        let outcome = try await CommandLineProgram.run(["up", "--sharing", choice.rawValue, "--sharing-without", "safeguard"])
        #expect(outcome.exitCode != 0)
        #expect(outcome.complaint.contains("--sharing \(choice.rawValue) lends nothing"), "\(outcome.complaint)")
        #expect(outcome.complaint.contains("give --sharing harvest"), "\(outcome.complaint)")
    }

    @Test("the safeguard's threshold, window and pause are settings")
    func safeguard() async throws {
        let said = try SafeguardOptions.parse(["--safeguard-threshold", "70", "--safeguard-window", "60ms", "--safeguard-pause", "0s"])
        let made = try SharingPlan(.harvest, safeguard: said.settings()).harvesterSettings(capacity: Self.capacity)
        let safeguard = try #require(made).safeguard
        #expect(safeguard.thresholdPercent == 70 && safeguard.cpuWindow == .milliseconds(60) && safeguard.pauseMin == .zero)
        let unsaid = try SafeguardOptions.parse([]).settings()
        #expect(unsaid == nil)
    }

    @Test(
        "a safeguard that cannot work is refused, and what to do is said",
        arguments: [
            (["--sharing", "harvest", "--safeguard-threshold", "0"], "1 to 99 percent"),
            (["--sharing", "harvest", "--safeguard-threshold", "100"], "1 to 99 percent"),
            (["--sharing", "harvest", "--safeguard-window", "5ms"], "--safeguard-window takes a time from"),
            (["--sharing", "harvest", "--safeguard-window", "soon"], "like 40ms, not 'soon'"),
            (["--sharing", "harvest", "--safeguard-pause", "2h"], "--safeguard-pause takes a time from"),
            (["--sharing", "static", "--safeguard-threshold", "70"], "no safeguard to set with --sharing static"),
            (["--sharing", "harvest", "--sharing-without", "safeguard", "--safeguard-pause", "0s"], "leave --safeguard-threshold"),
        ])
    func refusedSafeguard(arguments: [String], words: String) async throws {
        let outcome = try await CommandLineProgram.run(["up"] + arguments)
        #expect(outcome.exitCode != 0)
        #expect(outcome.complaint.contains(words), "\(outcome.complaint)")
    }
}
