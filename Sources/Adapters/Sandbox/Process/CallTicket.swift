// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import Synchronization

/// One call on a replica: makes sure that its reply and its end are told once each, in this order, whatever the channel does.
final class CallTicket: Sendable {
    private struct State {
        var replied = false
        var finished = false
    }

    let call: CallID
    private let state = Mutex(State())
    private let onReply: @Sendable (Result<CallResponse<ByteBuffer>, CallFailure>) -> Void
    private let onFinish: @Sendable (CallFailure?) -> Void

    init(
        _ call: CallID, reply: @escaping @Sendable (Result<CallResponse<ByteBuffer>, CallFailure>) -> Void,
        finished: @escaping @Sendable (CallFailure?) -> Void
    ) {
        (self.call, onReply, onFinish) = (call, reply, finished)
    }

    func reply(_ result: Result<CallResponse<ByteBuffer>, CallFailure>) {
        let first = state.withLock { state in
            defer { state.replied = true }
            return !state.replied
        }
        if first { onReply(result) }
    }

    func finish(_ failure: CallFailure?) {
        let (owesReply, first) = state.withLock { state in
            defer { (state.replied, state.finished) = (true, true) }
            return (!state.replied, !state.finished)
        }
        if owesReply { onReply(.failure(failure ?? CallFailure(.badReply, "The function ended the call without an answer."))) }
        if first { onFinish(failure) }
    }
}
