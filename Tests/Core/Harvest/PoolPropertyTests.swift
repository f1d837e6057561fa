// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Testing

/// Drawn sequences of everything that can happen to a pool. The bench audits the books and every prefix of the written limits.
@Suite("Any sequence of harvest movements")
struct PoolPropertyTests {
    static let seeds = Array(UInt64(1)...80)

    @Test("nothing is made, lost or lent twice, and the limits never exceed the node", arguments: seeds)
    func anySequence(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var settings = HarvestSettings(capacity: Resources(millicores: chance.draw(1...8000), memoryBytes: chance.draw(1...5000)))
        settings.lendsUnreserved = chance.chance(1, in: 2)
        settings.quantum = Resources(millicores: chance.draw(1...50), memoryBytes: chance.draw(1...20))
        settings.topsUp = chance.chance(4, in: 5)
        if chance.chance(1, in: 3) {
            settings.keptBack = Resources(
                millicores: chance.below(settings.capacity.millicores), memoryBytes: chance.below(settings.capacity.memoryBytes))
        }
        settings.order = chance.chance(1, in: 2) ? .arrival : .earliestEnd
        var bench = PoolBench(settings, note: "seed \(seed)")
        var alive: [CallID] = []
        for step in 1...400 {
            bench.now = bench.now + .nanoseconds(chance.below(10))
            if alive.isEmpty || chance.chance(3, in: 10) {
                let call = CallID(UInt64(step))
                if bench.enter(call, Self.terms(&chance, bench)) { alive.append(call) }
            } else {
                Self.disturb(&bench, &alive, &chance)
            }
        }
        for call in alive { bench.leave(call) }
        #expect(bench.pool.unreserved == bench.pool.capacity, "seed \(seed)")
        #expect(bench.pool.footprint.shares == 0 && bench.pool.footprint.loans == 0, "seed \(seed)")
    }

    private static func terms(_ chance: inout SeededGenerator, _ bench: PoolBench) -> HarvestTerms {
        let most = bench.pool.settings.capacity
        func amounts() -> Resources {
            Resources(millicores: chance.below(most.millicores / 3 + 2), memoryBytes: chance.below(most.memoryBytes / 3 + 2))
        }
        var terms = HarvestTerms(
            FunctionHandle(chance.below(5)), reserved: amounts(), demand: amounts(), end: bench.now + .nanoseconds(chance.below(100)))
        terms.entitlement = chance.chance(1, in: 3) ? amounts() : terms.reserved
        terms.memoryFloorBytes = chance.below(terms.reserved.memoryBytes + 1)
        if chance.chance(1, in: 8) { terms.lends = [.memory] }
        if chance.chance(1, in: 8) { terms.borrows = [.cpu] }
        terms.exploresCPU = chance.chance(1, in: 6)
        return terms
    }

    private static func disturb(_ bench: inout PoolBench, _ alive: inout [CallID], _ chance: inout SeededGenerator) {
        let index = chance.below(alive.count)
        let call = alive[index]
        let most = bench.pool.settings.capacity
        switch chance.below(10) {
        case 0...3:
            alive.remove(at: index)
            bench.leave(call)
        case 4: bench.restore(call, chance.chance(1, in: 2) ? .cpu : .memory)
        case 5:
            let demand = Resources(millicores: chance.below(most.millicores + 1), memoryBytes: chance.below(most.memoryBytes + 1))
            let end = bench.now + .nanoseconds(chance.below(100))
            bench.perform { $0.revise(call, demand: demand, end: end, into: &$1) }
        case 6, 7:
            let floor = chance.below((bench.pool.limit(of: call, .memory) ?? 0) + 5)
            bench.perform { $0.setMemoryFloor(call, bytes: floor, into: &$1) }
        case 8:
            let wanted = Resources(millicores: chance.below(most.millicores + 1), memoryBytes: chance.below(most.memoryBytes + 1))
            bench.perform { $0.setCapacity(wanted, into: &$1) }
        default: refuse(&bench, call, &chance)
        }
    }

