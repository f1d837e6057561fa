// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Testing

@Suite("The harvest pool")
struct PoolTests {
    @Test("the paper's figure 2: a call borrows an idle unit, and drops to its own when the lender ends")
    func figure2() {
        var bench = PoolBench.units(cpu: 3)
        bench.enter(1, user: 2, demand: 1, end: 4)
        #expect(bench.limit(1) == 1 && bench.idle(1) == 1)
        bench.enter(2, user: 1, demand: 2, end: 6)
        #expect(bench.limit(2) == 2 && bench.loans() == ["c1>c2:1"])
        bench.leave(CallID(1))
        #expect(bench.limit(2) == 1 && bench.loans().isEmpty)
        #expect(bench.changes == [LimitChange(call: CallID(2), kind: .cpu, from: 2, to: 1)])
        bench.leave(CallID(2))
        #expect(bench.pool.footprint.shares == 0 && bench.pool.unreserved.millicores == 3)
    }

    @Test("the paper's figure 4: the latest end is lent first, an entry is lent in parts, a later call adds its own")
    func figure4() {
        var bench = PoolBench.units(cpu: 10)
        bench.enter(1, user: 2, demand: 1, end: 4)
        bench.enter(2, user: 3, demand: 1, end: 3)
        #expect(
            bench.pool.snapshot.cpu == [.init(amount: 1, end: Instant(nanoseconds: 4)), .init(amount: 2, end: Instant(nanoseconds: 3))])
        bench.enter(4, user: 1, demand: 3, end: 9)
        #expect(bench.loans() == ["c1>c4:1", "c2>c4:1"])
        #expect(bench.pool.snapshot.cpu == [.init(amount: 1, end: Instant(nanoseconds: 3))])
        bench.enter(3, user: 2, demand: 1, end: 4)
        #expect(
            bench.pool.snapshot.cpu == [.init(amount: 1, end: Instant(nanoseconds: 4)), .init(amount: 1, end: Instant(nanoseconds: 3))])
    }

    @Test("what a borrower held lies in the pool again when it ends, until its lender's own end")
    func reharvest() {
        var bench = PoolBench.units(cpu: 10)
        bench.enter(1, user: 4, demand: 1, end: 100)
        bench.enter(2, user: 1, demand: 3, end: 50)
        bench.leave(CallID(2))
        #expect(bench.idle(1) == 3 && bench.limit(1) == 1)
        #expect(bench.pool.snapshot.cpu == [.init(amount: 3, end: Instant(nanoseconds: 100))])
    }

    @Test("running calls that want more get it the moment something comes free, in order of arrival")
    func topUp() {
        var bench = PoolBench.units(cpu: 10)
        bench.enter(1, user: 1, demand: 3, end: 50)
        bench.enter(2, user: 1, demand: 3, end: 50)
        #expect(bench.limit(1) == 1 && bench.limit(2) == 1)
        bench.enter(3, user: 4, demand: 1, end: 40)
        #expect(bench.limit(1) == 3 && bench.limit(2) == 2)
        bench.leave(CallID(1))
        #expect(bench.limit(2) == 3)
    }

    @Test("a safeguard recalls everything before the lender grows, and what the lender borrowed it keeps")
    func safeguard() {
        var bench = PoolBench.units(cpu: 10)
        bench.enter(1, user: 4, demand: 1, end: 50)
        bench.enter(2, user: 1, demand: 2, end: 50)
        bench.enter(3, user: 1, demand: 9, end: 50)
        #expect(bench.limit(2) == 2 && bench.limit(3) == 3)
        bench.restore(CallID(1))
        #expect(bench.limit(1) == 4 && bench.limit(2) == 1 && bench.limit(3) == 1)
        #expect(bench.changes.map(\.isShrink) == [true, true, false])
        #expect(bench.movements.contains(.safeguarded(CallID(1), .cpu)))
        bench.perform { $0.revise(CallID(1), demand: .zero, end: Instant(nanoseconds: 90), into: &$1) }
        #expect(bench.limit(1) == 4, "once restored it lends no more, whatever is expected of it")
    }

    @Test("a recalled loan is replaced from elsewhere without a write")
    func substitution() {
        var bench = PoolBench.units(cpu: 20)
        bench.enter(1, user: 4, demand: 2, end: 90)
        bench.enter(2, user: 1, demand: 3, end: 50)
        bench.enter(3, user: 4, demand: 2, end: 40)
        #expect(bench.loans() == ["c1>c2:2"])
        bench.leave(CallID(1))
        #expect(bench.loans() == ["c3>c2:2"] && bench.changes.isEmpty)
    }

    @Test("what nobody has reserved is lent until a call reserves it")
    func unreserved() {
        var bench = PoolBench.units(cpu: 10, lendsUnreserved: true)
        bench.enter(1, user: 2, demand: 9, end: 50)
        #expect(bench.limit(1) == 9 && bench.loans() == ["node>c1:7"])
        bench.enter(2, user: 5, demand: 5, end: 50)
        #expect(bench.limit(1) == 5 && bench.limit(2) == 5)
        #expect(bench.changes.first == LimitChange(call: CallID(1), kind: .cpu, from: 9, to: 5))
        bench.leave(CallID(2))
        #expect(bench.limit(1) == 9)
    }

    @Test("what is kept back lets calls come and go without a loan being called in")
    func keptBack() {
        var settings = HarvestSettings(capacity: Resources(millicores: 10, memoryBytes: 0))
        settings.quantum = Resources(millicores: 1, memoryBytes: 1)
        settings.keptBack.millicores = 3
        var bench = PoolBench(settings)
        bench.enter(1, user: 2, demand: 9, end: 50)
        #expect(bench.limit(1) == 7 && bench.pool.unreserved.millicores == 8)
        for _ in 0..<3 {
            bench.enter(2, user: 3, demand: 3, end: 50)
            #expect(bench.changes.map(\.call) == [CallID(2)])
            bench.leave(CallID(2))
            #expect(bench.changes.isEmpty)
        }
        bench.enter(3, user: 5, demand: 5, end: 50)
        #expect(bench.limit(1) == 5 && bench.limit(3) == 5)
        bench.leave(CallID(3))
        #expect(bench.limit(1) == 7, "and what is kept is kept again")
    }

    @Test("of those that wait the one that ends first may be served first")
    func earliestEnd() {
        for (order, served) in [(BorrowerOrder.arrival, 1), (.earliestEnd, 2)] {
            var settings = HarvestSettings(capacity: Resources(millicores: 10, memoryBytes: 0))
            settings.quantum = Resources(millicores: 1, memoryBytes: 1)
            settings.lendsUnreserved = false
            settings.order = order
            var bench = PoolBench(settings)
            bench.enter(1, user: 1, demand: 3, end: 90)
            bench.enter(2, user: 1, demand: 3, end: 50)
            bench.enter(3, user: 3, demand: 1, end: 70)
            #expect(bench.limit(UInt64(served)) == 3, "\(order)")
        }
    }

    @Test("without top-up a call gets what there is when it begins, and no more later")
    func noTopUp() {
        var settings = HarvestSettings(capacity: Resources(millicores: 10, memoryBytes: 0))
        settings.quantum = Resources(millicores: 1, memoryBytes: 1)
        settings.lendsUnreserved = false
        settings.topsUp = false
        var bench = PoolBench(settings)
        bench.enter(1, user: 1, demand: 4, end: 90)
        bench.enter(2, user: 3, demand: 1, end: 70)
        #expect(bench.limit(1) == 1 && bench.idle(2) == 2)
        bench.enter(3, user: 1, demand: 4, end: 60)
        #expect(bench.limit(3) == 3 && bench.limit(1) == 1)
        bench.leave(CallID(3))
        #expect(bench.limit(1) == 1 && bench.idle(2) == 2)
    }

    @Test("a call whose reservation does not fit changes nothing")
    func noRoom() {
        var bench = PoolBench.units(cpu: 4)
        bench.enter(1, user: 3, demand: 1, end: 50)
        let before = bench.pool.shares(.cpu)
        let entered = bench.enter(2, user: 2, demand: 2, end: 50)
        #expect(!entered)
        #expect(bench.pool.shares(.cpu) == before && bench.changes.isEmpty && bench.movements.isEmpty)
    }

    @Test("a call that is expected to need more after all gets back what it needs and no more")
    func revision() {
        var bench = PoolBench.units(cpu: 12)
        bench.enter(1, user: 6, demand: 1, end: 50)
        bench.enter(2, user: 1, demand: 6, end: 50)
        bench.perform { $0.revise(CallID(1), demand: Resources(millicores: 3, memoryBytes: 0), end: Instant(nanoseconds: 80), into: &$1) }
        #expect(bench.limit(1) == 3 && bench.limit(2) == 4)
        #expect(bench.pool.loans(.cpu).map(\.until) == [Instant(nanoseconds: 80)])
    }

    @Test("a function that opted out neither lends nor borrows")
    func optedOut() {
        var bench = PoolBench.units(cpu: 12)
        var terms = HarvestTerms(
            FunctionHandle(0), reserved: Resources(millicores: 4, memoryBytes: 0), demand: Resources(millicores: 1, memoryBytes: 0),
            end: .zero)
        terms.lends = []
        terms.borrows = []
        bench.enter(CallID(1), terms)
        #expect(bench.limit(1) == 4 && bench.idle(1) == 0)
        terms.demand.millicores = 9
        bench.enter(CallID(2), terms)
        bench.enter(3, user: 4, demand: 1, end: 50)
        #expect(bench.limit(2) == 4 && bench.idle(3) == 3)
    }

    @Test("a call admitted by its predicted demand comes up to its allocation before anybody goes beyond theirs")
    func density() {
        var bench = PoolBench.units(cpu: 10, lendsUnreserved: true)
        var terms = HarvestTerms(
            FunctionHandle(0), reserved: Resources(millicores: 2, memoryBytes: 0), demand: Resources(millicores: 2, memoryBytes: 0),
            end: .zero)
        terms.entitlement.millicores = 6
        bench.enter(CallID(1), terms)
        bench.enter(2, user: 4, demand: 9, end: 50)
        #expect(bench.limit(1) == 2 && bench.limit(2) == 8)
        bench.restore(CallID(1))
        #expect(bench.limit(1) == 6 && bench.limit(2) == 4)
        #expect(bench.changes.map(\.isShrink) == [true, false])
    }

    @Test("absurd expectations and uses overflow nothing")
    func absurd() {
        var bench = PoolBench.units(cpu: 10, memory: 10, lendsUnreserved: true)
        let most = Resources(millicores: .max, memoryBytes: .max)
        var terms = HarvestTerms(
            FunctionHandle(0), reserved: Resources(millicores: 4, memoryBytes: 4), demand: most, end: .distantFuture)
        terms.entitlement = most
        terms.memoryFloorBytes = .max
        bench.enter(CallID(1), terms)
        bench.perform { $0.setMemoryFloor(CallID(1), bytes: .max, into: &$1) }
        bench.perform { $0.revise(CallID(1), demand: most, end: .zero, into: &$1) }
        bench.restore(CallID(1), .memory)
        bench.restore(CallID(1), .cpu)
        #expect(bench.limit(1) == 10)
        bench.leave(CallID(1))
        #expect(bench.pool.unreserved == bench.pool.capacity)
    }

    @Test("a node that shrinks calls in what it lent")
    func capacity() {
        var bench = PoolBench.units(cpu: 10, lendsUnreserved: true)
        bench.enter(1, user: 2, demand: 9, end: 50)
        for (wanted, got) in [(4, 4), (0, 2), (7, 7)] {
            bench.perform { $0.setCapacity(Resources(millicores: wanted, memoryBytes: 0), into: &$1) }
            #expect(bench.pool.capacity.millicores == got && bench.limit(1) == got)
        }
    }
}
