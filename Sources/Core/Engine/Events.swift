// SPDX-License-Identifier: Apache-2.0

public import BrumeHarvest
public import BrumeModel

/// What happens to a node.
public enum Input: Sendable {
    /// A function is deployed, or deployed again (its replicas are then replaced one by one).
    case deploy(FunctionHandle, FunctionPolicy)
    case remove(FunctionHandle)
    /// Keep so many replicas until the next deployment; 0 stops them until the next call.
    case scale(FunctionHandle, replicas: Int)

    /// A caller waits for this call.
    ///
    /// - features: what is known of it, from which its demand is predicted.
    case arrive(CallID, FunctionHandle, timeout: Duration?, features: CallFeatures = .unknown)
    /// An asynchronous call asks for room; `refuse` or nothing follows, then `enqueue` or `abandon` must come.
    case offer(CallID, FunctionHandle)
    /// An asynchronous call is on disk. After a restart it comes without an `offer`.
    case enqueue(CallID, FunctionHandle, failedAttempts: Int, notBefore: Instant)
    /// The caller no longer waits, or an offered call could not be stored.
    case abandon(CallID)

    case started(ReplicaID)
    case exited(ReplicaID, ReplicaExit)
    /// A replica is through with a call.
    ///
    /// - usage: what it used, where that was measured.
    case finished(CallID, CallEnd, usage: CallUsage? = nil)

    /// A look at what replicas with running calls use.
    case sampled([ReplicaSample])
    /// A limit of memory stands higher than it should. What the batch raises has not risen yet (see ``LimitTurn``).
    case limitHeld(ReplicaLimit, at: Int, batch: [ReplicaLimit])

    /// Time has passed; see ``Output/wake(at:)``.
    case tick
    /// The node is going down: nothing new is accepted, callers are still served, asynchronous calls wait on disk for the next start.
    case drain
    /// The time for that is over: callers that still wait are told, and nothing is started or run any more.
    case halt
}

/// What one replica used until a moment.
public struct ReplicaSample: Hashable, Sendable {
    public let replica: ReplicaID
    public let usage: UsageSample

    public init(replica: ReplicaID, usage: UsageSample) {
        self.replica = replica
        self.usage = usage
    }
}

/// A limit of a replica to write. Limits are absolute: of two for one replica and resource the later one holds.
public struct ReplicaLimit: Hashable, Sendable {
    public let replica: ReplicaID
    /// The call in whose name the pool keeps its books; nil for a replica that has become idle.
    public let call: CallID?
    public let kind: ResourceKind
    public let from: Int
    public let to: Int

    public init(replica: ReplicaID, call: CallID?, kind: ResourceKind, from: Int, to: Int) {
        self.replica = replica
        self.call = call
        self.kind = kind
        self.from = from
        self.to = to
    }
}

/// How a call on a replica ended.
public enum CallEnd: Hashable, Sendable {
    case succeeded
    case failed
    /// It was killed at its memory limit.
    case outOfMemory
    /// Nothing of it reached the replica.
    case unsent
}

/// What a node has to do, in this order.
public enum Output: Sendable, Hashable {
    case start(ReplicaID, FunctionHandle)
    /// - cold: the call waited for this replica's start.
    case run(CallID, on: ReplicaID, cold: Bool, deadline: Instant)
    case refuse(CallID, Refusal)
    /// The call has ended without having run to its end.
    case fail(CallID, CallFailure)
    /// The deadline passed; if a replica is named, it still works on the call and should be told to give up.
    case expire(CallID, on: ReplicaID?)
    /// The caller has gone; the replica may give up.
    case cancel(CallID, on: ReplicaID)
    /// An asynchronous call has ended well, or for good without a dead letter.
    case complete(CallID)
    /// An asynchronous call will be tried again.
    case retry(CallID, failedAttempts: Int, at: Instant)
    case bury(CallID, failedAttempts: Int)
    case stop(ReplicaID, grace: Duration)
    /// Write these limits in this order; what shrinks stands before what grows. Of one that cannot be written say so before going on.
    case limit([ReplicaLimit])
    /// Send `tick` at this time. A later one replaces it only when it is earlier.
    case wake(at: Instant)
    case note(Note)
}

/// A decision worth telling, for `explain`, logs and counters.
public enum Note: Sendable, Hashable {
    case queued(CallID, ahead: Int)
    case startedReplica(ReplicaID, FunctionHandle, StartReason)
    case startDeferred(FunctionHandle, DeferReason)
    case startFailed(ReplicaID, FunctionHandle, failuresInRow: Int, message: String)
    case stoppedReplica(ReplicaID, FunctionHandle, StopReason)
    case resent(CallID, from: ReplicaID)
    /// The call waits although a replica is free: what it would be given is not.
    case heldBack(CallID, needs: Resources)
    /// What the call got when it began to run, beside the user's allocation.
    case allotted(CallID, Resources, allocation: Resources)
    /// What harvesting did to a call that has ended.
    indirect case settled(CallStatement)
}

public enum StartReason: String, Sendable, Hashable {
    case callsWaiting = "calls are waiting"
    case minimum = "kept warm"
    case prewarm = "deployed"
    case replacement = "replaces an older revision"
}

public enum DeferReason: String, Sendable, Hashable {
    case capacity = "the node's capacity is reserved"
    case startsInProgress = "enough replicas are starting"
    case backingOff = "earlier starts failed"
}

public enum StopReason: String, Sendable, Hashable {
    case idle = "idle beyond its keep-alive"
    case evicted = "idle, and its capacity is needed"
    case replaced = "replaced by a newer revision"
    case removed = "its function was removed"
    case scaledDown = "scaled down by hand"
    case overrun = "did not give up a call past its deadline"
    case unreachable = "did not take a call"
    case holdsMemory = "holds on to memory that it had borrowed"
}
