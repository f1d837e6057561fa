// SPDX-License-Identifier: Apache-2.0

import BrumeGateway
import BrumeModel
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

/// `/function/*` over a real connection.
struct FunctionCallTests {
    @Test("a reply carries the id, the timings and the function's own fields", .timeLimit(.minutes(1)))
    func replyFields() async throws {
        try await GatewayHarness().live { client async throws -> Void in
            let response = try await client.call("/function/echo/a/b?x=1&y=2", body: "hello")
            #expect(response.status == .ok)
            #expect(response.text == "hello")
            #expect(response.field("X-Path") == "/a/b")
            #expect(response.field("X-Query") == "x=1&y=2")
            #expect(response.field("X-Body") == "whole")
            #expect(response.field("X-Call-Id")?.count == 36)
            #expect(response.field("X-Brume-Start") == "warm")
            #expect(response.field("X-Brume-Queued-Ms") == "0.012")
            #expect(response.field("X-Brume-Starting-Ms") == "0.000")
            #expect(response.field("X-Brume-Running-Ms") == "0.345")
            #expect(response.field("X-Brume-Replica") == "r7")
            #expect(response.field("X-Served-By") == "brume/9.9")
            #expect(response.field("Content-Length") == "5")
            #expect(response.field("Date")?.hasSuffix(" GMT") == true)
            #expect(response.field("X-Brume-Failure") == nil)
            let seconds = try #require(response.field("X-Duration-Seconds").flatMap(Double.init))
            #expect(seconds > 0 && seconds < 30)
        }
    }

    @Test("the function sees the caller's fields without those of the connection, and the gateway's own", .timeLimit(.minutes(1)))
    func requestFields() async throws {
        let harness = try GatewayHarness()
        try await harness.live { client async throws -> Void in
            let headers: HTTPFields = [
                .accept: "text/plain", .named("X-Call-Id"): "my-id", .named("X-Hop"): "1", .named("TE"): "trailers",
                .named("X-Timeout"): "1500ms", .named("X-Start-Time"): "forged", .authorization: "Bearer for-the-function",
            ]
            let response = try await client.call("/function/echo", method: .put, headers: headers, body: "x")
            #expect(response.field("X-Call-Id") == "my-id")
        }
        let request = try #require(harness.node.state.withLock { $0.requests.first })
        func values(_ name: String) -> [String] { request.headers.filter { $0.name.lowercased() == name }.map(\.value) }
        #expect(request.method == "PUT")
        #expect(request.path == "/")
        #expect(request.query == "")
        #expect(request.label == "my-id")
        #expect(request.timeout == .milliseconds(1500))
        #expect(values("x-call-id") == ["my-id"])
        #expect(values("accept") == ["text/plain"])
        #expect(values("authorization") == ["Bearer for-the-function"])
        #expect(values("te").isEmpty)
        #expect(values("connection").isEmpty)
        #expect(values("host") == ["localhost"])
        #expect(values("x-forwarded-host") == ["localhost"])
        #expect(["127.0.0.1", "::1"].contains(values("x-forwarded-for").joined()))
        let start = try #require(values("x-start-time").first.flatMap { Int64($0) })
        #expect(start > 1_600_000_000_000_000_000)
    }

    @Test("hop-by-hop and forged fields of a reply are dropped, repeated ones kept", .timeLimit(.minutes(1)))
    func replyFiltering() async throws {
        try await GatewayHarness(functions: ["headers"]).live { client async throws -> Void in
            let response = try await client.call("/function/headers", method: .get)
            #expect(response.status == .created)
            #expect(response.text == "ok")
            #expect(response.field("Content-Type") == "text/x-test")
            #expect(response.fields("Set-Cookie") == ["a=1", "b=2"])
            for name in ["X-Private", "Keep-Alive", "Transfer-Encoding", "X-Split", "X-Injected"] { #expect(response.field(name) == nil) }
            #expect(response.fields("X-Call-Id").count == 1)
            #expect(response.field("X-Call-Id") != "forged")
            #expect(response.fields("X-Brume-Start") == ["warm"])
        }
    }

    @Test(
        "a refusal or a failure has its status, its sentence and its fields", .timeLimit(.minutes(1)),
        arguments: [
            ("unknown", 404, "unknown-function", nil), ("full", 429, "queue-full", "3"), ("huge", 503, "never-fits", nil),
            ("broken", 503, "start-failed", nil), ("draining", 503, "stopped", "1"),
            ("timeout", 504, "timed-out", nil), ("oom", 500, "out-of-memory", nil), ("lambda", 500, "handler-error", nil),
        ] as [(String, Int, String?, String?)])
    func failures(name: String, status: Int, failure: String?, retryAfter: String?) async throws {
        let functions = ["full", "huge", "broken", "draining", "timeout", "oom", "lambda"]
        try await GatewayHarness(functions: functions).live { client async throws -> Void in
            let response = try await client.call("/function/\(name)", body: "x")
            #expect(response.status.code == status)
            #expect(response.field("X-Brume-Failure") == failure)
            #expect(response.field("Retry-After") == retryAfter)
            #expect(response.field("X-Call-Id")?.count == 36)
            #expect(response.field("X-Duration-Seconds") != nil)
            if name != "lambda" {
                #expect(response.field("Content-Type") == "text/plain; charset=utf-8")
                #expect(response.text.hasSuffix(".") && response.text.count > 10)
            }
        }
    }

    @Test(
        "a bad name or a bad time limit is refused before it becomes a call", .timeLimit(.minutes(1)),
        arguments: [
            ("/function/", 404), ("/function/a%20b", 400), ("/function/-x", 400), ("/function/a..b", 400), ("/function/echo?", 200),
        ])
    func badNames(uri: String, status: Int) async throws {
        let harness = try GatewayHarness()
        try await harness.live { client async throws -> Void in
            #expect(try await client.call(uri, body: "x").status.code == status)
            // The connection goes on.
            #expect(try await client.call("/function/echo", body: "y").text == "y")
            for path in ["/function/echo", "/async-function/echo"] {
                let refused = try await client.call(path, headers: [.named("X-Timeout"): "soon"], body: "z")
                #expect(refused.status == .badRequest)
                #expect(refused.field("X-Brume-Failure") == "invalid")
            }
        }
    }

    @Test("an asynchronous call that is refused says why in a word too", .timeLimit(.minutes(1)))
    func asynchronousRefusals() async throws {
        try await GatewayHarness(functions: ["full"], bodyBytesMax: 100).live { client async throws -> Void in
            let words = [
                ("/async-function/unknown", "x", "unknown-function"), ("/async-function/full", "x", "queue-full"),
                ("/async-function/a..b", "x", "invalid"), ("/async-function/full", String(repeating: "x", count: 101), "too-large"),
            ]
            for (path, body, word) in words {
                #expect(try await client.call(path, body: body).field("X-Brume-Failure") == word, "\(path)")
            }
        }
    }

    @Test("every method reaches a function, and HEAD and 204 have no body", .timeLimit(.minutes(1)))
    func methods() async throws {
        let harness = try GatewayHarness(functions: ["echo", "empty"])
        try await harness.live { client async throws -> Void in
            for method in [HTTPRequest.Method.get, .post, .put, .patch, .delete, .options] {
                #expect(try await client.call("/function/echo", method: method, body: "x").text == "x")
            }
            let head = try await client.call("/function/echo", method: .head)
            #expect(head.status == .ok)
            let empty = try await client.call("/function/empty")
            #expect(empty.status == .noContent)
            #expect(empty.field("Content-Length") == nil)
            #expect(try await client.call("/function/echo", body: "after").text == "after")
        }
        #expect(
            harness.node.state.withLock { $0.requests.map(\.method) } == [
                "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "POST", "POST",
            ])
    }

