// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
package import BrumeModel
import Logging
package import NIOCore
import Synchronization

/// Asynchronous calls: accepted once they are on disk, tried again with pauses, kept as dead letters when all failed.
extension NodeService {
    package func enqueue(_ request: CallRequest<ByteBuffer>, callbackURL: String?) async throws -> Refusal? {
        if let callbackURL, !CallbackDelivery.isWeb(callbackURL) {
            throw BrumeError(.invalid, "The callback URL is '\(callbackURL.prefix(80))'; write a whole http:// or https:// address.")
        }
        let (call, handle, refusal) = books.withLock { books -> (CallID, FunctionHandle?, Refusal?) in
            let call = books.newCallID()
            guard let handle = books.handles[request.function] else { return (call, nil, .unknownFunction) }
            guard !books.isClosed else { return (call, nil, .draining) }
            for output in books.engine.step(.offer(call, handle), now: clock.now) {
                if case .refuse(_, let refusal) = output { return (call, nil, refusal) }
            }
            return (call, handle, nil)
        }
        guard let handle else { return refusal }
        do {
            try await store.enqueue(
                QueuedCall(id: call, request: request, callbackURL: callbackURL, accepted: clock.now))
        } catch {
            submit(.abandon(call))
            throw error
        }
        accept(call, handle, request, callbackURL, failedAttempts: 0, notBefore: .zero)
        return nil
    }

    /// Hands a stored call to the engine.
    func accept(
        _ call: CallID, _ handle: FunctionHandle?, _ request: CallRequest<ByteBuffer>, _ callbackURL: String?, failedAttempts: Int,
        notBefore: Instant
    ) {
        let actions = books.withLock { books in
            books.calls[call] = CallEntry(
                kind: .asynchronous(callbackURL: callbackURL), request: nil, function: request.function, label: request.label,
                arrived: clock.now, attempt: failedAttempts + 1)
            // A handle that was never deployed: the engine buries the call, which names the function that is missing.
            let known = handle ?? FunctionHandle(-1)
            return decide(.enqueue(call, known, failedAttempts: failedAttempts, notBefore: notBefore), &books)
        }
        perform(actions)
    }

    /// Begins an attempt: the body comes from the store.
    func runQueued(_ call: CallID, on replica: ReplicaID, deadline: Instant) async {
        do {
            guard let queued = try await store.queued(call) else {
                throw BrumeError(.corrupt, "The queued call \(call) is missing from the store.")
            }
            invoke(call, queued.request, on: replica, deadline: deadline)
        } catch {
            logger.error("queued call cannot be read", metadata: ["call": "\(call)", "error": "\(error)"])
            books.withLock { $0.calls[call]?.result = AttemptResult(failure: CallFailure(.stopped, "The queued call cannot be read.")) }
            let actions = books.withLock { books -> NodeActions in
                _ = endUse(of: replica, &books)
                return decide(.finished(call, .failed), &books)
            }
            perform(actions)
        }
    }

    /// Keeps what an attempt came to; a body that is still coming is read beside.
    func keepReply(_ call: CallID, _ result: Result<CallResponse<ByteBuffer>, CallFailure>, _ books: inout Books) {
        guard let entry = books.calls[call] else { return }
        let timing = timing(of: entry, books.replicas, at: clock.now)
        switch result {
        case .failure(let failure):
            books.calls[call]?.result = AttemptResult(failure: failure)
        case .success(let response):
            books.calls[call]?.result = AttemptResult(
                status: response.status, headers: response.headers, body: ByteBuffer(), failure: response.failure, timing: timing)
            switch response.body {
            case .whole(let body): books.calls[call]?.result?.body = body
            case .stream:
                books.calls[call]?.collecting = true
                controlInput.yield(.collect(call, response))
            }
        }
        books.calls[call]?.result?.timing = timing
    }

