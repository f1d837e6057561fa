// SPDX-License-Identifier: Apache-2.0

package import BrumeState

extension StateService {
    /// Begins to hand over everything to the other members, or asks no more; see ``BrumeState/Replica/handOver(_:)``.
    package func handOver(_ begins: Bool) {
        withReplica { replica, now in
            if begins { replica.handOver(now) } else { replica.cancelHandover() }
        }
    }

    /// How far that has come; nil where it was not begun.
    package var handover: StateHandover? { withReplica { replica, _ in replica.handoverProgress } }
}
