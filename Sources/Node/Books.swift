// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel
import NIOCore

/// Everything the node knows that the engine does not decide: names, waiting callers, results on their way. Guarded by one lock together
/// with the engine.
struct Books: Sendable {
    var engine: Engine
    var handles: [FunctionID: FunctionHandle] = [:]
    var functions: [FunctionHandle: FunctionEntry] = [:]
    var replicas: [ReplicaID: ReplicaEntry] = [:]
    var calls: [CallID: CallEntry] = [:]
    var nextHandle = 0
    var nextCall: UInt64

    var records: RecordBudget
    var recent: RecentCalls
    var harvest = HarvestBooks()
    /// Whether new calls are refused, because the node hands over.
    var isClosed = false

    /// Reused between steps, so that a step allocates nothing of its own.
    var outputs: [Output] = []

    init(engine: Engine, firstCall: UInt64, settings: NodeSettings) {
        self.engine = engine
        records = RecordBudget(perSecond: settings.recordsPerSecondMax)
        recent = RecentCalls(countMax: settings.recentCallsMax)
        nextCall = firstCall
    }

    mutating func newCallID() -> CallID {
        defer { nextCall += 1 }
        return CallID(nextCall)
    }
}

/// How many uneventful calls are written down: what is kept is bounded in number, so at high rates writing all of them would only turn
/// the disk faster. Calls that failed, waited or ran asynchronously do not count against it; the newest of the others are ``RecentCalls``.
struct RecordBudget: Sendable {
    private let perSecond: Int
    private var second: Int64 = 0
    private var used = 0
    /// Calls that were not written to disk.
    private(set) var skipped = 0

    init(perSecond: Int) { self.perSecond = perSecond }

    mutating func allows(at now: Instant) -> Bool {
        let current = now.nanoseconds / 1_000_000_000
        if current != second {
            second = current
            used = 0
        }
        used += 1
        if used > perSecond { skipped += 1 }
        return used <= perSecond
    }
}

/// The newest calls that were not written to disk, so that whoever asks about a call that has just ended gets an answer at any rate.
struct RecentCalls: Sendable {
    private enum Kept: Sendable {
        case plain(RecentCall)
        /// One with more to tell, in a place of its own so that it does not make all others larger.
        indirect case whole(CallRecord)

        func record(node: String) -> CallRecord {
            switch self {
            case .plain(let call): call.record(node: node)
            case .whole(let record): record
            }
        }
    }

    private let countMax: Int
    private var kept: [Kept] = []
    /// Where the next one goes once the ring is full.
    private var next = 0

    init(countMax: Int) { self.countMax = countMax }

    mutating func append(_ call: RecentCall) { append(.plain(call)) }
    mutating func append(_ record: CallRecord) { append(.whole(record)) }

    private mutating func append(_ one: Kept) {
        if kept.count < countMax {
            kept.append(one)
        } else if countMax > 0 {
            kept[next] = one
            next = (next + 1) % countMax
        }
    }

    /// Newest first.
    func matching(_ query: CallQuery, node: String) -> [CallRecord] {
        var found: [CallRecord] = []
        for offset in 1...Swift.max(1, kept.count) where offset <= kept.count && found.count < query.limit {
            let record = kept[(next - offset + 2 * kept.count) % kept.count].record(node: node)
            if query.matches(record) { found.append(record) }
        }
        return found
    }
}

/// What is needed to tell of a warm call that succeeded: its record is made when somebody asks.
struct RecentCall: Sendable {
    private let call: CallID
    private let label: String
    private let function: FunctionID
    private let arrived: Instant
    private let timing: CallTiming
    private let status: Int
    private let replica: ReplicaID?
    private let notes: [Note]

    init(_ call: CallID, _ entry: CallEntry, _ reply: CallReply<ByteBuffer>) {
        self.call = call
        (label, function, arrived) = (entry.label, entry.function, entry.arrived)
        (timing, replica, notes) = (reply.timing, reply.replica, entry.notes)
        status = if case .answered(let response) = reply.result { response.status } else { 0 }
    }

    func record(node: String) -> CallRecord {
        var record = CallRecord(
            id: call, label: label, function: function, node: node, arrived: arrived, timing: timing, outcome: .succeeded, status: status,
            cold: false, replica: replica)
        if !notes.isEmpty { record.decisions = notes.map(\.sentence) }
        return record
    }
}

