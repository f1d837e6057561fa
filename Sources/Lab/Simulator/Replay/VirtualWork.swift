// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// A stretch of a virtual call: it waits, or it has CPU work that so many cores can share.
public struct VirtualPhase: Hashable, Sendable {
    /// Cores that it keeps busy if it gets them; 0 where it waits for others.
    public var cores: Double
    /// Core-seconds of work, or seconds of waiting.
    public var amount: Double
    /// Memory in use at its end; it grows evenly from what the phase before has left.
    public var memoryBytes: Int

    public init(cores: Double, amount: Double, memoryBytes: Int) {
        self.cores = cores
        self.amount = amount
        self.memoryBytes = memoryBytes
    }

    /// How fast the amount passes at most: per second.
    var pace: Double { cores > 0 ? cores : 1 }
}

/// What one call asks of a machine. The same call asks the same under every policy.
public struct VirtualWork: Hashable, Sendable {
    /// In their order; at least one.
    public var phases: [VirtualPhase]
    /// What the replica holds before the call and after it.
    public var baseMemoryBytes: Int
    /// What the platform knows of the call.
    public var features: CallFeatures
    public var inputSize: Int?

    public init(phases: [VirtualPhase], baseMemoryBytes: Int, features: CallFeatures = .unknown, inputSize: Int? = nil) {
        self.phases = phases
        self.baseMemoryBytes = baseMemoryBytes
        self.features = features
        self.inputSize = inputSize
    }

    /// The same with so much of the CPU work; its waiting stays.
    ///
    /// - Parameter limit: cores that it was allowed: what was not held back by them took the same time with less work, so it waited.
    public func scaled(work factor: Double, limit: Double) -> VirtualWork {
        var scaled = self
        scaled.phases = []
        for var phase in phases {
            let waiting = phase.cores > 0 && phase.cores < limit ? (1 - factor) * phase.amount / phase.cores : 0
            if phase.cores > 0 { phase.amount *= factor }
            scaled.phases.append(phase)
            if waiting > 0 { scaled.phases.append(VirtualPhase(cores: 0, amount: waiting, memoryBytes: phase.memoryBytes)) }
        }
        return scaled
    }

    /// Its run time if it has so many cores to itself, in seconds.
    public func seconds(cores: Double) -> Double {
        phases.reduce(0) { $0 + $1.amount / ($1.cores > 0 ? min($1.cores, cores) : 1) }
    }

    /// CPU work in core-seconds.
    public var coreSeconds: Double { phases.reduce(0) { $0 + ($1.cores > 0 ? $1.amount : 0) } }
    public var peakCores: Double { phases.map(\.cores).max() ?? 0 }

    /// The most CPU that a node's watcher sees it use if it has so many cores to itself: bursts count by their share of a window.
    public func measuredPeakCores(cores: Double) -> Double {
        var peak = PeakWindow()
        for phase in phases {
            let pace = phase.cores > 0 ? min(phase.cores, cores) : 1
            guard pace > 0 else { continue }
            peak.add(cores: phase.cores > 0 ? pace : 0, seconds: phase.amount / pace)
        }
        return peak.cores
    }

    public var peakMemoryBytes: Int { max(baseMemoryBytes, phases.map(\.memoryBytes).max() ?? 0) }
}

/// A function as a virtual node deploys it.
public struct VirtualFunction: Hashable, Sendable {
    public var name: String
    /// The user's allocation.
    public var allocation: Resources
    /// Nil for as many as there are calls.
    public var replicasMax: Int?

    public init(_ name: String, allocation: Resources) {
        self.name = name
        self.allocation = allocation
    }
}

/// One call of a replay.
public struct VirtualCall: Hashable, Sendable {
    /// When, from the beginning.
    public var offset: Duration
    /// Which function, by position.
    public var function: Int
    public var work: VirtualWork

    public init(offset: Duration, function: Int, work: VirtualWork) {
        self.offset = offset
        self.function = function
        self.work = work
    }
}