    /// Reads a result's body to its end, then lets the engine hear of the attempt's end if the replica has told it already.
    func keepBody(_ call: CallID, _ response: CallResponse<ByteBuffer>) async {
        var body = ByteBuffer()
        var failure: CallFailure?
        do {
            body = try await collect(response.body)
        } catch {
            failure = (error as? CallFailure) ?? CallFailure(.badReply, "The reply broke off: \(error)")
        }
        let actions = books.withLock { books -> NodeActions in
            books.calls[call]?.collecting = false
            books.calls[call]?.result?.body = body
            if let failure { books.calls[call]?.result?.failure = failure }
            guard let end = books.calls[call]?.heldEnd else { return NodeActions() }
            books.calls[call]?.heldEnd = nil
            return decide(.finished(call, callEnd(end.failure, books.calls[call]?.result), usage: end.usage), &books)
        }
        perform(actions)
    }

    private func collect(_ body: Body<ByteBuffer>) async throws -> ByteBuffer {
        switch body {
        case .whole(let buffer): return buffer
        case .stream(let parts):
            var whole = ByteBuffer()
            for try await var part in parts where whole.readableBytes + part.readableBytes <= settings.resultBytesMax {
                whole.writeBuffer(&part)
            }
            return whole
        }
    }

    // MARK: Ends

    /// Writes an attempt's end down, together with what its caller must get, before anything else happens with it.
    func settle(_ settlement: Settlement) async {
        let call = settlement.call
        // The record goes first: the store writes it together with the change, so that no call has ended without a trace.
        if let entry = settlement.entry, let result = entry.result { recordAttempt(call, entry, result, settlement.harvest) }
        let delivery = delivery(after: settlement)
        do {
            switch settlement.kind {
            case .complete: try await store.complete(call, delivery: delivery)
            case .retry(let failed, let due):
                try await store.reschedule(call, attempt: failed, notBefore: due, lastFailure: settlement.why)
            case .bury(let failed):
                try await store.bury(call, attempt: failed, lastFailure: settlement.why, delivery: delivery)
            }
        } catch {
            logger.error("queue change not stored", metadata: ["call": "\(call)", "error": "\(error)"])
        }
        // Also where the store failed: the caller gets the result now, and perhaps once more after a restart.
        if let delivery { post(delivery) }
    }

    private func recordAttempt(_ call: CallID, _ entry: CallEntry, _ result: AttemptResult, _ harvest: CallHarvest?) {
        let reply: CallReply<ByteBuffer>.Result =
            result.failure.map { .failed($0) }
            ?? .answered(CallResponse(status: result.status, headers: result.headers, body: .whole(ByteBuffer())))
        var record = record(call, entry, CallReply(result: reply, timing: result.timing, cold: entry.cold, replica: entry.replica))
        record.harvest = harvest
        store.record(record)
    }

    // MARK: What people see and do

    package func queueStatus() async throws -> QueueStatus {
        let dead = try await store.deadLetters(limit: .max).count
        return books.withLock { books in
            let running = books.calls.values.count { $0.isAsynchronous && $0.began != nil }
            return QueueStatus(waiting: books.engine.view.asynchronousCalls - running, running: running, dead: dead)
        }
    }

    package func deadLetters(limit: Int) async throws -> [DeadLetter] { try await store.deadLetters(limit: limit) }

    package func redrive(_ ids: [CallID]?) async throws -> Int {
        let queued = try await store.redrive(ids)
        for call in queued {
            let handle = books.withLock { $0.handles[call.request.function] }
            accept(call.id, handle, call.request, call.callbackURL, failedAttempts: 0, notBefore: .zero)
        }
        return queued.count
    }

    package func discardDeadLetters(_ ids: [CallID]?) async throws -> Int { try await store.discardDeadLetters(ids) }
}

extension NodeService.Settlement {
    /// Why the attempt failed, one sentence.
    fileprivate var why: String {
        guard let entry else { return "The call was forgotten." }
        guard let result = entry.result else { return "The function '\(entry.function)' was removed before the call could run." }
        return result.failure?.message ?? "The function answered with status \(result.status)."
    }
}
