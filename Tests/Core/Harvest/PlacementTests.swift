// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Testing

@Suite("Placement by demand coverage and its peers")
struct PlacementTests {
    private static func at(_ time: Int) -> Instant { Instant(nanoseconds: Int64(time)) }
    private static func entry(_ amount: Int, _ start: Int, _ end: Int) -> PoolSnapshot.Entry {
        .init(amount: amount, start: at(start), end: at(end))
    }

    @Test("the paper's figure 5: what ends before the call begins covers nothing, the rest for as long as it lasts")
    func figure5() {
        // Any times in order will do; a, b and c end before t3.
        let t = [0, 10, 20, 30, 45, 60, 70, 90, 100]
        let entries = [
            Self.entry(1, t[0], t[1]), Self.entry(2, t[0], t[2]), Self.entry(1, t[1], t[3]), Self.entry(1, t[3], t[5]),
            Self.entry(3, t[5], t[8]),
        ]
        let covered = DemandCoverage.coverage(of: 2, by: entries, from: Self.at(t[3]), to: Self.at(t[7]))
        #expect(covered == Double(1 * (t[5] - t[3]) + 2 * (t[7] - t[5])) / Double(2 * (t[7] - t[3])))
    }

    @Test("coverage is the sum over every instant", arguments: Array(UInt64(1)...200))
    func bruteForce(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        let entries = (0..<chance.below(8)).map { _ in
            let start = chance.below(60)
            return Self.entry(chance.below(5), start, start + chance.below(40))
        }
        let (extra, start) = (chance.draw(1...8), chance.below(50))
        let end = start + chance.draw(1...50)
        var sum = 0
        for time in start..<end {
            sum += min(extra, entries.reduce(0) { $0 + ($1.start <= Self.at(time) && Self.at(time) < $1.end ? $1.amount : 0) })
        }
        let covered = DemandCoverage.coverage(of: extra, by: entries, from: Self.at(start), to: Self.at(end))
        #expect(covered == Double(sum) / Double(extra * (end - start)), "seed \(seed)")
    }

    @Test("nothing demanded is covered, no time is an instant, an empty pool covers nothing, and nothing overflows")
    func edges() {
        let pool = [Self.entry(3, 0, 10)]
        #expect(DemandCoverage.coverage(of: 0, by: [], from: .zero, to: Self.at(9)) == 1)
        #expect(DemandCoverage.coverage(of: 4, by: [], from: .zero, to: Self.at(9)) == 0)
        #expect(DemandCoverage.coverage(of: 4, by: pool, from: Self.at(5), to: Self.at(5)) == 0.75)
        let long = [PoolSnapshot.Entry(amount: 1 << 50, end: .distantFuture)]
        #expect(DemandCoverage.coverage(of: 1 << 51, by: long, from: .zero, to: .distantFuture) == 0.5)
        let absurd =
            [PoolSnapshot.Entry](repeating: .init(amount: .max, end: .distantFuture), count: 3) + [.init(amount: .min, end: Self.at(9))]
        #expect(DemandCoverage.coverage(of: .max, by: absurd, from: .zero, to: Self.at(9)) == 1)
        #expect(DemandCoverage.coverage(of: .max, by: absurd, from: .zero, to: .zero) == 1)
        let both = PoolSnapshot(cpu: pool, memory: [])
        #expect(DemandCoverage.weighted(of: Resources(millicores: 3, memoryBytes: 5), by: both, from: .zero, to: Self.at(10)) == 0.9)
    }

    private static let room = Resources(millicores: 4000, memoryBytes: 4000)
    private static let small = Resources(millicores: 1000, memoryBytes: 1000)

    private static func request(_ function: Int = 0, extra: Int = 0) -> PlacementRequest {
        PlacementRequest(
            function: FunctionHandle(function), allocation: small,
            demand: Demand(peak: small + Resources(millicores: extra, memoryBytes: 0), duration: .nanoseconds(100)), now: .zero)
    }

    @Test("a call that would use more goes where that is covered best, one that would not stays with its function")
    func coverage() {
        var scheduler = SchedulerShard(.coverage(), capacities: [Self.room, Self.room, Self.room])
        var statuses = [DestinationStatus](repeating: DestinationStatus(), count: 3)
        statuses[0].pool.cpu = [Self.entry(2000, 0, 10)]
        statuses[1].pool.cpu = [Self.entry(500, 0, 100)]
        statuses[2].pool.cpu = [Self.entry(1000, 0, 40)]
        check(scheduler.place(Self.request(extra: 1000), on: statuses) == 1, "half of it all the time beats all of it for a while")
        check(scheduler.place(Self.request(extra: 2000), on: statuses) == 1, "a quarter beats a fifth and a tenth")
        statuses[1].pool = PoolSnapshot()
        check(scheduler.place(Self.request(extra: 1000), on: statuses) == 2)
        let homes = (0..<4).compactMap { _ in scheduler.place(Self.request(7), on: statuses) }
        #expect(Set(homes.prefix(2)).count == 1, "\(homes)")
    }

