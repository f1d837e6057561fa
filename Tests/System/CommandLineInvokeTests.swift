// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import NIOCore
import NIOHTTP1
import SystemPackage
import Testing

@testable import brume

@Suite("brume invoke")
struct CommandLineInvokeTests {
    private static let timing = [
        ("x-call-id", "abc-1"), ("x-duration-seconds", "0.0123"), ("x-brume-start", "cold"), ("x-brume-queued-ms", "0"),
        ("x-brume-starting-ms", "8.123"), ("x-brume-running-ms", "3.9"), ("x-brume-replica", "r12"),
    ]

    /// A function that answers what it is asked.
    private let echo: CommandLineServer.Script = { request in
        guard request.path.hasPrefix("/function/echo") else { return .init(.notFound, "There is no function nope.") }
        var reply = CommandLineServer.Reply(.ok, headers: CommandLineInvokeTests.timing)
        reply.chunks = ["\(request.method) \(request.uri) ", request.text]
        return reply
    }

    @Test("standard input is the body and the reply is standard output, unchanged")
    func standardInput() async throws {
        try await CommandLineServer.run(echo) { server in
            let outcome = try await CommandLineProgram.run(["invoke", "echo"], at: server, input: "hello\n\n")
            #expect(outcome.exitCode == 0)
            #expect(outcome.output == "POST /function/echo hello\n\n")
            #expect(outcome.complaint.isEmpty)
            let request = try #require(server.requests.first)
            #expect(request.headers.first(name: "content-length") == "7")
            #expect(request.headers.first(name: "content-type") == "text/plain")
            #expect(request.headers.first(name: "authorization") == nil, "credentials are for the node, not for functions")
        }
    }

    @Test("a long body is streamed whole")
    func longBody() async throws {
        let body = String(repeating: "0123456789abcdef", count: 64 << 10)
        try await CommandLineServer.run(echo) { server in
            let outcome = try await CommandLineProgram.run(["invoke", "echo"], at: server, input: body)
            #expect(outcome.exitCode == 0)
            #expect(outcome.output == "POST /function/echo " + body)
            #expect(server.requests.first?.headers.first(name: "transfer-encoding") == "chunked")
        }
    }

    @Test("method, path, query, headers and a body from the command line arrive")
    func request() async throws {
        try await CommandLineServer.run(echo) { server in
            let outcome = try await CommandLineProgram.run(
                [
                    "invoke", "echo", "-n", "team-a", "-d", "text", "--method", "put", "--path", "a/b", "--query", "x=1 2", "--query", "y",
                    "-H",
                    "X-One: 1", "-H", "Content-Type: application/json",
                ], at: server, input: "not this")
            #expect(outcome.output == "PUT /function/echo.team-a/a/b?x=1%202&y text")
            let headers = try #require(server.requests.first).headers
            #expect(headers.first(name: "x-one") == "1")
            #expect(headers["content-type"] == ["application/json"])
        }
    }

    @Test("a file is the body")
    func file() async throws {
        try await withTemporaryDirectory { root in
            try write("from a file", to: "\(root)/body")
            try await CommandLineServer.run(echo) { server in
                let outcome = try await CommandLineProgram.run(["invoke", "echo", "--file", "\(root)/body"], at: server)
                #expect(outcome.output == "POST /function/echo from a file")
                #expect(server.requests.first?.headers.first(name: "content-length") == "11")
            }
        }
    }

    @Test("-v says on standard error where the time went")
    func verbose() async throws {
        try await CommandLineServer.run(echo) { server in
            let outcome = try await CommandLineProgram.run(["invoke", "echo", "-d", "x", "-v"], at: server)
            #expect(outcome.output == "POST /function/echo x")
            let line = try #require(outcome.complaint.split(separator: "\n").first)
            #expect(line.hasPrefix("200 in "))
            #expect(line.hasSuffix(": queued 0 ms, starting 8.12 ms, running 3.90 ms; cold, replica r12, call abc-1"))
        }
    }

    @Test("--async prints the call's id and passes the callback on")
    func asynchronous() async throws {
        let script: CommandLineServer.Script = { request in
            request.path == "/async-function/report" ? .init(.accepted, headers: [("x-call-id", "call-7")]) : nil
        }
        try await CommandLineServer.run(script) { server in
            let outcome = try await CommandLineProgram.run(
                ["invoke", "report", "-d", "x", "--async", "--callback", "http://127.0.0.1:9/done"], at: server)
            #expect(outcome.exitCode == 0)
            #expect(outcome.output == "call-7\n")
            #expect(server.requests.first?.headers.first(name: "x-callback-url") == "http://127.0.0.1:9/done")
        }
    }

    @Test("a function's own bad status goes through unchanged and ends with 1")
    func functionFailed() async throws {
        let script: CommandLineServer.Script = { _ in
            .init(.internalServerError, "oh no\nmore\n", headers: CommandLineInvokeTests.timing + [("x-brume-failure", "exited")])
        }
        try await CommandLineServer.run(script) { server in
            let outcome = try await CommandLineProgram.run(["invoke", "f", "-d", "x", "-v"], at: server)
            #expect(outcome.exitCode == 1)
            #expect(outcome.output == "oh no\nmore\n")
            #expect(outcome.complaint.hasPrefix("500 in "))
            #expect(outcome.complaint.hasSuffix("\nbrume: f answered with status 500 (exited).\n"))
        }
    }

