// SPDX-License-Identifier: Apache-2.0

/// What starts replicas and carries calls to them: the Linux sandbox live, a virtual one in the simulator.
///
/// A driver reports what happens through the event sink it was made with; the methods only begin things. Per replica the events are
/// `started`, then any number of `finished` (one for each `invoke`), then one `exited`; or one `exited` alone when the start failed.
public protocol SandboxDriver<Payload>: Sendable {
    associatedtype Payload: Sendable

    /// The isolation in force, one sentence.
    var isolation: String { get }

    /// Makes a function's files ready on this node (unpack, install requirements, check the syntax); called before its first start.
    ///
    /// - Parameter bundle: path of the tar archive where the package is a bundle.
    /// - Throws: `BrumeError` (`invalid` where the package is wrong, `unsupported` where a tool is missing).
    func prepare(_ spec: FunctionSpec, bundle: String?) async throws

    /// Begins to start a replica; ends in `started` or `exited`.
    func start(_ replica: ReplicaID, of spec: FunctionSpec, secrets: [Secret])

    /// Carries one call to a started replica. `reply` is called once, when the head and the whole body or its stream are there.
    ///
    /// `finished` follows when the replica is through with the call, which may be later than the reply, and later than the deadline.
    func invoke(_ call: CallID, _ request: CallRequest<Payload>, on replica: ReplicaID, deadline: Instant, reply: @escaping ReplyHandler)

    /// The caller no longer waits. The driver may end the work where the contract allows that without touching other calls.
    func cancel(_ call: CallID, on replica: ReplicaID)

    /// Ends a replica: asks first, kills after `grace`. Ends in `exited`, and nothing of the replica is left then.
    func stop(_ replica: ReplicaID, grace: Duration)

    /// Measured use of a running replica, or nil if it is gone.
    func usage(of replica: ReplicaID) -> ReplicaUsage?

    /// Changes one limit of a running replica, at once.
    ///
    /// - Returns: what is in force now: more than `amount` where memory is in use that cannot be had back; nil if the replica is gone or
    ///   its limits cannot be changed.
    func setLimit(_ kind: ResourceKind, to amount: Int, of replica: ReplicaID) -> Int?

    /// A replica begins to run calls after having had none: from now on its use is told by ``SandboxEvent/used(_:)``.
    func beginUse(of replica: ReplicaID)

    /// It has no calls any more.
    ///
    /// - Returns: what it used meanwhile, or nil where that is not measured.
    func endUse(of replica: ReplicaID) -> CallUsage?

    /// Ends every replica and returns when nothing is left.
    func shutdown() async

    typealias ReplyHandler = @Sendable (Result<CallResponse<Payload>, CallFailure>) -> Void
}

/// A driver that changes no limits and measures nothing.
extension SandboxDriver {
    public func setLimit(_ kind: ResourceKind, to amount: Int, of replica: ReplicaID) -> Int? { nil }
    public func beginUse(of replica: ReplicaID) {}
    public func endUse(of replica: ReplicaID) -> CallUsage? { nil }
}

/// What a driver reports.
public enum SandboxEvent: Sendable {
    case started(ReplicaID)
    /// The replica is through with this call and its slot is free.
    case finished(CallID, on: ReplicaID, failure: CallFailure?)
    /// The replica is gone with everything that belonged to it. Its unfinished calls have been answered before.
    case exited(ReplicaID, ReplicaExit)
    case log(ReplicaID, LogLine.Stream, String)
    /// A look at the replicas that run calls and are watched.
    case used([ReplicaUse])
}

/// What one replica used until a moment.
public struct ReplicaUse: Hashable, Sendable {
    public let replica: ReplicaID
    /// CPU time since its start, or nil if it could not be read.
    public var cpuTime: Duration?
    /// Periods of its CPU quota in which it was throttled since its start.
    public var throttledPeriods: Int?
    public var memoryBytes: Int?

    public init(replica: ReplicaID, cpuTime: Duration?, throttledPeriods: Int?, memoryBytes: Int?) {
        self.replica = replica
        self.cpuTime = cpuTime
        self.throttledPeriods = throttledPeriods
        self.memoryBytes = memoryBytes
    }
}

/// How a replica ended.
public struct ReplicaExit: Hashable, Sendable {
    public enum Cause: Hashable, Sendable {
        /// It was asked to stop.
        case stopped
        case exited(code: Int)
        case signalled(number: Int)
        case outOfMemory
        /// It never came up.
        case startFailed
    }

    public let cause: Cause
    /// One sentence for logs and for callers.
    public let message: String

    public init(_ cause: Cause, _ message: String) {
        self.cause = cause
        self.message = message
    }
}

/// What a replica uses, from its cgroup.
public struct ReplicaUsage: Hashable, Sendable {
    /// CPU time used since the start.
    public var cpuTime: Duration
    public var memoryBytes: Int
    public var memoryPeakBytes: Int

    public init(cpuTime: Duration, memoryBytes: Int, memoryPeakBytes: Int) {
        self.cpuTime = cpuTime
        self.memoryBytes = memoryBytes
        self.memoryPeakBytes = memoryPeakBytes
    }
}
