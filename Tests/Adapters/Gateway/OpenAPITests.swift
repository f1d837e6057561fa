// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Testing

@testable import BrumeGateway

/// The description of the API against the API.
struct OpenAPITests {
    private static let methods = ["get", "head", "post", "put", "patch", "delete", "options", "trace"]

    /// Path and method of every operation in the file.
    private func described() throws -> [(path: String, method: String, operation: [String: Any])] {
        let file = try #require(try JSONSerialization.jsonObject(with: Data(Console.openAPI)) as? [String: Any])
        let paths = try #require(file["paths"] as? [String: [String: Any]])
        return paths.flatMap { path, item in
            Self.methods.compactMap { method in (item[method] as? [String: Any]).map { (path, method, $0) } }
        }
    }

    /// How a path of the route table is written in the file.
    private func written(_ path: String) -> String {
        switch path {
        case "/ui": "/ui/"
        default: path.replacing(":name", with: "{name}").replacing(":id", with: "{id}").replacing("**", with: "{path}")
        }
    }

    @Test("every word of X-Brume-Failure is described")
    func failureWords() throws {
        let file = try #require(try JSONSerialization.jsonObject(with: Data(Console.openAPI)) as? [String: Any])
        let headers = try #require((file["components"] as? [String: Any])?["headers"] as? [String: [String: Any]])
        let described = (headers["X-Brume-Failure"]?["schema"] as? [String: Any])?["enum"] as? [String] ?? []
        let refusals: [Refusal] = [.unknownFunction, .queueFull(retryAfter: .zero), .neverFits(""), .broken(""), .draining]
        let errors: [BrumeError.Code] = [.invalid, .notFound, .tooLarge, .unavailable]
        let words = CallFailure.Kind.allCases.map(\.rawValue) + refusals.map(\.word) + errors.map(\.word)
        #expect(Set(described) == Set(words))
        #expect(described.count == Set(described).count)
    }

    @Test("every route is described, with each of its methods")
    func routesAreDescribed() throws {
        let described = Set(try described().map { "\($0.method) \($0.path)" })
        for route in try GatewayHarness().gateway.routes() {
            for (method, _) in route.actions {
                let name = "\(method.rawValue.lowercased()) \(written(route.path))"
                #expect(described.contains(name), "openapi.json does not describe \(name)")
            }
        }
    }

    @Test("every described operation is answered, and no other method of its path is", .timeLimit(.minutes(1)))
    func descriptionIsServed() async throws {
        let harness = try GatewayHarness()
        let operations = try described().map { ($0.path, $0.method) }
        try await harness.live { client in
            for (path, method) in operations {
                let uri = path.replacing("{name}", with: "openfaas-fn").replacing("{id}", with: "x").replacing("{path}", with: "a/b")
                // `echo` exists, and so does the namespace openfaas-fn; whatever else answers 404 must do so as a route.
                let target = path.contains("namespace/") ? uri : uri.replacing("openfaas-fn", with: "echo")
                let response = try await client.send(try #require(HTTPRequest.Method(rawValue: method.uppercased())), target)
                #expect(response.status != .methodNotAllowed, "\(method) \(path)")
                #expect(response.text != "There is nothing at this path.", "\(method) \(path)")
            }
            for path in Set(operations.map(\.0)) where !path.hasPrefix("/function/") {
                let served = operations.filter { $0.0 == path }.map(\.1)
                for method in ["get", "post", "put", "patch", "delete"] where !served.contains(method) {
                    let uri = path.replacing("{name}", with: "echo").replacing("{id}", with: "x").replacing("{path}", with: "a/b")
                    let response = try await client.send(try #require(HTTPRequest.Method(rawValue: method.uppercased())), uri)
                    #expect(response.status == .methodNotAllowed, "\(method) \(path)")
                }
            }
        }
    }

    @Test("every operation has an id of its own, a sentence and a good reply, and asks for credentials exactly where the gateway does")
    func operationsAreWhole() async throws {
        var seen: Set<String> = []
        for (path, method, operation) in try described() {
            let id = try #require(operation["operationId"] as? String)
            #expect(seen.insert(id).inserted, "\(id) twice")
            #expect((operation["summary"] as? String)?.hasSuffix(".") == true, "\(method) \(path)")
            let replies = try #require(operation["responses"] as? [String: Any])
            #expect(replies.keys.contains { $0.hasPrefix("2") || $0.hasPrefix("3") }, "\(method) \(path)")
            let isProtected = path.hasPrefix("/system/") || path.hasPrefix("/v1/")
            #expect((replies["401"] != nil) == isProtected, "\(method) \(path)")
            #expect((operation["security"] == nil) == isProtected, "\(method) \(path)")
        }
    }

    @Test("every reference in the file leads somewhere, and every component is used")
    func references() throws {
        let file = try #require(try JSONSerialization.jsonObject(with: Data(Console.openAPI)) as? [String: Any])
        let components = try #require(file["components"] as? [String: [String: Any]])
        let defined = Set(
            components.filter { $0.key != "securitySchemes" }.flatMap { kind, members in members.keys.map { "#/components/\(kind)/\($0)" } }
        )
        var used: Set<String> = []
        func walk(_ value: Any) {
            if let object = value as? [String: Any] {
                if let reference = object["$ref"] as? String { used.insert(reference) }
                object.values.forEach(walk)
            } else if let list = value as? [Any] {
                list.forEach(walk)
            }
        }
        walk(file)
        #expect(used == defined)
    }

    @Test("the file is served as it is")
    func served() async throws {
        try await GatewayHarness().routed { client async throws -> Void in
            let response = try await client.execute(uri: "/openapi.json", method: .get)
            #expect(response.status == .ok)
            #expect(response.field("Content-Type") == "application/json")
            #expect(Array(response.body.readableBytesView) == Console.openAPI)
        }
    }
}
