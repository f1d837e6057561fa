// SPDX-License-Identifier: Apache-2.0

/// What a node remembers over a restart. Everything awaited here is on disk when it returns.
public protocol Store<Payload>: Sendable {
    associatedtype Payload: Sendable

    /// Counts one more start of this data directory and returns the count, beginning with 1.
    func beginEpoch() async throws -> UInt64

    func putFunction(_ function: StoredFunction) async throws
    func removeFunction(_ id: FunctionID) async throws
    func functions() async throws -> [StoredFunction]

    /// Keeps a package under its SHA-256 and returns that in lower-case hexadecimal; the same bytes are kept once.
    func putCode(_ archive: Payload) async throws -> String
    /// The file that holds a package, or nil.
    func codePath(digest: String) async throws -> String?
    /// Removes packages that no function names and that are older than `age`; returns how many.
    func pruneCode(olderThan age: Duration) async throws -> Int

    func putSecret(_ secret: Secret) async throws
    func removeSecret(name: String, namespace: String) async throws -> Bool
    func secrets(namespace: String) async throws -> [Secret]

    func putNamespace(_ namespace: StoredNamespace) async throws
    func removeNamespace(_ name: String) async throws -> Bool
    func namespaces() async throws -> [StoredNamespace]

    /// Records a call. Batched: on disk within a second, not at return. A later record of the same call and attempt replaces it.
    ///
    /// Never waits: where the disk cannot keep up, records are dropped and counted.
    func record(_ call: CallRecord)
    /// Keeps log lines, batched like calls; where the disk cannot keep up, the oldest make room.
    func append(_ lines: [LogLine])
    /// Waits until everything recorded or appended so far is on disk.
    func flush() async throws
    /// Last recorded first, whatever the clock said; sees everything recorded before.
    func calls(_ query: CallQuery) async throws -> [CallRecord]
    /// Lines in the order in which they were appended, whatever the clock said; sees everything appended before.
    func logs(_ query: LogQuery) async throws -> [LogLine]
    /// Drops the oldest calls and log lines beyond the settings' bounds.
    func prune() async throws

    /// Keeps an accepted call.
    ///
    /// - Throws: `BrumeError`: `exists` if the id is taken, `unavailable` if the queue is full, `invalid` if the body is a stream.
    func enqueue(_ call: QueuedCall<Payload>) async throws
    /// Every call that has neither ended nor died, in order of acceptance; bodies included.
    func queued() async throws -> [QueuedCall<Payload>]
    /// One queued call with its body, or nil.
    func queued(_ id: CallID) async throws -> QueuedCall<Payload>?
    /// A call that ended: it will not run again. Nothing happens if it is not queued.
    ///
    /// - Parameter delivery: what its caller's URL must get, kept in the same transaction; an older one of the same call makes room.
    func complete(_ id: CallID, delivery: StoredDelivery<Payload>?) async throws
    /// Another attempt will follow. Throws `notFound` if the call is not queued.
    func reschedule(_ id: CallID, attempt: Int, notBefore: Instant, lastFailure: String) async throws
    /// The last attempt failed: the call becomes a dead letter. Throws `notFound` if it is not queued, and keeps no delivery then.
    ///
    /// - Parameter delivery: as in ``complete(_:delivery:)``.
    func bury(_ id: CallID, attempt: Int, lastFailure: String, delivery: StoredDelivery<Payload>?) async throws
    /// Newest acceptance first.
    func deadLetters(limit: Int) async throws -> [DeadLetter]
    /// Moves dead letters back to the queue with a fresh count of attempts (all where `ids` is nil); returns them.
    func redrive(_ ids: [CallID]?) async throws -> [QueuedCall<Payload>]
    func discardDeadLetters(_ ids: [CallID]?) async throws -> Int

    /// Results that nobody has taken yet, in the order in which their calls ended; bodies included.
    ///
    /// Bounded: where a store holds as many as it keeps (10,000 unless told otherwise), the oldest go, which is counted and logged.
    func deliveries() async throws -> [StoredDelivery<Payload>]
    /// A delivery was taken, or given up: it is removed. Nothing happens if it is not there.
    ///
    /// - Parameter accepted: which of the call's results; a redriven call may have a newer one by now, which stays.
    func delivered(_ id: CallID, accepted: Instant) async throws
    /// Keeps how many attempts of a delivery have failed. Nothing happens if it is not there.
    func deliveryFailed(_ id: CallID, accepted: Instant, failedAttempts: Int) async throws
}

