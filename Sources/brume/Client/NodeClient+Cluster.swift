// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import NIOHTTP1

extension NodeClient {
    func cluster() async throws -> ClusterReport { try await fetch(ClusterReport.self, "/v1/nodes") }

    func joinTokens() async throws -> [JoinTokenSummary] { try await fetch([JoinTokenSummary].self, "/v1/tokens") }

    func makeJoinToken(life: String, uses: Int) async throws -> JoinTokenReport {
        try await exchange(JoinTokenReport.self, "/v1/tokens", TokenWish(life: life, uses: uses))
    }

    func revokeJoinToken(_ number: String) async throws { _ = try await api(.DELETE, "/v1/tokens/\(Self.escape(number))") }

    func removeNode(_ node: NodeID) async throws { _ = try await api(.DELETE, "/v1/nodes/\(node)") }

    func addSigner(_ node: NodeID) async throws { _ = try await api(.POST, "/v1/nodes/\(node)/signer") }

    func drainNode(_ node: NodeID, _ isDraining: Bool) async throws {
        try await submit(.POST, "/v1/nodes/\(node)/drain", DrainWish(drain: isDraining))
    }

    func emulateNetwork(_ wish: NetworkWish) async throws { try await submit(.PUT, "/v1/lab/network", wish) }

    private struct TokenWish: Encodable {
        let life: String
        let uses: Int
    }

    private struct DrainWish: Encodable { let drain: Bool }
}

/// PUT `/v1/lab/network`.
struct NetworkWish: Encodable, Equatable {
    var delay: String?
    var jitter: String?
    var bytesPerSecond: Int?
    var lossPerMillion = 0
    var cut: [NodeID] = []
}
