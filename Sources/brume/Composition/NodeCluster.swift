// SPDX-License-Identifier: Apache-2.0

import BrumeLink
import BrumeMembership
import BrumeModel
import BrumeNode

/// What an operator can ask of this node about its cluster, be it alone or not.
struct NodeCluster: ClusterOperations {
    let id: NodeID
    let name: String
    let labels: [MemberMeta.Label]
    /// Nil where the node works alone.
    let parts: ClusterAssembly.Parts?
    let started: ContinuousClock.Instant

    func cluster() async -> ClusterReport {
        if let parts { return parts.cluster.report() }
        return ClusterReport(
            node: id, standing: "alone",
            nodes: [
                ClusterReport.Node(
                    id: id, name: name, isSelf: true, status: MemberStatus.alive.word, isDraining: false, isConnected: true, admits: false,
                    address: "", version: Version.current, labels: Dictionary(labels.map { ($0.key, $0.value) }) { first, _ in first },
                    sinceSeconds: (ContinuousClock.now - started).inSeconds, roundTripMs: nil)
            ])
    }

    private func member() throws(BrumeError) -> ClusterAssembly.Parts {
        guard let parts else {
            throw BrumeError(
                .unsupported, "This node works alone; start it with a link: brume up --link 0.0.0.0:\(ClusterPlan.defaultPort)")
        }
        return parts
    }

    private func authority() throws(BrumeError) -> ClusterAuthority {
        let parts = try member()
        guard let authority = parts.link.authority else {
            let holders = parts.cluster.report().nodes.filter { $0.admits && $0.status == MemberStatus.alive.word }
            let hint =
                holders.first.map { "ask \($0.name.isEmpty ? $0.id.description : $0.name) (\($0.address))" }
                ?? "ask the node that founded the cluster"
            throw BrumeError(.unsupported, "This node does not hold the cluster's key, which admits and removes nodes; \(hint).")
        }
        return authority
    }

    func makeJoinToken(life: Duration, uses: Int) async throws -> JoinTokenReport {
        let token = try authority().mintToken(life: life, uses: uses)
        return JoinTokenReport(
            token: token.description, address: try member().profile.address, lifeSeconds: life.inSeconds, uses: uses)
    }

    func joinTokens() async throws -> [JoinTokenSummary] {
        let now = Machine.wallClock().milliseconds / 1_000
        return try authority().tokenSummaries.map {
            JoinTokenSummary(number: $0.number, expiresInSeconds: Double(max(0, $0.expires - now)), uses: $0.uses)
        }
    }

    func revokeJoinToken(_ number: String) async throws { try authority().revokeToken(number: number) }

    func removeNode(_ node: NodeID) async throws {
        let parts = try member()
        _ = try authority()
        guard parts.cluster.members.contains(where: { $0.id == node }) else {
            throw BrumeError(.notFound, "No node \(node) is known here; 'brume node list --all' shows the members.")
        }
        try parts.link.remove(node)
        try parts.cluster.remove(node)
    }

    func addSigner(_ node: NodeID) async throws {
        let parts = try member()
        _ = try authority()
        guard parts.cluster.members.contains(where: { $0.id == node && $0.status.isPresent }) else {
            throw BrumeError(.notFound, "Node \(node) is not there; 'brume node list' shows who is.")
        }
        try parts.link.shareKey(with: node)
    }

    func drainNode(_ node: NodeID, _ isDraining: Bool) async throws { try member().cluster.drain(node, isDraining) }

    func emulateNetwork(_ shape: NetworkShape) async throws {
        guard let emulated = try member().emulated else {
            throw BrumeError(.unsupported, "Only the nodes of 'brume lab cluster' emulate a network.")
        }
        var conditions = NetworkConditions(
            delay: shape.delay, jitter: shape.jitter, bytesPerSecond: shape.bytesPerSecond, loss: Double(shape.lossPerMillion) / 1e6)
        emulated.setAll(conditions)
        conditions.isCut = true
        for peer in shape.cut { emulated.set(conditions, to: peer) }
    }
}
