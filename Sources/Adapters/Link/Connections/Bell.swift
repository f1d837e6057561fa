// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization

/// Has something done on a loop, soon; any number of calls before it is done have it done once.
final class Bell: Sendable {
    private struct State {
        var answer: (@Sendable () -> Void)?
        var isRung = false
        var isOver = false
    }
    private let state = Mutex(State())
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    /// Has it done; what was asked for before is not forgotten.
    func answer(_ body: @escaping @Sendable () -> Void) {
        let isRung = state.withLock { state in
            state.answer = body
            return state.isRung
        }
        if isRung { loop.execute { self.look() } }
    }

    func call() {
        let begins = state.withLock { state in
            defer { state.isRung = true }
            return !state.isRung && !state.isOver && state.answer != nil
        }
        if begins { loop.execute { self.look() } }
    }

    /// Nothing is done any more.
    func finish() {
        state.withLock { state in
            state.isOver = true
            state.answer = nil
        }
    }

    private func look() {
        let answer = state.withLock { state in
            state.isRung = false
            return state.answer
        }
        answer?()
    }
}