extension CallQuery {
    func matches(_ record: CallRecord) -> Bool {
        (function == nil || function == record.function) && (label == nil || label == record.label)
            && (outcome == nil || outcome == record.outcome) && (since.map { record.arrived >= $0 } ?? true)
    }
}

/// A deployed function.
struct FunctionEntry: Sendable {
    var stored: StoredFunction
    /// Set where its files could not be made ready after a restart.
    var problem = ""
    var schedules: [CronSchedule] = []
    /// Numbers of a JSON body that its calls' demand may follow.
    var harvestParameters: [String] = []
}

/// A replica and the times that explain a cold call.
struct ReplicaEntry: Sendable {
    let function: FunctionID
    let began: Instant
    var ready: Instant?
    /// Calls that it has been given and that it has not ended.
    var running = 0
    /// What it may use by right, and the limit that stands for it, in bytes.
    let ownMemory: Int
    var memoryLimit: Int

    init(function: FunctionID, began: Instant, ownMemory: Int) {
        (self.function, self.began, self.ownMemory) = (function, began, ownMemory)
        memoryLimit = ownMemory
    }
}

/// Who waits for a call's reply.
///
/// The closure stands in a struct: a bare one would be wrapped once more each time it is moved through a generic value.
struct Caller: Sendable {
    let reply: @Sendable (CallReply<ByteBuffer>) -> Void
}

/// A replica's end of an attempt.
struct AttemptEnd: Sendable {
    let failure: CallFailure?
    let usage: CallUsage?
}

/// A call from its acceptance to its reply; an asynchronous one to the end of its last attempt.
///
/// What changes is used under the node's lock alone, and by whoever took it out of the books; as a value it would be copied at each
/// step of a call.
final class CallEntry: @unchecked Sendable {
    enum Kind: Sendable {
        case waiting(Caller)
        case asynchronous(callbackURL: String?)
    }

    let kind: Kind
    /// Nil for an asynchronous call: its body is in the store.
    let request: CallRequest<ByteBuffer>?
    let function: FunctionID
    let label: String
    let arrived: Instant
    var began: Instant?
    var cold = false
    var replica: ReplicaID?
    var attempt = 1
    var notes: [Note] = []
    /// The attempt's result, kept until the engine has said what it means.
    var result: AttemptResult?
    /// The reply's body is being read.
    var collecting = false
    /// The replica's end of the attempt, if it came while the body was still being read.
    var heldEnd: AttemptEnd?

    init(
        kind: Kind, request: CallRequest<ByteBuffer>?, function: FunctionID, label: String, arrived: Instant, attempt: Int = 1
    ) {
        self.kind = kind
        self.request = request
        self.function = function
        self.label = label
        self.arrived = arrived
        self.attempt = attempt
    }

    /// The attempt as it is now, for whoever writes it down while the next one begins.
    func copy() -> CallEntry {
        let copy = CallEntry(kind: kind, request: request, function: function, label: label, arrived: arrived, attempt: attempt)
        (copy.began, copy.cold, copy.replica) = (began, cold, replica)
        (copy.notes, copy.result, copy.collecting, copy.heldEnd) = (notes, result, collecting, heldEnd)
        return copy
    }

    /// Notes where the call runs.
    ///
    /// - Returns: Whether its request is here; that of an asynchronous call is in the store.
    func begin(on replica: ReplicaID, cold: Bool, at time: Instant) -> Bool {
        began = time
        self.cold = cold
        self.replica = replica
        return !isAsynchronous
    }

    /// Forgets the attempt before.
    func beginAttempt(_ number: Int) {
        attempt = number
        result = nil
        began = nil
        cold = false
        replica = nil
        collecting = false
        heldEnd = nil
    }

    var isAsynchronous: Bool { if case .asynchronous = kind { true } else { false } }
}

/// What an attempt of an asynchronous call came to.
struct AttemptResult: Sendable {
    var status: Int
    var headers: [HeaderField]
    var body: ByteBuffer
    var failure: CallFailure?
    var timing: CallTiming

    /// 5xx and 429 are worth another attempt, as queue workers of this API treat them.
    var succeeded: Bool { failure == nil && status < 500 && status != 429 }
}
