// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import DequeModule
import Synchronization

/// Hands events to an owner one at a time, in the order in which they were put in, on the thread of whoever comes first.
final class EventPump: Sendable {
    private struct State {
        var events: Deque<LinkEvent> = []
        var isDraining = false
    }
    private let state = Mutex(State())
    private let owner: @Sendable (LinkEvent) -> Void

    init(_ owner: @escaping @Sendable (LinkEvent) -> Void) { self.owner = owner }

    /// Events that wait: more than none only while the owner is at work.
    var count: Int { state.withLock { $0.events.count } }

    func put(_ event: LinkEvent) { state.withLock { $0.events.append(event) } }

    /// Hands over what waits, unless somebody does already; call it without any lock.
    func drain() {
        guard
            state.withLock({ state in
                defer { state.isDraining = true }
                return !state.isDraining
            })
        else { return }
        while let event = state.withLock({ state in
            let event = state.events.popFirst()
            if event == nil { state.isDraining = false }
            return event
        }) { owner(event) }
    }
}