/// A function as it is kept: its spec, when it was made, how often it was changed.
public struct StoredFunction: Hashable, Sendable, Codable {
    public var spec: FunctionSpec
    public var created: Instant
    public var revision: Int
    /// Replicas asked for by hand (`scale-function`), or nil where the engine decides.
    public var pinnedReplicas: Int?

    public init(spec: FunctionSpec, created: Instant, revision: Int, pinnedReplicas: Int? = nil) {
        self.spec = spec
        self.created = created
        self.revision = revision
        self.pinnedReplicas = pinnedReplicas
    }
}

public struct StoredNamespace: Hashable, Sendable, Codable {
    public var name: String
    public var labels: [String: String]
    public var annotations: [String: String]

    public init(name: String, labels: [String: String] = [:], annotations: [String: String] = [:]) {
        self.name = name
        self.labels = labels
        self.annotations = annotations
    }
}

/// An asynchronous call that has been accepted.
public struct QueuedCall<Payload: Sendable>: Sendable {
    public var id: CallID
    /// Its body is whole.
    public var request: CallRequest<Payload>
    public var callbackURL: String?
    public var accepted: Instant
    /// Attempts that have failed so far.
    public var attempts: Int
    public var notBefore: Instant

    public init(
        id: CallID, request: CallRequest<Payload>, callbackURL: String?, accepted: Instant, attempts: Int = 0,
        notBefore: Instant = .zero
    ) {
        self.id = id
        self.request = request
        self.callbackURL = callbackURL
        self.accepted = accepted
        self.attempts = attempts
        self.notBefore = notBefore
    }
}

/// The result of an asynchronous call that its caller's URL has not taken yet.
public struct StoredDelivery<Payload: Sendable>: Sendable {
    public var call: CallID
    /// Whose log tells if nobody takes it.
    public var function: FunctionID
    public var url: String
    public var headers: [HeaderField]
    public var body: Payload
    /// When the call ended and its result was taken over; together with the call's id it names this delivery.
    public var accepted: Instant
    /// Attempts to deliver it that have failed so far.
    public var failedAttempts: Int

    public init(
        call: CallID, function: FunctionID, url: String, headers: [HeaderField], body: Payload, accepted: Instant, failedAttempts: Int = 0
    ) {
        self.call = call
        self.function = function
        self.url = url
        self.headers = headers
        self.body = body
        self.accepted = accepted
        self.failedAttempts = failedAttempts
    }
}

/// An asynchronous call that failed for good.
public struct DeadLetter: Hashable, Sendable, Codable {
    public var id: CallID
    public var label: String
    public var function: FunctionID
    public var accepted: Instant
    public var attempts: Int
    public var lastFailure: String

    public init(id: CallID, label: String, function: FunctionID, accepted: Instant, attempts: Int, lastFailure: String) {
        self.id = id
        self.label = label
        self.function = function
        self.accepted = accepted
        self.attempts = attempts
        self.lastFailure = lastFailure
    }
}

public struct CallQuery: Hashable, Sendable {
    public var function: FunctionID?
    public var label: String?
    public var outcome: CallRecord.Outcome?
    public var since: Instant?
    /// Newest first, at most so many.
    public var limit: Int

    public init(
        function: FunctionID? = nil, label: String? = nil, outcome: CallRecord.Outcome? = nil, since: Instant? = nil, limit: Int = 50
    ) {
        self.function = function
        self.label = label
        self.outcome = outcome
        self.since = since
        self.limit = limit
    }
}

public struct LogQuery: Hashable, Sendable {
    public var function: FunctionID
    public var instance: String?
    public var since: Instant?
    /// The last so many lines.
    public var tail: Int?

    public init(function: FunctionID, instance: String? = nil, since: Instant? = nil, tail: Int? = nil) {
        self.function = function
        self.instance = instance
        self.since = since
        self.tail = tail
    }
}
