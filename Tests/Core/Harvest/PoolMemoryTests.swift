// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Testing

/// Memory cannot be taken from a call that uses it.
@Suite("Memory in the harvest pool")
struct PoolMemoryTests {
    private static func terms(user: Int, demand: Int, floor: Int = 0) -> HarvestTerms {
        var terms = HarvestTerms(
            FunctionHandle(0), reserved: Resources(millicores: 0, memoryBytes: user), demand: Resources(millicores: 0, memoryBytes: demand),
            end: Instant(nanoseconds: 100))
        terms.memoryFloorBytes = floor
        return terms
    }

    private static func bench(_ bytes: Int, lendsUnreserved: Bool = false) -> PoolBench {
        .units(cpu: 0, memory: bytes, lendsUnreserved: lendsUnreserved)
    }

    private static func limit(_ bench: PoolBench, _ number: UInt64) -> Int? { bench.pool.limit(of: CallID(number), .memory) }

    @Test("nothing is lent below what the replica uses, and a use that grows takes it back in time")
    func floorOfLender() {
        var bench = Self.bench(100)
        bench.enter(CallID(1), Self.terms(user: 50, demand: 10, floor: 30))
        #expect(Self.limit(bench, 1) == 30)
        bench.enter(CallID(2), Self.terms(user: 10, demand: 30))
        #expect(Self.limit(bench, 2) == 30)
        bench.perform { $0.setMemoryFloor(CallID(1), bytes: 42, into: &$1) }
        #expect(Self.limit(bench, 1) == 42 && Self.limit(bench, 2) == 18)
        bench.perform { $0.setMemoryFloor(CallID(1), bytes: 20, into: &$1) }
        #expect(Self.limit(bench, 1) == 20 && Self.limit(bench, 2) == 30, "what it uses no longer is lent again")
    }

    @Test("a borrower that uses the loan keeps it, and the lender gets the amount from somebody else")
    func stuckLoan() {
        var bench = Self.bench(100, lendsUnreserved: true)
        bench.enter(CallID(1), Self.terms(user: 50, demand: 20))
        bench.enter(CallID(2), Self.terms(user: 10, demand: 80))
        bench.enter(CallID(3), Self.terms(user: 20, demand: 60))
        // 20 unreserved and 30 of call 1 went to call 2 first.
        #expect(Self.limit(bench, 2) == 60 && Self.limit(bench, 3) == 20)
        bench.perform { $0.setMemoryFloor(CallID(2), bytes: 55, into: &$1) }
        bench.restore(CallID(1), .memory)
        // 30 are to come back and only 5 can: nobody else has anything.
        #expect(Self.limit(bench, 1) == 25 && Self.limit(bench, 2) == 55)
        #expect(bench.pool.share(of: CallID(1), .memory)?.overdue == 25)
        bench.leave(CallID(3))
        #expect(Self.limit(bench, 1) == 45, "what comes free goes to the one below its own allocation")
        bench.perform { $0.setMemoryFloor(CallID(2), bytes: 0, into: &$1) }
        #expect(Self.limit(bench, 1) == 50)
    }

    @Test("a lender has its loan back as soon as the borrower uses less")
    func repaid() {
        var bench = Self.bench(60)
        bench.enter(CallID(1), Self.terms(user: 50, demand: 20))
        bench.enter(CallID(2), Self.terms(user: 10, demand: 40))
        bench.perform { $0.setMemoryFloor(CallID(2), bytes: 35, into: &$1) }
        bench.restore(CallID(1), .memory)
        #expect(Self.limit(bench, 1) == 25 && Self.limit(bench, 2) == 35)
        bench.perform { $0.setMemoryFloor(CallID(2), bytes: 22, into: &$1) }
        #expect(Self.limit(bench, 1) == 38 && Self.limit(bench, 2) == 22)
    }

    @Test("a call below its own allocation takes from those above theirs, whoever lent it to them")
    func preemption() {
        var bench = Self.bench(100, lendsUnreserved: true)
        bench.enter(CallID(1), Self.terms(user: 40, demand: 10))
        bench.enter(CallID(2), Self.terms(user: 10, demand: 40))
        bench.enter(CallID(3), Self.terms(user: 10, demand: 50))
        #expect(Self.limit(bench, 2) == 40 && Self.limit(bench, 3) == 50)
        bench.perform { $0.setMemoryFloor(CallID(3), bytes: 50, into: &$1) }
        bench.restore(CallID(1), .memory)
        #expect(Self.limit(bench, 1) == 40 && Self.limit(bench, 2) == 10 && Self.limit(bench, 3) == 50)
    }

    @Test("a loan that cannot be taken back outlives its lender as the node's")
    func lenderEnds() {
        var bench = Self.bench(60)
        bench.enter(CallID(1), Self.terms(user: 50, demand: 20))
        bench.enter(CallID(2), Self.terms(user: 10, demand: 40))
        bench.perform { $0.setMemoryFloor(CallID(2), bytes: 35, into: &$1) }
        bench.leave(CallID(1))
        #expect(Self.limit(bench, 2) == 35)
        #expect(bench.pool.loans(.memory).map(\.lender) == [.node])
        // A call that reserves the memory waits for its part.
        bench.enter(CallID(3), Self.terms(user: 50, demand: 50))
        #expect(Self.limit(bench, 3) == 25 && bench.pool.loans(.memory).map(\.lender) == [.call(CallID(3))])
        bench.leave(CallID(2))
        #expect(Self.limit(bench, 3) == 50)
    }

    @Test("a refused shrink takes nothing from those that were to grow: their limits stay below")
    func refusedShrink() {
        var bench = Self.bench(60)
        bench.enter(CallID(1), Self.terms(user: 50, demand: 20))
        bench.enter(CallID(2), Self.terms(user: 10, demand: 40))
        var effects = HarvestEffects()
        bench.pool.restore(CallID(1), .memory, into: &effects)
        let batch = effects.changes
        #expect(batch.map(\.to) == [10, 50])
        effects.removeAll()
        // The kernel finds 28 in use.
        let agrees = bench.pool.refused(batch[0], heldAt: 28, batch: batch, into: &effects)
        #expect(agrees)
        #expect(effects.changes.map(\.to) == [32, 28], "\(effects.changes)")
        #expect(bench.pool.audit().isEmpty, "\(bench.pool.audit())")
        #expect(Self.limit(bench, 1) == 32 && Self.limit(bench, 2) == 28)
    }
}
