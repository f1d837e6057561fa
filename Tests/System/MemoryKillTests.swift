// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import NIOHTTP1
import Testing

/// Kills of which nothing but the control group's own count tells: another process of the replica dies, and the function goes on.
@Suite("Kills behind a function's back", .serialized, .timeLimit(.minutes(5)))
struct MemoryKillTests {
    /// Three ways to have the memory in a child process, and to live on without it.
    enum Way: String, CaseIterable {
        /// A process for each call: a shell that fails by itself because its command did.
        case fork
        /// The same, but nobody hears of it: the shell says that all is well.
        case forkUnheard = "fork-unheard"
        /// A server that stays, answers 200 and takes the next call.
        case http
        case handler

        /// The child gets so many mebibytes by one system call.
        private static let child = "dd if=/dev/zero of=/dev/null bs=${size}M count=1 2>/dev/null"

        var source: [String] {
            switch self {
            case .fork: ["--command", "sh run.sh", "--directory", "."]
            case .forkUnheard: ["--command", "sh unheard.sh", "--directory", "."]
            case .http: ["--http", "python3 server.py", "--directory", "."]
            case .handler: ["--handler", "handler.py"]
            }
        }

        /// What a call answers whose child was killed.
        var statusOfKilled: Int { self == .fork ? 500 : 200 }

        static func write(to folder: String) throws {
            let python = """
                import subprocess
                def work(size):
                    child = "dd if=/dev/zero of=/dev/null bs=" + size.strip() + "M count=1"
                    subprocess.run(child, shell=True, stderr=subprocess.DEVNULL)
                    return "done"
                """
            let files = [
                "run.sh": "read -r size\n\(child) || exit 1\necho done\n", "unheard.sh": "read -r size\n\(child)\necho done\n",
                "handler.py": python + "\ndef handle(req):\n    return work(req)\n",
                "server.py": python + """

                    import http.server, os
                    class Handler(http.server.BaseHTTPRequestHandler):
                        protocol_version = "HTTP/1.1"
                        def do_POST(self):
                            text = work(self.rfile.read(int(self.headers["Content-Length"])).decode()).encode()
                            self.send_response(200)
                            self.send_header("Content-Length", str(len(text)))
                            self.end_headers()
                            self.wfile.write(text)
                        def log_message(self, *args): pass
                    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
                    """,
            ]
            for (name, text) in files { try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8) }
        }
    }

    private static let ownMiB = 256

    private static func withFunction(
        _ way: Way, safeguard: Bool, _ body: @Sendable (NodeUnderTest) async throws -> Void
    ) async throws {
        // The most of the latest five calls is what is expected, so that small calls lend nearly everything.
        let without = ["--sharing-without", "profiler"] + (safeguard ? [] : ["--sharing-without", "safeguard"])
        try await withNode(options: ["--sharing", "harvest", "--spares", "0", "--cpu", "4"] + without) { node in
            let folder = node.dataDirectory + "/function"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try Way.write(to: folder)
            let words = way.source.map { $0 == "." ? folder : $0.hasSuffix(".py") && way == .handler ? "\(folder)/\($0)" : $0 }
            let deployed = try await node.brume(
                ["deploy", "parent"] + words + ["--memory", "\(ownMiB)Mi", "--cpu", "1", "--min", "1", "--max", "1"])
            #expect(deployed.exitCode == 0, "\(deployed.complaint)")
            try await body(node)
        }
    }

    /// Small calls, and then one whose child needs most of the function's memory, but no more than that.
    private static func round(_ node: NodeUnderTest, label: String) async throws -> NodeUnderTest.Answer {
        for _ in 0..<7 { #expect(try await node.call("parent", "001\n").status == 200) }
        return try await node.call("parent", "160\n", headers: [("X-Call-Id", label)])
    }

    private static func account(_ node: NodeUnderTest) async throws -> HarvestLedgerReport.Account {
        let outcome = try await node.brume(["harvest", "ledger", "--json"])
        #expect(outcome.exitCode == 0, "\(outcome.complaint)")
        return try JSONDecoder().decode(HarvestLedgerReport.self, from: Data(outcome.output.utf8)).total
    }

    @Test(
        "a process killed at a limit that a loan lowered is in ledger, metrics and explain, whatever the function makes of it",
        arguments: Way.allCases)
    func counted(way: Way) async throws {
        try await Self.withFunction(way, safeguard: false) { node in
            let answer = try await Self.round(node, label: "killed")
            #expect(answer.status == way.statusOfKilled, "\(answer.status) \(answer.text)")
            var account = HarvestLedgerReport.Account()
            let isCounted = try await eventually {
                account = try await Self.account(node)
                return account.outOfMemoryKills == 1
            }
            #expect(isCounted && account.outOfMemoryKillsWhileLending == 1, "\(account)")
            let metrics = try await node.http(.GET, "/metrics").text
            #expect(metrics.contains(#"brume_harvest_out_of_memory_total{limit="lowered"} 1"#), "\(metrics)")
            let story = try await node.brume(["explain", "killed"]).output
            #expect(story.contains("killed for memory at a lowered limit"), "\(story)")
            // What follows is not taken for a kill.
            #expect(try await node.call("parent", "001\n", headers: [("X-Call-Id", "well")]).status == 200)
            #expect(!(try await node.brume(["explain", "well"]).output.contains("killed for memory")))
            #expect(try await Self.account(node).outOfMemoryKills == 1)
        }
    }

    @Test("a function that is killed often is left alone, and the reason says so")
    func backOff() async throws {
        try await Self.withFunction(.forkUnheard, safeguard: false) { node in
            for index in 0..<3 { #expect(try await Self.round(node, label: "killed-\(index)").status == 200) }
            #expect(try await eventually { try await Self.account(node).outOfMemoryKillsWhileLending == 3 })
            let profile = try await node.brume(["harvest", "profile", "parent"]).output
            #expect(profile.contains("Not lent") && profile.contains("killed"), "\(profile)")
            let left = try await Self.round(node, label: "left-alone")
            #expect(left.status == 200)
            #expect(try await Self.account(node).outOfMemoryKills == 3, "it has its own memory now")
        }
    }

    @Test("with the safeguard the same calls are not killed", arguments: [Way.fork, .http])
    func guarded(way: Way) async throws {
        try await Self.withFunction(way, safeguard: true) { node in
            for index in 0..<3 {
                let answer = try await Self.round(node, label: "kept-\(index)")
                #expect(answer.status == 200 && answer.text.contains("done"), "\(answer.status) \(answer.text)")
            }
            #expect(try await Self.account(node).outOfMemoryKills == 0)
        }
    }

    @Test("a process killed at the function's own limit is counted as that")
    func ownLimit() async throws {
        try await Self.withFunction(.forkUnheard, safeguard: true) { node in
            #expect(try await node.call("parent", "400\n", headers: [("X-Call-Id", "greedy")]).status == 200)
            #expect(try await eventually { try await Self.account(node).outOfMemoryKills == 1 })
            #expect(try await Self.account(node).outOfMemoryKillsWhileLending == 0)
            let story = try await node.brume(["explain", "greedy"]).output
            #expect(story.contains("killed for memory at its own limit of 256.0 MiB"), "\(story)")
        }
    }
}
