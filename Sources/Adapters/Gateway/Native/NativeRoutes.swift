// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// What OpenFaaS has no word for: packages, calls, the queue, the node.
struct NativeRoutes<Node: NodeOperations>: Sendable where Node.Payload == ByteBuffer {
    let node: Node

    /// Most rows that one request may ask for.
    static var limitMax: Int { 10_000 }
    static var limitDefault: Int { 50 }

    var routes: [Route] {
        [
            Route("/v1/code", [(.post, { request, _ in try await putCode(request) })]),
            Route("/v1/status", [(.get, { _, _ in try Reply.json(NodeStatusDocument(await node.status())) })]),
            Route("/v1/functions/:name", [(.get, describe)]),
            Route("/v1/calls", [(.get, { request, _ in try await calls(request) })]),
            Route("/v1/calls/:id", [(.get, { _, context in try await explain(context) })]),
            Route("/v1/harvest", [(.get, { _, _ in try Reply.json(try await node.harvest()) })]),
            Route("/v1/harvest/ledger", [(.get, { _, _ in try Reply.json(try await node.harvestLedger()) })]),
            Route("/v1/harvest/profiles/:name", [(.get, profile)]),
            Route("/v1/queue", [(.get, { _, _ in try Reply.json(try await node.queueStatus()) })]),
            Route("/v1/queue/dead", [(.get, { request, _ in try await deadLetters(request) })]),
            Route("/v1/queue/dead/redrive", [(.post, { request, _ in try await redrive(request) })]),
            Route("/v1/queue/dead/discard", [(.post, { request, _ in try await discard(request) })]),
        ]
    }

    private func putCode(_ request: Request) async throws -> Response {
        let limit = FunctionSpec.packageBytesMax
        let archive = try await request.wholeBody(
            limit: limit,
            orElse: "The package is larger than \(limit >> 20) MiB; leave out what is not needed, or deploy an image with --image.")
        guard archive.readableBytes > 0 else {
            throw BrumeError(.invalid, "The request has no body; send the package as a tar archive.")
        }
        return try Reply.json(Stored(digest: try await node.putCode(archive)), status: .created)
    }

    private func describe(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try FunctionID(name: try context.parameters.require("name"), inQuery: request.query("namespace"))
        guard let status = await node.function(id) else { throw BrumeError.unknown(id) }
        return try Reply.json(NativeFunctionDocument(status))
    }

    private func profile(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try FunctionID(name: try context.parameters.require("name"), inQuery: request.query("namespace"))
        return try Reply.json(try await node.harvestProfile(id))
    }

    // MARK: Calls

    private func calls(_ request: Request) async throws -> Response {
        var query = CallQuery(limit: try limit(request))
        if let name = request.query("function") { query.function = try FunctionID(name: name, inQuery: request.query("namespace")) }
        if let text = request.query("outcome") {
            guard let outcome = CallRecord.Outcome(rawValue: text) else {
                let words = CallRecord.Outcome.allCases.map(\.rawValue).joined(separator: ", ")
                throw BrumeError(.invalid, "The parameter 'outcome' is '\(text.prefix(32))'; write one of \(words).")
            }
            query.outcome = outcome
        }
        query.since = try request.queryTime("since")
        return try Reply.json(try await node.calls(query).map { CallDocument($0, decisions: false) })
    }

    private func explain(_ context: GatewayContext) async throws -> Response {
        let label = try context.parameters.require("id")
        // An asynchronous call has a record for each attempt; the newest comes first.
        guard let call = try await node.calls(CallQuery(label: label, limit: 1)).first else {
            throw BrumeError(
                .notFound, "There is no call '\(label.prefix(64))'; old calls are pruned, see /v1/calls for those that are kept.")
        }
        return try Reply.json(CallDocument(call, decisions: true))
    }

    // MARK: The queue

    private func deadLetters(_ request: Request) async throws -> Response {
        try Reply.json(try await node.deadLetters(limit: try limit(request)).map { DeadLetterDocument($0) })
    }

    private func redrive(_ request: Request) async throws -> Response {
        return try Reply.json(Redriven(redriven: try await node.redrive(try await ids(request))))
    }

    private func discard(_ request: Request) async throws -> Response {
        return try Reply.json(Discarded(discarded: try await node.discardDeadLetters(try await ids(request))))
    }

    private func limit(_ request: Request) throws(BrumeError) -> Int {
        try request.queryNumber("limit", in: 1...Self.limitMax) ?? Self.limitDefault
    }

    /// The ids of a body, or nil for all.
    private func ids(_ request: Request) async throws -> [CallID]? {
        let body = try await request.wholeBody(limit: GatewaySettings.documentBytesMax)
        guard body.readableBytes > 0 else { return nil }
        let fields = try JSONFields(parsing: body)
        guard fields["ids"] != nil else { return nil }
        let error = BrumeError(.invalid, "The field 'ids' must be a list of whole numbers, as /v1/queue/dead lists them.")
        return try fields.strings("ids").map { text in
            guard let number = UInt64(text) else { throw error }
            return CallID(number)
        }
    }
}

private struct Stored: Encodable { let digest: String }
private struct Redriven: Encodable { let redriven: Int }
private struct Discarded: Encodable { let discarded: Int }
