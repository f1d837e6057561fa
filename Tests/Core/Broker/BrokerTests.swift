// SPDX-License-Identifier: Apache-2.0

import BrumeBroker
import BrumeModel
import Testing

/// Each piece beside a model so simple that it is obviously right, over many drawn sequences.
@Suite("Pieces of the broker")
struct BrokerTests {
    static let seeds = Array(UInt64(1)...100)

    @Test("the admission queue behaves as a bounded list", arguments: seeds)
    func admissionQueue(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        let limit = chance.draw(1...6)
        var queue = AdmissionQueue(limit: limit)
        var model: [CallID] = []
        var next: UInt64 = 0
        for _ in 0..<300 {
            switch chance.below(10) {
            case 0...4:
                next += 1
                let taken = queue.append(CallID(next))
                #expect(taken == (model.count < limit))
                if taken { model.append(CallID(next)) }
            case 5, 6:
                let first = queue.popFirst()
                #expect(first == model.first)
                if !model.isEmpty { model.removeFirst() }
                // It had its turn: back at the front, also where the queue has filled meanwhile.
                if let first, chance.chance(1, in: 3) {
                    queue.putBack(first)
                    model.insert(first, at: 0)
                }
            case 7, 8:
                let call = CallID(UInt64(chance.draw(0...Int(next) + 1)))
                #expect(queue.remove(call) == model.contains(call))
                model.removeAll { $0 == call }
            default:
                guard chance.chance(1, in: 10) else { continue }
                #expect(queue.removeAll() == model)
                model.removeAll()
            }
            #expect(queue.count == model.count && queue.isEmpty == model.isEmpty && queue.isFull == (model.count >= limit), "seed \(seed)")
        }
        #expect(queue.removeAll() == model, "seed \(seed)")
    }

    @Test("the ledger never reserves more than there is, and gives back what it took", arguments: seeds)
    func capacityLedger(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        let capacity = Resources(millicores: chance.draw(0...1000), memoryBytes: chance.draw(0...1000))
        var ledger = CapacityLedger(capacity: capacity)
        var held: [Resources] = []
        for _ in 0..<300 {
            if chance.chance(2, in: 3) || held.isEmpty {
                let demand = Resources(millicores: chance.draw(0...400), memoryBytes: chance.draw(0...400))
                let (cpu, memory) = held.reduce((0, 0)) { ($0.0 + $1.millicores, $0.1 + $1.memoryBytes) }
                let fits = cpu + demand.millicores <= capacity.millicores && memory + demand.memoryBytes <= capacity.memoryBytes
                #expect(ledger.fits(demand) == fits)
                #expect(ledger.reserve(demand) == fits, "seed \(seed)")
                if fits { held.append(demand) }
            } else {
                ledger.release(held.remove(at: chance.below(held.count)))
            }
            #expect(ledger.reserved == held.reduce(.zero, +), "seed \(seed)")
            #expect(ledger.reserved.fits(in: capacity) && ledger.free + ledger.reserved == capacity, "seed \(seed)")
        }
    }

    @Test("releasing more than was reserved is a defect and stops the program")
    func overRelease() async {
        await #expect(processExitsWith: .failure) {
            var ledger = CapacityLedger(capacity: Resources(millicores: 10, memoryBytes: 10))
            ledger.release(Resources(millicores: 1, memoryBytes: 0))
        }
    }

    @Test("the warm pool hands out every slot once, the replica used last first", arguments: seeds)
    func warmPool(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var pool = WarmPool()
        // The model: free slots, and how recently each replica was given back or added; the one used last is at the end.
        var slots: [ReplicaID: (free: Int, total: Int)] = [:]
        var order: [ReplicaID] = []
        var next: UInt64 = 0
        for _ in 0..<300 {
            switch chance.below(8) {
            case 0:
                next += 1
                let total = chance.draw(1...3)
                pool.add(ReplicaID(next), slots: total)
                slots[ReplicaID(next)] = (total, total)
                order.append(ReplicaID(next))
            case 1...4:
                let taken = pool.take()
                let expected = order.last { slots[$0]?.free ?? 0 > 0 }
                #expect(taken == expected, "seed \(seed)")
                if let taken { slots[taken]?.free -= 1 }
            case 5, 6:
                let busy = order.filter { (slots[$0]?.free ?? 0) < (slots[$0]?.total ?? 0) }
                guard !busy.isEmpty else { continue }
                let replica = busy[chance.below(busy.count)]
                pool.giveBack(replica)
                slots[replica]?.free += 1
                order.removeAll { $0 == replica }
                order.append(replica)
            default:
                guard !order.isEmpty else { continue }
                let replica = order.remove(at: chance.below(order.count))
                pool.remove(replica)
                slots[replica] = nil
            }
            let free = order.reduce(0) { $0 + (slots[$1]?.free ?? 0) }
            #expect(pool.freeSlots == free && pool.hasFreeSlot == (free > 0), "seed \(seed)")
        }
    }

    @Test("the back-off doubles up to its ceiling and never wraps")
    func backoff() {
        let backoff = Backoff(base: .milliseconds(100), ceiling: .seconds(30))
        #expect(backoff.pause(after: 0) == .milliseconds(100))
        #expect(backoff.pause(after: 1) == .milliseconds(100))
        #expect(backoff.pause(after: 2) == .milliseconds(200))
        #expect(backoff.pause(after: 5) == .milliseconds(1600))
        #expect(backoff.pause(after: 9) == .milliseconds(25_600))
        var last = Duration.zero
        for failures in [1, 2, 3, 8, 9, 10, 20, 21, 22, 64, 65, 1000, Int.max] {
            let pause = backoff.pause(after: failures)
            #expect(pause >= last && pause <= .seconds(30))
            last = pause
        }
        #expect(last == .seconds(30))
        #expect(Backoff(base: .seconds(5), ceiling: .seconds(5)).pause(after: 40) == .seconds(5))
    }

    @Test("a back-off without a base, or with a ceiling below it, is a defect")
    func wrongBackoff() async {
        await #expect(processExitsWith: .failure) { _ = Backoff(base: .zero, ceiling: .seconds(1)) }
        await #expect(processExitsWith: .failure) { _ = Backoff(base: .seconds(2), ceiling: .seconds(1)) }
        await #expect(processExitsWith: .failure) { _ = AdmissionQueue(limit: 0) }
    }
}
