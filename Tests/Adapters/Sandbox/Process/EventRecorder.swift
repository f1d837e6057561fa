// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Synchronization

/// Keeps what a driver reports, and lets a test wait for it.
final class EventRecorder: Sendable {
    private struct State {
        var events: [SandboxEvent] = []
        var waiters: [(matches: @Sendable (SandboxEvent) -> Bool, continuation: CheckedContinuation<SandboxEvent, Never>)] = []
    }

    private let state = Mutex(State())

    var events: [SandboxEvent] { state.withLock { $0.events } }

    func record(_ event: SandboxEvent) {
        let woken = state.withLock { state in
            state.events.append(event)
            let woken = state.waiters.filter { $0.matches(event) }.map(\.continuation)
            state.waiters.removeAll { $0.matches(event) }
            return woken
        }
        for waiter in woken { waiter.resume(returning: event) }
    }

    /// The first event of this kind, past or to come. A test that waits for what never comes is ended by its time limit.
    func first(where matches: @escaping @Sendable (SandboxEvent) -> Bool) async -> SandboxEvent {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state in
                let known = state.events.first(where: matches)
                if known == nil { state.waiters.append((matches, continuation)) }
                return known
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    /// Whether the replica started; false if it ended instead.
    func starts(_ replica: ReplicaID) async -> Bool {
        let event = await first { event in
            switch event {
            case .started(let id), .exited(let id, _): id == replica
            default: false
            }
        }
        if case .started = event { return true }
        return false
    }

    func exit(of replica: ReplicaID) async -> ReplicaExit {
        let event = await first { event in
            if case .exited(let id, _) = event { id == replica } else { false }
        }
        guard case .exited(_, let exit) = event else { preconditionFailure("matched above") }
        return exit
    }

    /// The lines that a replica wrote so far.
    func lines(of replica: ReplicaID, _ stream: LogLine.Stream) -> [String] {
        events.compactMap { event in
            if case .log(replica, stream, let text) = event { text } else { nil }
        }
    }
}
