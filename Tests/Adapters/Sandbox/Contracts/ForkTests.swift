// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import Testing

@testable import BrumeSandbox

@Suite("The fork contract keeps to the classic watchdog")
struct ForkTests {
    struct Fact: Sendable, CustomTestStringConvertible {
        var name: String
        var command: [String] = ["cat"]
        var environment: [String: String] = [:]
        var method = "POST"
        var path = "/"
        var query = ""
        var headers: [(String, String)] = []
        var body = ""
        var status = 200
        var text: String?
        var contains: [String] = []
        var lacks: [String] = []
        var type: String?
        var failure: CallFailure.Kind?

        var testDescription: String { name }
    }

    static let facts: [Fact] = [
        Fact(name: "the body goes to stdin, stdout is the reply", body: "hello", text: "hello"),
        Fact(name: "an empty body is an empty stdin", text: ""),
        Fact(
            name: "the reply has the caller's content type", headers: [("content-type", "image/png")], body: "x", text: "x",
            type: "image/png"),
        Fact(
            name: "content_type wins over the caller's", environment: ["content_type": "text/x"], headers: [("Content-Type", "image/png")],
            body: "x", type: "text/x"),
        Fact(name: "text without any type is text/plain", body: "plain", type: "text/plain; charset=utf-8"),
        Fact(name: "bytes without any type are an octet stream", body: "a\u{1}b", type: "application/octet-stream"),
        Fact(
            name: "headers become Http_ variables in canonical case", command: ["env"],
            headers: [("x-my-HEADER", "1"), ("x-my-header", "2")],
            contains: ["Http_X_My_Header=1\n"], lacks: ["=2\n"]),
        Fact(
            name: "method, path, query, host and length are there", command: ["env"], method: "PUT", path: "/a%20b/c", query: "x=1&y=2",
            headers: [("Host", "example.com")], body: "12345",
            contains: [
                "Http_Method=PUT\n", "Http_Path=/a b/c\n", "Http_Query=x=1&y=2\n", "Http_Host=example.com\n", "Http_ContentLength=5\n",
                "Http_Content_Length=5\n",
            ], lacks: ["Http_Transfer_Encoding"]),
        Fact(
            name: "cgi_headers=false leaves them out", command: ["env"], environment: ["cgi_headers": "false", "MINE": "here"],
            contains: ["MINE=here\n"], lacks: ["Http_"]),
        Fact(name: "the node's own environment is not seen", command: ["env"], contains: ["fprocess=env\n"], lacks: ["USER=", "SWIFT"]),
        Fact(
            name: "a non-zero exit is 500 with the error, a newline and the output", command: ["sh", "-c", "printf out; exit 3"],
            status: 500,
            text: "exit status 3\nout", type: "text/plain; charset=utf-8", failure: .exited),
        Fact(name: "a signal is named", command: ["sh", "-c", "kill -9 $$"], status: 500, text: "signal: killed\n", failure: .crashed),
        Fact(
            name: "an unknown program is said as Go says it", command: ["no-such-program"], status: 500,
            text: "exec: \"no-such-program\": executable file not found in $PATH\n", failure: .exited),
        Fact(
            name: "an unknown path is said as Go says it", command: ["/no/such"], status: 500,
            text: "fork/exec /no/such: no such file or directory\n", failure: .exited),
        Fact(name: "stderr is part of the reply by default", command: ["sh", "-c", "printf a; printf b >&2"], text: "ab"),
        Fact(
            name: "combine_output=false keeps stderr out", command: ["sh", "-c", "printf a; printf b >&2"],
            environment: ["combine_output": "false"], text: "a"),
        Fact(
            name: "exec_timeout kills", command: ["sh", "-c", "sleep 30"], environment: ["exec_timeout": "100ms"], status: 408,
            text: "Killed process.\n", failure: .timedOut),
        Fact(
            name: "marshal_request wraps body and headers", environment: ["marshal_request": "true"], headers: [("x-a", "\"q\"")],
            body: "hello",
            contains: ["\"body\":{\"raw\":\"aGVsbG8=\"}}", "\"X-A\":[\"\\\"q\\\"\"]", "{\"header\":{"]),
        Fact(name: "GET works", method: "GET", text: ""),
        Fact(name: "PATCH works", method: "PATCH", body: "p", text: "p"),
        Fact(name: "DELETE works", method: "DELETE", text: ""),
        Fact(name: "OPTIONS is 405", method: "OPTIONS", status: 405, text: ""),
        Fact(name: "HEAD is 405", method: "HEAD", status: 405, text: ""),
        Fact(name: "an own method is 405", method: "BREW", status: 405, text: ""),
        Fact(name: "a program may ignore its input", command: ["echo", "hi"], body: String(repeating: "x", count: 300_000), text: "hi\n"),
    ]

