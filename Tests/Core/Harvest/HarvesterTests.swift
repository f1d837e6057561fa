// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Testing

/// The parts put together, as the engine uses them.
@Suite("Harvesting on a node")
struct HarvesterTests {
    static let user = Resources(millicores: 2000, memoryBytes: 512 << 20)

    struct Node {
        var harvester: Harvester
        var now = Instant.zero
        var limits: [CallID: Resources] = [:]
        private var next: UInt64 = 0

        init(_ settings: HarvesterSettings) { harvester = Harvester(settings: settings, now: .zero) }

        mutating func write(_ effects: HarvestEffects) {
            for change in effects.changes { limits[change.call, default: .zero][change.kind] = change.to }
            let total = limits.values.reduce(.zero, +)
            #expect(total.fits(in: harvester.pool.capacity))
            #expect(harvester.pool.audit().isEmpty)
        }

        mutating func begin(_ function: Int, allocation: Resources = user, size: Double = 1) -> CallID? {
            next += 1
            let call = HarvestCall(
                id: CallID(next), function: FunctionHandle(function), allocation: allocation,
                features: CallFeatures(inputBytes: 30, parameters: [size]))
            var effects = HarvestEffects()
            guard harvester.begin(call, now: now, into: &effects) else { return nil }
            write(effects)
            return call.id
        }

        @discardableResult
        mutating func end(_ call: CallID, cpu: Int, memory: Int) -> CallStatement? {
            limits[call] = nil
            var effects = HarvestEffects()
            let statement = harvester.end(call, .ran(peakMillicores: cpu, peakMemoryBytes: memory), now: now, into: &effects)
            write(effects)
            return statement
        }

        /// Teaches a function by calls of a second each.
        mutating func teach(_ function: Int, cpu: Int, memory: Int, calls: Int = 40) {
            for _ in 0..<calls {
                guard let call = begin(function) else { continue }
                now = now + .seconds(1)
                end(call, cpu: min(cpu, limits[call]?.millicores ?? cpu), memory: memory)
            }
        }
    }

    private static func settings(unreserved: Bool = false) -> HarvesterSettings {
        var settings = HarvesterSettings(capacity: Resources(millicores: 8000, memoryBytes: 8 << 30))
        settings.pool.lendsUnreserved = unreserved
        return settings
    }

    @Test("learned calls lend what they do not use to those that can use it, and get it back at their end")
    func lending() throws {
        var node = Node(Self.settings(unreserved: true))
        node.teach(0, cpu: 500, memory: 64 << 20)
        node.teach(1, cpu: 5000, memory: 64 << 20)
        // Only calls of the node's own now.
        let lender = try must(node.begin(0))
        let hungry = (0..<3).compactMap { _ in node.begin(1) }
        #expect(hungry.count == 3)
        let limit = try #require(node.limits[lender])
        #expect((600...800).contains(limit.millicores), "a fifth and a bit above the peak: \(limit)")
        #expect(limit.memoryBytes < 128 << 20)
        #expect(node.limits.values.reduce(0) { $0 + $1.millicores } == 8000, "every core is in somebody's limit")
        node.now = node.now + .milliseconds(500)
        let statement = try must(node.end(lender, cpu: 500, memory: 64 << 20))
        #expect(statement.cpu.lent.coreSeconds > 0.5 && statement.cpu.lent.coreSeconds < 0.75, "\(statement)")
        #expect(node.limits.values.reduce(0) { $0 + $1.millicores } == 8000)
    }

    @Test("a function's first calls try out idle CPU behind those that are known to use it")
    func exploring() throws {
        var node = Node(Self.settings(unreserved: true))
        node.teach(1, cpu: 5000, memory: 64 << 20)
        let unknown = try must(node.begin(0))
        #expect(node.limits[unknown]?.millicores == 8000)
        let known = try must(node.begin(1))
        #expect(node.limits[unknown]?.millicores == 6000 && node.limits[known]?.millicores == 2000, "what was lent first stays lent")
        let third = try must(node.begin(0))
        let fourth = try must(node.begin(0))
        #expect(node.limits.values.allSatisfy { $0.millicores == 2000 })
        node.end(third, cpu: 1500, memory: 1 << 20)
        let limit = try #require(node.limits[known]?.millicores)
        #expect(limit == 4000, "the known one first")
        #expect(node.limits[fourth]?.millicores == 2000)
        #expect(node.limits[unknown]?.memoryBytes == Self.user.memoryBytes, "memory is not tried out")
    }

