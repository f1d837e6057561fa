// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// Deploying, listing, scaling and removing functions, and asynchronous calls, as OpenFaaS clients expect them.
struct FunctionRoutes<Node: NodeOperations>: Sendable where Node.Payload == ByteBuffer {
    let front: FunctionFront<Node>
    private var node: Node { front.node }

    init(front: FunctionFront<Node>) { self.front = front }

    var routes: [Route] {
        [
            Route(
                "/system/functions",
                [
                    (.get, { request, _ in try await list(request) }),
                    (.post, { request, _ in try await deploy(request, .create) }),
                    (.put, { request, _ in try await deploy(request, .update) }),
                    (.delete, { request, _ in try await remove(request) }),
                ]),
            Route("/system/function/:name", [(.get, describe)]),
            Route("/system/scale-function/:name", [(.post, scale)]),
            Route("/system/alert", [(.post, { request, _ in try await alert(request) })]),
            Route("/async-function/:name", [(.post, enqueue)]),
            Route("/async-function/:name/**", [(.post, enqueue)]),
        ]
    }

    // MARK: Functions

    private func list(_ request: Request) async throws -> Response {
        let namespace = request.query("namespace") ?? FunctionID.defaultNamespace
        let functions = await node.functions(namespace: namespace)
        return try Reply.json(functions.map { FunctionStatusDocument($0, usage: false) })
    }

    /// faas-cli sends PUT first and repeats as POST after a 404.
    private func deploy(_ request: Request, _ mode: DeployMode) async throws -> Response {
        let body = try await request.wholeBody(limit: GatewaySettings.documentBytesMax)
        try await node.deploy(FunctionSpec(FunctionDeployment(parsing: body)), mode: mode)
        return Reply.empty(.accepted)
    }

    private func remove(_ request: Request) async throws -> Response {
        let fields = try await JSONFields(parsing: request.wholeBody(limit: GatewaySettings.documentBytesMax))
        guard let name = try fields.string("functionName"), !name.isEmpty else {
            throw BrumeError(.invalid, "The request names no function; give it in the field 'functionName'.")
        }
        let namespace = try fields.string("namespace") ?? request.query("namespace")
        try await node.remove(FunctionID(name: name, inQuery: namespace))
        return Reply.empty(.accepted)
    }

    private func describe(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try FunctionID(name: try context.parameters.require("name"), inQuery: request.query("namespace"))
        guard let status = await node.function(id) else { throw BrumeError.unknown(id) }
        let wantsUsage = try request.queryTruth("usage") ?? false
        return try Reply.json(FunctionStatusDocument(status, usage: wantsUsage))
    }

    private func scale(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await JSONFields(parsing: request.wholeBody(limit: GatewaySettings.documentBytesMax))
        let namespace = try fields.string("namespace").flatMap { $0.isEmpty ? nil : $0 } ?? request.query("namespace")
        let id = try FunctionID(name: try context.parameters.require("name"), inQuery: namespace)
        guard let replicas = try fields.integer("replicas"), (0...FunctionSpec.replicasMax).contains(replicas) else {
            throw BrumeError(.invalid, "The field 'replicas' must be a whole number from 0 to \(FunctionSpec.replicasMax).")
        }
        try await node.scale(id, to: replicas)
        return Reply.empty(.accepted)
    }

    // MARK: Scaling by Alertmanager

    /// Each firing alert adds a step of replicas, each resolved one goes back to the function's minimum.
    private func alert(_ request: Request) async throws -> Response {
        let fields = try await JSONFields(parsing: request.wholeBody(limit: GatewaySettings.documentBytesMax))
        for alert in try fields.objects("alerts") {
            guard let name = try alert.object("labels")?.string("function_name"), !name.isEmpty else {
                throw BrumeError(.invalid, "An alert has no label 'function_name'; add it to the rule's labels.")
            }
            let id = try FunctionID(parsing: name)
            guard let function = await node.function(id) else { throw BrumeError.unknown(id) }
            let wanted = AlertScaling.replicas(for: function, isFiring: try alert.string("status") == "firing")
            if wanted != function.replicas { try await node.scale(id, to: wanted) }
        }
        return Reply.empty(.ok)
    }

