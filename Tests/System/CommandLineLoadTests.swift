// SPDX-License-Identifier: Apache-2.0
import BrumeWorkload
import FoundationEssentials
import NIOHTTP1
import Subprocess
import SystemPackage
import Testing

@testable import brume

@Suite("brume load")
struct CommandLineLoadTests {
    private static let phases = [
        ("x-call-id", "abc-1"), ("x-brume-start", "warm"), ("x-brume-queued-ms", "0.5"), ("x-brume-starting-ms", "0"),
        ("x-brume-running-ms", "3.25"),
    ]

    /// A node with two functions, of which one answers and one is busy.
    private let node: CommandLineServer.Script = { request in
        switch request.path {
        case "/system/functions": .json(#"[{"name": "merge-sort"}, {"name": "busy"}]"#)
        case "/function/merge-sort": .init(.ok, "{}", headers: Self.phases)
        case "/function/busy": .init(.tooManyRequests, "busy", headers: [("x-brume-failure", "overloaded")])
        default: nil
        }
    }

    private let trace = """
        at_ms,function,input_size,parallel
        0,merge-sort,4000,2
        40,merge-sort,17,
        80,busy,,1

        """

    private func calls(_ server: CommandLineServer) -> [CommandLineServer.Request] { server.requests.filter { $0.method == "POST" } }

    @Test("a trace is played: bodies arrive, every call has a line, the summary counts what failed and why")
    func played() async throws {
        try await withTemporaryDirectory { root in
            try write(trace, to: "\(root)/trace.csv")
            try await CommandLineServer.run(node) { server in
                let outcome = try await CommandLineProgram.run(
                    ["load", "--trace", "\(root)/trace.csv", "--csv", "\(root)/calls.csv", "-q"], at: server)
                #expect(outcome.exitCode == 0, "\(outcome.complaint)")
                #expect(outcome.complaint.isEmpty)
                #expect(calls(server).map(\.text) == [#"{"size": 4000, "parallel": 2}"#, #"{"size": 17}"#, #"{"parallel": 1}"#])
                #expect(calls(server).allSatisfy { $0.headers.first(name: "content-type") == "application/json" })
                #expect(calls(server).allSatisfy { $0.headers.first(name: "authorization") == nil }, "credentials are not for functions")
                let lines = outcome.output.split(separator: "\n").map { $0.split(separator: " ", omittingEmptySubsequences: true) }
                #expect(lines[0].prefix(4) == ["FUNCTION", "CALLS", "FAILED", "COLD"])
                #expect(lines[1].prefix(4) == ["all", "3", "1", "0"])
                #expect(lines[2].prefix(3) == ["merge-sort", "2", "0"])
                #expect(lines[3].prefix(5) == ["busy", "1", "1", "0", "-"])
                #expect(outcome.output.contains("failed: 1 call overloaded, status 429"))
                try expectRecords("\(root)/calls.csv")
            }
        }
    }

    private func expectRecords(_ path: String) throws {
        let data = try #require(FileManager.default.contents(atPath: path))
        let rows = String(decoding: data, as: UTF8.self).split(separator: "\n").map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        #expect(rows.count == 4)
        #expect(rows[0].joined(separator: ",") == ReplayRecord.header)
        let records = rows.dropFirst().map { Dictionary(zip(rows[0], $0)) { first, _ in first } }
        #expect(records.map { $0["function_id"] } == ["merge-sort", "merge-sort", "busy"])
        #expect(records.map { $0["success"] } == ["1", "1", "0"])
        #expect(records.map { $0["status"] } == ["200", "200", "429"])
        #expect(records.map { $0["due_ms"] } == ["0", "40", "80"])
        #expect(records[0]["request_id"] == "abc-1")
        #expect(records[0]["duration"] == "0.00325")
        #expect(records[0]["queued_ms"] == "0.5")
        #expect(records[0]["cold"] == "0")
        #expect(records[2]["failure"] == "overloaded")
        #expect(records.allSatisfy { ($0["completion_time"].flatMap(Double.init) ?? 0) > 0 })
    }

    @Test("while a trace is played a terminal shows how far it is, and a file gets plain lines")
    func progress() async throws {
        try await withTemporaryDirectory { root in
            try write("at_ms,function\n0,merge-sort\n900,merge-sort\n1800,busy\n", to: "\(root)/trace.csv")
            try await CommandLineServer.run(node) { server in
                let words = ["load", "--trace", "\(root)/trace.csv"]
                let seen = try await Subprocess.run(
                    .name("script"), arguments: ["-qec", ([try CommandLineProgram.path] + words).joined(separator: " "), "/dev/null"],
                    environment: .custom([
                        "PATH": "/usr/bin:/bin", "TERM": "xterm", "BRUME_URL": server.url, "BRUME_USER": "\(CommandLineServer.user)",
                        "BRUME_PASSWORD": "\(CommandLineServer.password)",
                    ]), output: .string(limit: 1 << 20)
                ).standardOutput
                #expect(seen.contains("of 3 calls answered") && seen.contains("\r\u{1B}[K"), "\(seen)")
                let file = try await CommandLineProgram.run(words, at: server)
                #expect(!file.complaint.contains("\u{1B}") && !file.complaint.contains("\r"), "\(file.complaint)")
            }
        }
    }

    @Test("a trace from standard input is made faster, cut, and sent to other functions")
    func renamed() async throws {
        let azure = "HashFunction,Trigger,1,2\n" + String(repeating: "a", count: 64) + ",timer,0,3\nb,http,5,2\n"
        try await CommandLineServer.run(node) { server in
            let outcome = try await CommandLineProgram.run(
                [
                    "load", "--trace", "-", "--minutes", "1-2", "--speed", "200", "--limit", "4", "--functions", "merge-sort:9", "--map",
                    "b=busy", "--json", "-q",
                ], at: server, input: azure)
            #expect(outcome.exitCode == 0, "\(outcome.complaint)")
            #expect(calls(server).count == 4)
            #expect(calls(server).allSatisfy { $0.text == #"{"size": 9}"# })
            let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
            #expect(report.summaries.map(\.name).sorted() == ["all", "busy", "merge-sort"])
            #expect(report.summaries.first.map { $0.calls == 4 && $0.failed >= 1 } == true)
            #expect(report.failures.map(\.reason) == ["overloaded, status 429"])
        }
    }

    private struct Report: Decodable {
        struct Failure: Decodable { var reason: String }
        var summaries: [ReplaySummary]
        var failures: [Failure]
        var skippedRows: Int
    }

    @Test("a function that nobody deployed is said before the first call")
    func missing() async throws {
        try await CommandLineServer.run(node) { server in
            let text = trace + "90,tea,,\n95,milk,,\n"
            let outcome = try await CommandLineProgram.run(["load", "--trace", "-"], at: server, input: text)
            #expect(outcome.exitCode == 2)
            #expect(outcome.complaint.contains("No function 'tea' and 1 other of the trace is deployed"), "\(outcome.complaint)")
            #expect(calls(server).isEmpty)
        }
    }

    @Test("a bad row ends the reading with line and column before the first call, or is skipped, shown and counted")
    func badRow() async throws {
        let text = trace + "90,merge-sort,-4,\n100,mer"
        try await CommandLineServer.run(node) { server in
            let refused = try await CommandLineProgram.run(["load", "--trace", "-"], at: server, input: text)
            #expect(refused.exitCode == 2)
            #expect(refused.complaint == "brume: -: Line 5, column 3 ('input_size'): '-4' is no whole number from 0 to 9007199254740992.\n")
            #expect(calls(server).isEmpty)
            let skipped = try await CommandLineProgram.run(["load", "--trace", "-", "--skip-bad-rows", "-q"], at: server, input: text)
            #expect(skipped.exitCode == 0)
            #expect(skipped.complaint.contains("Skipped: Line 6, column 3 ('input_size'): the row ends after 2 of 4 fields"))
            #expect(skipped.output.contains("2 rows of the trace skipped"))
            #expect(calls(server).count == 3)
        }
    }

    @Test("a replay of which no call succeeded ends with 1")
    func allFailed() async throws {
        try await CommandLineServer.run(node) { server in
            let outcome = try await CommandLineProgram.run(
                ["load", "--trace", "-", "-q"], at: server, input: "at_ms,function\n0,busy\n5,busy\n")
            #expect(outcome.exitCode == 1)
            #expect(outcome.output.contains("2 calls overloaded, status 429"))
            #expect(outcome.complaint == "brume: No call succeeded; the reasons stand above.\n")
        }
    }

    @Test("traces are made from a seed, and read again")
    func generated() async throws {
        let words = ["load", "generate", "--set", "7", "--sizes", "drawn", "--seed", "3"]
        let one = try await CommandLineProgram.run(words)
        #expect(one.exitCode == 0)
        #expect(
            one.output.hasPrefix("# brume load generate --set 7 --sizes drawn --seed 3\nat_ms,function,input_size,parallel,wait_ms,seed\n"))
        #expect(try await CommandLineProgram.run(words).output == one.output)
        #expect(try await CommandLineProgram.run(words.dropLast() + ["4"]).output != one.output)
        let trace = try TraceReader(.brume).read(TextLines(one.output))
        #expect(trace.calls.count == 120)
        let bursts = ["load", "generate", "--rate", "50", "--duration", "20s", "--on", "1s", "--off", "4s", "--functions", "ms"]
        let burst = try TraceReader(.brume).read(TextLines(try await CommandLineProgram.run(bursts).output))
        #expect(burst.calls.count > 100)
        #expect(burst.calls.allSatisfy { $0.offset.components.seconds % 5 == 0 })
    }

