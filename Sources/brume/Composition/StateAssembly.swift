// SPDX-License-Identifier: Apache-2.0

import BrumeMembership
import BrumeModel
import BrumeNode
import BrumeState
import BrumeStore
import Logging
import NIOPosix

/// Puts a node's state together: its log, its replica, and its way to other nodes.
struct StateAssembly {
    /// The label that says where a node stands.
    static let tierLabel = "tier"

    let directory: NodeDirectory
    let identity: NodeID
    let labels: [MemberMeta.Label]
    let clock: NodeClock

    func open() async throws -> StateService {
        var settings = StateServiceSettings()
        settings.replica.tier = Self.tier(labels)
        let log = try SQLiteStateLog(directory: directory.path.string, logger: Logger(label: "brume.state-log"))
        // A thread of its own: merging what others send must not hold up calls.
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        let world = StateWorld(
            now: { [clock] in
                StateTime(instant: clock.now, wallMilliseconds: UInt64(max(0, Machine.wallClock().milliseconds)))
            },
            random: {
                var chance = SystemRandomNumberGenerator()
                return chance.next()
            },
            loop: loop)
        return try await StateService.open(
            node: identity, settings: settings, world: world, log: log, logger: Logger(label: "brume.state"))
    }

    /// Connects state with the cluster: who belongs to it, and what the link brings.
    static func connect(_ state: StateService, to parts: ClusterAssembly.Parts) {
        state.attach(parts.way)
        parts.cluster.addTaker { state.take($0) }
        parts.cluster.onMembers { members in
            // Whoever is dead or left may return and has its say until it is removed.
            state.members(
                members.filter { $0.status != .removed }.map { StateMember(node: $0.id, tier: tier($0.meta.labels)) })
        }
    }

    /// `tier=cloud` or `tier=edge`; a node that says nothing stands at the edge.
    private static func tier(_ labels: [MemberMeta.Label]) -> NodeTier {
        labels.contains { $0.key == tierLabel && $0.value == "cloud" } ? .cloud : .edge
    }
}
