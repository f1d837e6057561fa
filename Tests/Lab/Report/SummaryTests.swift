// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload
import Foundation
import Testing

@testable import BrumeReport

@Suite("The experiment's summary")
struct SummaryTests {
    /// Two policies, four calls; one call fails under the second.
    private static func small() -> Experiment {
        let base = [
            SampleRuns.record(0, "a", running: 1000), SampleRuns.record(1, "b", due: 100, queued: 400, running: 600),
            SampleRuns.record(2, "a", due: 200, running: 2000), SampleRuns.record(3, "b", due: 1000, running: 100),
        ]
        let lent = [
            SampleRuns.record(0, "a", running: 500), SampleRuns.record(1, "b", due: 100, queued: 800, running: 450),
            SampleRuns.record(2, "a", due: 200, running: 900), SampleRuns.record(3, "b", due: 1000, running: nil, succeeded: false),
        ]
        var harvest = SampleRuns.run("harvest", lent, [SampleRuns.point(500, cpu: 1000), SampleRuns.point(5000, cpu: 2000)])
        harvest.safeguards = 3
        harvest.outOfMemoryKills = 1
        let points = [SampleRuns.point(1100, cpu: 500, memory: 1 << 28), SampleRuns.point(2200, cpu: 1000, memory: 1 << 29)]
        return SampleRuns.experiment([
            SampleRuns.run("static", base, points), harvest, SampleRuns.run("static", simulated: true, base),
        ])
    }

    @Test("figures of each policy follow from its records, real and simulated apart")
    func figures() throws {
        let summary = ExperimentSummary(Self.small())
        #expect(summary.real.map(\.name) == ["static", "harvest"])
        #expect(summary.simulated.map(\.name) == ["static"])
        let base = try #require(summary.real.first)
        #expect((base.calls, base.failed) == (4, 0))
        #expect(base.meanMilliseconds == (1000 + 1000 + 2000 + 100) / 4)
        #expect((base.p50Milliseconds, base.p99Milliseconds) == (1000, 2000))
        #expect(base.completionSeconds == 2.2)
        #expect((base.worstSlowdown, base.slowerCalls) == (0, 0))
        // Four calls in 2.2 s; of the other policy's four one failed.
        #expect(abs(base.callsPerMinute - 4 * 60 / 2.2) < 1e-9 && abs(summary.real[1].callsPerMinute - 3 * 60 / 1.35) < 1e-9)
        // 1.1 s with half a core and 1.1 s with a whole one, of two cores.
        #expect(abs(base.cpuUtilisation - 0.375) < 1e-9)
        #expect(abs(base.memoryUtilisation - 0.375) < 1e-9)
        let harvest = summary.real[1]
        #expect((harvest.calls, harvest.failed, harvest.safeguards, harvest.outOfMemoryKills) == (4, 1, 3, 1))
        // The last answer comes after 1.35 s; what was used after that is not counted.
        #expect(harvest.completionSeconds == 1.35)
        #expect(abs(harvest.cpuUtilisation - (0.5 * 1 + 0.85 * 2) / (2 * 1.35)) < 1e-9)
    }

    @Test("the worst call is named, with what took longer; failed calls are not compared")
    func worst() throws {
        let harvest = ExperimentSummary(Self.small()).real[1]
        #expect(harvest.worstSlowdown == 0.25)
        #expect(harvest.slowerCalls == 1)
        let worst = try #require(harvest.worstCall)
        #expect((worst.index, worst.function, worst.milliseconds, worst.staticMilliseconds) == (1, "b", 1250, 1000))
        #expect(worst.why == "waited for its turn 400 ms longer")
    }

    @Test("of several rounds times are means, counts are sums, and calls are compared by their medians")
    func rounds() throws {
        func round(_ policy: String, _ milliseconds: [Int]) -> PolicyRun {
            var run = SampleRuns.run(policy, milliseconds.enumerated().map { SampleRuns.record($0.offset, running: $0.element) })
            run.safeguards = 2
            return run
        }
        let summary = ExperimentSummary(
            SampleRuns.experiment([
                round("static", [100, 100]), round("harvest", [500, 100]), round("static", [100, 300]), round("harvest", [100, 50]),
                round("static", [900, 100]), round("harvest", [104, 90]),
            ]))
        #expect(summary.real.map(\.rounds) == [3, 3])
        let harvest = summary.real[1]
        #expect((harvest.calls, harvest.safeguards) == (6, 6))
        #expect(abs(harvest.meanMilliseconds - (300 + 75 + 97) / 3) < 1e-9)
        let slowdown = try #require(harvest.worstSlowdown)
        #expect(abs(slowdown - 0.04) < 1e-9)
        #expect(harvest.slowerCalls == 0)
    }

    @Test("summary.json has this shape")
    func golden() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let said = String(decoding: try encoder.encode(ExperimentSummary(Self.small())), as: UTF8.self) + "\n"
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/summary.json").path
        if ProcessInfo.processInfo.environment["UPDATE_SNAPSHOTS"] != nil {
            try said.write(toFile: path, atomically: true, encoding: .utf8)
        }
        #expect(try said == String(contentsOfFile: path, encoding: .utf8))
    }

    @Test("the table has a cell for each column, and the changes against static limits")
    func table() {
        let table = SummaryTable(ExperimentSummary(Self.small()).real)
        #expect(SummaryTable.columns.count == SummaryTable.meanings.count)
        #expect(table.rows.allSatisfy { $0.count == SummaryTable.columns.count })
        #expect(table.rows[0][3] == "1.02 s")
        #expect(table.rows[1][3] == "883 ms (\u{2212}14 %)")
        #expect(table.rows[1][8] == "+25 %")
    }
}
