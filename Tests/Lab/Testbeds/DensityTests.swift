// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeSimulator
import BrumeTestbeds
import Testing

/// Calls that a node serves at equal latency.
@Suite("Density")
struct DensityTests {
    private static func search(calls: Int, precision: Double) -> DensitySearch {
        var search = DensitySearch()
        (search.seeds, search.calls, search.precision) = (1, calls, precision)
        return search
    }

    @Test("static limits keep their own bound at the reference rate and hardly beyond, and every other policy serves more")
    func order() throws {
        var search = Self.search(calls: 120, precision: 0.1)
        // Where calls wait for each other: with so few of them a lower rate would only tell the longest call's own time.
        search.reference = 80
        let report = try search.report([.reserved, .shared])
        #expect(report.lines.map(\.policy) == ["static", "density-weights"])
        #expect(report.referencePerMinute == 80 && report.p99BoundSeconds > 1)
        for line in report.lines {
            #expect(line.p99Seconds <= report.p99BoundSeconds, "\(line)")
            #expect(line.cpuUtilisation > 0 && line.cpuUtilisation <= 1, "\(line)")
        }
        let rates = report.lines.map(\.callsPerMinute)
        // A small burst may come a little faster and still not wait longer.
        #expect(rates[0] >= 80 && rates[0] < 105, "\(rates)")
        #expect(rates[1] > 1.2 * rates[0], "\(rates)")
        let slowed = report.lines.map(\.callsPerMinuteAtSlowdown)
        #expect(slowed[0] > 0 && slowed[1] > 1.2 * slowed[0], "\(slowed)")
    }

    @Test("the same seeds give the same report, and rows and CSV say what it says")
    func writing() throws {
        let report = try Self.search(calls: 50, precision: 0.5).report([.reserved])
        #expect(try report == Self.search(calls: 50, precision: 0.5).report([.reserved]))
        #expect(report.rows.count == 1 && report.rows[0].count == DensityReport.columns.count && report.rows[0][0] == "static")
        #expect(report.csv.count == 2 && report.csv[1].split(separator: ",").count == report.csv[0].split(separator: ",").count)
        #expect(report.words.contains("70.0 calls a minute"))
    }

    @Test("whoever is asked to stop stops, and a node in which no call fits is none")
    func ends() {
        struct Enough: Error {}
        var rates = 0
        let search = DensitySearch { _ in
            rates += 1
            if rates > 2 { throw Enough() }
        }
        #expect(throws: Enough.self) { try search.report() }
        #expect(DensitySearch.fits(DensitySearch.node))
        #expect(!DensitySearch.fits(Resources(millicores: 400, memoryBytes: 1 << 40)))
    }
}
