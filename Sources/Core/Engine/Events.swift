// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What happens to a node.
public enum Input: Sendable {
    /// A function is deployed, or deployed again (its replicas are then replaced one by one).
    case deploy(FunctionHandle, FunctionPolicy)
    case remove(FunctionHandle)
    /// Keep so many replicas until the next deployment; 0 stops them until the next call.
    case scale(FunctionHandle, replicas: Int)

    /// A caller waits for this call.
    case arrive(CallID, FunctionHandle, timeout: Duration?)
    /// An asynchronous call asks for room; `refuse` or nothing follows, then `enqueue` or `abandon` must come.
    case offer(CallID, FunctionHandle)
    /// An asynchronous call is on disk. After a restart it comes without an `offer`.
    case enqueue(CallID, FunctionHandle, failedAttempts: Int, notBefore: Instant)
    /// The caller no longer waits, or an offered call could not be stored.
    case abandon(CallID)

    case started(ReplicaID)
    case exited(ReplicaID, ReplicaExit)
    /// A replica is through with a call.
    case finished(CallID, CallEnd)

    /// Time has passed; see ``Output/wake(at:)``.
    case tick
    /// The node is going down: nothing new is accepted, callers are still served, asynchronous calls wait on disk for the next start.
    case drain
    /// The time for that is over: callers that still wait are told, and nothing is started or run any more.
    case halt
}

/// How a call on a replica ended.
public enum CallEnd: Hashable, Sendable {
    case succeeded
    case failed
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
}
