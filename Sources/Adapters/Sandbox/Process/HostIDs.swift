// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Synchronization

/// Gives every function, and every spare, a host uid of its own, so that the kernel keeps their files, signals and process counts apart.
final class HostIDs: Sendable {
    private struct State {
        var given: [String: (id: UInt32, replicas: Int)] = [:]
        var next: UInt32 = 0
    }

    private let first: UInt32
    private let count: UInt32
    private let state = Mutex(State())

    init(first: UInt32, count: UInt32) {
        precondition(first > 0, "a function never runs as root")
        self.first = first
        self.count = max(1, count)
    }

    /// The owner's uid, kept until it has been given back as often as it was taken.
    func take(for owner: String) throws(BrumeError) -> UInt32 {
        let id: UInt32? = state.withLock { state in
            if let known = state.given[owner] {
                state.given[owner] = (known.id, known.replicas + 1)
                return known.id
            }
            guard state.given.count < Int(count) else { return nil }
            // Round the range, so that a uid is not reused at once.
            let used = Set(state.given.values.map(\.id))
            while used.contains(first + state.next) { state.next = (state.next + 1) % count }
            let id = first + state.next
            state.next = (state.next + 1) % count
            state.given[owner] = (id, 1)
            return id
        }
        guard let id else {
            throw BrumeError(.unavailable, "All \(count) host uids are in use by running functions; give the node a larger range.")
        }
        return id
    }

    func giveBack(_ owner: String) {
        state.withLock { state in
            guard let known = state.given[owner] else { return }
            state.given[owner] = known.replicas > 1 ? (known.id, known.replicas - 1) : nil
        }
    }
}
