// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// Secrets and namespaces.
struct StorageRoutes<Node: NodeOperations>: Sendable where Node.Payload == ByteBuffer {
    let node: Node

    var routes: [Route] {
        [
            Route(
                "/system/secrets",
                [
                    (.get, { request, _ in try await listSecrets(request) }),
                    (.post, { request, _ in try await putSecret(request, mustExist: false) }),
                    (.put, { request, _ in try await putSecret(request, mustExist: true) }),
                    (.delete, { request, _ in try await removeSecret(request) }),
                ]),
            Route("/system/namespaces", [(.get, { _, _ in try await listNamespaces() })]),
            namespaceRoute("/system/namespace/:name"),
            // go-sdk puts the name into the body alone, so the path may end before it.
            namespaceRoute("/system/namespace"),
        ]
    }

    private func namespaceRoute(_ path: String) -> Route {
        Route(
            path,
            [
                (.get, describeNamespace), (.post, { try await putNamespace($0, $1, mustExist: false) }),
                (.put, { try await putNamespace($0, $1, mustExist: true) }), (.delete, removeNamespace),
            ])
    }

    // MARK: Secrets

    private func listSecrets(_ request: Request) async throws -> Response {
        let namespace = request.query("namespace") ?? FunctionID.defaultNamespace
        let names = try await node.secretNames(namespace: namespace)
        return try Reply.json(names.map { SecretDocument(name: $0, namespace: namespace) })
    }

    private func putSecret(_ request: Request, mustExist: Bool) async throws -> Response {
        let fields = try await JSONFields(parsing: request.wholeBody(limit: GatewaySettings.documentBytesMax))
        let (name, namespace) = try names(fields, request)
        let value: [UInt8]
        if let raw = try fields.string("rawValue"), !raw.isEmpty {
            guard let bytes = Base64.decode(raw.utf8) else {
                throw BrumeError(.invalid, "The field 'rawValue' of the secret '\(name)' is not base64; encode the bytes, or use 'value'.")
            }
            value = bytes
        } else if let text = try fields.string("value") {
            value = Array(text.utf8)
        } else {
            throw BrumeError(.invalid, "The secret '\(name)' has no value; give it in the field 'value', or in 'rawValue' as base64.")
        }
        try await node.putSecret(Secret(name: name, namespace: namespace, value: value), mustExist: mustExist)
        return Reply.empty(mustExist ? .accepted : .created)
    }

    /// 202 and not 204, which faas-cli takes for a failure.
    private func removeSecret(_ request: Request) async throws -> Response {
        let fields = try await JSONFields(parsing: request.wholeBody(limit: GatewaySettings.documentBytesMax))
        let (name, namespace) = try names(fields, request)
        try await node.removeSecret(name: name, namespace: namespace)
        return Reply.empty(.accepted)
    }

    private func names(_ fields: JSONFields, _ request: Request) throws(BrumeError) -> (name: String, namespace: String) {
        guard let name = try fields.string("name"), !name.isEmpty else {
            throw BrumeError(.invalid, "The request names no secret; give it in the field 'name'.")
        }
        try FunctionID.validateSecretName(name)
        let given = try fields.string("namespace") ?? ""
        let namespace = given.isEmpty ? request.query("namespace") ?? FunctionID.defaultNamespace : given
        try FunctionID.validate(namespace, what: "namespace")
        return (name, namespace)
    }

    // MARK: Namespaces

    private func listNamespaces() async throws -> Response {
        try Reply.json(try await node.namespaces().map(\.name).sorted())
    }

    private func describeNamespace(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard let name = context.parameters.get("name") else {
            throw BrumeError(.notFound, "The path names no namespace; write /system/namespace/NAME.")
        }
        guard let namespace = try await node.namespaces().first(where: { $0.name == name }) else {
            throw BrumeError(.notFound, "There is no namespace '\(name.prefix(64))'; create it first.")
        }
        return try Reply.json(NamespaceDocument(namespace))
    }

    private func putNamespace(_ request: Request, _ context: GatewayContext, mustExist: Bool) async throws -> Response {
        let fields = try await JSONFields(parsing: request.wholeBody(limit: GatewaySettings.documentBytesMax))
        let name = try name(fields, context)
        let namespace = StoredNamespace(
            name: name, labels: try fields.dictionary("labels"), annotations: try fields.dictionary("annotations"))
        try await node.putNamespace(namespace, mustExist: mustExist)
        return Reply.empty(mustExist ? .accepted : .created)
    }

    private func removeNamespace(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.wholeBody(limit: GatewaySettings.documentBytesMax)
        let fields = body.readableBytes == 0 ? JSONFields([:]) : try JSONFields(parsing: body)
        try await node.removeNamespace(name(fields, context))
        return Reply.empty(.accepted)
    }

    /// The path's name, or the body's where the path has none.
    private func name(_ fields: JSONFields, _ context: GatewayContext) throws(BrumeError) -> String {
        var name = context.parameters.get("name") ?? ""
        if name.isEmpty { name = try fields.string("name") ?? "" }
        try FunctionID.validate(name, what: "namespace")
        return name
    }
}
