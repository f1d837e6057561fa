// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Synchronization

/// Set once, awaited once: whether a replica came up.
final class StartSignal: Sendable {
    private struct State {
        var outcome: Result<Void, BrumeError>?
        var waiter: CheckedContinuation<Result<Void, BrumeError>, Never>?
    }

    private let state = Mutex(State())

    /// Later outcomes than the first are ignored.
    func set(_ outcome: Result<Void, BrumeError>) {
        let waiter = state.withLock { state -> CheckedContinuation<Result<Void, BrumeError>, Never>? in
            guard state.outcome == nil else { return nil }
            state.outcome = outcome
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: outcome)
    }

    /// Waits for the outcome, the end of the task or the time limit.
    func wait(limit: Duration, clockMessage: @Sendable () -> String) async throws(BrumeError) {
        let message = clockMessage()
        let outcome = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                guard (try? await Task.sleep(for: limit)) != nil else { return }
                self.set(.failure(BrumeError(.unavailable, message)))
            }
            let outcome = await self.outcome()
            group.cancelAll()
            return outcome
        }
        try outcome.get()
    }

    private func outcome() async -> Result<Void, BrumeError> {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let known = state.withLock { state -> Result<Void, BrumeError>? in
                    if state.outcome == nil { state.waiter = continuation }
                    return state.outcome
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            set(.failure(BrumeError(.unavailable, "The start was given up.")))
        }
    }
}
