// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Synchronization

extension Session {
    /// WAIT: answers with the number of other nodes that have the writes up to the mark: all that were asked for, or those at the limit.
    ///
    /// Each number of nodes is waited for by itself, so that what is known at the limit is the largest number that was reached.
    func waitForReplicas(_ count: Int, mark: WriteMark, within limit: Duration) {
        let reached = ReachedCount()
        let asked = min(count, Self.replicasMax)
        let number = waitForCommand { reply, _ in reply.integer(reached.value) }
        server.afterLock { [id] server in
            let post = server.post
            for others in 1...asked {
                server.access.whenSettled(mark, .replicas(others + 1), within: limit) { error in
                    if error == nil { reached.raise(to: others) }
                    if error != nil || others == asked { post(.resume(session: id, wait: number, nil)) }
                }
            }
        }
    }

    /// Nodes that WAIT counts; clusters of Brume are smaller.
    private static let replicasMax = 64

    /// Waits for what a session has seen, then answers OK.
    func waitForNeed(_ need: StateNeed) {
        let number = waitForCommand { reply, error in
            if let error { reply.error("UNAVAILABLE \(error.message)") } else { reply.ok() }
        }
        server.afterLock { [id] server in
            let post = server.post
            server.access.whenReady(need, within: RedisSettings.settlementLimit) { error in
                post(.resume(session: id, wait: number, error))
            }
        }
    }
}

/// The largest number that was reported, from whatever thread.
private final class ReachedCount: Sendable {
    private let count = Atomic<Int>(0)

    var value: Int { count.load(ordering: .acquiring) }

    func raise(to other: Int) { count.max(other, ordering: .acquiringAndReleasing) }
}
