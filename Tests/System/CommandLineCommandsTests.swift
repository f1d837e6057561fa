// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import NIOCore
import NIOHTTP1
import Subprocess
import SystemPackage
import Testing

@testable import brume

@Suite("The commands that ask a node")
struct CommandLineCommandsTests {
    private static let hello = """
        {"name":"hello","image":"brume:bundle/0123456789abcdef0123456789abcdef","namespace":"openfaas-fn","envProcess":"",\
        "envVars":{"B":"2","A":"1"},"labels":{"team":"a"},"annotations":{"dev.brume.contract":"handler"},\
        "limits":{"cpu":"500m","memory":"128Mi"},\
        "invocationCount":1234,"replicas":2,"availableReplicas":1,"createdAt":"2026-11-21T10:00:00.123456789Z"}
        """
    private static let report = """
        {"name":"hello","namespace":"openfaas-fn","contract":"handler","revision":3,"timeout":"1m","concurrency":4,"keepAlive":"10m",\
        "min":0,"max":8,"network":"host","replicas":2,"availableReplicas":1,"invocations":1234,"queueDepth":0,"cpuSeconds":1.234,\
        "memoryBytes":31457280,"problem":""}
        """
    private static let call = """
        {"id":"4f2a","function":"hello","namespace":"openfaas-fn","node":"edge-1","arrived":"2026-11-21T10:00:00.123456789Z",\
        "outcome":"failed","status":500,"cold":true,"replica":"r12","asynchronous":true,"attempt":2,"queuedMs":0.25,"startingMs":7.5,\
        "runningMs":2.25,"failure":"crashed","message":"The function died of signal 11."
        """

