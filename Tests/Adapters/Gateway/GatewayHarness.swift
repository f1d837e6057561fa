// SPDX-License-Identifier: Apache-2.0

import BrumeGateway
import BrumeModel
import BrumeState
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore

/// One gateway with its node, as the tests use them.
struct GatewayHarness: Sendable {
    let node: InMemoryNode
    let gateway: Gateway<InMemoryNode>

    static let user = "admin"
    static let password = "s3cret"
    /// `admin:s3cret` in base64.
    static let authorization: HTTPFields = [.authorization: "Basic YWRtaW46czNjcmV0"]

    init(
        functions: [String] = ["echo"], bodyBytesMax: Int = GatewaySettings.defaultBodyBytesMax, corsOrigins: [String] = [],
        state: (any StateAccess)? = nil, renderMetrics: @escaping @Sendable () -> String = { "# none\n" }
    ) throws {
        node = try InMemoryNode(functions: functions)
        let settings = GatewaySettings(
            credentials: Credentials(user: Self.user, password: Self.password), bodyBytesMax: bodyBytesMax, corsOrigins: corsOrigins,
            version: "9.9", commit: "abc")
        var logger = Logger(label: "gateway-tests")
        logger.logLevel = .critical
        gateway = Gateway(
            node: node, settings: settings, state: state, stateFigures: { [("frames", 2)] }, renderMetrics: renderMetrics, logger: logger)
    }

    /// The replicas that were asked for, or nil where there is no such function.
    func replicas(of name: String) async -> Int? {
        guard let id = try? FunctionID(name: name) else { return nil }
        return await node.function(id)?.replicas
    }

    /// Runs requests against the router, without a socket.
    func routed<Value: Sendable>(_ test: @escaping @Sendable (any TestClientProtocol) async throws -> Value) async throws -> Value {
        try await gateway.application().test(.router, test)
    }

    /// Runs requests over a connection to a listening gateway.
    func live<Value: Sendable>(_ test: @escaping @Sendable (any TestClientProtocol) async throws -> Value) async throws -> Value {
        try await gateway.application().test(.live, test)
    }
}

extension TestClientProtocol {
    /// Sends a request with the credentials and a JSON body, as faas-cli does.
    func send(_ method: HTTPRequest.Method, _ uri: String, _ json: String? = nil) async throws -> TestResponse {
        var headers = GatewayHarness.authorization
        if json != nil { headers[.contentType] = "application/json" }
        headers[.userAgent] = "faas-cli/0.18.12"
        return try await execute(uri: uri, method: method, headers: headers, body: json.map { ByteBuffer(string: $0) })
    }

    /// Calls a function, without credentials.
    func call(
        _ uri: String, method: HTTPRequest.Method = .post, headers: HTTPFields = [:], body: String = ""
    ) async throws -> TestResponse {
        try await execute(uri: uri, method: method, headers: headers, body: body.isEmpty ? nil : ByteBuffer(string: body))
    }
}

extension HTTPField.Name {
    /// A name that HTTPTypes has no constant for.
    static func named(_ name: String) -> HTTPField.Name { HTTPField.Name(name) ?? .cookie }
}

extension TestResponse {
    var text: String { String(buffer: body) }

    func field(_ name: String) -> String? { HTTPField.Name(name).flatMap { headers[$0] } }

    func fields(_ name: String) -> [String] { HTTPField.Name(name).map { headers[values: $0] } ?? [] }
}
