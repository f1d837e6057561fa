// SPDX-License-Identifier: Apache-2.0

import BrumeGateway
import BrumeModel
import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

/// What faas-cli and go-sdk send, word for word, and what they accept as an answer.
struct ClientCommandTests {
    private let deployment = """
        {"service":"hello","image":"ghcr.io/openfaas/figlet:latest","namespace":"openfaas-fn","envProcess":"","envVars":{},\
        "constraints":[],"secrets":["token"],\
        "labels":{"com.openfaas.scale.min":"1"},"annotations":{},"limits":{"memory":"128Mi","cpu":"500m"},\
        "requests":{"memory":"64Mi","cpu":"100m"},"readOnlyRootFilesystem":true}
        """

    @Test("faas-cli deploy sends PUT, and POST after a 404")
    func deploy() async throws {
        let harness = try GatewayHarness(functions: [])
        try await harness.routed { client async throws -> Void in
            #expect(try await client.send(.put, "/system/functions", deployment).status == .notFound)
            #expect(try await client.send(.post, "/system/functions", deployment).status == .accepted)
            #expect(try await client.send(.put, "/system/functions", deployment).status == .accepted)
        }
        let status = try #require(await harness.node.function(try FunctionID(name: "hello")))
        #expect(status.revision == 2)
        #expect(status.spec.limits == Resources(millicores: 500, memoryBytes: 128 << 20))
        #expect(status.spec.requests == Resources(millicores: 100, memoryBytes: 64 << 20))
        #expect(status.spec.secrets == ["token"])
        #expect(status.spec.scale.min == 1)
        #expect(status.spec.readOnlyRootFilesystem)
    }

