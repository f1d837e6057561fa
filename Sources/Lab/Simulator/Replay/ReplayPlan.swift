// SPDX-License-Identifier: Apache-2.0

public import BrumeHarvest
public import BrumeModel

/// What is replayed, and on what.
public struct ReplayPlan: Sendable {
    public var functions: [VirtualFunction]
    /// In the order of their offsets.
    public var calls: [VirtualCall]
    /// Each node's.
    public var capacity: Resources
    public var nodes = 1
    /// Schedulers before the nodes; they take turns. With none, all calls go to the first node, which queues them.
    public var schedulers = 0
    public var placement = PlacementPolicy.hash
    /// How often nodes tell schedulers about themselves.
    public var heartbeat = Duration.milliseconds(100)
    /// The start of a replica takes a time drawn evenly from these.
    public var start = Duration.milliseconds(20)...Duration.milliseconds(30)
    /// How long idle replicas stay. Zero gives every call a fresh one.
    public var keepAlive = Duration.seconds(600)
    /// Starts in progress on a node at most.
    public var concurrentStarts = 8
    /// What the functions' earlier calls have taught.
    public var experience: Profiler?

    public init(functions: [VirtualFunction], calls: [VirtualCall], capacity: Resources) {
        self.functions = functions
        self.calls = calls
        self.capacity = capacity
    }
}

/// What a replay came to.
public struct ReplayOutcome: Sendable {
    /// How much lay in the pool, taken out of calls' limits and used by nobody: core-seconds and MB-seconds.
    public var idleCoreSeconds = 0.0
    public var idleMegabyteSeconds = 0.0
    /// CPU work done.
    public var usedCoreSeconds = 0.0
    /// From the first arrival to the last end.
    public var completionSeconds = 0.0
    /// Calls that were killed at a limit below their own allocation.
    public var killsByHarvesting = 0
    public var coldStarts = 0
    /// Events of the world, and steps of engines.
    public var steps = 0
    /// FNV-1a of all inputs and outputs in order.
    public var digest: UInt64 = 0
    /// Promises that were broken; empty if none.
    public var violations: [String] = []
}
