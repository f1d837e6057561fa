// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import HTTPTypes
import Hummingbird
import HummingbirdCore

/// The cluster: who is in it, tokens to join it, and what an operator does to a node.
struct ClusterRoutes: Sendable {
    /// Nil where the gateway serves no cluster.
    let cluster: (any ClusterOperations)?

    /// Life of a token where none is asked for: long enough to walk to the other machine.
    private static let tokenLife = Duration.seconds(3_600)

    var routes: [Route] {
        [
            Route("/v1/nodes", [(.get, { _, _ in try Reply.json(try await known().cluster()) })]),
            Route("/v1/nodes/:id", [(.delete, { _, context in try await remove(context) })]),
            Route("/v1/nodes/:id/drain", [(.post, { request, context in try await drain(request, context) })]),
            Route("/v1/nodes/:id/signer", [(.post, { _, context in try await addSigner(context) })]),
            Route(
                "/v1/tokens",
                [
                    (.get, { _, _ in try Reply.json(try await known().joinTokens()) }),
                    (.post, { request, _ in try await makeToken(request) }),
                ]),
            Route("/v1/tokens/:id", [(.delete, { _, context in try await revoke(context) })]),
            Route("/v1/lab/network", [(.put, { request, _ in try await emulate(request) })]),
        ]
    }

    private func known() throws(BrumeError) -> any ClusterOperations {
        guard let cluster else { throw BrumeError(.unsupported, "This gateway belongs to no cluster; ask a node of brume up.") }
        return cluster
    }

    private func remove(_ context: GatewayContext) async throws -> Response {
        let node = try NodeID(try context.parameters.require("id"))
        try await known().removeNode(node)
        return Reply.empty(.noContent)
    }

    private func addSigner(_ context: GatewayContext) async throws -> Response {
        try await known().addSigner(try NodeID(try context.parameters.require("id")))
        return Reply.empty(.accepted)
    }

    private func drain(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let node = try NodeID(try context.parameters.require("id"))
        let fields = try await fields(of: request)
        try await known().drainNode(node, try fields?.bool("drain") ?? true)
        return Reply.empty(.accepted)
    }

    private func makeToken(_ request: Request) async throws -> Response {
        let fields = try await fields(of: request)
        let life = try fields?.string("life").map { text throws(BrumeError) in try Duration(parsing: text) } ?? Self.tokenLife
        let token = try await known().makeJoinToken(life: life, uses: try fields?.integer("uses") ?? 1)
        return try Reply.json(token, status: .created)
    }

    private func revoke(_ context: GatewayContext) async throws -> Response {
        try await known().revokeJoinToken(try context.parameters.require("id"))
        return Reply.empty(.noContent)
    }

    private func emulate(_ request: Request) async throws -> Response {
        var shape = NetworkShape()
        if let fields = try await fields(of: request) {
            if let text = try fields.string("delay") { shape.delay = try Duration(parsing: text) }
            if let text = try fields.string("jitter") { shape.jitter = try Duration(parsing: text) }
            shape.bytesPerSecond = try fields.integer("bytesPerSecond")
            shape.lossPerMillion = try fields.integer("lossPerMillion") ?? 0
            shape.cut = try fields.strings("cut").map { text throws(BrumeError) in try NodeID(text) }
        }
        guard (0...1_000_000).contains(shape.lossPerMillion) else {
            throw BrumeError(.invalid, "The field 'lossPerMillion' is between 0 and 1000000.")
        }
        guard shape.bytesPerSecond ?? 1 > 0 else { throw BrumeError(.invalid, "The field 'bytesPerSecond' must be positive.") }
        try await known().emulateNetwork(shape)
        return Reply.empty(.noContent)
    }

    /// The body's object, or nil for no body.
    private func fields(of request: Request) async throws -> JSONFields? {
        let body = try await request.wholeBody(limit: GatewaySettings.documentBytesMax)
        return body.readableBytes > 0 ? try JSONFields(parsing: body) : nil
    }
}
