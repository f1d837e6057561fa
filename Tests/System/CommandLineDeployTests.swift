// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import NIOCore
import NIOHTTP1
import Testing

@testable import brume

@Suite("brume deploy")
struct CommandLineDeployTests {
    /// A node that takes packages and functions; `known` says whether PUT finds the function.
    private func node(
        known: Bool = false, problem: String = "", replicas: Int = 1, available: Int = 1
    ) -> CommandLineServer.Script {
        { request in
            switch (request.method, request.path) {
            case ("POST", "/v1/code"):
                return .init(
                    .created, #"{"digest":"\#(NodeClient.digest(of: request.body))"}"#, headers: [("content-type", "application/json")])
            case ("PUT", "/system/functions"): return known ? .init(.accepted) : .init(.notFound, "There is no function of this name.")
            case ("POST", "/system/functions"): return .init(.accepted)
            case ("GET", let path) where path.hasPrefix("/v1/functions/"):
                return .json(
                    """
                    {"name":"f","namespace":"openfaas-fn","contract":"fork","revision":1,"timeout":"60s","concurrency":1,"keepAlive":"10m",\
                    "min":0,"max":8,"network":"none","replicas":\(replicas),"availableReplicas":\(available),"invocations":0,\
                    "queueDepth":0,"cpuSeconds":0,"memoryBytes":0,"problem":"\(problem)"}
                    """)
            default: return nil
            }
        }
    }

    @Test("a handler is packed, uploaded, made with PUT and then POST, and waited for")
    func handler() async throws {
        try await withTemporaryDirectory { root in
            try write("def handle(req):\n    return req\n", to: "\(root)/hello.py")
            try await CommandLineServer.run(node()) { server in
                let outcome = try await CommandLineProgram.run(
                    [
                        "deploy", "hello.team-a", "--handler", "hello.py", "--cpu", "500m", "--memory", "128Mi", "--timeout", "60s",
                        "--concurrency", "4",
                        "--min", "0", "--max", "8", "--keep-alive", "10m", "--env", "A=1", "--env", "B=x=y", "--secret", "api-key",
                        "--network", "--label",
                        "team=a", "--annotation", "note=hi", "--schedule", "*/5 * * * *",
                    ], at: server, directory: root)
                #expect(outcome.exitCode == 0, "\(outcome.complaint)")
                #expect(outcome.output.contains("Deployed hello in "))
                #expect(outcome.output.contains("URL: \(server.url)/function/hello.team-a\n"))
                #expect(server.requests.map(\.method) == ["POST", "PUT", "POST", "GET"])
                let code = try #require(server.requests("POST", "/v1/code").first)
                let sent = try #require(server.requests("POST", "/system/functions").first).json(FunctionDeployment.self)
                let expected = FunctionDeployment(
                    service: "hello", image: "brume:bundle/\(NodeClient.digest(of: code.body))", namespace: "team-a",
                    envVars: ["A": "1", "B": "x=y"], secrets: ["api-key"],
                    labels: ["team": "a", "com.openfaas.scale.min": "0", "com.openfaas.scale.max": "8"],
                    annotations: [
                        "note": "hi", "dev.brume.contract": "handler", "dev.brume.handler": "hello.py", "dev.brume.timeout": "60s",
                        "dev.brume.concurrency": "4", "dev.brume.keep-alive": "10m", "dev.brume.network": "host", "topic": "cron-function",
                        "schedule": "*/5 * * * *",
                    ],
                    limits: ResourceWords(cpu: "500m", memory: "128Mi"))
                #expect(sent == expected)
            }
        }
    }

    @Test("a command of the system needs no package, and a known function is replaced with one PUT")
    func command() async throws {
        try await CommandLineServer.run(node(known: true)) { server in
            let outcome = try await CommandLineProgram.run(["deploy", "upper", "--command", "tr a-z A-Z"], at: server)
            #expect(outcome.exitCode == 0, "\(outcome.complaint)")
            #expect(server.requests.map(\.method) == ["PUT", "GET"])
            let sent = try #require(server.requests.first).json(FunctionDeployment.self)
            #expect(sent.image == "brume:none")
            #expect(sent.envProcess == "tr a-z A-Z")
            #expect(sent.annotations == ["dev.brume.contract": "fork"])
        }
    }

    @Test("--no-wait does not ask whether a replica is there")
    func noWait() async throws {
        try await CommandLineServer.run(node(known: true, available: 0)) { server in
            let outcome = try await CommandLineProgram.run(
                ["deploy", "f", "--image", "oci:/images/f:1", "--port", "9000", "--no-wait"], at: server)
            #expect(outcome.exitCode == 0, "\(outcome.complaint)")
            #expect(server.requests.map(\.method) == ["PUT"])
            let sent = try #require(server.requests.first).json(FunctionDeployment.self)
            #expect(sent.image == "oci:/images/f:1")
            #expect(sent.annotations == ["dev.brume.port": "9000"])
        }
    }

    @Test("a function whose first replica has gone already, because idle ones are not kept, is ready")
    func notKept() async throws {
        try await CommandLineServer.run(node(known: true, replicas: 0, available: 0)) { server in
            let outcome = try await CommandLineProgram.run(["deploy", "f", "--command", "cat", "--keep-alive", "0s"], at: server)
            #expect(outcome.exitCode == 0, "\(outcome.complaint)")
            #expect(outcome.output.contains("; it starts with its first call."), "\(outcome.output)")
        }
    }

    @Test("a function whose replicas do not start is a failure with the node's reason")
    func problem() async throws {
        try await CommandLineServer.run(node(known: true, problem: "The handler has a syntax error in line 3.", available: 0)) { server in
            let outcome = try await CommandLineProgram.run(["deploy", "f", "--command", "cat"], at: server)
            #expect(outcome.exitCode == 1)
            #expect(outcome.complaint == "brume: f is deployed, but its replicas do not start: The handler has a syntax error in line 3.\n")
        }
    }

    @Test("a gateway without native routes is asked in the words of OpenFaaS")
    func otherGateway() async throws {
        let script: CommandLineServer.Script = { request in
            switch (request.method, request.path) {
            case ("PUT", "/system/functions"): .init(.accepted)
            case ("GET", "/system/function/f"): .json(#"{"name":"f","replicas":1,"availableReplicas":1}"#)
            default: nil
            }
        }
        try await CommandLineServer.run(script) { server in
            let outcome = try await CommandLineProgram.run(["deploy", "f", "--image", "me/f:1"], at: server)
            #expect(outcome.exitCode == 0, "\(outcome.complaint)")
        }
    }

    @Test("a gateway that takes no packages is told apart")
    func noPackages() async throws {
        try await withTemporaryDirectory { root in
            try write("x", to: "\(root)/h.py")
            try await CommandLineServer.run({ _ in nil }) { server in
                let outcome = try await CommandLineProgram.run(["deploy", "f", "--handler", "\(root)/h.py"], at: server)
                #expect(outcome.exitCode == 1)
                #expect(
                    outcome.complaint == "brume: \(server.url) takes no packages, so it is no Brume node; deploy an image with --image.\n")
            }
        }
    }

    @Test("a damaged upload is noticed")
    func damagedUpload() async throws {
        let script: CommandLineServer.Script = { $0.path == "/v1/code" ? .json(#"{"digest":"00"}"#) : nil }
        try await withTemporaryDirectory { root in
            try write("x", to: "\(root)/h.py")
            try await CommandLineServer.run(script) { server in
                let outcome = try await CommandLineProgram.run(["deploy", "f", "--handler", "\(root)/h.py"], at: server)
                #expect(outcome.exitCode == 1)
                #expect(outcome.complaint.hasPrefix("brume: The package arrived damaged at \(server.url)"))
            }
        }
    }

    @Test("what the node calls a bad request is a mistake in the words, anything else is not")
    func refused() async throws {
        for (status, code) in [(400, Int32(2)), (500, 1), (413, 1)] {
            let script: CommandLineServer.Script = { _ in .init(.init(statusCode: status), "It is so.\nMore.") }
            try await CommandLineServer.run(script) { server in
                let outcome = try await CommandLineProgram.run(["deploy", "f", "--command", "cat"], at: server)
                #expect(outcome.exitCode == code)
                #expect(outcome.complaint == "brume: It is so.\n")
            }
        }
    }

    @Test("a stack file deploys its functions in order, or those that match")
    func stack() async throws {
        try await withTemporaryDirectory { root in
            try write("module.exports = async (event, context) => context.succeed('hi')\n", to: "\(root)/hi/handler.js")
            try write("{}", to: "\(root)/hi/package.json")
            let stack = """
                provider: {name: openfaas}
                functions:
                  hi: {lang: node20, handler: ./hi, image: me/hi}
                  other: {image: "me/other:${TAG:-1}"}
                """
            try write(stack, to: "\(root)/stack.yml")
            try await CommandLineServer.run(node(known: true)) { server in
                let outcome = try await CommandLineProgram.run(["deploy", "-f", "stack.yml"], at: server, directory: root)
                #expect(outcome.exitCode == 0, "\(outcome.complaint)")
                let sent = try server.requests("PUT", "/system/functions").map { try $0.json(FunctionDeployment.self) }
                #expect(sent.map(\.service) == ["hi", "other"])
                #expect(sent.first?.annotations == ["dev.brume.contract": "handler", "dev.brume.handler": "handler.js"])
                #expect(sent.last?.image == "me/other:1")
            }
            try await CommandLineServer.run(node(known: true)) { server in
                let outcome = try await CommandLineProgram.run(["deploy", "-f", "\(root)/stack.yml", "--filter", "o*"], at: server)
                #expect(outcome.exitCode == 0, "\(outcome.complaint)")
                #expect(server.requests("PUT", "/system/functions").count == 1)
            }
        }
    }

    @Test(
        "wrong words end with 2 and one sentence, before any node is asked",
        arguments: [
            (["f"], "Say what to run: one of --handler, --command, --http, --lambda, --image or -f."),
            (["--command", "cat"], "Name the function"),
            (["f", "--command", "cat", "--image", "x"], "--command and --image do not go together."),
            (["f", "--handler", "/nonexistent/f.py"], "There is no handler file /nonexistent/f.py."),
            (["f", "--command", "cat", "--memory", "1"], "at least 4Mi, for example --memory 128Mi."),
            (["f", "--command", "cat", "--memory", "12Q"], "'12Q' is not an amount of memory"),
            (["f", "--command", "cat", "--cpu", "fast"], "'fast' is not an amount of CPU"),
            (["f", "--command", "cat", "--timeout", "soon"], "'soon' is not a duration"),
            (["f", "--command", "cat", "--min", "9", "--max", "2"], "got min 9, max 2."),
            (["f", "--command", "cat", "--env", "A"], "--env takes KEY=VALUE, not 'A'."),
            (["f", "--command", "cat", "--label", "=b"], "--label takes KEY=VALUE, not '=b'."),
            (["f", "--command", "cat 'x"], "opens a quote that it does not close; add the closing quote."),
            (["f", "--command", ""], "The fork contract needs a command"),
            (["f", "--http", "cat", "--port", "70000"], "The port must be between 1 and 65535."),
            (["f", "--lambda", "/bin/cat", "--concurrency", "2"], "The lambda contract takes one call at a time"),
            (["f", "--command", "cat", "--schedule", "* *"], "has 2 fields and needs five"),
            (["f", "--command", "cat", "--filter", "x"], "--filter chooses functions of a stack file"),
            (["f", "-f", "x.yml"], "leave out the name"),
            (["-f", "/nonexistent.yml"], "There is no stack file /nonexistent.yml"),
            (["a b", "--command", "cat"], "The function name 'a b' is not valid"),
            (["a.one", "--command", "cat", "-n", "two"], "'a.one' names the namespace one, but --namespace says two"),
            (["f", "--image", "x", "--directory", "."], "An image brings its own files; leave out --directory."),
            (["f", "--nonsense"], "Unknown option '--nonsense'"),
            (["f", "--concurrency", "many"], "'many' is invalid for '--concurrency <calls>'"),
        ])
    func wrongWords(arguments: [String], sentence: String) async throws {
        // The port is closed: whoever asked it would end with 1.
        let outcome = try await CommandLineProgram.run(["deploy"] + arguments, environment: ["BRUME_URL": "http://127.0.0.1:1"])
        #expect(outcome.exitCode == 2, "\(outcome.complaint)")
        #expect(outcome.complaint.hasPrefix("brume: "))
        #expect(outcome.complaint.contains(sentence), "\(outcome.complaint)")
        #expect(outcome.complaint.split(separator: "\n").count == 1)
        #expect(outcome.output.isEmpty)
    }
}