    @Test("a large body goes through as a stream, both ways", .timeLimit(.minutes(1)))
    func largeBody() async throws {
        try await GatewayHarness().live { client async throws -> Void in
            let text = String(repeating: "0123456789abcdef", count: 64 << 10)
            let response = try await client.call("/function/echo", body: text)
            #expect(response.field("X-Body") == "stream")
            #expect(response.text == text)
            let small = try await client.call("/function/echo", body: "small")
            #expect(small.field("X-Body") == "whole")
            #expect(small.text == "small")
        }
    }

    @Test("a streamed reply arrives in full, and the connection goes on", .timeLimit(.minutes(1)))
    func streamedReply() async throws {
        try await GatewayHarness(functions: ["stream", "echo"]).live { client async throws -> Void in
            for _ in 0..<3 {
                let response = try await client.call("/function/stream")
                #expect(response.text == "part0;part1;part2;")
                #expect(response.field("Transfer-Encoding") == "chunked")
                #expect(try await client.call("/function/echo", body: "x").text == "x")
            }
        }
    }

    @Test("routed requests and calls share a connection in any order", .timeLimit(.minutes(1)))
    func mixed() async throws {
        try await GatewayHarness().live { client async throws -> Void in
            for number in 0..<5 {
                #expect(try await client.send(.get, "/system/functions").status == .ok)
                #expect(try await client.call("/function/echo", body: "\(number)").text == "\(number)")
                #expect(try await client.call("/healthz", method: .get).text == "OK")
            }
        }
    }

    @Test("a browser of an allowed origin may call and read, another may not", .timeLimit(.minutes(1)))
    func cors() async throws {
        let origin = "https://app.example"
        try await GatewayHarness(corsOrigins: [origin]).live { client async throws -> Void in
            let asks: HTTPFields = [.origin: origin, .accessControlRequestMethod: "POST"]
            for path in ["/function/echo", "/system/functions"] {
                let preflight = try await client.call(path, method: .options, headers: asks)
                #expect(preflight.status == .noContent)
                #expect(preflight.field("Access-Control-Allow-Origin") == origin)
                #expect(preflight.field("Access-Control-Allow-Methods")?.contains("POST") == true)
            }
            let called = try await client.call("/function/echo", headers: [.origin: origin], body: "x")
            #expect(called.field("Access-Control-Allow-Origin") == origin)
            #expect(called.field("Vary") == "Origin")
            let other = try await client.call("/function/echo", headers: [.origin: "https://evil.example"], body: "x")
            #expect(other.field("Access-Control-Allow-Origin") == nil)
            let refused = try await client.call(
                "/system/functions", method: .options, headers: [.origin: "https://evil.example", .accessControlRequestMethod: "POST"])
            #expect(refused.field("Access-Control-Allow-Origin") == nil)
        }
        try await GatewayHarness(corsOrigins: ["*"]).live { client async throws -> Void in
            #expect(try await client.call("/healthz", method: .get, headers: [.origin: origin]).field("Access-Control-Allow-Origin") == "*")
        }
        try await GatewayHarness().live { client async throws -> Void in
            #expect(try await client.call("/function/echo", headers: [.origin: origin]).field("Access-Control-Allow-Origin") == nil)
        }
    }
}
