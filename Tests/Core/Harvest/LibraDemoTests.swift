// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Foundation
import Testing

/// What Libra's own demo decides, as far as its decisions are sound: who lends and who wants how much.
@Suite("Decisions of Libra's demo")
struct LibraDemoTests {
    struct Row {
        let name: String
        let predicted: (cpu: Int, memory: Int)
        let clipped: (cpu: Int, memory: Int)
        let user: (cpu: Int, memory: Int)
        let milliseconds: Int
        let lend: (cpu: Int, memory: Int)
        let want: (cpu: Int, memory: Int)
    }

    /// Libra counts memory in units of 128 MB.
    private static let unit = 128_000_000

    static func rows() throws -> [Row] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/libra-demo.csv")
        let text = try String(contentsOf: file, encoding: .utf8)
        return try text.split(separator: "\n").filter { !$0.hasPrefix("#") }.dropFirst().map { line in
            let fields = line.split(separator: ",")
            let n = try fields.dropFirst().map { try #require(Int($0)) }
            try #require(n.count == 14)
            return Row(
                name: String(fields[0]), predicted: (n[1], n[2]),
                clipped: (min(max(n[1], n[3]), n[4]), min(max(n[2], n[5]), n[6])), user: (n[7], n[8]), milliseconds: n[9],
                lend: (n[10], n[12]), want: (n[11], n[13]))
        }
    }

    private static func amounts(_ pair: (cpu: Int, memory: Int)) -> Resources {
        Resources(millicores: pair.cpu * 1000, memoryBytes: pair.memory * unit)
    }

    @Test("each of the ten calls lends and wants what the demo's does")
    func decisions() throws {
        let rows = try Self.rows()
        #expect(rows.count == 10)
        // All user allocations together: 16 cores and 66 units.
        var settings = HarvestSettings(capacity: Self.amounts((16, 66)))
        settings.lendsUnreserved = false
        var bench = PoolBench(settings)
        for (index, row) in rows.enumerated() {
            let end = Instant.zero + .milliseconds(row.milliseconds)
            let terms = HarvestTerms(
                FunctionHandle(index), reserved: Self.amounts(row.user), demand: Self.amounts(row.clipped), end: end)
            let entered = bench.enter(CallID(UInt64(index)), terms)
            #expect(entered, "\(row.name)")
            for kind in ResourceKind.allCases {
                let share = try #require(bench.pool.share(of: CallID(UInt64(index)), kind))
                #expect(share.offered == Self.amounts(row.lend)[kind], "\(row.name) \(kind)")
                #expect(share.borrowed + share.unmet == Self.amounts(row.want)[kind], "\(row.name) \(kind)")
            }
        }
        // Nobody lends CPU, so four calls wait for a core each; the one loan of memory comes from the latest end at that time.
        #expect(bench.pool.loans(.cpu).isEmpty)
        #expect(bench.pool.shares(.cpu).map(\.unmet).reduce(0, +) == 4000)
        let loans = bench.pool.loans(.memory)
        #expect(loans.map(\.lender) == [.call(CallID(1))] && loans.map(\.borrower) == [CallID(3)] && loans.map(\.amount) == [Self.unit])
    }

    @Test("what nobody reserved serves the four calls that the demo leaves waiting")
    func unreserved() throws {
        var bench = PoolBench(HarvestSettings(capacity: Self.amounts((20, 66))))
        for (index, row) in try Self.rows().enumerated() {
            let terms = HarvestTerms(FunctionHandle(index), reserved: Self.amounts(row.user), demand: Self.amounts(row.clipped), end: .zero)
            bench.enter(CallID(UInt64(index)), terms)
        }
        #expect(bench.pool.shares(.cpu).map(\.unmet).reduce(0, +) == 0)
        #expect(bench.pool.loans(.cpu).map(\.lender) == [.node, .node, .node, .node])
    }
}