    @Test("a function follows its calls to where there was room")
    func stays() throws {
        var scheduler = SchedulerShard(.coverage(), capacities: [Self.small, Self.room, Self.room])
        let statuses = [DestinationStatus](repeating: DestinationStatus(), count: 3)
        let function = try #require(
            (0..<100).first { function in
                var probe = scheduler
                return probe.place(Self.request(function), on: statuses) == 0
            })
        let places = (0..<4).compactMap { _ in scheduler.place(Self.request(function), on: statuses) }
        #expect(places.count == 4 && places[0] == 0 && Set(places.dropFirst()).count == 1 && places[1] != 0)
        scheduler.release(Self.small, on: 0)
        check(scheduler.place(Self.request(function), on: statuses) == places[1])
    }

    @Test("every policy places only where there is room, and uses all of it", arguments: PlacementPolicy.all)
    func room(policy: PlacementPolicy) {
        var scheduler = SchedulerShard(policy, capacities: [Self.room, Self.small, Self.room, .zero, Self.room])
        let statuses = [DestinationStatus](repeating: DestinationStatus(), count: 5)
        var placed = [Int](repeating: 0, count: 5)
        for number in 0..<13 {
            guard let index = scheduler.place(Self.request(number % 3, extra: number % 2 * 500), on: statuses) else { break }
            placed[index] += 1
        }
        #expect(placed == [4, 1, 4, 0, 4])
        check(scheduler.place(Self.request(), on: statuses) == nil)
        scheduler.release(Self.small, on: 4)
        check(scheduler.place(Self.request(), on: statuses) == 4)
    }

    @Test("round robin takes turns, the shortest queue and the least load look at the host")
    func peers() {
        let capacities = [Resources](repeating: Self.room, count: 3)
        var statuses = [DestinationStatus](repeating: DestinationStatus(), count: 3)
        var turns = SchedulerShard(.roundRobin, capacities: capacities)
        check((0..<5).compactMap { _ in turns.place(Self.request(), on: statuses) } == [0, 1, 2, 0, 1])
        statuses[0].activeCalls = 3
        statuses[1].activeCalls = 1
        statuses[2].activeCalls = 2
        statuses[0].cpuLoadThousandths = 200
        statuses[1].cpuLoadThousandths = 500
        statuses[2].cpuLoadThousandths = 100
        statuses[2].memoryLoadThousandths = 390
        var queue = SchedulerShard(.shortestQueue, capacities: capacities)
        check(queue.place(Self.request(), on: statuses) == 1)
        var load = SchedulerShard(.leastLoad, capacities: capacities)
        check(load.place(Self.request(), on: statuses) == 2, "0.8 x 10 % + 0.2 x 39 % is less than 0.8 x 20 %")
        statuses[2].memoryLoadThousandths = 410
        check(load.place(Self.request(), on: statuses) == 0)
        var hash = SchedulerShard(.hash, capacities: capacities)
        let homes = (0..<60).compactMap { function -> Int? in
            guard let index = hash.place(Self.request(function), on: statuses) else { return nil }
            hash.release(Self.small, on: index)
            return index
        }
        #expect((0..<3).allSatisfy { home in homes.count { $0 == home } > 8 }, "functions spread over the destinations: \(homes)")
    }

    @Test("the slices of all shards are the whole, and no shard needs another", arguments: [1, 2, 3, 4, 7])
    func shards(count: Int) {
        let capacity = Resources(millicores: 32_001, memoryBytes: 32_003)
        var shards = (0..<count).map { SchedulerShard(.roundRobin, capacities: [capacity, capacity], index: $0, of: count) }
        let sum = shards.reduce(Resources.zero) { $0 + $1.free(1) }
        #expect(sum == capacity)
        let statuses = [DestinationStatus](repeating: DestinationStatus(), count: 2)
        var placed = 0
        for index in shards.indices { while shards[index].place(Self.request(), on: statuses) != nil { placed += 1 } }
        #expect(placed == 2 * (0..<count).reduce(0) { $0 + (32_001 / count + ($1 < 32_001 % count ? 1 : 0)) / 1000 })
        let floored = SchedulerShard(
            .hash, capacities: [capacity], index: 0, of: count, leastSlice: Resources(millicores: 20_000, memoryBytes: 1))
        #expect(floored.free(0).millicores >= 20_000)
    }
}
