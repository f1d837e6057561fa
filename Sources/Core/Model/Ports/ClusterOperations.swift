// SPDX-License-Identifier: Apache-2.0

/// What an operator can ask of a node about its cluster.
///
/// Every call throws `BrumeError`: `unsupported` with what to do where the node has no link or not the cluster's key.
public protocol ClusterOperations: Sendable {
    /// Who is in the cluster; a node without a link is alone in it.
    func cluster() async -> ClusterReport
    /// Makes a token with which nodes may join here.
    func makeJoinToken(life: Duration, uses: Int) async throws -> JoinTokenReport
    func joinTokens() async throws -> [JoinTokenSummary]
    func revokeJoinToken(_ number: String) async throws
    /// Expels a node for good: its certificate counts no more, and nobody links with it.
    func removeNode(_ id: NodeID) async throws
    /// Gives a node the cluster's key, and returns when it was sent; the node says itself that it holds it.
    func addSigner(_ id: NodeID) async throws
    /// Asks a node to finish its calls, hand its state over and leave (or to take calls again), and returns when it was asked.
    func drainNode(_ id: NodeID, _ isDraining: Bool) async throws
    /// Makes the network of a lab's node behave so from now on.
    func emulateNetwork(_ shape: NetworkShape) async throws
}