    @Test("what the platform says is a sentence on standard error, not output", arguments: [404, 413, 429, 503])
    func platformFailed(status: Int) async throws {
        let script: CommandLineServer.Script = { _ in .init(.init(statusCode: status), "The queue of f is full; try again in 1 s.") }
        try await CommandLineServer.run(script) { server in
            let outcome = try await CommandLineProgram.run(["invoke", "f", "-d", "x"], at: server)
            #expect(outcome.exitCode == 1)
            #expect(outcome.output.isEmpty)
            #expect(outcome.complaint == "brume: The queue of f is full; try again in 1 s.\n")
        }
    }

    @Test(
        "where a call failed before the function had answered, the sentence is no output",
        arguments: [("timed-out", 504), ("crashed", 500)])
    func callFailed(kind: String, status: Int) async throws {
        let script: CommandLineServer.Script = { _ in
            let headers = CommandLineInvokeTests.timing + [("x-brume-failure", kind)]
            return .init(.init(statusCode: status), "The function is gone.", headers: headers)
        }
        try await CommandLineServer.run(script) { server in
            let outcome = try await CommandLineProgram.run(["invoke", "f", "-d", "x"], at: server)
            #expect(outcome.exitCode == 1)
            #expect(outcome.output.isEmpty)
            #expect(outcome.complaint == "brume: The function is gone.\n")
        }
    }

    @Test("a reply that breaks off is a failure after what came")
    func brokenOff() async throws {
        let script: CommandLineServer.Script = { _ in
            var reply = CommandLineServer.Reply(.ok, "begin", headers: CommandLineInvokeTests.timing)
            reply.breaksOff = true
            return reply
        }
        try await CommandLineServer.run(script) { server in
            let outcome = try await CommandLineProgram.run(["invoke", "f", "-d", "x"], at: server)
            #expect(outcome.exitCode == 1)
            #expect(outcome.output == "begin")
            #expect(outcome.complaint.hasPrefix("brume: The reply of f broke off: "))
        }
    }

    @Test("a node that answers before it has read a large body is heard")
    func earlyAnswer() async throws {
        let script: CommandLineServer.Script = { _ in
            .init(.payloadTooLarge, "The body is larger than 16 MiB.", headers: [("connection", "close")])
        }
        try await CommandLineServer.run(answersAtHead: true, script) { server in
            let body = String(repeating: "x", count: 8 << 20)
            let outcome = try await CommandLineProgram.run(["invoke", "f"], at: server, input: body)
            #expect(outcome.exitCode == 1)
            #expect(outcome.complaint == "brume: The body is larger than 16 MiB.\n")
        }
    }

    @Test("a node that hangs up is not said to be missing")
    func hungUp() async throws {
        let script: CommandLineServer.Script = { _ in
            var reply = CommandLineServer.Reply(.ok)
            reply.saysNothing = true
            return reply
        }
        try await CommandLineServer.run(script) { server in
            let outcome = try await CommandLineProgram.run(["invoke", "f", "-d", "x"], at: server)
            #expect(outcome.exitCode == 1)
            #expect(outcome.complaint == "brume: The node at \(server.url) closed the connection before it answered; its log says why.\n")
        }
    }

    @Test("what a slow writer has written is taken before it has finished", arguments: [true, false])
    func slowWriter(finishes: Bool) async throws {
        let pipe = try Descriptor.pipe()
        defer { try? pipe.readEnd.close() }
        try pipe.writeEnd.writeAll("abc".utf8)
        if finishes { try pipe.writeEnd.close() }
        defer { if !finishes { try? pipe.writeEnd.close() } }
        let (head, isWhole) = try await InputBytes.readAhead(pipe.readEnd)
        #expect(String(buffer: head) == "abc")
        #expect(isWhole == finishes)
    }

    @Test("a slow call says in one plain line that it waits, unless it must be quiet")
    func progress() async throws {
        let script: CommandLineServer.Script = { _ in
            var reply = CommandLineServer.Reply(.ok, "done", headers: CommandLineInvokeTests.timing)
            reply.delay = .milliseconds(1500)
            return reply
        }
        try await CommandLineServer.run(script) { server in
            let outcome = try await CommandLineProgram.run(["invoke", "f", "-d", "x"], at: server)
            #expect(outcome.output == "done")
            #expect(outcome.complaint == "Calling f ...\n")
            #expect(try await CommandLineProgram.run(["invoke", "f", "-d", "x", "-q"], at: server).complaint.isEmpty)
        }
    }

    @Test(
        "wrong words end with 2",
        arguments: [
            (["f", "-d", "x", "--file", "y"], "-d and --file both say what the body is"),
            (["f", "--file", "/nonexistent"], "There is no file /nonexistent for the body"),
            (["f", "--file", "/usr"], "/usr is not a file."),
            (["f", "-d", "x", "-H", "nonsense"], "-H takes 'Name: value', not 'nonsense'."),
            (["f", "-d", "x", "--callback", "http://x"], "add --async."),
            (["f", "-d", "x", "--path", "/a?b"], "--path takes a path without '?'"),
            (["-bad-", "-d", "x"], ""), (["a/b", "-d", "x"], "The function name 'a/b' is not valid"),
            ([], "Missing expected argument '<name>'"),
        ])
    func wrongWords(arguments: [String], sentence: String) async throws {
        let outcome = try await CommandLineProgram.run(["invoke"] + arguments, environment: ["BRUME_URL": "http://127.0.0.1:1"])
        #expect(outcome.exitCode == 2)
        #expect(outcome.complaint.hasPrefix("brume: "))
        #expect(outcome.complaint.contains(sentence), "\(outcome.complaint)")
    }
}