    @Test("faas-cli list reads the functions of a namespace")
    func list() async throws {
        let harness = try GatewayHarness(functions: ["echo", "other.staging"])
        try await harness.routed { client async throws -> Void in
            for (query, name) in [("", "echo"), ("?namespace=", "echo"), ("?namespace=staging", "other")] {
                let response = try await client.send(.get, "/system/functions\(query)")
                #expect(response.status == .ok)
                #expect(response.field("Content-Type") == "application/json")
                let functions = try #require(
                    try JSONSerialization.jsonObject(with: Data(response.body.readableBytesView)) as? [[String: Any]])
                #expect(functions.count == 1)
                #expect(functions.first?["name"] as? String == name)
                #expect(functions.first?["createdAt"] as? String == "2023-11-14T22:13:20Z")
            }
            let empty = try await client.send(.get, "/system/functions?namespace=nothing")
            #expect(empty.text == "[]")
        }
    }

    @Test("faas-cli describe reads a function with its usage, and a 404 where there is none")
    func describe() async throws {
        let harness = try GatewayHarness(functions: ["echo"])
        try await harness.routed { client async throws -> Void in
            let response = try await client.send(.get, "/system/function/echo?namespace=openfaas-fn&usage=1")
            #expect(response.status == .ok)
            let function = try #require(try JSONSerialization.jsonObject(with: Data(response.body.readableBytesView)) as? [String: Any])
            #expect(function["name"] as? String == "echo")
            #expect(function["namespace"] as? String == "openfaas-fn")
            #expect(function["availableReplicas"] as? Int == 0)
            #expect((function["usage"] as? [String: Any])?["totalMemoryBytes"] as? Double == 0)
            let missing = try await client.send(.get, "/system/function/nothing")
            #expect(missing.status == .notFound)
            #expect(missing.field("Content-Type") == "text/plain; charset=utf-8")
        }
    }

    @Test("faas-cli remove deletes by a body, and a second time gets 404")
    func remove() async throws {
        let harness = try GatewayHarness()
        try await harness.routed { client async throws -> Void in
            let body = #"{"functionName":"echo","namespace":"openfaas-fn"}"#
            #expect(try await client.send(.delete, "/system/functions", body).status == .accepted)
            #expect(try await client.send(.delete, "/system/functions", body).status == .notFound)
        }
    }

    @Test("faas-cli scale posts the number of replicas")
    func scale() async throws {
        let harness = try GatewayHarness()
        try await harness.routed { client async throws -> Void in
            let body = #"{"serviceName":"echo","replicas":3}"#
            #expect(try await client.send(.post, "/system/scale-function/echo?namespace=openfaas-fn", body).status == .accepted)
            #expect(try await client.send(.post, "/system/scale-function/nothing", body).status == .notFound)
            #expect(try await client.send(.post, "/system/scale-function/echo", #"{"replicas":-1}"#).status == .badRequest)
            #expect(try await client.send(.post, "/system/scale-function/echo", #"{"replicas":100000}"#).status == .badRequest)
        }
        #expect(await harness.replicas(of: "echo") == 3)
    }

    @Test("faas-cli secret create, list, update and remove")
    func secrets() async throws {
        let harness = try GatewayHarness()
        try await harness.routed { client async throws -> Void in
            let secret = #"{"name":"token","namespace":"openfaas-fn","value":"one"}"#
            #expect(try await client.send(.put, "/system/secrets", secret).status == .notFound)
            #expect(try await client.send(.post, "/system/secrets", secret).status == .created)
            #expect(try await client.send(.post, "/system/secrets", secret).status == .conflict)
            #expect(
                try await client.send(.put, "/system/secrets", #"{"name":"token","namespace":"openfaas-fn","rawValue":"AAH/"}"#).status
                    == .accepted)
            let list = try await client.send(.get, "/system/secrets?namespace=openfaas-fn")
            #expect(list.status == .ok)
            #expect(list.text == #"[{"name":"token","namespace":"openfaas-fn"}]"#)
            #expect(harness.node.state.withLock { $0.secrets["openfaas-fn"]?["token"] } == [0, 1, 255])
            // 204, which the OpenAPI file of OpenFaaS names, is an error for faas-cli.
            #expect(try await client.send(.delete, "/system/secrets", secret).status == .accepted)
            #expect(try await client.send(.delete, "/system/secrets", secret).status == .notFound)
        }
    }

    @Test(
        "a secret without a name or a value, or with a bad one, is refused",
        arguments: [
            #"{"value":"x"}"#, #"{"name":"../x","value":"x"}"#, #"{"name":"x"}"#, #"{"name":"x","rawValue":"%%%"}"#,
            #"{"name":"x","value":"x","namespace":"a/b"}"#,
        ])
    func badSecrets(body: String) async throws {
        try await GatewayHarness().routed { client async throws -> Void in
            #expect(try await client.send(.post, "/system/secrets", body).status == .badRequest)
        }
    }

    @Test("go-sdk creates a namespace with its name in the body and an empty one in the path; faas-cli lists, updates and deletes it")
    func namespaces() async throws {
        let harness = try GatewayHarness()
        try await harness.routed { client async throws -> Void in
            let body = #"{"name":"staging","labels":{"team":"a"},"annotations":{"b":"c"}}"#
            #expect(try await client.send(.post, "/system/namespace/", body).status == .created)
            #expect(try await client.send(.post, "/system/namespace/", body).status == .conflict)
            #expect(try await client.send(.post, "/system/namespace/testing", #"{"name":"testing"}"#).status == .created)
            #expect(try await client.send(.get, "/system/namespaces").text == #"["openfaas-fn","staging","testing"]"#)
            let described = try await client.send(.get, "/system/namespace/staging")
            #expect(described.text == #"{"annotations":{"b":"c"},"labels":{"openfaas":"1","team":"a"},"name":"staging"}"#)
            #expect(try await client.send(.put, "/system/namespace/staging", #"{"name":"staging","labels":{}}"#).status == .accepted)
            #expect(try await client.send(.put, "/system/namespace/none", #"{"name":"none"}"#).status == .notFound)
            #expect(try await client.send(.delete, "/system/namespace/staging", #"{"name":"staging"}"#).status == .accepted)
            #expect(try await client.send(.delete, "/system/namespace/testing").status == .accepted)
            #expect(try await client.send(.get, "/system/namespace/staging").status == .notFound)
            #expect(try await client.send(.get, "/system/namespace/").status == .notFound)
        }
    }

    @Test("faas-cli login asks for the functions and gets 200 or 401")
    func login() async throws {
        try await GatewayHarness().routed { client async throws -> Void in
            #expect(try await client.send(.get, "/system/functions").status == .ok)
            for value in [nil, "Basic", "Basic !!!", "Basic YWRtaW46d3Jvbmc=", "Bearer x", "Basic YWRtaW4="] {
                let headers: HTTPFields = value.map { [.authorization: $0] } ?? [:]
                let response = try await client.execute(uri: "/system/functions", method: .get, headers: headers)
                #expect(response.status == .unauthorized)
                #expect(response.field("WWW-Authenticate") == "Basic realm=\"Restricted\"")
                #expect(response.text == "invalid credentials")
            }
        }
    }

    @Test("faas-cli ready polls the health and a function's available replicas")
    func ready() async throws {
        let harness = try GatewayHarness()
        try await harness.routed { client async throws -> Void in
            #expect(try await client.execute(uri: "/healthz", method: .get).status == .ok)
            let head = try await client.execute(uri: "/healthz", method: .head)
            #expect(head.status == .ok)
            #expect(head.text.isEmpty)
            try await harness.node.scale(FunctionID(name: "echo"), to: 1)
            #expect(try await client.send(.get, "/system/function/echo?namespace=openfaas-fn").text.contains("\"availableReplicas\":1"))
        }
    }

    @Test("faas-cli logs reads lines of JSON and sends name, namespace, since, tail and follow")
    func logs() async throws {
        let harness = try GatewayHarness()
        let function = try FunctionID(name: "echo")
        harness.node.state.withLock { state in
            state.lines = (0..<3).map { number in
                LogLine(
                    function: function, instance: "r1", time: Instant(nanoseconds: 1_700_000_000_000_000_000 + Int64(number)),
                    stream: .stderr,
                    text: "line \(number)")
            }
        }
        try await harness.routed { client async throws -> Void in
            let uri = "/system/logs?name=echo&namespace=openfaas-fn&follow=false&since=2023-11-14T22:13:00Z&tail=2&instance=r1"
            let response = try await client.send(.get, uri)
            #expect(response.status == .ok)
            #expect(response.field("Content-Type") == "application/x-ndjson")
            #expect(
                response.text == """
                    {"instance":"r1","name":"echo","namespace":"openfaas-fn","text":"line 1","timestamp":"2023-11-14T22:13:20.000000001Z"}
                    {"instance":"r1","name":"echo","namespace":"openfaas-fn","text":"line 2","timestamp":"2023-11-14T22:13:20.000000002Z"}

                    """)
            let (query, follow) = try #require(harness.node.state.withLock { $0.logQueries.first })
            #expect(!follow)
            #expect(query.since == Instant(nanoseconds: 1_699_999_980_000_000_000))
            #expect(query.tail == 2)
            #expect(query.instance == "r1")
            for uri in ["", "?name=", "?name=echo&tail=x", "?name=echo&since=yesterday", "?name=echo&follow=perhaps", "?name=a%20b"] {
                #expect(try await client.send(.get, "/system/logs\(uri)").status == .badRequest)
            }
        }
    }

    @Test("faas-cli version and go-sdk read the gateway's information")
    func info() async throws {
        try await GatewayHarness().routed { client async throws -> Void in
            let response = try await client.send(.get, "/system/info")
            let info = try #require(try JSONSerialization.jsonObject(with: Data(response.body.readableBytesView)) as? [String: Any])
            #expect((info["version"] as? [String: Any])?["release"] as? String == "9.9")
            #expect((info["version"] as? [String: Any])?["sha"] as? String == "abc")
            let provider = try #require(info["provider"] as? [String: Any])
            #expect(provider["provider"] as? String == "brume")
            #expect(provider["orchestration"] as? String == "brume")
            #expect(["x86_64", "arm64"].contains(info["arch"] as? String))
            #expect(try await client.send(.get, "/system/telemetry").text.contains("\"functions\":1"))
        }
    }

    @Test("faas-cli invoke posts a body as text/plain and reads the reply")
    func invoke() async throws {
        let harness = try GatewayHarness()
        try await harness.live { client async throws -> Void in
            let response = try await client.call(
                "/function/echo.openfaas-fn", headers: [.contentType: "text/plain", .userAgent: "faas-cli/0.18.12"], body: "hello")
            #expect(response.status == .ok)
            #expect(response.text == "hello")
        }
    }

    @Test("faas-cli invoke --async gets 202 with an id, and the callback is kept")
    func invokeAsync() async throws {
        let harness = try GatewayHarness(functions: ["echo", "full"])
        try await harness.routed { client async throws -> Void in
            let headers: HTTPFields = [.contentType: "text/plain", .named("X-Callback-Url"): "http://127.0.0.1:9/done?x=1"]
            let response = try await client.call("/async-function/echo.openfaas-fn/a/b?q=1", headers: headers, body: "hello")
            #expect(response.status == .accepted)
            #expect(response.text.isEmpty)
            let label = try #require(response.field("X-Call-Id"))
            let (request, callback) = try #require(harness.node.state.withLock { $0.queued.first })
            #expect(request.label == label)
            #expect(request.path == "/a/b")
            #expect(request.query == "q=1")
            #expect(callback == "http://127.0.0.1:9/done?x=1")
            guard case .whole(let body) = request.body else { throw BrumeError(.failed, "the body of a queued call is not whole") }
            #expect(String(buffer: body) == "hello")
            #expect(try await client.call("/async-function/nothing", body: "x").status == .notFound)
            let full = try await client.call("/async-function/full", body: "x")
            #expect(full.status == .tooManyRequests)
            #expect(full.field("Retry-After") == "3")
            for url in ["ftp://a/b", "nonsense", "http://", "/path", "http://a b/"] {
                let refused = try await client.call("/async-function/echo", headers: [.named("X-Callback-Url"): url], body: "x")
                #expect(refused.status == .badRequest)
            }
        }
    }

    @Test("Alertmanager scales a function up and down again")
    func alert() async throws {
        let harness = try GatewayHarness()
        try await harness.routed { client async throws -> Void in
            func alert(_ status: String, _ name: String = "echo.openfaas-fn") -> String {
                #"{"receiver":"scale-up","status":"\#(status)","alerts":[{"status":"\#(status)","labels":{"function_name":"\#(name)"}}]}"#
            }
            #expect(try await client.send(.post, "/system/alert", alert("firing")).status == .ok)
            #expect(await harness.replicas(of: "echo") == 2)
            #expect(try await client.send(.post, "/system/alert", alert("firing")).status == .ok)
            #expect(await harness.replicas(of: "echo") == 4)
            #expect(try await client.send(.post, "/system/alert", alert("resolved")).status == .ok)
            #expect(await harness.replicas(of: "echo") == 0)
            #expect(try await client.send(.post, "/system/alert", alert("firing", "nothing")).status == .notFound)
            #expect(try await client.send(.post, "/system/alert", #"{"alerts":[{"status":"firing"}]}"#).status == .badRequest)
        }
    }
}
