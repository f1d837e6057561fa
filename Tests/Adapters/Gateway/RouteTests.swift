// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@testable import BrumeGateway

/// The native routes, and what holds for all of them.
struct RouteTests {
    private func object(_ response: TestResponse) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(response.body.readableBytesView)) as? [String: Any])
    }

    @Test("a wrong method gets 405 with the right ones, an unknown path 404, both as text")
    func wrongMethods() async throws {
        try await GatewayHarness().routed { client async throws -> Void in
            for (method, path, allow) in [
                (HTTPRequest.Method.patch, "/system/functions", "DELETE, GET, POST, PUT"), (.get, "/async-function/echo", "POST"),
                (.post, "/healthz", "GET, HEAD"), (.delete, "/v1/calls/1", "GET"), (.post, "/", "GET"),
                (.put, "/system/namespace/a/", "DELETE, GET, POST, PUT"),
            ] where !(method == .put && path.contains("namespace")) {
                let response = try await client.send(method, path)
                #expect(response.status == .methodNotAllowed)
                #expect(response.field("Allow") == allow)
                #expect(response.field("Content-Type") == "text/plain; charset=utf-8")
            }
            for path in ["/nothing", "/system/nothing", "/v1", "/v1/calls/a/b"] {
                let response = try await client.send(.get, path)
                #expect(response.status == .notFound)
                #expect(response.text == "There is nothing at this path.")
            }
        }
    }

    @Test("every protected route asks for credentials and the others do not")
    func protection() async throws {
        let harness = try GatewayHarness()
        let routes = try harness.gateway.routes()
        try await harness.routed { client async throws -> Void in
            for route in routes {
                let path = route.path.replacing(":name", with: "x").replacing(":id", with: "x").replacing("**", with: "y")
                for (method, _) in route.actions {
                    let response = try await client.execute(uri: path, method: method)
                    let isProtected = path.hasPrefix("/system") || path.hasPrefix("/v1")
                    #expect((response.status == .unauthorized) == isProtected, "\(method) \(path): \(response.status)")
                }
            }
        }
    }

    @Test("a JSON body that is wrong gets 400 with its place, and one that is too long 413")
    func badBodies() async throws {
        try await GatewayHarness().routed { client async throws -> Void in
            let response = try await client.send(.post, "/system/functions", "{\"service\": \"f\",\n \"labels\": }")
            #expect(response.status == .badRequest)
            #expect(response.text.contains("line 2"), "\(response.text)")
            #expect(
                try await client.send(.post, "/system/functions", #"{"service":"f","envProcess":"cat","limits":{"memory":"1"}}"#).status
                    == .badRequest)
            let long = "{\"service\":\"" + String(repeating: "a", count: GatewaySettings.documentBytesMax) + "\"}"
            #expect(try await client.send(.post, "/system/functions", long).status == .contentTooLarge)
        }
    }

    @Test("the root leads to the console, which is a page; the metrics are open and brought up to date")
    func openPages() async throws {
        let harness = try GatewayHarness(renderMetrics: { "brume_test 1\n" })
        try await harness.routed { client async throws -> Void in
            let root = try await client.execute(uri: "/", method: .get)
            #expect(root.status == .temporaryRedirect)
            #expect(root.field("Location") == "/ui/")
            for path in ["/ui/", "/ui"] {
                let page = try await client.execute(uri: path, method: .get)
                #expect(page.status == .ok)
                #expect(page.field("Content-Type") == "text/html; charset=utf-8")
                #expect(page.text.contains("/system/functions"))
            }
            let metrics = try await client.execute(uri: "/metrics", method: .get)
            #expect(metrics.text == "brume_test 1\n")
            #expect(metrics.field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8")
        }
    }

    @Test("a package is stored and its digest returned")
    func code() async throws {
        let harness = try GatewayHarness()
        try await harness.routed { client async throws -> Void in
            let response = try await client.execute(
                uri: "/v1/code", method: .post, headers: GatewayHarness.authorization, body: ByteBuffer(string: "tar"))
            #expect(response.status == .created)
            #expect(try object(response)["digest"] as? String == String(repeating: "ab", count: 32))
            #expect(harness.node.state.withLock { $0.packages } == [Array("tar".utf8)])
            #expect(try await client.send(.post, "/v1/code").status == .badRequest)
        }
    }

    @Test("the node's status and a function's native view have the agreed fields")
    func statuses() async throws {
        try await GatewayHarness().routed { client async throws -> Void in
            let status = try object(try await client.send(.get, "/v1/status"))
            #expect(status["node"] as? String == "test")
            #expect(status["started"] as? String == "2023-11-14T22:13:20Z")
            #expect(status["uptimeSeconds"] as? Double == 90)
            #expect((status["capacity"] as? [String: String]) == ["cpu": "2", "memory": "2Gi"])
            #expect((status["reserved"] as? [String: String]) == ["cpu": "50m", "memory": "128Mi"])
            #expect(
                Set(status.keys) == [
                    "node", "version", "started", "uptimeSeconds", "capacity", "reserved", "replicas", "startingReplicas", "runningCalls",
                    "queuedCalls",
                    "functions", "isolation", "residentBytes",
                ])
            let function = try object(try await client.send(.get, "/v1/functions/echo"))
            #expect(
                Set(function.keys) == [
                    "name", "namespace", "contract", "revision", "timeout", "concurrency", "keepAlive", "min", "max", "network", "replicas",
                    "availableReplicas", "invocations", "queueDepth", "cpuSeconds", "memoryBytes", "problem",
                ])
            #expect(function["contract"] as? String == "fork")
            #expect(function["timeout"] as? String == "1m0s")
            #expect(function["keepAlive"] as? String == "10m0s")
            #expect(try await client.send(.get, "/v1/functions/nothing?namespace=x").status == .notFound)
        }
    }

    @Test("calls are listed by filter, and one is explained")
    func calls() async throws {
        let harness = try GatewayHarness()
        let record = CallRecord(
            id: CallID(1), label: "abc", function: try FunctionID(name: "echo"), node: "test",
            arrived: Instant(nanoseconds: 1_700_000_000_000_000_001),
            timing: CallTiming(queued: .microseconds(500), running: .milliseconds(2)), outcome: .timedOut, status: 504, cold: true,
            replica: ReplicaID(3),
            failureKind: "timed-out", message: "late", decisions: ["started r3"])
        harness.node.state.withLock { $0.records = [record] }
        try await harness.routed { client async throws -> Void in
            let uri = "/v1/calls?function=echo&namespace=openfaas-fn&outcome=timed-out&since=2023-11-14T22:13:20Z&limit=5"
            let list = try await client.send(.get, uri)
            let calls = try #require(try JSONSerialization.jsonObject(with: Data(list.body.readableBytesView)) as? [[String: Any]])
            let first = try #require(calls.first)
            #expect(first["id"] as? String == "abc")
            #expect(first["arrived"] as? String == "2023-11-14T22:13:20.000000001Z")
            #expect(first["queuedMs"] as? Double == 0.5)
            #expect(first["runningMs"] as? Double == 2)
            #expect(first["replica"] as? String == "r3")
            #expect(first["decisions"] == nil)
            let query = try #require(harness.node.state.withLock { $0.callQueries.first })
            #expect(query.limit == 5)
            #expect(query.outcome == .timedOut)
            #expect(query.since == Instant(nanoseconds: 1_700_000_000_000_000_000))
            let one = try object(try await client.send(.get, "/v1/calls/abc"))
            #expect(one["decisions"] as? [String] == ["started r3"])
            #expect(try await client.send(.get, "/v1/calls/unknown").status == .notFound)
            for query in ["outcome=good", "since=now", "limit=0", "limit=x", "limit=100001", "function=a%20b"] {
                #expect(try await client.send(.get, "/v1/calls?\(query)").status == .badRequest)
            }
        }
    }

    @Test("a call tells what harvesting did to it; lists leave out the single loans")
    func callHarvest() async throws {
        let harness = try GatewayHarness()
        var record = CallRecord(
            id: CallID(1), label: "abc", function: try FunctionID(name: "echo"), node: "test", arrived: .zero, timing: CallTiming(),
            outcome: .succeeded, status: 200, cold: false, replica: ReplicaID(3))
        record.harvest = CallHarvest(
            allocation: Resources(millicores: 1000, memoryBytes: 1 << 20), began: Resources(millicores: 300, memoryBytes: 1 << 19),
            expected: .init(millicores: 250, memoryBytes: nil, runMs: 40), peakMillicores: 200,
            cpu: HarvestTotals(lent: 0.7, safeguards: 1),
            movements: [.init(atMs: 0.5, kind: .cpu, amount: -700, peer: "def", peerFunction: "other.openfaas-fn", ended: nil)])
        harness.node.state.withLock { $0.records = [record] }
        try await harness.routed { client async throws -> Void in
            let one = try #require(try object(try await client.send(.get, "/v1/calls/abc"))["harvest"] as? [String: Any])
            #expect((one["began"] as? [String: Int])?["millicores"] == 300)
            #expect((one["expected"] as? [String: Double]) == ["millicores": 250, "runMs": 40])
            #expect(one["peakMillicores"] as? Int == 200 && one["peakMemoryBytes"] == nil)
            #expect((one["cpu"] as? [String: Double])?["lent"] == 0.7)
            let movement = try #require((one["movements"] as? [[String: Any]])?.first)
            #expect(movement["peer"] as? String == "def" && movement["amount"] as? Int == -700)
            let list = try await client.send(.get, "/v1/calls")
            let calls = try #require(try JSONSerialization.jsonObject(with: Data(list.body.readableBytesView)) as? [[String: Any]])
            let listed = try #require(calls.first?["harvest"] as? [String: Any])
            #expect(listed["movements"] == nil && (listed["cpu"] as? [String: Double])?["safeguards"] == 1)
        }
    }

    @Test("harvesting is told by a node that harvests, and another says how it is told to")
    func harvest() async throws {
        let harness = try GatewayHarness()
        try await harness.routed { client async throws -> Void in
            for path in ["/v1/harvest", "/v1/harvest/ledger", "/v1/harvest/profiles/echo"] {
                let refusal = try await client.send(.get, path)
                #expect(refusal.status == .conflict && refusal.text == "This node lends nothing between calls.")
            }
            harness.node.state.withLock { state in
                var report = HarvestReport(
                    admission: "allocation", calls: 2, cpu: .init(capacity: 2000, limits: 1500, lent: 500, idle: 500), memory: .init())
                report.loans = [
                    .init(
                        kind: .cpu, lender: HarvestParty(), borrower: HarvestParty(call: "abc", function: "echo.openfaas-fn"), amount: 500,
                        endsInMs: nil)
                ]
                state.harvest = report
                state.ledger.total.cpu.lent = 1.5
            }
            let now = try object(try await client.send(.get, "/v1/harvest"))
            let loan = try #require((now["loans"] as? [[String: Any]])?.first)
            #expect((loan["lender"] as? [String: String]) == [:] && (loan["borrower"] as? [String: String])?["call"] == "abc")
            #expect(loan["endsInMs"] == nil && (now["cpu"] as? [String: Int])?["idle"] == 500)
            let ledger = try object(try await client.send(.get, "/v1/harvest/ledger"))
            let total = try #require(ledger["total"] as? [String: Any])
            #expect((total["cpu"] as? [String: Double])?["lent"] == 1.5)
            #expect(try await client.send(.get, "/v1/harvest/profiles/echo?namespace=a%20b").status == .badRequest)
            #expect(try await client.send(.get, "/v1/harvest/profiles/nothing").status == .notFound)
        }
    }

    @Test("dead letters are listed, redriven and discarded, with ids of 64 bits kept exact")
    func queue() async throws {
        let harness = try GatewayHarness()
        let function = try FunctionID(name: "echo")
        let large: UInt64 = (1 << 63) + 1
        harness.node.state.withLock { state in
            state.dead = [1, 2, large].map { number in
                DeadLetter(id: CallID(number), label: "l\(number)", function: function, accepted: .zero, attempts: 3, lastFailure: "500")
            }
        }
        try await harness.routed { client async throws -> Void in
            #expect(try await client.send(.get, "/v1/queue").text == #"{"dead":3,"running":1,"waiting":0}"#)
            let list = try await client.send(.get, "/v1/queue/dead?limit=10").text
            #expect(list.contains("\"id\":\(large)"))
            #expect(try await client.send(.post, "/v1/queue/dead/redrive", "{\"ids\":[\(large)]}").text == #"{"redriven":1}"#)
            #expect(try await client.send(.post, "/v1/queue/dead/discard", "{\"ids\":[7]}").text == #"{"discarded":0}"#)
            #expect(try await client.send(.post, "/v1/queue/dead/discard", "{}").text == #"{"discarded":2}"#)
            #expect(try await client.send(.post, "/v1/queue/dead/redrive", "{\"ids\":[\"x\"]}").status == .badRequest)
            #expect(try await client.send(.post, "/v1/queue/dead/redrive", "{\"ids\":").status == .badRequest)
        }
    }
}
