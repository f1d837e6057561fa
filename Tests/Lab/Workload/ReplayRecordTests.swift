// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeWorkload

@Suite("Records of calls")
struct ReplayRecordTests {
    private func record(_ index: Int, _ milliseconds: Int?, function: String = "f", due: Duration = .zero) -> ReplayRecord {
        var record = ReplayRecord(index: index, function: function, due: due)
        record.completion = milliseconds.map { .milliseconds($0) }
        record.succeeded = milliseconds != nil
        return record
    }

    @Test("percentiles are exact: the smallest value that so many do not exceed", arguments: [1, 2, 3, 99, 100, 101, 1000])
    func percentiles(count: Int) {
        // In an order that is not theirs.
        let records = (1...count).map { record($0, ($0 * 7919 % (count + (count % 7919 == 0 ? 1 : 0))) + 1) }
        let times = records.compactMap(\.completion?.inMilliseconds).sorted()
        let summary = ReplaySummary("all", of: records)
        for (percent, said) in [(50, summary.p50Milliseconds), (95, summary.p95Milliseconds), (99, summary.p99Milliseconds)] {
            let below = times.count { $0 <= said }
            #expect(100 * below >= percent * count, "\(percent) of \(count)")
            #expect(100 * times.count { $0 < said } < percent * count, "\(percent) of \(count)")
        }
        #expect(summary.worstMilliseconds == times.last)
        #expect(abs(summary.meanMilliseconds - times.reduce(0, +) / Double(count)) < 1e-9)
    }

    @Test("failed calls count, and do not make the others look faster")
    func failures() {
        var late = record(2, 500, due: .seconds(3))
        late.timedOut = true
        late.succeeded = false
        let summary = ReplaySummary("all", of: [record(0, 10), record(1, nil), late, record(3, 30, due: .seconds(1))])
        #expect((summary.calls, summary.failed, summary.timedOut) == (4, 2, 1))
        #expect(summary.meanMilliseconds == 20)
        #expect(summary.completionSeconds == 3.5)
        let nothing = ReplaySummary("all", of: [])
        #expect((nothing.calls, nothing.meanMilliseconds, nothing.p99Milliseconds, nothing.completionSeconds) == (0, 0, 0, 0))
    }

    @Test("the table has all calls first, then each function in the order of its first call")
    func table() {
        let records = [record(0, 10, function: "b"), record(1, 20, function: "a"), record(2, 30, function: "b")]
        let table = ReplaySummary.table(of: records)
        #expect(table.map(\.name) == ["all", "b", "a"])
        #expect(table.map(\.calls) == [3, 2, 1])
        #expect(table[1].meanMilliseconds == 20)
    }

    @Test("a line has a field for every column, in Libra's units")
    func line() {
        var one = record(4, 1500, function: "with, comma", due: .milliseconds(2500))
        one.requestID = "01ABC"
        one.status = 200
        one.inputSize = 7
        one.running = .nanoseconds(1_250_000_000)
        one.isCold = false
        one.resources.millicores = 1500
        one.resources.peakMemoryBytes = 128_500_000
        one.resources.millicoreSeconds = -250
        let names = ReplayRecord.header.split(separator: ",").map(String.init)
        #expect(names.prefix(5) == ["index", "request_id", "function_id", "input_size", "success"])
        #expect(Set(names).count == names.count)
        #expect(
            one.line == "4,01ABC,\"with, comma\",7,1,0,1.5,,,128.5,,1.25,1.5,,-0.25,,,,200,,2500,,,,1250,0")
        let bare = ReplayRecord(index: 0, function: "f", due: .zero)
        #expect(bare.line.split(separator: ",", omittingEmptySubsequences: false).count == names.count)
    }
}
