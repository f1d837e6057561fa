// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOHTTP1
import Testing

/// Bad input: each kind gives one clear sentence that says what to do and the right status or exit code, and loses nothing.
///
/// Here are the requests and words that a running node is told; bad surroundings of a node are in ``BadSurroundingsTests``.
@Suite(.serialized)
struct BadInputTests {
    // MARK: Requests

    struct BadRequest: Sendable {
        let name: String
        let method: HTTPMethod
        let path: String
        var headers: [(String, String)] = []
        var body: String?
        let status: Int
        /// What the sentence must hold: what was wrong, and what to do.
        let says: [String]
    }

    /// A deployment of a command with one field more.
    private static func deployment(_ more: String, service: String = "worse") -> String {
        #"{"service":"\#(service)","image":"","envProcess":"cat"\#(more.isEmpty ? "" : "," + more)}"#
    }

    private static func post(_ name: String, _ body: String, says: String...) -> BadRequest {
        BadRequest(name: name, method: .POST, path: "/system/functions", body: body, status: 400, says: says)
    }

    static let requests: [BadRequest] = [
        // Unknown function.
        BadRequest(
            name: "call of an unknown function", method: .POST, path: "/function/nobody", body: "x", status: 404,
            says: ["no function of this name", "deploy"]),
        BadRequest(
            name: "asynchronous call of an unknown function", method: .POST, path: "/async-function/nobody", body: "x", status: 404,
            says: ["no function of this name", "deploy"]),
        BadRequest(
            name: "description of an unknown function", method: .GET, path: "/system/function/nobody", status: 404,
            says: ["nobody", "deploy it first"]),
        BadRequest(
            name: "scaling of an unknown function", method: .POST, path: "/system/scale-function/nobody",
            body: #"{"serviceName":"nobody","replicas":2}"#, status: 404, says: ["nobody", "brume list"]),
        BadRequest(
            name: "removal of an unknown function", method: .DELETE, path: "/system/functions", body: #"{"functionName":"nobody"}"#,
            status: 404, says: ["nobody", "brume list"]),
        BadRequest(
            name: "update of an unknown function", method: .PUT, path: "/system/functions", body: deployment("", service: "nobody"),
            status: 404, says: ["nobody", "deploy it first"]),
        BadRequest(
            name: "logs of an unknown function", method: .GET, path: "/system/logs?name=nobody", status: 404,
            says: ["nobody", "brume list"]),
        BadRequest(
            name: "a namespace that does not exist", method: .POST, path: "/system/functions",
            body: deployment(#""namespace":"nowhere""#), status: 400, says: ["nowhere", "brume namespace create nowhere"]),
        BadRequest(
            name: "a secret that does not exist", method: .POST, path: "/system/functions", body: deployment(#""secrets":["lost"]"#),
            status: 400, says: ["lost", "brume secret create lost"]),
        // Bad name.
        post("a name with a colon", deployment("", service: "bad:name"), says: "bad:name", "letters"),
        post("an empty name", deployment("", service: ""), says: "name"),
        post("a name that is too long", deployment("", service: String(repeating: "n", count: 64)), says: "63"),
        BadRequest(
            name: "call of a bad name", method: .POST, path: "/function/bad:name", body: "x", status: 400, says: ["bad:name", "letters"]),
        BadRequest(
            name: "a secret's bad name", method: .POST, path: "/system/secrets", body: #"{"name":"../etc","value":"x"}"#, status: 400,
            says: ["../etc"]),
        // Malformed JSON.
        post("no JSON at all", "service: worse", says: "JSON"),
        post("JSON that breaks off", #"{"service":"worse","#, says: "JSON"),
        post("JSON of another shape", #"["worse"]"#, says: "JSON", "object"),
        post("a field of another type", deployment(#""labels":"many""#), says: "labels"),
        post("no body", "", says: "JSON"),
        BadRequest(
            name: "malformed JSON for a secret", method: .POST, path: "/system/secrets", body: "{", status: 400, says: ["JSON"]),
        BadRequest(
            name: "malformed JSON for a namespace", method: .POST, path: "/system/namespace/dev", body: "{", status: 400, says: ["JSON"]),
        BadRequest(
            name: "malformed JSON for a removal", method: .DELETE, path: "/system/functions", body: "{", status: 400, says: ["JSON"]),
        // Bad limits.
        post("memory of one byte", deployment(#""limits":{"memory":"1"}"#), says: "memory", "at least"),
        post("memory that is no amount", deployment(#""limits":{"memory":"lots"}"#), says: "lots", "128Mi"),
        post("memory beyond all machines", deployment(#""limits":{"memory":"99999999Ti"}"#), says: "memory"),
        post("no CPU at all", deployment(#""limits":{"cpu":"0"}"#), says: "CPU", "500m"),
        post("requests over the limits", deployment(#""limits":{"memory":"64Mi"},"requests":{"memory":"128Mi"}"#), says: "larger"),
        post("no time at all", deployment(#""annotations":{"dev.brume.timeout":"0s"}"#), says: "time"),
        post("a time that is none", deployment(#""annotations":{"dev.brume.timeout":"soon"}"#), says: "soon", "90s"),
        post("no concurrency", deployment(#""annotations":{"dev.brume.concurrency":"0"}"#), says: "concurrency", "1"),
        post(
            "a minimum over the maximum", deployment(#""labels":{"com.openfaas.scale.min":"5","com.openfaas.scale.max":"2"}"#),
            says: "5", "2"),
        post("a schedule that is none", deployment(#""annotations":{"topic":"cron-function","schedule":"at noon"}"#), says: "schedule"),
        // Packages.
        post(
            "a package that was never uploaded",
            #"{"service":"worse","image":"brume:bundle/\#(String(repeating: "0", count: 64))","#
                + #""annotations":{"dev.brume.contract":"handler","dev.brume.handler":"f.py"}}"#,
            says: "not on this node", "/v1/code"),
        BadRequest(name: "an empty package", method: .POST, path: "/v1/code", body: "", status: 400, says: ["tar archive"]),
        // Answers of the node's own routes.
        BadRequest(
            name: "an unknown call", method: .GET, path: "/v1/calls/nothing", status: 404, says: ["nothing", "pruned"]),
        BadRequest(
            name: "an outcome that is none", method: .GET, path: "/v1/calls?outcome=fine", status: 400, says: ["fine", "succeeded"]),
        BadRequest(name: "a path that is none", method: .GET, path: "/v1/nothing", status: 404, says: ["nothing at this path"]),
    ]

    @Test("every bad request gets its status and one sentence that says what to do, and changes nothing")
    func badRequests() async throws {
        try await withNode { node in
            try await node.deployFork("good", "cat")
            let before = try await Self.deployed(on: node)
            for request in Self.requests {
                let answer = try await node.http(request.method, request.path, headers: request.headers, body: request.body)
                #expect(answer.status == request.status, "\(request.name): \(answer.status) \(answer.text)")
                Self.expectSentence(answer.text, says: request.says, of: request.name)
            }
            #expect(try await Self.deployed(on: node) == before, "something changed")
            #expect(try await node.call("good", "after").text == "after")
        }
    }

    @Test("an oversized body gets 413 with the limit, declared or not, and the node goes on")
    func oversized() async throws {
        try await withNode(options: ["--body-limit", "1Mi"]) { node in
            try await node.deployFork("good", "cat")
            let large = ByteBuffer(repeating: 0x20, count: (1 << 20) + 1)
            for path in ["/function/good", "/async-function/good", "/system/functions", "/system/secrets"] {
                let answer = try await node.http(.POST, path, bytes: large)
                #expect(answer.status == 413, "\(path): \(answer.status) \(answer.text)")
                Self.expectSentence(answer.text, says: ["1048576 bytes"], of: path)
            }
            // Chunks do not tell how many will come.
            let brume = try await NodeUnderTest.run(
                "/bin/sh",
                ["-c", "head -c 3000000 /dev/zero | curl -s -H 'Expect:' -T - -X POST -w '\\n%{http_code}' \(node.url)/function/good"])
            #expect(brume.output.hasSuffix("413"), "\(brume.output.suffix(200))")
            let exact = try await node.http(.POST, "/function/good", bytes: ByteBuffer(repeating: 0x61, count: 1 << 20))
            #expect(exact.status == 200)
            #expect(exact.body.readableBytes == 1 << 20)
            let queue = try await node.json("/v1/queue") as? [String: Any]
            #expect(queue?["waiting"] as? Int == 0, "a refused call waits")
        }
    }

    // MARK: Words

    struct BadWords: Sendable {
        let name: String
        let words: [String]
        var exitCode: Int32 = 2
        let says: [String]
    }

    private static func deploy(_ name: String, _ options: String..., exitCode: Int32 = 2, says: [String]) -> BadWords {
        BadWords(name: name, words: ["deploy", "worse"] + options, exitCode: exitCode, says: says)
    }

    /// FOLDER stands for a directory with the files of ``files``.
    static let words: [BadWords] = [
        BadWords(name: "call of an unknown function", words: ["invoke", "nobody"], exitCode: 1, says: ["no function", "brume list"]),
        BadWords(name: "removal of an unknown function", words: ["remove", "nobody"], exitCode: 1, says: ["nobody", "brume list"]),
        BadWords(name: "description of an unknown function", words: ["describe", "nobody"], exitCode: 1, says: ["nobody"]),
        BadWords(name: "logs of an unknown function", words: ["logs", "nobody"], exitCode: 1, says: ["nobody", "brume list"]),
        BadWords(name: "an unknown call", words: ["explain", "nothing"], exitCode: 1, says: ["nothing", "pruned"]),
        BadWords(name: "a bad name", words: ["deploy", "bad:name", "--command", "cat"], says: ["bad:name", "letters"]),
        deploy("memory of one byte", "--command", "cat", "--memory", "1", says: ["memory", "at least"]),
        deploy("memory that is no amount", "--command", "cat", "--memory", "lots", says: ["lots", "128Mi"]),
        deploy("no CPU at all", "--command", "cat", "--cpu", "0", says: ["CPU", "500m"]),
        deploy("more memory than the node has", "--command", "cat", "--memory", "10Ti", says: ["10240Gi", "at most"]),
        deploy("more CPU than the node has", "--command", "cat", "--cpu", "1000", says: ["1000", "cores", "at most"]),
        deploy("no time at all", "--command", "cat", "--timeout", "0s", says: ["time"]),
        deploy("no concurrency", "--command", "cat", "--concurrency", "0", says: ["concurrency"]),
        deploy("a minimum over the maximum", "--command", "cat", "--min", "5", "--max", "2", says: ["5", "2"]),
        deploy("an unknown namespace", "--command", "cat", "-n", "nowhere", says: ["brume namespace create nowhere"]),
        deploy("an unknown secret", "--command", "cat", "--secret", "lost", says: ["brume secret create lost"]),
        deploy("a missing handler file", "--handler", "FOLDER/missing.py", says: ["no handler file", "missing.py"]),
        deploy("a handler that is a directory", "--handler", "FOLDER/folder.py", says: ["folder.py", "not a file"]),
        deploy("a handler in no known language", "--handler", "FOLDER/handler.rb", says: ["handler.rb", ".py"]),
        deploy("a Python handler with a syntax error", "--handler", "FOLDER/wrong.py", says: ["wrong.py", "line 2"]),
        deploy("a Node handler with a syntax error", "--handler", "FOLDER/wrong.js", says: ["wrong.js", "2"]),
        deploy("a Lambda program that is not there", "--lambda", "FOLDER/bootstrap", says: ["bootstrap"]),
        deploy("a quote that is not closed", "--command", "echo 'x", says: ["quote"]),
        deploy("an image that is not there", "--image", "oci:FOLDER/nothing:latest", says: ["OCI layout"]),
        BadWords(name: "a stack file that is not there", words: ["deploy", "-f", "FOLDER/none.yml"], says: ["none.yml"]),
        BadWords(name: "a stack file that is no YAML", words: ["deploy", "-f", "FOLDER/wrong.yml"], says: ["wrong.yml"]),
        BadWords(name: "no source", words: ["deploy", "worse"], says: ["--handler", "--command"]),
    ]

    private static let files = [
        "wrong.py": "def handle(req):\n    return (req\n", "wrong.js": "module.exports = async () => {\n  return )\n}\n",
        "handler.rb": "def handle(req) req end\n", "wrong.yml": "functions: [\n", "folder.py/inside": "",
        "right.py": "def handle(req):\n    return req.upper()\n",
    ]

    @Test("wrong words end with their exit code and one sentence that says what to do, and change nothing")
    func badWords() async throws {
        try await withNode { node in
            try await withTemporaryDirectory { folder in
                for (name, text) in Self.files { try write(text, to: "\(folder)/\(name)") }
                try await node.deployFork("good", "cat")
                let before = try await Self.deployed(on: node)
                for bad in Self.words {
                    let outcome = try await node.brume(bad.words.map { $0.replacing("FOLDER", with: folder) } + ["--quiet"])
                    #expect(outcome.exitCode == bad.exitCode, "\(bad.name): \(outcome.exitCode) \(outcome.complaint)")
                    #expect(outcome.output.isEmpty, "\(bad.name): \(outcome.output)")
                    #expect(outcome.complaint.hasPrefix("brume: "), "\(bad.name): \(outcome.complaint)")
                    Self.expectSentence(outcome.complaint, says: bad.says, of: bad.name)
                }
                #expect(try await Self.deployed(on: node) == before, "something changed")
                #expect(try await node.call("good", "after").text == "after")
            }
        }
    }

    @Test("a node that is to promise more CPU than the machine has says so, and works")
    func moreCPU() async throws {
        try await withNode(options: ["--cpu", "900", "--spares", "0"]) { node in
            #expect(node.log.contains("what --cpu 900 promises beyond that, calls share"), "\(node.log.prefix(500))")
            try await node.deployFork("good", "cat")
            #expect(try await node.call("good", "shared").text == "shared")
        }
    }

    @Test("a redeployment with a broken handler is refused and the function that worked goes on", arguments: ["wrong.py", "wrong.js"])
    func brokenRedeployment(_ file: String) async throws {
        try await withNode { node in
            try await withTemporaryDirectory { folder in
                for (name, text) in Self.files { try write(text, to: "\(folder)/\(name)") }
                let first = try await node.brume(["deploy", "shout", "--handler", "\(folder)/right.py", "--quiet"])
                #expect(first.exitCode == 0, "\(first.complaint)")
                #expect(try await node.call("shout", "before").text == "BEFORE")
                let second = try await node.brume(["deploy", "shout", "--handler", "\(folder)/\(file)", "--quiet"])
                #expect(second.exitCode == 2)
                #expect(second.complaint.contains(file))
                #expect(try await node.call("shout", "after").text == "AFTER")
                let image = (try await node.json("/system/function/shout") as? [String: Any])?["image"] as? String ?? ""
                let missing = try await node.http(
                    .PUT, "/system/functions",
                    body: #"{"service":"shout","image":"\#(image)","annotations":{"dev.brume.handler":"missing.py"}}"#)
                #expect(missing.status == 400)
                Self.expectSentence(missing.text, says: ["missing.py", "right.py", "--handler"], of: "a missing handler file")
                #expect(try await node.call("shout", "still").text == "STILL")
                let report = try await node.json("/v1/functions/shout") as? [String: Any]
                #expect(report?["revision"] as? Int == 1)
            }
        }
    }

    /// What would change if bad input had come through: functions with their revisions, secrets and namespaces.
    private static func deployed(on node: NodeUnderTest) async throws -> [String] {
        let functions = try await node.json("/system/functions") as? [[String: Any]] ?? []
        var found = try await node.json("/system/namespaces") as? [String] ?? []
        for name in functions.compactMap({ $0["name"] as? String }) {
            let report = try await node.json("/v1/functions/\(name)") as? [String: Any]
            found.append("\(name) \(report?["revision"] as? Int ?? 0)")
        }
        return found + [try await node.http(.GET, "/system/secrets").text]
    }

    // MARK: What a sentence is

    /// One line that ends, without words that only the platform's own makers understand.
    static func expectSentence(_ text: String, says: [String], of name: String) {
        let line = text.trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(!line.contains("\n"), "\(name): more than one line: \(line)")
        for word in says { #expect(line.contains(word), "\(name): '\(word)' is missing in: \(line)") }
        for word in ["Optional(", "Error Domain", "BrumeError", "Fatal", "nil"] {
            #expect(!line.contains(word), "\(name): \(line)")
        }
    }
}
