// SPDX-License-Identifier: Apache-2.0
import BrumeSimulator
import FoundationEssentials
import Testing

/// `brume simulate`, run as a person runs it.
@Suite("brume simulate")
struct CommandLineSimulateTests {
    @Test("a seed gives the same report in two processes, and the one that the library gives here")
    func sameDigest() async throws {
        let words = ["simulate", "--seed", "7", "--faults", "heavy", "--calls", "150", "--json"]
        let first = try await CommandLineProgram.run(words)
        let second = try await CommandLineProgram.run(words)
        #expect(first.exitCode == 0)
        #expect(first.output == second.output)
        var simulation = Simulation(seed: 7, plan: SimulationPlan(calls: 150, faults: .heavy))
        let report = try simulation.run()
        #expect(try JSONDecoder().decode(Report.self, from: Data(first.output.utf8)) == report)
        let text = try await CommandLineProgram.run(words.dropLast())
        #expect(text.output.contains(report.digestText))
    }

    @Test("several seeds are summed up")
    func summary() async throws {
        let outcome = try await CommandLineProgram.run(["simulate", "--seeds", "5", "--calls", "50"])
        #expect(outcome.exitCode == 0)
        #expect(outcome.output.hasPrefix("5 seeds from 1: every promise held over 250 calls"))
        #expect(outcome.output.contains("digest "))
    }

    @Test("a trace holds every event of the run")
    func trace() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "brume-trace-\(UUID().uuidString)").path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let outcome = try await CommandLineProgram.run(["simulate", "--seed", "3", "--calls", "50", "--trace", path, "--json"])
        #expect(outcome.exitCode == 0)
        let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == report.events)
        #expect(lines.first?.hasPrefix("0s deploy f0") == true)
    }

    @Test(
        "words that make no simulation are refused",
        arguments: [
            ["--calls", "0"], ["--functions", "0"], ["--seeds", "0"], ["--faults", "some"], ["--seed", "-1"],
            ["--seeds", "2", "--trace", "x"],
        ])
    func wrongWords(words: [String]) async throws {
        let outcome = try await CommandLineProgram.run(["simulate"] + words)
        #expect(outcome.exitCode == 2)
        #expect(outcome.output.isEmpty)
        #expect(outcome.complaint.hasPrefix("brume: "))
    }
}
