// SPDX-License-Identifier: Apache-2.0

public import BrumeBroker
public import BrumeHarvest
public import BrumeModel

/// The bounds and times of a node's decisions. Every limit says why it has its value.
public struct EngineSettings: Sendable {
    /// What replicas may reserve altogether.
    public var capacity: Resources
    /// Calls that may wait for one function: a burst of a few hundred clients has room, and a waiting call costs 200 bytes.
    public var queueLimitPerFunction = 1024
    /// Callers that may wait on the node: eight functions at their limit.
    public var queueLimit = 8192
    /// Accepted asynchronous calls per function, held as ids in memory (their bodies are on disk).
    public var asynchronousLimitPerFunction = 100_000
    /// Replicas that may be starting at once: more only slow each other down on the same cores.
    public var concurrentStarts = 8
    /// Failed starts in a row after which waiting calls are told so.
    public var startAttempts = 3
    public var startBackoff = Backoff(base: .milliseconds(100), ceiling: .seconds(30))
    /// A replica that ends by itself this soon after it was ready, without having finished a call, counts as a failed start.
    public var crashLoopWindow = Duration.seconds(1)
    /// How long a replica may go on with a call whose deadline has passed before it is ended.
    public var overrunGrace = Duration.seconds(10)
    /// What a replica gets to end itself.
    public var stopGrace = Duration.seconds(5)
    /// How often a call is sent again that never reached its replica.
    public var unsentRetries = 3
    /// Attempts of an asynchronous call before it becomes a dead letter.
    public var asynchronousAttempts = 3
    public var asynchronousBackoff = Backoff(base: .seconds(1), ceiling: .seconds(60))
    /// The pause after so many failed attempts of an asynchronous call.
    public func asynchronousPause(after failures: Int) -> Duration { failures > 0 ? asynchronousBackoff.pause(after: failures) : .zero }

    /// How running calls lend to each other; nil where each keeps its own limits.
    public var harvest: HarvesterSettings?

    public init(capacity: Resources) { self.capacity = capacity }
}

/// What the engine knows of a function's spec.
public struct FunctionPolicy: Hashable, Sendable {
    /// Reserved for each replica.
    public var requests: Resources
    /// The limits of each replica, unless something is lent.
    public var allocation: Resources
    /// What its calls lend and borrow.
    public var harvests: Set<ResourceKind> = [.cpu, .memory]
    public var concurrency: Int
    public var scale: Scale
    public var timeout: Duration
    /// Start one replica at deployment, so that the first call is warm and a broken package shows at once.
    public var prewarm: Bool

    /// - Parameter allocation: the requests, if nil.
    public init(
        requests: Resources, allocation: Resources? = nil, concurrency: Int = 1, scale: Scale = Scale(), timeout: Duration = .seconds(60),
        prewarm: Bool = false
    ) {
        self.requests = requests
        self.allocation = allocation ?? requests
        self.concurrency = concurrency
        self.scale = scale
        self.timeout = timeout
        self.prewarm = prewarm
    }

    public init(_ spec: FunctionSpec) {
        self.init(
            requests: spec.requests, allocation: spec.limits, concurrency: spec.concurrency, scale: spec.scale, timeout: spec.timeout,
            prewarm: spec.annotations["dev.brume.prewarm"] != "false")
        // A spec with annotations that make no sense was refused; one from before they had a sense takes no part.
        harvests = (try? HarvestPolicy(annotations: spec.annotations).takesPart) ?? []
    }
}
