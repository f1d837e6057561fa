// SPDX-License-Identifier: Apache-2.0

import BrumeBroker
import BrumeHarvest
public import BrumeModel
import DequeModule

/// One invocation in the engine's books, from its acceptance to its end.
struct CallState: Sendable {
    enum Phase: Sendable, Equatable {
        /// Room is kept while it is written to disk.
        case offered
        case waiting
        /// An asynchronous call between two attempts.
        case backingOff
        case running(ReplicaID)
        /// Its deadline has passed or its caller has gone, and the replica is still at it.
        case overrun(ReplicaID)
    }

    let function: FunctionHandle
    let asynchronous: Bool
    var phase: Phase
    /// Since when it waits for a replica: its arrival, or the time of an asynchronous attempt.
    var waitingSince: Instant
    /// Of the whole call, or of the running attempt of an asynchronous one.
    var deadline: Instant
    var began = Instant.zero
    var failedAttempts = 0
    var unsent = 0
    var features = CallFeatures.unknown

    var isOverrun: Bool { if case .overrun = phase { true } else { false } }

    var replica: ReplicaID? {
        switch phase {
        case .running(let replica), .overrun(let replica): replica
        case .offered, .waiting, .backingOff: nil
        }
    }
}

/// One sandbox in the engine's books, from its start to its exit.
struct ReplicaState: Sendable {
    enum Phase: Sendable, Equatable { case starting, ready, draining, stopping }

    let id: ReplicaID
    let function: FunctionHandle
    let revision: Int
    let reserved: Resources
    let slots: Int
    var phase = Phase.starting
    var calls: [CallID] = []
    var served = 0
    var readySince = Instant.zero
    var idleSince = Instant.zero
    var idleTimerArmed = false
    /// It goes on with a call long past its deadline, and ends as soon as no other call is on it.
    var condemned = false
    /// The call in whose name it takes part in harvesting: the first of those that run on it.
    var harvestCall: CallID?
    /// Several calls ran at once since then, so that nothing can be learned of one.
    var isShared = false
    /// Memory it was last seen to use.
    var memoryInUse = 0

    var isIdle: Bool { phase == .ready && calls.isEmpty }
}

/// One function in the engine's books.
struct FunctionState: Sendable {
    var policy: FunctionPolicy
    var revision = 1
    /// In order of start.
    var members: [ReplicaID] = []
    var pool = WarmPool()
    var queue: AdmissionQueue
    /// Asynchronous calls that may run now.
    var due = Deque<CallID>()
    /// Asynchronous calls accepted and not ended.
    var asynchronousCount = 0
    /// What `scale` asked for.
    var pinned: Int?
    /// A start that a deployment asked for and that has not come up yet.
    var prewarmPending = false
    /// Replicas to have of the newest revision before the last of an older one goes.
    var replacementTarget = 0
    var startFailures = 0
    var startBlockedUntil = Instant.zero
    var problem = ""
    var removed = false
    var invocations = 0
    /// Moving average of run times in nanoseconds (weight 1/8), for `Retry-After`.
    var meanRunNanoseconds: Int64 = 0

    init(policy: FunctionPolicy, queueLimit: Int) {
        self.policy = policy
        queue = AdmissionQueue(limit: queueLimit)
    }

    /// Replicas that stay without calls.
    var floor: Int { Swift.min(pinned ?? policy.scale.min, policy.scale.max) }
    var waiting: Int { queue.count + due.count }
    var hasWaiting: Bool { !queue.isEmpty || !due.isEmpty }
}

/// How a function is doing, for people and for autoscaling clients.
public struct FunctionView: Hashable, Sendable {
    /// Starting or ready.
    public var replicas: Int
    public var ready: Int
    public var invocations: Int
    public var queued: Int
    public var running: Int
    public var problem: String
}

/// How the node is doing.
public struct EngineView: Hashable, Sendable {
    public var capacity: Resources
    public var reserved: Resources
    public var replicas: Int
    public var starting: Int
    public var runningCalls: Int
    public var queuedCalls: Int
    /// Those of the queued calls whose caller waits.
    public var waitingCallers: Int
    public var asynchronousCalls: Int
}