    @Test(
        "words that make no sense end with 2 and one sentence",
        arguments: [
            (["load"], "Missing expected argument '--trace <file>'"), (["load", "--trace", "/nonexistent"], "cannot be read"),
            (["load", "--trace", "/"], "cannot be read"), (["load", "--trace", "-"], "names no columns of a known trace"),
            (["load", "--trace", "-", "--format", "brume"], "The trace is empty"), (["load", "--trace", "-", "--format", "tea"], "'tea'"),
            (["load", "--trace", "-", "--limit", "0"], "--limit takes"),
            (["load", "generate"], "Say what to make"), (["load", "generate", "--set", "11"], "There is no multi set 11"),
            (["load", "generate", "--set", "1", "--rate", "1"], "Say what to make"), (["load", "generate", "--rate", "-1"], ""),
            (["load", "generate", "--rate", "1", "--on", "1s"], "--on and --off belong together"),
            (["load", "generate", "--rate", "1", "--functions", "tea"], "The suite has no function 'tea'"),
        ])
    func wrongWords(words: [String], says: String) async throws {
        let outcome = try await CommandLineProgram.run(words, environment: ["BRUME_URL": "http://127.0.0.1:1"])
        #expect(outcome.exitCode == 2, "\(outcome.complaint)")
        #expect(outcome.output.isEmpty)
        #expect(outcome.complaint.contains(says), "\(outcome.complaint)")
        #expect(outcome.complaint.split(separator: "\n").count == 1)
    }

    @Test(
        "a trace that cannot be played as asked is refused before the first call",
        arguments: [
            (["--speed", "0"], "A speed of 0.0 is not possible"), (["--minutes", "3"], "--minutes takes FROM-TO"),
            (["--minutes", "5-9"], "has no call"), (["--map", "busy"], "--map takes NAME=FUNCTION"),
            (["--functions", ","], "names no function"),
            (["--functions", "a:x"], "is no size"), (["--csv", "/nonexistent/calls.csv"], "cannot be written"),
            (["--connections", "0"], "0 connections are not possible"), (["--timeout", "2h"], "A timeout of"),
        ])
    func refused(words: [String], says: String) async throws {
        try await CommandLineServer.run(node) { server in
            let outcome = try await CommandLineProgram.run(["load", "--trace", "-"] + words, at: server, input: trace)
            #expect(outcome.exitCode == 2, "\(outcome.complaint)")
            #expect(outcome.complaint.contains(says), "\(outcome.complaint)")
            #expect(calls(server).isEmpty)
        }
    }
}
