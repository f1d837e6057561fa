// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload
import Testing

@testable import BrumeReport

@Suite("CSV files of a run")
struct TableTests {
    private static func run() -> PolicyRun {
        var record = SampleRuns.record(0, "a", queued: 250, running: 1000)
        record.resources.millicores = 350
        record.resources.memoryBytes = 64 << 20
        record.resources.peakMillicores = 400
        record.resources.peakMemoryBytes = 50_000_000
        record.resources.predictedDuration = .milliseconds(900)
        record.resources.wasSafeguarded = true
        record.resources.millicoreSeconds = -1500
        record.resources.idleMemoryByteSeconds = 2_000_000
        let points = [300, 600, 1000, 1100].map { SampleRuns.point($0, cpu: $0, memory: 1_000_000, limits: 1500) }
        return SampleRuns.run("harvest", [record, SampleRuns.record(1, "b", running: nil, succeeded: false)], points)
    }

    @Test("Libra's four logs have its columns and its units", arguments: RunTables.LibraLog.allCases)
    func libra(log: RunTables.LibraLog) {
        let lines = RunTables.libra(log, Self.run())
        switch log {
        case .trajectory:
            #expect(
                lines == [
                    "index,request_id,function_id,input_size,success,timeout,cpu,memory,cpu_peak,mem_peak,history,predict_duration,duration,completion_time",
                    "0,call-0,a,7,True,False,0.35,0.5,0.4,50,True; -1.5;2 ,0.9,1,1.25", "1,call-1,b,7,False,False,,,,,,,,",
                ])
        case .delta:
            #expect(
                lines == [
                    "index,request_id,is_safeguard,cpu_delta,mem_delta,cpu_idle,memory_idle,duration,completion_time",
                    "0,call-0,True,-1.5,,,2,1,1.25", "1,call-1,,,,,,,",
                ])
        case .cpuUsage: #expect(lines == ["time,util,alloc", "1,0.633,1.5", "2,1.1,1.5"])
        case .memoryUsage: #expect(lines == ["time,util,alloc", "1,1,2", "2,1,2"])
        }
    }

    @Test("utilisation over time has a line for each point, with as many fields as columns")
    func utilisation() {
        let lines = RunTables.utilisation(Self.run())
        #expect(lines.count == 5)
        #expect(lines[1] == "0.3,0.3,1.5,1,2,1")
        let columns = lines[0].split(separator: ",").count
        #expect(lines.allSatisfy { $0.split(separator: ",", omittingEmptySubsequences: false).count == columns })
    }

    @Test(
        "figures are written shortly, with their units",
        arguments: [(0.5, "0.5 ms"), (12.3, "12 ms"), (1520, "1.52 s"), (15_250, "15.3 s"), (125_000, "2m05s")] as [(Double, String)])
    func figures(milliseconds: Double, said: String) { #expect(Figure.milliseconds(milliseconds) == said) }

    @Test(
        "changes have their sign",
        arguments: [(-0.394, "\u{2212}39 %"), (0.042, "+4.2 %"), (0, "0 %"), (1.5, "+150 %")] as [(Double, String)])
    func changes(part: Double, said: String) { #expect(Figure.change(part) == said) }

    @Test("axes are marked at round numbers within their range")
    func marks() {
        #expect(Scale(.linear, 0, 137, from: 0, to: 1).marks == [0, 50, 100])
        #expect(Scale(.logarithmic, 10, 100_000, from: 0, to: 1).marks.map { $0.rounded() } == [10, 100, 1000, 10_000, 100_000])
        let scale = Scale(.logarithmic, 10, 1000, from: 0, to: 100)
        #expect(abs(scale.place(100) - 50) < 1e-9)
        #expect((scale.place(1), scale.place(1e6)) == (0, 100))
    }
}
