// SPDX-License-Identifier: Apache-2.0

/// What a node offers to its fronts: the gateway sees a node only through this.
public protocol NodeOperations<Payload>: Sendable {
    associatedtype Payload: Sendable

    /// Runs a call to its reply. A refusal or a failure is a reply, never an error.
    ///
    /// - Parameter reply: is called once, on any thread, and perhaps before this returns.
    func call(_ request: CallRequest<Payload>, reply: @escaping @Sendable (CallReply<Payload>) -> Void) -> CallID
    /// The caller has gone. Nothing happens if the call has its reply.
    func abandon(_ call: CallID)
    /// Accepts an asynchronous call: it is on disk when this returns nil, or refused.
    func enqueue(_ request: CallRequest<Payload>, callbackURL: String?) async throws -> Refusal?

    func deploy(_ spec: FunctionSpec, mode: DeployMode) async throws
    func remove(_ id: FunctionID) async throws
    /// Sets the number of replicas by hand until the next deployment or call: 0 stops all of them.
    func scale(_ id: FunctionID, to replicas: Int) async throws
    /// Functions of one namespace, or of all, by name.
    func functions(namespace: String?) async -> [FunctionStatus]
    func function(_ id: FunctionID) async -> FunctionStatus?

    func putCode(_ archive: Payload) async throws -> String

    /// - Parameter mustExist: true replaces, false makes a new one (`exists` if it is there), nil takes either.
    func putSecret(_ secret: Secret, mustExist: Bool?) async throws
    func removeSecret(name: String, namespace: String) async throws
    func secretNames(namespace: String) async throws -> [String]

    func namespaces() async throws -> [StoredNamespace]
    func putNamespace(_ namespace: StoredNamespace, mustExist: Bool) async throws
    func removeNamespace(_ name: String) async throws

    /// Kept lines, then new ones as they come if `follow`.
    func logs(_ query: LogQuery, follow: Bool) async throws -> AsyncThrowingStream<LogLine, any Error>
    func calls(_ query: CallQuery) async throws -> [CallRecord]

    func queueStatus() async throws -> QueueStatus
    func deadLetters(limit: Int) async throws -> [DeadLetter]
    func redrive(_ ids: [CallID]?) async throws -> Int
    func discardDeadLetters(_ ids: [CallID]?) async throws -> Int

    func status() async -> NodeStatus

    /// What is lent now. This and the next two throw `conflict` where the node does not harvest.
    func harvest() async throws -> HarvestReport
    func harvestLedger() async throws -> HarvestLedgerReport
    /// Throws `notFound` if the function is not there.
    func harvestProfile(_ id: FunctionID) async throws -> HarvestProfileReport
}

public enum DeployMode: Hashable, Sendable {
    /// `notFound` if the function is not there.
    case update
    /// Makes or replaces.
    case create
}

/// A function and how it is doing.
public struct FunctionStatus: Hashable, Sendable {
    public var spec: FunctionSpec
    public var created: Instant
    public var revision: Int
    /// Replicas the engine wants.
    public var replicas: Int
    /// Replicas that can take a call.
    public var availableReplicas: Int
    public var invocations: Int
    public var queueDepth: Int
    /// Sums over the replicas, from their cgroups.
    public var cpuTime: Duration
    public var memoryBytes: Int
    /// Why replicas do not start, or empty.
    public var problem: String

    public init(
        spec: FunctionSpec, created: Instant, revision: Int, replicas: Int = 0, availableReplicas: Int = 0, invocations: Int = 0,
        queueDepth: Int = 0, cpuTime: Duration = .zero, memoryBytes: Int = 0, problem: String = ""
    ) {
        self.spec = spec
        self.created = created
        self.revision = revision
        self.replicas = replicas
        self.availableReplicas = availableReplicas
        self.invocations = invocations
        self.queueDepth = queueDepth
        self.cpuTime = cpuTime
        self.memoryBytes = memoryBytes
        self.problem = problem
    }
}

public struct QueueStatus: Hashable, Sendable, Codable {
    /// Accepted and not begun, or waiting for another attempt.
    public var waiting: Int
    public var running: Int
    public var dead: Int

    public init(waiting: Int, running: Int, dead: Int) {
        self.waiting = waiting
        self.running = running
        self.dead = dead
    }
}

public struct NodeStatus: Hashable, Sendable {
    public var node: String
    public var version: String
    public var started: Instant
    public var now: Instant
    public var capacity: Resources
    public var reserved: Resources
    public var replicas: Int
    public var startingReplicas: Int
    public var runningCalls: Int
    public var queuedCalls: Int
    public var functions: Int
    /// The isolation in force, one sentence.
    public var isolation: String
    /// Resident memory of the node's own process, bytes.
    public var residentBytes: Int

    public init(
        node: String, version: String, started: Instant, now: Instant, capacity: Resources, reserved: Resources = .zero,
        replicas: Int = 0, startingReplicas: Int = 0, runningCalls: Int = 0, queuedCalls: Int = 0, functions: Int = 0,
        isolation: String = "", residentBytes: Int = 0
    ) {
        self.node = node
        self.version = version
        self.started = started
        self.now = now
        self.capacity = capacity
        self.reserved = reserved
        self.replicas = replicas
        self.startingReplicas = startingReplicas
        self.runningCalls = runningCalls
        self.queuedCalls = queuedCalls
        self.functions = functions
        self.isolation = isolation
        self.residentBytes = residentBytes
    }
}
