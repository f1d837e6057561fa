// SPDX-License-Identifier: Apache-2.0

/// One header field. Names compare without case; order and repetition are kept.
public struct HeaderField: Hashable, Sendable, Codable {
    public let name: String
    public let value: String
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// Bytes on their way: all there, or still coming. `Payload` is `ByteBuffer` live and a byte count in the simulator.
public enum Body<Payload: Sendable>: Sendable {
    case whole(Payload)
    /// Elements arrive as the sender writes them; pulling slowly slows the sender down.
    case stream(any AsyncSequence<Payload, any Error> & Sendable)
}

/// What a caller asks of a function.
public struct CallRequest<Payload: Sendable>: Sendable {
    public var function: FunctionID
    /// The HTTP method, upper case.
    public var method: String
    /// What follows the function's name, beginning with `/`.
    public var path: String
    /// The query without `?`, or empty.
    public var query: String
    /// End-to-end headers only: the gateway has removed hop-by-hop ones.
    public var headers: [HeaderField]
    public var body: Body<Payload>
    /// The caller-visible id (`X-Call-Id`).
    public var label: String
    /// A shorter time limit than the function's own, where the caller gave one (`X-Timeout`).
    public var timeout: Duration?

    public init(
        function: FunctionID, method: String = "POST", path: String = "/", query: String = "", headers: [HeaderField] = [],
        body: Body<Payload>, label: String, timeout: Duration? = nil
    ) {
        self.function = function
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.label = label
        self.timeout = timeout
    }
}

/// What a function answered.
public struct CallResponse<Payload: Sendable>: Sendable {
    /// The HTTP status, 100 to 599.
    public var status: Int
    public var headers: [HeaderField]
    public var body: Body<Payload>
    /// Set where the contract rendered a failure as a reply (a forked program that exited with 1, a Lambda error).
    public var failure: CallFailure?

    public init(status: Int, headers: [HeaderField] = [], body: Body<Payload>, failure: CallFailure? = nil) {
        self.status = status
        self.headers = headers
        self.body = body
        self.failure = failure
    }
}

/// Why a call that was accepted ended badly.
public struct CallFailure: Error, Hashable, Sendable, Codable {
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        /// The kernel killed the function at its memory limit.
        case outOfMemory = "out-of-memory"
        /// The process ended by itself, with a non-zero code or in the middle of a call.
        case exited
        /// The process died of a signal that it or its code caused.
        case crashed
        /// The deadline passed.
        case timedOut = "timed-out"
        /// No replica could be started.
        case startFailed = "start-failed"
        /// The reply is larger than allowed.
        case outputLimit = "output-limit"
        /// The function answered something that its contract does not allow.
        case badReply = "bad-reply"
        /// The handler raised or reported an error.
        case handlerError = "handler-error"
        /// The caller went away.
        case abandoned
        /// The node is shutting down, or the function was removed.
        case stopped
        /// The replica was gone before anything of the call reached it; another one may take it.
        case unsent
    }

    public let kind: Kind
    /// One sentence for the caller.
    public let message: String

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// The status a gateway answers with: 504 past the deadline, 503 where a later try may work, 500 for the function's own fault.
    public var httpStatus: Int {
        switch kind {
        case .timedOut: 504
        case .startFailed, .stopped, .unsent: 503
        case .badReply: 502
        case .outOfMemory, .exited, .crashed, .outputLimit, .handlerError: 500
        case .abandoned: 499
        }
    }
}

/// Why a call was not accepted.
public enum Refusal: Hashable, Sendable {
    case unknownFunction
    /// The bounded queue is full; trying again after so long is reasonable.
    case queueFull(retryAfter: Duration)
    /// The function is larger than the whole node.
    case neverFits(String)
    /// The function's replicas cannot be started; the sentence says why.
    case broken(String)
    /// The node is shutting down.
    case draining

    /// The status a gateway answers with.
    public var httpStatus: Int {
        switch self {
        case .unknownFunction: 404
        case .queueFull: 429
        case .neverFits, .broken, .draining: 503
        }
    }