    @Test("Each fact of the contract holds", arguments: facts)
    func holds(_ fact: Fact) async throws {
        let replica = try await Fixture.fork(fact.command, environment: fact.environment)
        // Twice, because the second call meets a used connection.
        for _ in 0..<2 {
            let answer = await replica.call(fact.body, method: fact.method, path: fact.path, query: fact.query, headers: fact.headers)
            #expect(answer.status == fact.status)
            if let text = fact.text { #expect(answer.text == text) }
            if let type = fact.type { #expect(answer["content-type"] == type) }
            for part in fact.contains { #expect(answer.text.contains(part), "\(answer.text) lacks \(part)") }
            for part in fact.lacks { #expect(!answer.text.contains(part), "\(answer.text) has \(part)") }
            #expect(answer.failure?.kind == fact.failure)
            #expect((answer["x-duration-seconds"] != nil) == (fact.status == 200))
            #expect(answer["brume-failure"] == nil)
        }
    }

    @Test("stderr goes to the log where it is not combined")
    func stderrToLog() async throws {
        let replica = try await Fixture.fork(["sh", "-c", "echo noise >&2"], environment: ["combine_output": "false"])
        _ = await replica.call()
        replica.terminate()
        await replica.ended()
        #expect(replica.log.all.contains("noise"))
    }

    @Test("Several calls run at the same time when the concurrency allows it")
    func concurrency() async throws {
        let replica = try await Fixture.fork(["sh", "-c", "sleep 1; cat"], concurrency: 8)
        let start = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<8 { group.addTask { #expect(await replica.call("\(number)").text == "\(number)") } }
        }
        #expect(ContinuousClock.now - start < .seconds(6), "eight calls of 1 s took as long as one after the other")
    }

    @Test("More than max_inflight calls are told 429")
    func inflight() async throws {
        let replica = try await Fixture.fork(["sh", "-c", "sleep 0.5"], concurrency: 2, environment: ["max_inflight": "1"])
        async let first = replica.call()
        async let second = replica.call()
        let statuses = await [first.status, second.status].sorted()
        #expect(statuses == [200, 429])
    }

    @Test("Cancelling a call kills its whole process group, and the slot is free afterwards")
    func cancel() async throws {
        let directory = try TestDirectory.make()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let pids = directory + "/pids"
        try Data().write(to: URL(fileURLWithPath: pids))
        let script =
            "read word; if [ \"$word\" = quick ]; then echo fine; exit; fi; sleep 60 & echo $$ $! > \(pids).new; mv \(pids).new \(pids); wait"
        let replica = try await Fixture.fork(["sh", "-c", script])
        let (ids, id) = AsyncStream.makeStream(of: CallID.self)
        async let answer = replica.call("slow\n") { id.yield($0) }
        for await id in ids {
            try await FileWatch.waitForContent(pids)
            replica.channel.cancel(id)
            break
        }
        #expect(await answer.failure?.kind == .abandoned)
        let numbers = try String(contentsOfFile: pids, encoding: .utf8).split { $0 == " " || $0 == "\n" }.compactMap { Int32($0) }
        #expect(numbers.count == 2)
        for number in numbers { #expect(ProcessState.isGone(number), "process \(number) outlived its cancelled call") }
        #expect(await replica.call("quick\n").text == "fine\n")
    }

    @Test("200 MB stream through in both directions without being gathered")
    func largeBodies() async throws {
        let replica = try await Fixture.fork(["cat"])
        let piece = ByteBuffer(repeating: 7, count: 1 << 20)
        let before = ProcessState.residentBytes()
        let counter = ByteCount()
        let answer = await replica.call(body: .stream(Pieces(piece, count: 200)), counting: counter)
        #expect(answer.status == 200)
        #expect(answer.wasStreamed)
        #expect(counter.value == 200 << 20)
        #expect(ProcessState.residentBytes() - before < 96 << 20, "the body was gathered in memory")
        #expect(await replica.call("after").text == "after")
    }

    @Test("An exit after the reply began ends the stream with the failure")
    func lateExit() async throws {
        let replica = try await Fixture.fork(["sh", "-c", "head -c 3000000 /dev/zero; exit 4"])
        let answer = await replica.call()
        #expect(answer.wasStreamed)
        #expect(answer.failure == CallFailure(.exited, "exit status 4"))
        #expect(answer.end == answer.failure)
    }

    @Test("Endless output ends with outputLimit, and the slot is free afterwards")
    func endlessOutput() async throws {
        let replica = try await Fixture.fork(["sh", "-c", "read w; [ \"$w\" = yes ] && exec yes; echo $w"]) { $0.replyBytesMax = 20 << 20 }
        #expect(await replica.call("yes\n", keep: false).failure?.kind == .outputLimit)
        #expect(await replica.call("no\n").text == "no\n")
    }

    @Test("The death of the agent fails its calls with the cause")
    func agentDies() async throws {
        let spec = try Fixture.spec(.fork(command: ["sleep", "30"]))
        let cause = CallFailure(.outOfMemory, "It used more than its 128 MiB.")
        let replica = try await PlainReplica(
            Fixture.channels { $0.causeGrace = .seconds(30) }.makeChannel(for: spec, replica: ReplicaID(1)), failure: cause)
        async let answer = replica.call { _ in replica.kill() }
        #expect(await answer.failure == cause)
        #expect(await answer.end == cause)
        #expect(await replica.call().failure?.kind == .unsent, "a call that never left may go elsewhere")
    }

    @Test("A call that a stopped agent never read is unsent, so that it may go to another replica")
    func unread() async throws {
        let replica = try await Fixture.fork(["cat"])
        #expect(await replica.call("warm").text == "warm")
        // Stopped it reads nothing; killed it leaves the request unread.
        kill(replica.identifier, SIGSTOP)
        let answer = await replica.call("lost") { _ in replica.kill() }
        #expect(answer.failure?.kind == .unsent)
        #expect(answer.end?.kind == .unsent)
    }

    @Test("SIGTERM lets the running call finish")
    func drain() async throws {
        let directory = try TestDirectory.make()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let mark = directory + "/mark"
        try Data().write(to: URL(fileURLWithPath: mark))
        let replica = try await Fixture.fork(["sh", "-c", "echo x > \(mark); sleep 0.3; echo done"])
        async let answer = replica.call()
        try await FileWatch.waitForContent(mark)
        replica.terminate()
        #expect(await answer.text == "done\n")
        await replica.ended()
    }
}
