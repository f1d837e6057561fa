// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Synchronization

/// Takes a call's reply, counts how often it came, and lets a test wait for it.
final class OneAnswer<Payload: Sendable>: Sendable {
    typealias Reply = Result<CallResponse<Payload>, CallFailure>

    private struct State {
        var reply: Reply?
        var count = 0
        var waiters: [CheckedContinuation<Reply, Never>] = []
    }

    private let state = Mutex(State())

    var count: Int { state.withLock { $0.count } }

    func set(_ reply: Reply) {
        let waiters = state.withLock { state in
            state.count += 1
            if state.reply == nil { state.reply = reply }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: reply) }
    }

    func wait() async -> Reply {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state in
                if state.reply == nil { state.waiters.append(continuation) }
                return state.reply
            }
            if let known { continuation.resume(returning: known) }
        }
    }
}