    /// One word for programs, beside those of ``CallFailure/Kind``.
    public var word: String {
        switch self {
        case .unknownFunction: "unknown-function"
        case .queueFull: "queue-full"
        case .neverFits: "never-fits"
        case .broken: CallFailure.Kind.startFailed.rawValue
        case .draining: CallFailure.Kind.stopped.rawValue
        }
    }

    /// One sentence for the caller.
    public var sentence: String {
        switch self {
        case .unknownFunction: "There is no function of this name; see 'brume list', or deploy it."
        case .queueFull(let pause): "The function's queue is full; try again in \(pause.components.seconds) s."
        case .neverFits(let why): why
        case .broken(let why): "The function does not start: \(why)"
        case .draining: "The node is shutting down; try again on another node or later."
        }
    }
}

/// Where a call's time went. Zero where a phase did not happen.
public struct CallTiming: Hashable, Sendable, Codable {
    public var queued: Duration
    /// Waiting for a replica that was started for this call.
    public var starting: Duration
    public var running: Duration

    public init(queued: Duration = .zero, starting: Duration = .zero, running: Duration = .zero) {
        self.queued = queued
        self.starting = starting
        self.running = running
    }
}

/// The end of one invocation, as its caller sees it.
public struct CallReply<Payload: Sendable>: Sendable {
    public enum Result: Sendable {
        case answered(CallResponse<Payload>)
        case failed(CallFailure)
        case refused(Refusal)
    }

    public var result: Result
    public var timing: CallTiming
    /// Whether the call waited for a replica to start.
    public var cold: Bool
    public var replica: ReplicaID?

    public init(result: Result, timing: CallTiming = CallTiming(), cold: Bool = false, replica: ReplicaID? = nil) {
        self.result = result
        self.timing = timing
        self.cold = cold
        self.replica = replica
    }
}

/// What is kept of a call after it ended.
public struct CallRecord: Hashable, Sendable, Codable {
    public enum Outcome: String, Hashable, Sendable, Codable, CaseIterable {
        /// `running` is a call that has been accepted and has not ended.
        case running, succeeded, failed, timedOut = "timed-out", refused, abandoned
    }

    public var id: CallID
    /// The caller-visible id (`X-Call-Id`).
    public var label: String
    public var function: FunctionID
    public var node: String
    public var arrived: Instant
    public var timing: CallTiming
    public var outcome: Outcome
    /// The HTTP status the caller received.
    public var status: Int
    public var cold: Bool
    public var replica: ReplicaID?
    public var asynchronous: Bool
    /// 1 for the first attempt of an asynchronous call.
    public var attempt: Int
    /// The failure's kind and sentence, empty on success.
    public var failureKind: String
    public var message: String
    /// Why it ran where it ran: the engine's notes on this call, in order.
    public var decisions: [String]
    var harvestBox: HarvestBox?

    public init(
        id: CallID, label: String, function: FunctionID, node: String, arrived: Instant, timing: CallTiming, outcome: Outcome,
        status: Int, cold: Bool, replica: ReplicaID?, asynchronous: Bool = false, attempt: Int = 1, failureKind: String = "",
        message: String = "", decisions: [String] = []
    ) {
        self.id = id
        self.label = label
        self.function = function
        self.node = node
        self.arrived = arrived
        self.timing = timing
        self.outcome = outcome
        self.status = status
        self.cold = cold
        self.replica = replica
        self.asynchronous = asynchronous
        self.attempt = attempt
        self.failureKind = failureKind
        self.message = message
        self.decisions = decisions
    }
}

/// One line that a function wrote.
public struct LogLine: Hashable, Sendable, Codable {
    public enum Stream: String, Hashable, Sendable, Codable { case stdout, stderr, platform }

    public var function: FunctionID
    /// The replica's name.
    public var instance: String
    public var time: Instant
    public var stream: Stream
    public var text: String

    public init(function: FunctionID, instance: String, time: Instant, stream: Stream, text: String) {
        self.function = function
        self.instance = instance
        self.time = time
        self.stream = stream
        self.text = text
    }
}
