// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
package import BrumeModel
import Logging
package import NIOCore
import Synchronization

/// Calls: from a front's question to its answer.
extension NodeService {
    package func call(_ request: CallRequest<ByteBuffer>, reply: @escaping @Sendable (CallReply<ByteBuffer>) -> Void) -> CallID {
        let (call, actions) = books.withLock { books -> (CallID, NodeActions) in
            let now = clock.now
            let call = books.newCallID()
            books.calls[call] = CallEntry(
                kind: .waiting(Caller(reply: reply)), request: request, function: request.function, label: request.label, arrived: now)
            guard let handle = books.handles[request.function] else {
                var actions = NodeActions()
                answer(call, .refused(.unknownFunction), &books, &actions)
                return (call, actions)
            }
            guard !books.isClosed else {
                var actions = NodeActions()
                answer(call, .refused(.draining), &books, &actions)
                return (call, actions)
            }
            let features = isHarvesting ? features(of: request, books.functions[handle]?.harvestParameters ?? []) : .unknown
            return (call, decide(.arrive(call, handle, timeout: request.timeout, features: features), at: now, &books))
        }
        perform(actions)
        return call
    }

    /// Takes no new calls from now on, or takes them again. What was accepted is finished.
    package func close(_ isClosed: Bool) { books.withLock { $0.isClosed = isClosed } }

    /// Calls that run or wait, with and without somebody who waits for them.
    package var openCalls: Int { books.withLock { $0.calls.count } }

    package func abandon(_ call: CallID) {
        let actions = books.withLock { books -> NodeActions in
            guard books.calls[call] != nil else { return NodeActions() }
            var actions = NodeActions()
            answer(call, .failed(CallFailure(.abandoned, "The caller closed the connection.")), &books, &actions)
            actions.append(decide(.abandon(call), &books))
            return actions
        }
        perform(actions)
    }

    /// The driver has an answer, or the reason why there is none.
    func replied(_ call: CallID, _ result: Result<CallResponse<ByteBuffer>, CallFailure>) {
        if case .failure(let failure) = result, failure.kind == .unsent {
            // The engine hands it to another replica, or says that it has failed.
            return
        }
        let actions = books.withLock { books -> NodeActions in
            var actions = NodeActions()
            guard let entry = books.calls[call] else { return actions }
            if entry.isAsynchronous {
                keepReply(call, result, &books)
                return actions
            }
            switch result {
            case .success(let response): answer(call, entry, .answered(response), &books, &actions)
            case .failure(let failure): answer(call, entry, .failed(failure), &books, &actions)
            }
            return actions
        }
        perform(actions)
    }

    /// Ends the wait of a caller. Whoever comes second finds no entry and does nothing: each call is answered once.
    func answer(_ call: CallID, _ result: CallReply<ByteBuffer>.Result, _ books: inout Books, _ actions: inout NodeActions) {
        if let entry = books.calls[call] { answer(call, entry, result, &books, &actions) }
    }

    private func answer(
        _ call: CallID, _ entry: CallEntry, _ result: CallReply<ByteBuffer>.Result, _ books: inout Books, _ actions: inout NodeActions
    ) {
        guard case .waiting(let caller) = entry.kind else {
            if case .failed(let failure) = result { entry.result = AttemptResult(failure: failure) }
            return
        }
        books.calls[call] = nil
        let now = clock.now
        let timing = timing(of: entry, books.replicas, at: now)
        let reply = CallReply(result: result, timing: timing, cold: entry.cold, replica: entry.replica)
        let isWritten = isEventful(entry, reply) || books.records.allows(at: now)
        if !isWritten, !isHarvesting {
            books.recent.append(RecentCall(call, entry, reply))
            actions.append(.answer(CallEnding(caller, reply, nil)))
            return
        }
        var record = self.record(call, entry, reply)
        if isHarvesting {
            record.harvest = books.harvest.settled.removeValue(forKey: call)
            if record.harvest == nil, books.engine.harvests(call) {
                // The caller has its answer, so the record is kept whatever becomes of the node; what the call lent is known when its
                // replica is through with it, and written over it. Under the lock, so that the later one comes later.
                if isWritten { store.record(record) }
                books.harvest.unsettled[call] = UnsettledRecord(record: record, isWritten: isWritten)
                actions.append(.answer(CallEnding(caller, reply, nil)))
                return
            }
        }
        if !isWritten { books.recent.append(record) }
        actions.append(.answer(CallEnding(caller, reply, isWritten ? record : nil)))
    }

    /// Whether somebody will ask about this call: it failed, was refused, or did not run at once.
    private func isEventful(_ entry: CallEntry, _ reply: CallReply<ByteBuffer>) -> Bool {
        guard case .answered(let response) = reply.result, response.status < 500, response.failure == nil else { return true }
        return entry.cold
    }

