// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What a scheduler knows of a destination: what it was told last.
public struct DestinationStatus: Hashable, Sendable {
    public var pool: PoolSnapshot
    /// Calls that run or wait there.
    public var activeCalls: Int
    /// Busy CPU and used memory of the host, in thousandths.
    public var cpuLoadThousandths: Int
    public var memoryLoadThousandths: Int

    public init(pool: PoolSnapshot = PoolSnapshot(), activeCalls: Int = 0, cpuLoadThousandths: Int = 0, memoryLoadThousandths: Int = 0) {
        self.pool = pool
        self.activeCalls = activeCalls
        self.cpuLoadThousandths = cpuLoadThousandths
        self.memoryLoadThousandths = memoryLoadThousandths
    }
}

/// A call that looks for a destination.
public struct PlacementRequest: Hashable, Sendable {
    public var function: FunctionHandle
    /// The user's allocation: what must be free there.
    public var allocation: Resources
    /// Nil where nothing is known of calls like it.
    public var demand: Demand?
    public var now: Instant

    public init(function: FunctionHandle, allocation: Resources, demand: Demand? = nil, now: Instant) {
        self.function = function
        self.allocation = allocation
        self.demand = demand
        self.now = now
    }

    /// What it would use on top of its allocation.
    var extra: Resources {
        guard let demand else { return .zero }
        return Resources(
            millicores: max(0, demand.peak.millicores - allocation.millicores),
            memoryBytes: max(0, demand.peak.memoryBytes - allocation.memoryBytes))
    }
}

/// How a destination is chosen among those that have room for the call's own allocation.
public enum PlacementPolicy: Hashable, Sendable {
    /// Calls of a function go to one destination, which keeps them warm, and to the next one once it is full (OpenWhisk's default).
    case hash
    /// In turn.
    case roundRobin
    /// The fewest active calls.
    case shortestQueue
    /// The least of 0.8 CPU load and 0.2 memory load of the host (MWS, as Libra's authors built it).
    case leastLoad
    /// The best demand coverage for calls that would use more than their allocation; the others as `hash`, but a function stays where it
    /// went (Libra).
    case coverage(cpuWeight: Double = DemandCoverage.cpuWeight)

    public static let all: [PlacementPolicy] = [.hash, .roundRobin, .shortestQueue, .leastLoad, .coverage()]
}

/// Chooses destinations by one policy. Remembers what the policy needs from one call to the next.
struct DestinationChooser: Sendable {
    let policy: PlacementPolicy
    private var turn = 0
    /// Where the calls of a function that lend go now; as many entries as functions.
    private var homes: [FunctionHandle: Int] = [:]

    init(_ policy: PlacementPolicy) { self.policy = policy }

    /// - Parameter fits: whether a destination has room.
    /// - Returns: an index into `destinations`, or nil if none has room.
    mutating func choose(_ request: PlacementRequest, _ destinations: [DestinationStatus], fits: (Int) -> Bool) -> Int? {
        guard !destinations.isEmpty else { return nil }
        let home = Self.home(request.function, among: destinations.count)
        switch policy {
        case .hash:
            return Self.probe(from: home, step: Self.step(request.function, destinations.count), destinations.count, fits)
        case .roundRobin:
            guard let index = Self.probe(from: turn % destinations.count, step: 1, destinations.count, fits) else { return nil }
            turn = index + 1
            return index
        case .shortestQueue:
            return Self.least(destinations, from: home, fits) { Double($0.activeCalls) }
        case .leastLoad:
            return Self.least(destinations, from: home, fits) { Double(8 * $0.cpuLoadThousandths + 2 * $0.memoryLoadThousandths) }
        case .coverage(let weight):
            guard let demand = request.demand, request.extra != .zero else { return stay(request.function, destinations.count, fits) }
            let end = request.now + demand.duration
            return Self.least(destinations, from: home, fits) { status in
                -DemandCoverage.weighted(of: request.extra, by: status.pool, from: request.now, to: end, cpuWeight: weight)
            }
        }
    }

    /// Where the function's calls went last, or from there on to the next that has room.
    private mutating func stay(_ function: FunctionHandle, _ count: Int, _ fits: (Int) -> Bool) -> Int? {
        let last = homes[function].map { $0 % count } ?? Self.home(function, among: count)
        let index = Self.probe(from: last, step: Self.step(function, count), count, fits)
        if let index { homes[function] = index }
        return index
    }

    private static func probe(from start: Int, step: Int, _ count: Int, _ fits: (Int) -> Bool) -> Int? {
        var index = start
        for _ in 0..<count {
            if fits(index) { return index }
            index = (index + step) % count
        }
        return nil
    }

    /// The least of those that fit; among equals the one with the fewest active calls, then the first from `start` on, so that functions
    /// do not all choose the same.
    private static func least(
        _ destinations: [DestinationStatus], from start: Int, _ fits: (Int) -> Bool, by rank: (DestinationStatus) -> Double
    ) -> Int? {
        var best: (index: Int, rank: Double, active: Int)?
        for offset in destinations.indices {
            let index = (start + offset) % destinations.count
            guard fits(index) else { continue }
            let candidate = (index: index, rank: rank(destinations[index]), active: destinations[index].activeCalls)
            if let best, (best.rank, best.active) <= (candidate.rank, candidate.active) { continue }
            best = candidate
        }
        return best?.index
    }

    /// The same on every machine and in every run (SplitMix64's mixing).
    private static func mix(_ function: FunctionHandle) -> UInt64 {
        var generator = SeededGenerator(seed: UInt64(bitPattern: Int64(function.index)))
        return generator.next()
    }

    private static func home(_ function: FunctionHandle, among count: Int) -> Int { Int(mix(function) % UInt64(count)) }

    /// A step that reaches every destination: coprime to their number.
    private static func step(_ function: FunctionHandle, _ count: Int) -> Int {
        guard count > 2 else { return 1 }
        var step = Int((mix(function) >> 32) % UInt64(count - 1)) + 1
        while greatestCommonDivisor(step, count) != 1 { step = step % (count - 1) + 1 }
        return step
    }

    private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }
}
