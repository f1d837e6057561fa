// SPDX-License-Identifier: Apache-2.0
import BrumeTestbeds
import FoundationEssentials
import Testing

/// `brume lab testbeds`, run as a person runs it.
@Suite("brume lab testbeds")
struct CommandLineTestbedsTests {
    @Test("one experiment is printed and written down, and JSON says the same")
    func mix() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "brume-testbeds-\(UUID().uuidString)").path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let words = ["lab", "testbeds", "--only", "mix", "--seeds", "1", "--output", folder]
        let outcome = try await CommandLineProgram.run(words)
        #expect(outcome.exitCode == 0, "\(outcome.complaint)")
        #expect(outcome.output.contains("mean speedup, unrelated"))
        let written = try Data(String(contentsOfFile: folder + "/testbeds.json", encoding: .utf8).utf8)
        let report = try JSONDecoder().decode(TestbedReport.self, from: written)
        #expect(report.seeds == 1 && report.lines.count == 6)
        #expect(report.lines.allSatisfy { $0.testbed == .mix && $0.simulated != nil })
        #expect(try String(contentsOfFile: folder + "/testbeds.md", encoding: .utf8) == report.markdown)
        let json = try await CommandLineProgram.run(["lab", "testbeds", "--only", "mix", "--seeds", "1", "--json"])
        #expect(try JSONDecoder().decode(TestbedReport.self, from: Data(json.output.utf8)) == report)
    }

    @Test("words that make no experiment are refused", arguments: [["--only", "double"], ["--seeds", "0"], ["--seeds", "1001"]])
    func wrongWords(words: [String]) async throws {
        let outcome = try await CommandLineProgram.run(["lab", "testbeds"] + words)
        #expect(outcome.exitCode == 2)
        #expect(outcome.output.isEmpty)
        #expect(outcome.complaint.hasPrefix("brume: "))
    }
}