    /// A batch of which the kernel refuses a shrink: what is left of it and what the pool says to that are performed together.
    private static func refuse(_ bench: inout PoolBench, _ call: CallID, _ chance: inout SeededGenerator) {
        var effects = HarvestEffects()
        bench.pool.restore(call, .memory, into: &effects)
        let batch = effects.changes
        guard let shrink = batch.first(where: { $0.isShrink && $0.kind == .memory }) else { return bench.write(effects) }
        let held = shrink.to + 1 + chance.below(shrink.from - shrink.to)
        var answer = HarvestEffects()
        let agrees = bench.pool.refused(shrink, heldAt: held, batch: batch, into: &answer)
        #expect(agrees)
        // Latest limit of each call, what shrinks against what is written first.
        var latest: [LimitChange] = []
        for change in batch + answer.changes {
            latest.removeAll { $0.call == change.call && $0.kind == change.kind }
            latest.append(change)
        }
        let written = bench.written
        effects.changes =
            latest.map { LimitChange(call: $0.call, kind: $0.kind, from: written[$0.call, default: .zero][$0.kind], to: $0.to) }
            .sorted { $0.isShrink && !$1.isShrink }
        bench.write(effects)
        #expect(bench.pool.limit(of: shrink.call, .memory).map { $0 >= held } ?? false)
    }

    @Test("what is borrowed comes from the latest ends first, entry by entry", arguments: Array(UInt64(1)...100))
    func latestEndFirst(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var bench = PoolBench.units(cpu: 10_000, note: "seed \(seed)")
        // Idle amounts by end; ends are all different, so that the order is one.
        var model: [(call: CallID, end: Int64, amount: Int)] = []
        for number in UInt64(1)...60 {
            let end = Int64(chance.below(1000)) * 1000 + Int64(number)
            if chance.chance(1, in: 2) {
                let amount = chance.draw(1...9)
                guard bench.enter(number, user: amount + 1, demand: 1, end: end) else { continue }
                model.append((CallID(number), end, amount))
                model.sort { $0.end > $1.end }
            } else {
                var wanted = chance.draw(1...20)
                bench.enter(number, user: 1, demand: 1 + wanted, end: end)
                var expected: [String] = []
                while wanted > 0, let first = model.first {
                    let part = min(wanted, first.amount)
                    expected.append("\(first.call):\(part)")
                    wanted -= part
                    model[0].amount -= part
                    if model[0].amount == 0 { model.removeFirst() }
                }
                let lent = bench.movements.compactMap { movement -> String? in
                    if case .lent(let lender, CallID(number), .cpu, let amount, _) = movement { "\(lender):\(amount)" } else { nil }
                }
                #expect(lent == expected, "seed \(seed)")
                // Nobody may go on waiting, or a later lender would serve it first.
                bench.leave(CallID(number))
                for part in expected {
                    let fields = part.split(separator: ":")
                    guard let lender = UInt64(fields[0].dropFirst()).map({ CallID($0) }), let amount = Int(fields[1]) else { continue }
                    if let index = model.firstIndex(where: { $0.call == lender }) {
                        model[index].amount += amount
                    } else if let end = bench.pool.share(of: lender, .cpu)?.end {
                        model.append((lender, end.nanoseconds, amount))
                        model.sort { $0.end > $1.end }
                    }
                }
            }
        }
    }

    @Test("an operation costs what it moves, however much has been before")
    func costDoesNotGrowWithHistory() {
        var settings = HarvestSettings(capacity: Resources(millicores: 64_000, memoryBytes: 64 << 30))
        settings.lendsUnreserved = false
        var pool = HarvestPool(settings: settings)
        var chance = SeededGenerator(seed: 7)
        var effects = HarvestEffects()
        var alive: [CallID] = []
        var (works, most): ([Int], Int) = ([], 0)
        for number in UInt64(1)...60_000 {
            effects.removeAll()
            let now = Instant(nanoseconds: Int64(number) * 1000)
            if alive.count >= 40 { pool.leave(alive.remove(at: chance.below(alive.count)), into: &effects) }
            let user = Resources(millicores: 1000, memoryBytes: 1 << 30)
            let demand = Resources(millicores: chance.draw(100...3000), memoryBytes: chance.draw(100 << 20...3 << 30))
            let terms = HarvestTerms(FunctionHandle(0), reserved: user, demand: demand, end: now + .microseconds(chance.draw(1...90)))
            if pool.enter(CallID(number), terms, into: &effects) { alive.append(CallID(number)) }
            most = max(most, pool.footprint.tickets)
            if number.isMultiple(of: 20_000) { works.append(pool.footprint.work) }
        }
        let (first, last) = (works[0], works[2] - works[1])
        #expect(last < first * 11 / 10, "work of the first 20,000 calls \(first), of the last \(last)")
        #expect(last < 20_000 * 12, "\(last)")
        #expect(most < 4 * (2 * 80 + 64), "\(most) tickets for 80 shares")
        #expect(pool.audit().isEmpty)
    }
}
