// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Metrics
import Synchronization

/// What a node that harvests tells about it beside its other figures.
final class HarvestMetrics: Sendable {
    private let lentMillicores = Gauge(label: "brume_harvest_lent_millicores")
    private let lentMemory = Gauge(label: "brume_harvest_lent_memory_bytes")
    private let idleMillicores = Gauge(label: "brume_harvest_idle_millicores")
    private let idleMemory = Gauge(label: "brume_harvest_idle_memory_bytes")
    private let suspendedFunctions = Gauge(label: "brume_harvest_suspensions")
    private let skippedSamples = GrowingCount(Counter(label: "brume_harvest_skipped_samples_total"))
    private let heldBack = GrowingCount(Counter(label: "brume_harvest_held_back_total"))
    private let kills = GrowingCount(Counter(label: "brume_harvest_out_of_memory_total", dimensions: [("limit", "own")]))
    private let killsWhileLending = GrowingCount(
        Counter(label: "brume_harvest_out_of_memory_total", dimensions: [("limit", "lowered")]))
    private let cpuWrites = Counter(label: "brume_limit_writes_total", dimensions: [("resource", "cpu")])
    private let memoryWrites = Counter(label: "brume_limit_writes_total", dimensions: [("resource", "memory")])
    private let coreSeconds = Movements("brume_harvest_core_seconds_total")
    private let byteSeconds = Movements("brume_harvest_memory_byte_seconds_total")

    func countLimit(_ kind: ResourceKind) { (kind == .cpu ? cpuWrites : memoryWrites).increment() }

    /// Made anew each time: it happens rarely, and a function that never trips has no series.
    func countSafeguards(_ count: Int, of function: String, _ kind: ResourceKind) {
        Counter(label: "brume_harvest_safeguards_total", dimensions: [("function_name", function), ("resource", kind.rawValue)])
            .increment(by: count)
    }

    func publish(_ figures: HarvestFigures) {
        lentMillicores.record(figures.lent.millicores)
        lentMemory.record(figures.lent.memoryBytes)
        idleMillicores.record(figures.idle.millicores)
        idleMemory.record(figures.idle.memoryBytes)
        suspendedFunctions.record(figures.suspensions)
        skippedSamples.grow(to: figures.skippedSamples)
        heldBack.grow(to: figures.heldBack)
        killsWhileLending.grow(to: figures.memory.killsWhileLending)
        kills.grow(to: figures.memory.kills - figures.memory.killsWhileLending)
        coreSeconds.grow(to: HarvestTotals(figures.cpu, .cpu))
        byteSeconds.grow(to: HarvestTotals(figures.memory, .memory))
    }
}

extension NodeMetrics {
    /// What each figure of a node that harvests says, by name.
    package static let harvestDescriptions = [
        "brume_harvest_lent_millicores": "CPU that running calls hold of others', thousandths of a core.",
        "brume_harvest_lent_memory_bytes": "Memory that running calls hold of others'.",
        "brume_harvest_idle_millicores": "CPU that lies idle in the pool, thousandths of a core.",
        "brume_harvest_idle_memory_bytes": "Memory that lies idle in the pool.",
        "brume_harvest_suspensions": "Functions times resources that are not lent now, because the safeguard tripped too often.",
        "brume_harvest_core_seconds_total":
            "CPU over time, by movement: lent (the same as borrowed), idle in the pool, reclaimed before the estimated end.",
        "brume_harvest_memory_byte_seconds_total":
            "Memory over time, by movement: lent (the same as borrowed), idle in the pool, reclaimed before the estimated end.",
        "brume_harvest_safeguards_total": "Calls that got their own allocation back because they came near a lowered limit.",
        "brume_harvest_out_of_memory_total": "Calls killed at their memory limit, by whether a loan had lowered it.",
        "brume_harvest_held_back_total": "Calls that waited although a replica was free, because what they would be given was not.",
        "brume_harvest_skipped_samples_total": "Looks at running calls that made no sense, or could not be read.",
        "brume_limit_writes_total": "Limits of running replicas that were written.",
    ]
}

/// The harvester's sums at one moment.
struct HarvestFigures: Sendable {
    var lent = Resources.zero
    var idle = Resources.zero
    let cpu: HarvestAccount
    let memory: HarvestAccount
    let skippedSamples: Int
    let heldBack: Int
    let suspensions: Int

    init(_ harvester: Harvester, heldBack: Int, now: Instant) {
        for kind in ResourceKind.allCases {
            for share in harvester.pool.shares(kind) {
                lent[kind] += share.onLoan
                idle[kind] += share.idle
            }
        }
        cpu = harvester.ledger.totalAccount(.cpu, now: now)
        memory = harvester.ledger.totalAccount(.memory, now: now)
        skippedSamples = harvester.safeguard.skippedSamples
        self.heldBack = heldBack
        suspensions = harvester.ledger.accountedFunctions.reduce(0) { sum, function in
            sum + ResourceKind.allCases.count { harvester.safeguard.suspension(function, $0, now: now) != nil }
        }
    }
}

/// A counter that is told its whole value; what is read twice at once, or late, never makes it fall.
private final class GrowingCount: Sendable {
    private let counter: Counter
    private let last = Mutex(0)

    init(_ counter: Counter) { self.counter = counter }

    func grow(to value: Int) {
        let growth = last.withLock { last -> Int in
            let growth = max(0, value - last)
            last += growth
            return growth
        }
        if growth > 0 { counter.increment(by: growth) }
    }
}

/// One series for each way in which an amount moves.
private final class Movements: Sendable {
    private static let words = ["lent", "borrowed", "idle", "reclaimed"]
    private let counters: [FloatingPointCounter]
    private let last = Mutex([Double](repeating: 0, count: words.count))

    init(_ label: String) {
        counters = Self.words.map { FloatingPointCounter(label: label, dimensions: [("movement", $0)]) }
    }

    func grow(to totals: HarvestTotals) {
        let values = [totals.lent, totals.borrowed, totals.idle, totals.reclaimed]
        let growth = last.withLock { last -> [Double] in
            let growth = values.indices.map { max(0, values[$0] - last[$0]) }
            for index in values.indices { last[index] += growth[index] }
            return growth
        }
        for (counter, amount) in zip(counters, growth) where amount > 0 { counter.increment(by: amount) }
    }
}