    /// Splits the time up to now into waiting, starting and running.
    func timing(of entry: CallEntry, _ replicas: [ReplicaID: ReplicaEntry], at now: Instant) -> CallTiming {
        guard let began = entry.began else { return CallTiming(queued: now - entry.arrived) }
        let waited = began - entry.arrived
        var starting = Duration.zero
        if entry.cold, let replica = entry.replica.flatMap({ replicas[$0] }), let ready = replica.ready {
            starting = Swift.min(ready - Swift.max(entry.arrived, replica.began), waited)
        }
        return CallTiming(queued: waited - starting, starting: starting, running: now - began)
    }

    func record(_ call: CallID, _ entry: CallEntry, _ reply: CallReply<ByteBuffer>) -> CallRecord {
        var record = CallRecord(
            id: call, label: entry.label, function: entry.function, node: settings.name, arrived: entry.arrived, timing: reply.timing,
            outcome: .succeeded, status: 200, cold: entry.cold, replica: entry.replica, asynchronous: entry.isAsynchronous,
            attempt: entry.attempt)
        if !entry.notes.isEmpty { record.decisions = entry.notes.map(\.sentence) }
        switch reply.result {
        case .answered(let response):
            record.status = response.status
            if let failure = response.failure { record.fail(failure) } else if response.status >= 500 { record.outcome = .failed }
        case .failed(let failure):
            record.status = failure.httpStatus
            record.fail(failure)
        case .refused(let refusal):
            record.outcome = .refused
            record.status = refusal.httpStatus
            record.message = refusal.sentence
        }
        return record
    }

    /// Keeps a decision with the calls that it explains.
    func keep(_ note: Note, _ books: inout Books) {
        switch note {
        case .queued(let call, _), .resent(let call, _), .allotted(let call, _, _): books.calls[call]?.notes.append(note)
        case .heldBack(let call, _):
            books.calls[call]?.notes.append(note)
            books.harvest.heldBack += 1
        case .settled(let statement): settle(statement, &books)
        case .startedReplica(let replica, let handle, let reason):
            logger.debug("replica starting", metadata: ["replica": "\(replica)", "reason": "\(reason.rawValue)"])
            guard let spec = books.functions[handle]?.stored.spec else { return }
            books.replicas[replica] = ReplicaEntry(function: spec.id, began: clock.now, ownMemory: spec.limits.memoryBytes)
        case .stoppedReplica(let replica, _, let reason):
            logger.debug("replica stopping", metadata: ["replica": "\(replica)", "reason": "\(reason.rawValue)"])
        case .startFailed(let replica, _, let failures, let message):
            logger.warning(
                "replica did not start", metadata: ["replica": "\(replica)", "failures": "\(failures)", "why": "\(message)"])
        case .startDeferred(let handle, let reason):
            logger.debug("start deferred", metadata: ["function": "\(handle.index)", "reason": "\(reason.rawValue)"])
        }
    }
}

extension AttemptResult {
    init(failure: CallFailure) {
        self.init(
            status: failure.httpStatus, headers: [], body: ByteBuffer(string: failure.message), failure: failure, timing: CallTiming())
    }
}

extension CallRecord {
    fileprivate mutating func fail(_ failure: CallFailure) {
        outcome =
            switch failure.kind {
            case .timedOut: .timedOut
            case .abandoned: .abandoned
            default: .failed
            }
        failureKind = failure.kind.rawValue
        message = failure.message
    }
}

extension Note {
    /// The decision as a sentence, for `explain`.
    var sentence: String {
        switch self {
        case .queued(_, let ahead): "queued behind \(ahead) other calls: no replica had a free slot"
        case .heldBack(_, let needs):
            "held back until \(Resources.describe(millicores: needs.millicores)) of CPU was free"
        case .allotted(_, let limits, let own):
            "began with \(Resources.describe(millicores: limits.millicores)) CPU "
                + "(its own: \(Resources.describe(millicores: own.millicores))) "
                + "and \(limits.memoryBytes >> 20)Mi of memory (its own: \(own.memoryBytes >> 20)Mi)"
        case .settled: description
        case .resent(_, let replica): "replica \(replica) was gone before the call reached it; the call was sent to another"
        case .startedReplica(let replica, _, let reason): "started replica \(replica): \(reason.rawValue)"
        case .startDeferred(_, let reason): "no replica was started: \(reason.rawValue)"
        case .startFailed(let replica, _, let failures, let message): "replica \(replica) did not start (\(failures) in a row): \(message)"
        case .stoppedReplica(let replica, _, let reason): "stopped replica \(replica): \(reason.rawValue)"
        }
    }
}