    @Test("a lender that comes near its limit has its own allocation back within one sample, and its function stops lending if it goes on")
    func safeguard() throws {
        var node = Node(Self.settings())
        node.teach(0, cpu: 500, memory: 64 << 20)
        for attempt in 1...4 {
            let call = try must(node.begin(0))
            let limit = try #require(node.limits[call])
            if attempt == 4 {
                #expect(limit == Self.user, "the function is left alone")
                #expect(node.harvester.safeguard.suspension(FunctionHandle(0), .cpu, now: node.now) != nil)
                break
            }
            #expect(limit.millicores < Self.user.millicores)
            var effects = HarvestEffects()
            var used = Duration.zero
            for _ in 0..<6 {
                node.harvester.sample(call, UsageSample(at: node.now, cpuTime: used, memoryBytes: 200 << 20), into: &effects)
                node.now = node.now + .milliseconds(10)
                used += .microseconds(limit.millicores * 9)
            }
            node.write(effects)
            #expect(node.limits[call] == Self.user)
            #expect(effects.movements.contains(.safeguarded(call, .cpu)) && effects.movements.contains(.safeguarded(call, .memory)))
            // It fails, so that nothing is learned from what it used.
            effects.removeAll()
            node.limits[call] = nil
            node.harvester.end(call, .other, now: node.now, into: &effects)
            node.write(effects)
        }
    }

    @Test("without the safeguard a lender keeps its low limit")
    func safeguardOff() throws {
        var settings = Self.settings()
        settings.usesSafeguard = false
        var node = Node(settings)
        node.teach(0, cpu: 500, memory: 64 << 20)
        let call = try must(node.begin(0))
        var effects = HarvestEffects()
        for step in 0..<5 {
            let sample = UsageSample(at: node.now + .milliseconds(10 * step), cpuTime: .milliseconds(9 * step))
            node.harvester.sample(call, sample, into: &effects)
        }
        #expect(effects.changes.isEmpty)
    }

    @Test("admission by expected demand takes in more calls, and the safeguard lets them come up to their allocation")
    func density() throws {
        var counts: [AdmissionRule: Int] = [:]
        for rule in AdmissionRule.allCases {
            var settings = Self.settings(unreserved: true)
            settings.admission = rule
            var node = Node(settings)
            node.teach(0, cpu: 500, memory: 64 << 20)
            var calls: [CallID] = []
            while let call = node.begin(0) { calls.append(call) }
            counts[rule] = calls.count
            if rule == .predictedDemand {
                node.end(try must(calls.popLast()), cpu: 500, memory: 64 << 20)
                node.end(try must(calls.popLast()), cpu: 500, memory: 64 << 20)
                let call = try must(calls.first)
                var effects = HarvestEffects()
                for step in 0..<6 {
                    let sample = UsageSample(at: node.now + .milliseconds(10 * step), cpuTime: .milliseconds(6 * step))
                    node.harvester.sample(call, sample, into: &effects)
                }
                node.write(effects)
                #expect(try #require(node.limits[call]).millicores > 1200, "its own, from what was free")
            }
        }
        #expect(counts[.allocation] == 4)
        let byDemand = try #require(counts[.predictedDemand])
        let byUse = try #require(counts[.predictedUse])
        // What it is expected to use on average has no room for a margin: it is the least that can be set aside.
        #expect(byDemand >= 10 && byUse > byDemand)
    }

    @Test("memory in use by a borrower is not taken from it", arguments: [1, 2, 3] as [UInt64])
    func memoryOfBorrowers(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var node = Node(Self.settings(unreserved: true))
        node.teach(0, cpu: 500, memory: 64 << 20)
        node.teach(1, cpu: 500, memory: 900 << 20)
        var used: [CallID: Int] = [:]
        for _ in 0..<400 {
            node.now = node.now + .milliseconds(chance.draw(1...20))
            if chance.chance(1, in: 4), let call = node.begin(chance.below(2)) { used[call] = 20 << 20 }
            let calls = used.keys.sorted()
            guard !calls.isEmpty else { continue }
            let call = calls[chance.below(calls.count)]
            if chance.chance(1, in: 6) {
                node.end(call, cpu: 500, memory: used[call] ?? 0)
                used[call] = nil
                continue
            }
            // It touches more, but not beyond its limit of now.
            let limit = node.limits[call]?.memoryBytes ?? 0
            used[call] = min((used[call] ?? 0) + chance.below(60 << 20), limit)
            var effects = HarvestEffects()
            node.harvester.sample(call, UsageSample(at: node.now, cpuTime: .zero, memoryBytes: used[call]), into: &effects)
            node.write(effects)
            for (index, change) in effects.changes.enumerated() where change.isShrink && change.kind == .memory {
                #expect(change.to >= used[change.call] ?? 0, "seed \(seed): \(change), change \(index)")
            }
        }
    }

    @Test("what a node remembers is what runs and what is deployed")
    func footprint() {
        var node = Node(Self.settings(unreserved: true))
        node.teach(0, cpu: 700, memory: 64 << 20, calls: 2000)
        #expect(node.harvester.pool.footprint.shares == 0 && node.harvester.pool.footprint.tickets < 512)
        #expect(node.harvester.safeguard.watchedCount == 0)
        #expect(node.harvester.ledger.accountedFunctions == [FunctionHandle(0)])
        let last = node.begin(0)
        node.harvester.remove(FunctionHandle(0))
        #expect(node.harvester.profiler.report(FunctionHandle(0)) == nil)
        #expect(!node.harvester.ledger.accountedFunctions.isEmpty, "a call of it still runs")
        if let last { node.end(last, cpu: 700, memory: 64 << 20) }
        #expect(node.harvester.ledger.accountedFunctions.isEmpty)
    }
}
