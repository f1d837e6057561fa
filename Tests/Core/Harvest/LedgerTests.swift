// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Testing

@Suite("The harvest ledger")
struct LedgerTests {
    private static func at(_ nanoseconds: Int) -> Instant { Instant(nanoseconds: Int64(nanoseconds)) }

    @Test("figure 2 of the paper in unit-seconds: lent, borrowed, idle, and taken back before its time")
    func figure2() {
        var bench = PoolBench.units(cpu: 3)
        var ledger = HarvestLedger(opening: bench.pool, now: .zero)
        bench.enter(1, user: 2, demand: 1, end: 50)
        ledger.apply(bench.movements, now: Self.at(10))
        bench.enter(2, user: 1, demand: 2, end: 60)
        ledger.apply(bench.movements, now: Self.at(20))
        #expect(ledger.account(of: FunctionHandle(1), .cpu, now: Self.at(30)).lent == ResourceTime(10), "open positions count")
        bench.leave(CallID(1))
        let closed = ledger.apply(bench.movements, now: Self.at(40))
        bench.leave(CallID(2))
        ledger.apply(bench.movements, now: Self.at(60))
        let lender = ledger.account(of: FunctionHandle(1), .cpu, now: Self.at(99))
        #expect(lender.lent == ResourceTime(20) && lender.idle == ResourceTime(10) && lender.reclaims == 1)
        #expect(lender.reclaimed == ResourceTime(10), "one unit, ten before the estimated end")
        let borrower = ledger.account(of: FunctionHandle(2), .cpu, now: Self.at(99))
        #expect(borrower.borrowed == ResourceTime(20) && borrower.lost == ResourceTime(10) && borrower.idle == .zero)
        #expect(closed.map(\.call) == [CallID(1)] && closed.map(\.cpu) == [lender])
        #expect(closed.first?.events.map(\.amount) == [-1, 1] && closed.first?.events.map(\.ended) == [nil, .lenderEnded])
    }

    @Test("the accounts are the integrals of the pool's books, to the nanosecond", arguments: Array(UInt64(1)...40))
    func integrals(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var settings = HarvestSettings(capacity: Resources(millicores: 5000, memoryBytes: 5000))
        settings.quantum = Resources(millicores: 1, memoryBytes: 1)
        settings.lendsUnreserved = chance.chance(1, in: 2)
        var bench = PoolBench(settings, note: "seed \(seed)")
        var ledger = HarvestLedger(opening: bench.pool, now: .zero)
        var sums: [String: Int] = [:]
        var (now, alive): (Int, [CallID]) = (0, [])
        for number in UInt64(1)...200 {
            let step = chance.below(50)
            now += step
            for kind in ResourceKind.allCases {
                for share in bench.pool.shares(kind) {
                    // The function of a call is its number modulo 4.
                    let owner = if case .call(let call) = share.party { "\(call.number % 4)" } else { "node" }
                    sums["\(owner) \(kind) lent", default: 0] += share.onLoan * step
                    sums["\(owner) \(kind) idle", default: 0] += share.idle * step
                    sums["\(owner) \(kind) borrowed", default: 0] += share.borrowed * step
                }
            }
            let call = CallID(number)
            if chance.chance(1, in: 2) || alive.isEmpty {
                func amounts() -> Resources { Resources(millicores: chance.below(1500), memoryBytes: chance.below(1500)) }
                let terms = HarvestTerms(FunctionHandle(Int(number % 4)), reserved: amounts(), demand: amounts(), end: Self.at(now + 100))
                if bench.enter(call, terms) { alive.append(call) }
            } else if chance.chance(1, in: 5) {
                bench.restore(alive[chance.below(alive.count)], chance.chance(1, in: 2) ? .cpu : .memory)
            } else {
                bench.leave(alive.remove(at: chance.below(alive.count)))
            }
            ledger.apply(bench.movements, now: Self.at(now))
        }
        for kind in ResourceKind.allCases {
            for owner in ["0", "1", "2", "3", "node"] {
                let account =
                    Int(owner).map { ledger.account(of: FunctionHandle($0), kind, now: Self.at(now)) }
                    ?? ledger.nodeAccount(kind, now: Self.at(now))
                #expect(account.lent.units == Int128(sums["\(owner) \(kind) lent", default: 0]), "seed \(seed) \(owner) \(kind)")
                #expect(account.idle.units == Int128(sums["\(owner) \(kind) idle", default: 0]), "seed \(seed) \(owner) \(kind)")
                #expect(account.borrowed.units == Int128(sums["\(owner) \(kind) borrowed", default: 0]), "seed \(seed) \(owner) \(kind)")
            }
        }
    }

    @Test("a statement keeps the first events of a long call and counts the others")
    func boundedEvents() throws {
        var bench = PoolBench.units(cpu: 100)
        var ledger = HarvestLedger(opening: bench.pool, now: .zero)
        bench.enter(1, user: 10, demand: 1, end: 1000)
        ledger.apply(bench.movements, now: .zero)
        for number in UInt64(2)...60 {
            bench.enter(number, user: 1, demand: 2, end: 1000)
            ledger.apply(bench.movements, now: .zero)
            bench.leave(CallID(number))
            ledger.apply(bench.movements, now: .zero)
        }
        let statement = try #require(ledger.statement(of: CallID(1), now: .zero))
        #expect(statement.events.count == CallStatement.eventsMax)
        #expect(statement.eventsOmitted == 2 * 59 - CallStatement.eventsMax)
    }

    @Test("a gigabyte lent for a year does not overflow")
    func range() {
        var meter = HarvestLedger(opening: PoolBench.units(cpu: 1).pool, now: .zero)
        meter.apply([.entered(CallID(1), FunctionHandle(0)), .offered(.call(CallID(1)), .memory, 1 << 40)], now: .zero)
        let year = Instant.zero + .seconds(365 * 86_400)
        #expect(meter.account(of: FunctionHandle(0), .memory, now: year).idle.byteSeconds == Double(1 << 40) * 365 * 86_400)
    }
}