    private let node: CommandLineServer.Script = { request in
        switch (request.method, request.path) {
        case ("GET", "/system/namespaces"): .json(#"["openfaas-fn","team-a"]"#)
        case ("GET", "/system/functions"):
            request.query["namespace"] == "openfaas-fn"
                ? .json("[\(hello)]")
                : .json(#"[{"name":"shop","image":"me/shop:1","namespace":"team-a","replicas":0,"availableReplicas":0}]"#)
        case ("GET", "/system/function/hello"): .json(hello)
        case ("GET", "/v1/functions/hello"): .json(report)
        case ("DELETE", "/system/functions"): .init(.accepted)
        case ("GET", "/v1/calls"): .json("[\(call)}]")
        case ("GET", "/v1/calls/4f2a"): .json(call + #","decisions":["admitted","started replica r12: none was idle"]}"#)
        case ("GET", "/system/secrets"): .json(#"[{"name":"api-key","namespace":"openfaas-fn"}]"#)
        case (_, "/system/secrets"): .init(.accepted)
        case (_, "/system/namespace/team-b"): .init(.accepted)
        case ("GET", "/v1/queue"): .json(#"{"waiting":3,"running":1,"dead":2}"#)
        case ("GET", "/v1/queue/dead"):
            .json(
                """
                [{"id":17,"call":"4f2a","function":"hello","namespace":"openfaas-fn","accepted":"2026-11-21T10:00:00Z","attempts":5,\
                "lastFailure":"timed-out"}]
                """
            )
        case ("POST", "/v1/queue/dead/redrive"): .json(#"{"redriven":1}"#)
        case ("POST", "/v1/queue/dead/discard"): .json(#"{"discarded":2}"#)
        case ("GET", "/v1/status"):
            .json(
                """
                {"node":"edge-1","version":"0.1.0","started":"2026-11-21T10:00:00Z","uptimeSeconds":3725.5,\
                "capacity":{"cpu":"2","memory":"24Gi"},\
                "reserved":{"cpu":"50m","memory":"128Mi"},"replicas":1,"startingReplicas":1,"runningCalls":2,"queuedCalls":3,"functions":4,\
                "isolation":"bubblewrap, cgroup v2","residentBytes":62914560}
                """)
        default: nil
        }
    }

    private func run(_ arguments: [String], input: String? = nil) async throws -> (CommandLineProgram.Outcome, CommandLineServer) {
        try await CommandLineServer.run(node) { (try await CommandLineProgram.run(arguments, at: $0, input: input), $0) }
    }

    @Test("list shows all namespaces, or one")
    func list() async throws {
        let (all, _) = try await run(["list"])
        #expect(
            all.output == """
                NAME   NAMESPACE    CONTRACT  REPLICAS  INVOCATIONS  IMAGE
                hello  openfaas-fn  handler        1/2         1234  brume:bundle/0123456789ab
                shop   team-a       http           0/0            0  me/shop:1

                """)
        let (one, _) = try await run(["ls", "-n", "team-a", "--json"])
        let listed = try JSONDecoder().decode([FunctionListing].self, from: Data(one.output.utf8))
        #expect(listed.map(\.name) == ["shop"])
    }

    @Test("an empty list is not an error, and its JSON is an empty array")
    func emptyList() async throws {
        let script: CommandLineServer.Script = { $0.path == "/system/namespaces" ? .json(#"["openfaas-fn"]"#) : .json("[]") }
        try await CommandLineServer.run(script) { server in
            let table = try await CommandLineProgram.run(["list"], at: server)
            #expect(table.exitCode == 0)
            #expect(table.output.isEmpty)
            #expect(table.complaint == "There are no functions yet; deploy one with: brume deploy NAME --command 'cat'\n")
            let json = try await CommandLineProgram.run(["list", "--json"], at: server)
            #expect(try JSONDecoder().decode([FunctionListing].self, from: Data(json.output.utf8)).isEmpty)
        }
    }

    @Test("a gateway without namespaces is asked for its functions", arguments: [404, 501])
    func listWithoutNamespaces(status: Int) async throws {
        let script: CommandLineServer.Script = { request in
            request.path == "/system/namespaces" ? .init(.init(statusCode: status)) : .json(#"[{"name":"f","image":"me/f:1"}]"#)
        }
        try await CommandLineServer.run(script) { server in
            let outcome = try await CommandLineProgram.run(["list"], at: server)
            #expect(outcome.exitCode == 0, "\(outcome.complaint)")
            #expect(outcome.output.contains("f     openfaas-fn  http           0/0            0  me/f:1"))
        }
    }

    @Test("describe joins what OpenFaaS and what Brume know")
    func describe() async throws {
        let (text, server) = try await run(["describe", "hello"])
        for line in [
            "Name             hello", "URL              \(server.url)/function/hello", "Created          2026-11-21 10:00:00.123",
            "Replicas         1 available of 2", "Scale            0 to 8 replicas, idle ones stay 10m", "Network          the host's",
            "Memory in use    30.0 MiB", "Environment      A=1", "                 B=2",
        ].map({ $0.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ") }) {
            let lines = text.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
            #expect(lines.contains(line), "\(line) is not in\n\(text.output)")
        }
        let (json, _) = try await run(["describe", "hello", "--json"])
        let document = try JSONDecoder().decode(Describe.Document.self, from: Data(json.output.utf8))
        #expect(document.node?.revision == 3)
        #expect(document.function.limits == ResourceWords(cpu: "500m", memory: "128Mi"))
    }

    @Test("logs prints lines, asks for what was wanted, and follows")
    func logs() async throws {
        let script: CommandLineServer.Script = { request in
            guard request.path == "/system/logs" else { return nil }
            var reply = CommandLineServer.Reply(.ok, headers: [("content-type", "application/x-ndjson")])
            // A line may come in pieces, and the last one without its end.
            reply.chunks = [
                #"{"name":"hello","namespace":"openfaas-fn","instance":"r1","timestamp":"2026-11-21T10:00:00.5Z","text":"on"#, "e\"}\n",
                #"{"name":"hello","instance":"r2","timestamp":"2026-11-21T10:00:01Z","text":"two"}"#,
            ]
            return reply
        }
        try await CommandLineServer.run(script) { server in
            let outcome = try await CommandLineProgram.run(
                ["logs", "hello", "--follow", "--since", "10m", "--tail", "100", "--instance", "r1"], at: server)
            #expect(outcome.exitCode == 0, "\(outcome.complaint)")
            #expect(outcome.output == "2026-11-21 10:00:00.5 r1 one\n2026-11-21 10:00:01 r2 two\n")
            let query = try #require(server.requests.first).query
            #expect(query["name"] == "hello" && query["namespace"] == "openfaas-fn" && query["follow"] == "true")
            #expect(query["tail"] == "100" && query["instance"] == "r1")
            #expect(query["since"]?.hasSuffix("Z") == true)
            let json = try await CommandLineProgram.run(["logs", "hello", "--json"], at: server)
            #expect(json.output.split(separator: "\n").count == 2)
            #expect(try JSONDecoder().decode(LogMessage.self, from: Data(json.output.split(separator: "\n")[0].utf8)).text == "one")
        }
    }

    @Test("calls shows where the time went and passes the filters on")
    func calls() async throws {
        let (outcome, server) = try await run([
            "calls", "hello", "--outcome", "timed-out", "--since", "2026-11-21T09:00:00Z", "--limit", "5",
        ])
        #expect(
            outcome.output == """
                CALL  FUNCTION  ARRIVED                  OUTCOME  STATUS  START   QUEUED  STARTING  RUNNING    TOTAL  REPLICA
                4f2a  hello     2026-11-21 10:00:00.123  failed      500  cold   0.25 ms   7.50 ms  2.25 ms  10.0 ms  r12

                """)
        let query = try #require(server.requests.first).query
        #expect(
            query == [
                "function": "hello", "namespace": "openfaas-fn", "outcome": "timed-out", "since": "2026-11-21T09%3A00%3A00Z", "limit": "5",
            ])
        let wrong = try await CommandLineProgram.run(["calls", "--outcome", "bad"])
        #expect(wrong.exitCode == 2)
        #expect(wrong.complaint.contains("it is one of running, succeeded, failed, timed-out, refused, abandoned."))
    }

    @Test("explain tells the story of one call")
    func explain() async throws {
        let (outcome, _) = try await run(["explain", "4f2a"])
        for words in [
            "Arrived 2026-11-21 10:00:00.123, asynchronous, attempt 2", "Outcome failed with status 500",
            "Failure crashed: The function died of signal 11.", "Starting 7.50 ms (75%), a replica was started for it",
            "Running 2.25 ms (23%), on replica r12", "1. admitted", "2. started replica r12: none was idle",
        ] {
            let lines = outcome.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
            #expect(lines.contains(words), "\(words) is not in\n\(outcome.output)")
        }
        let (unknown, _) = try await run(["explain", "nope"])
        #expect(unknown.exitCode == 1)
        #expect(unknown.complaint == "brume: The node knows no call nope; it may have been pruned. See: brume calls\n")
    }

    @Test("remove takes several names")
    func remove() async throws {
        let (outcome, server) = try await run(["remove", "a", "b.team-a"])
        #expect(outcome.output == "Removed a.\nRemoved b.team-a.\n")
        let sent = try server.requests.map { try $0.json(FunctionDeletion.self) }
        #expect(sent == [.init(functionName: "a", namespace: "openfaas-fn"), .init(functionName: "b", namespace: "team-a")])
    }

    @Test(
        "a secret's value comes from the words, a file or standard input, and loses only its line end",
        arguments: [
            (["create", "k", "--from-literal", "a b\n"], nil, "POST", "a b\n", nil), (["create", "k"], "in\n", "POST", "in", nil),
            (["create", "k", "--exact"], "in\n", "POST", "in\n", nil), (["update", "k"], "two\nlines\r\n", "PUT", "two\nlines", nil),
            (["update", "k"], "a\u{0}b", "PUT", nil, "YQBi"),
        ] as [([String], String?, String, String?, String?)])
    func secrets(words: [String], input: String?, method: String, value: String?, raw: String?) async throws {
        let (outcome, server) = try await run(["secret"] + words, input: input)
        #expect(outcome.exitCode == 0, "\(outcome.complaint)")
        let request = try #require(server.requests.first)
        #expect(request.method == method)
        #expect(try request.json(SecretDocument.self) == SecretDocument(name: "k", namespace: "openfaas-fn", value: value, rawValue: raw))
        #expect(!outcome.output.contains(value ?? "YQBi"))
    }

    @Test("secrets are listed by name and removed by name and namespace")
    func secretListAndRemove() async throws {
        let (list, _) = try await run(["secret", "list"])
        #expect(list.output == "NAME     NAMESPACE\napi-key  openfaas-fn\n")
        let (removal, server) = try await run(["secret", "remove", "api-key", "-n", "team-a"])
        #expect(removal.exitCode == 0)
        #expect(try server.requests.first?.json(SecretDocument.self) == SecretDocument(name: "api-key", namespace: "team-a"))
    }

    @Test("namespaces are made with their labels, listed and removed")
    func namespaces() async throws {
        let (creation, server) = try await run(["namespace", "create", "team-b", "--label", "a=b"])
        #expect(creation.output == "Created the namespace team-b.\n", "\(creation.complaint)")
        let request = try #require(server.requests.first)
        #expect(request.method == "POST" && request.path == "/system/namespace/team-b")
        #expect(try request.json(NamespaceDocument.self) == NamespaceDocument(name: "team-b", labels: ["a": "b"]))
        let (list, _) = try await run(["namespace", "list"])
        #expect(list.output == "openfaas-fn\nteam-a\n")
        let (removal, other) = try await run(["namespace", "rm", "team-b"])
        #expect(removal.exitCode == 0)
        #expect(other.requests.first?.method == "DELETE")
        let (wrong, _) = try await run(["namespace", "create", "a b"])
        #expect(wrong.exitCode == 2)
    }

    @Test("the queue is counted, its dead listed, redriven and discarded")
    func queue() async throws {
        let (status, _) = try await run(["queue"])
        #expect(status.output == "Waiting  3\nRunning  1\nDead     2 (see: brume queue dead)\n")
        let (dead, _) = try await run(["queue", "dead"])
        #expect(
            dead.output == """
                ID  CALL  FUNCTION  ACCEPTED             ATTEMPTS  LAST FAILURE
                17  4f2a  hello     2026-11-21 10:00:00         5  timed-out

                """)
        let (redriven, server) = try await run(["queue", "redrive", "c17"])
        #expect(redriven.output == "1 call back in the queue.\n")
        #expect(try server.requests.first?.json(DeadLetterChoice.self) == DeadLetterChoice(ids: [17]))
        let (partly, _) = try await run(["queue", "redrive", "17", "18"])
        #expect(partly.exitCode == 1)
        #expect(partly.complaint == "brume: 1 call of those named is not among the dead; see: brume queue dead\n")
        let (discarded, all) = try await run(["queue", "discard", "--all"])
        #expect(discarded.output == "2 calls discarded.\n")
        #expect(all.requests.first?.text == "{}")
    }

    @Test("status shows the node")
    func status() async throws {
        let (outcome, server) = try await run(["status"])
        #expect(
            outcome.output == """
                Node        edge-1
                URL         \(server.url)
                Version     0.1.0
                Up for      1h02m, since 2026-11-21 10:00:00
                Isolation   bubblewrap, cgroup v2
                CPU         50m of 2 reserved
                Memory      128.0 MiB of 24.0 GiB reserved
                Functions   4
                Replicas    1, 1 starting
                Calls       2 running, 3 queued
                Own memory  60.0 MiB

                """)
    }

    @Test("doctor renders checks with their remedies, and only something missing is a failure")
    func doctor() async throws {
        let checks = [
            DoctorCheck(name: "bubblewrap", state: .missing, detail: "not installed", remedy: "apt-get install bubblewrap"),
            DoctorCheck(
                name: "cgroup", state: .degraded, detail: "only v1 is mounted", remedy: "boot with systemd.unified_cgroup_hierarchy=1"),
            DoctorCheck(name: "python", state: .good, detail: "3.11", remedy: "never shown"),
        ]
        #expect(
            DoctorReport(checks: checks).rendered(style: Style(isColoured: false)) == """
                missing   bubblewrap  not installed
                                      mend: apt-get install bubblewrap
                degraded  cgroup      only v1 is mounted
                                      mend: boot with systemd.unified_cgroup_hierarchy=1
                good      python      3.11

                1 thing missing.

                """)
        #expect(!DoctorReport(checks: checks).isHealthy)
        #expect(DoctorReport(checks: Array(checks.dropFirst())).isHealthy)
        let (outcome, _) = try await run(["doctor", "--json"])
        let found = try JSONDecoder().decode([DoctorCheck].self, from: Data(outcome.output.utf8))
        #expect(found.first { $0.name == "brume node" }?.state == .good)
        #expect(["control groups", "lent memory", "bwrap"].allSatisfy { name in found.contains { $0.name == name } })
        #expect(outcome.exitCode == (found.contains { $0.state == .missing } ? 1 : 0))
    }

    // MARK: When the node does not answer as hoped

    @Test("without a node, one sentence says which address was tried and how to start one")
    func unreachable() async throws {
        for arguments in [["list"], ["invoke", "f", "-d", "x"], ["status", "--json"], ["deploy", "f", "--command", "cat"]] {
            let outcome = try await CommandLineProgram.run(arguments, environment: ["BRUME_URL": "http://127.0.0.1:1"])
            #expect(outcome.exitCode == 1)
            #expect(outcome.output.isEmpty)
            #expect(
                outcome.complaint
                    == "brume: No node answers at http://127.0.0.1:1 (from BRUME_URL): connection refused; start one with: brume up\n")
        }
    }

    @Test("after a 401 the sentence says which credentials were tried")
    func unauthorized() async throws {
        try await CommandLineServer.run(node) { server in
            let wrong = try await CommandLineProgram.run(["list", "--url", server.url, "--user", "ada", "--password", "no"])
            #expect(wrong.exitCode == 1)
            #expect(wrong.complaint.contains("user ada with the password from --password was refused"))
            let none = try await CommandLineProgram.run(["list", "--url", server.url])
            #expect(none.complaint.contains("no credentials were sent, none were given and no data directory of this node is known here"))
            #expect(none.complaint.split(separator: "\n").count == 1)
        }
    }

    @Test("a node on the same machine is found through its data directory, with its credentials")
    func discovery() async throws {
        try await withTemporaryDirectory { root in
            try await CommandLineServer.run(node) { server in
                // The process of this test stands for the node's.
                let file = NodeFile(
                    pid: ProcessInfo.processInfo.processIdentifier, address: "127.0.0.1", port: server.port, dataDirectory: nil)
                try write("", to: "\(root)/brume-data/x")
                try file.write(to: "\(root)/brume-data/node.json")
                try write("\(CommandLineServer.user)\n", to: "\(root)/brume-data/credentials/basic-auth-user")
                try write("\(CommandLineServer.password)\n", to: "\(root)/brume-data/credentials/basic-auth-password")
                #expect(try await CommandLineProgram.run(["status"], directory: root).exitCode == 0)
                #expect(try await CommandLineProgram.run(["status", "--data-dir", "\(root)/brume-data"]).exitCode == 0)
                #expect(try await CommandLineProgram.run(["status", "--url", "localhost:\(server.port)"], directory: root).exitCode == 0)
            }
        }
    }

    @Test("an answer that is not a node's is said to be so")
    func foreign() async throws {
        let page: CommandLineServer.Script = { _ in .init(.ok, "<html></html>") }
        try await CommandLineServer.run(page) { server in
            let outcome = try await CommandLineProgram.run(["status"], at: server)
            #expect(outcome.exitCode == 1)
            #expect(outcome.complaint.contains("/v1/status answered something that is not what a Brume node answers"))
        }
    }

    // MARK: Terminals

    /// Runs the program on a pseudo-terminal of util-linux's `script`.
    private func runOnTerminal(_ words: String, environment: [Environment.Key: String], at server: CommandLineServer) async throws -> String
    {
        var variables: [Environment.Key: String] = [
            "PATH": "/usr/bin:/bin", "TERM": "xterm", "BRUME_URL": server.url, "BRUME_USER": CommandLineServer.user,
            "BRUME_PASSWORD": CommandLineServer.password,
        ]
        variables.merge(environment) { $1 }
        let result = try await Subprocess.run(
            .name("script"), arguments: ["-qec", "\(try CommandLineProgram.path) \(words)", "/dev/null"], environment: .custom(variables),
            output: .string(limit: 1 << 20))
        return result.standardOutput
    }

    @Test("colours and the moving progress line appear on a terminal, and NO_COLOR takes the colours away")
    func terminal() async throws {
        let slow: CommandLineServer.Script = { request in
            var reply = node(request)
            reply?.delay = .milliseconds(700)
            return reply
        }
        try await CommandLineServer.run(slow) { server in
            let coloured = try await runOnTerminal("queue dead", environment: [:], at: server)
            #expect(coloured.contains("\u{1B}[1mID"))
            #expect(coloured.contains("Asking the node"))
            #expect(coloured.contains("\r\u{1B}[K"))
            let plain = try await runOnTerminal("queue dead", environment: ["NO_COLOR": "1"], at: server)
            #expect(plain.contains("ID  CALL"))
            #expect(!plain.contains("\u{1B}[1m") && !plain.contains("\u{1B}[2m"))
            let piped = try await CommandLineProgram.run(["queue", "dead"], at: server)
            #expect(!piped.output.contains("\u{1B}") && !piped.complaint.contains("\u{1B}"))
        }
    }
}