    // MARK: Asynchronous calls

    private func enqueue(_ request: Request, _ context: GatewayContext) async throws -> Response {
        do {
            return try await accept(request, context)
        } catch let error as BrumeError {
            var response = Reply.error(error)
            response.headers[.failure] = error.code.word
            return response
        }
    }

    private func accept(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let now = NIODeadline.now()
        var labels = CallLabels()
        let fields = request.headers.map { ($0.name.rawName, $0.value) } + (request.head.authority.map { [("Host", $0)] } ?? [])
        let arrival = try front.arrival(
            method: "POST", target: request.uri.string, prefix: "/async-function/",
            headers: { (translation: inout HeaderTranslation) throws(BrumeError) in
                for (name, value) in fields { try translation.add(name, value) }
            },
            remote: context.remote, label: labels.next(), at: now)
        let callback = try CallbackURL.validated(request.headers[.callbackURL])
        arrival.request.body = .whole(try await request.wholeBody(limit: front.settings.bodyBytesMax))
        let refusal = try await node.enqueue(arrival.request, callbackURL: callback)
        var headers: HTTPFields = [.callID: arrival.request.label]
        guard let refusal else { return Response(status: .accepted, headers: headers) }
        headers[.failure] = refusal.word
        if let wait = refusal.retryAfter { headers[.retryAfter] = wait }
        return Reply.text(HTTPResponse.Status(code: refusal.httpStatus), refusal.sentence, headers: headers)
    }
}

/// How many replicas an alert asks for, as OpenFaaS counts them.
enum AlertScaling {
    /// The step, in percent of the maximum, where the function has no label of its own.
    static let defaultFactor = 20

    static func replicas(for function: FunctionStatus, isFiring: Bool) -> Int {
        let scale = function.spec.scale
        guard isFiring else { return scale.min }
        let factor = function.spec.labels[DeploymentKey.scaleFactor].flatMap { Int($0) } ?? defaultFactor
        let step = (scale.max * min(max(factor, 0), 100) + 99) / 100
        return step == 0 ? scale.min : min(scale.max, function.replicas + step)
    }
}

/// Where the result of an asynchronous call is sent.
enum CallbackURL {
    static let lengthMax = 2048

    /// - Throws: `BrumeError` (`invalid`).
    static func validated(_ text: String?) throws(BrumeError) -> String? {
        guard let text, !text.isEmpty else { return nil }
        let uri = URI(text)
        let isWeb = uri.scheme == .http || uri.scheme == .https
        let isPlain = text.utf8.allSatisfy { $0 > 32 && $0 < 127 }
        guard isWeb, isPlain, text.utf8.count <= lengthMax, let host = uri.host, !host.isEmpty else {
            throw BrumeError(.invalid, "X-Callback-Url is '\(text.prefix(80))'; write a whole http:// or https:// address.")
        }
        return text
    }
}

extension FunctionID {
    /// A name from a path with a namespace from a query or a body; without one the name may carry it after a dot.
    init(name: String, inQuery namespace: String?) throws(BrumeError) {
        if let namespace, !namespace.isEmpty {
            try self.init(name: name, namespace: namespace)
        } else {
            try self.init(parsing: name)
        }
    }
}

extension BrumeError {
    static func unknown(_ id: FunctionID) -> BrumeError {
        BrumeError(.notFound, "There is no function '\(id.name)' in the namespace '\(id.namespace)'; deploy it first.")
    }
}

extension HTTPField.Name {
    /// The names that HTTPTypes does not know; each is a valid token, so the fallback is never taken.
    static let callID = HTTPField.Name("X-Call-Id") ?? .origin
    static let failure = HTTPField.Name("X-Brume-Failure") ?? .origin
    static let callbackURL = HTTPField.Name("X-Callback-Url") ?? .origin
}
