// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOHTTP1
import Testing

/// The samples, deployed by the command line as their READMEs say and called with real input.
@Suite(.serialized)
struct ExampleTests {
    /// The repository, found from this file's own place in it.
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func example(_ path: String) -> String { root.appending(path: "Examples/\(path)").path }

    private func deploy(_ node: NodeUnderTest, _ words: [String]) async throws {
        let deployed = try await node.brume(["deploy"] + words)
        try #require(deployed.exitCode == 0, "\(deployed.complaint)")
    }

    @Test("the shell sample counts the words of the licence")
    func shell() async throws {
        try await withNode { node in
            try await deploy(
                node, ["words", "--command", "sh words.sh", "--directory", Self.example("shell"), "--env", "WORDS=2"])
            let answer = try await node.call("words", "the cat and the dog and the bird\nAND THE END\n")
            #expect(answer.status == 200)
            let lines = answer.text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            #expect(lines == [["4", "the"], ["3", "and"]])
        }
    }

    @Test("the HTTP sample is any server that listens on $PORT")
    func http() async throws {
        try await withNode { node in
            try await deploy(
                node, ["hello", "--http", "python3 server.py", "--directory", Self.example("hello-http"), "--concurrency", "8"])
            let answer = try await node.http(.PUT, "/function/hello/greeting?a=b", body: "Ada")
            #expect(answer.status == 200)
            #expect(answer.text == "Hello, Ada! You said PUT /greeting?a=b\n")
            #expect(answer.headers.first(name: "content-type") == "text/plain; charset=utf-8")
        }
    }

    @Test("the Pillow sample makes thumbnails of real photographs", arguments: [("cat", 451, 300), ("coffee", 600, 400)])
    func pillow(photo: String, width: Int, height: Int) async throws {
        let image = try Data(contentsOf: URL(filePath: Self.example("python-pillow/photos/\(photo).jpg")))
        try await withNode { node in
            try await deploy(
                node, ["thumbnail", "--handler", Self.example("python-pillow/handler.py"), "--memory", "256Mi", "--timeout", "60s"])
            let small = try await node.http(.POST, "/function/thumbnail?width=200", bytes: ByteBuffer(bytes: image))
            #expect(small.status == 200, "\(small.text.prefix(400))")
            #expect(small.headers.first(name: "content-type") == "image/jpeg")
            #expect(small.body.readableBytesView.starts(with: [0xFF, 0xD8, 0xFF]))
            #expect(small.body.readableBytes < image.count / 2)
            let facts = try await node.http(.POST, "/function/thumbnail", headers: [("Accept", "application/json")], bytes: small.body)
            let said = try #require(try JSONSerialization.jsonObject(with: Data(facts.text.utf8)) as? [String: Any])
            #expect(said["width"] as? Int == 200)
            #expect(said["height"] as? Int == Int((200.0 * Double(height) / Double(width)).rounded()))
        }
    }

    @Test("the Node sample adds up an invoice, and answers 400 to anything else")
    func node() async throws {
        let invoice = try String(contentsOfFile: Self.example("node/invoice.json"), encoding: .utf8)
        try await withNode { node in
            try await deploy(node, ["invoice", "--handler", Self.example("node/handler.js"), "--env", "TAX_PERCENT=19"])
            let headers = [("Content-Type", "application/json")]
            let good = try await node.call("invoice", invoice, headers: headers)
            #expect(good.status == 200)
            #expect(good.text == #"{"lines":3,"net":43790,"tax":8320,"total":52110}"#)
            let bad = try await node.call("invoice", #"{"item": "mast"}"#, headers: headers)
            #expect(bad.status == 400)
            #expect(bad.text.contains("JSON array"))
        }
    }

    @Test("the Swift sample is built, and counts characters over the Lambda runtime API as readers do")
    func swiftLambda() async throws {
        let package = Self.example("swift-lambda")
        let built = try await NodeUnderTest.run(
            "/usr/bin/env", ["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", package])
        try #require(built.exitCode == 0, "\(built.output.suffix(2000)) \(built.complaint.suffix(2000))")
        try await withNode { node in
            try await deploy(node, ["count", "--lambda", package + "/.build/release/bootstrap"])
            let answer = try await node.call("count", "Ça va? 👩‍👩‍👧‍👦 très bien")
            #expect(answer.status == 200)
            #expect(answer.text == #"{"characters":18,"scalars":24,"bytes":44,"words":4,"longestWord":"très"}"# + "\n")
            let headers = [("Content-Type", "application/json")]
            #expect(try await node.call("count", #"{"text": "a bc"}"#, headers: headers).text.contains(#""words":2"#))
            let bad = try await node.call("count", #"{"words": 3}"#, headers: headers)
            #expect(bad.status == 500)
            #expect(bad.text.contains("Send a JSON string"))
            #expect(try await node.call("count", "again").status == 200)
        }
    }

    @Test("the serverless suite gives right answers on a node, and a set of Libra's calls is played against it")
    func suite() async throws {
        let installed = try await NodeUnderTest.run(Self.example("serverless-suite/install"), [])
        try #require(installed.exitCode == 0, "\(installed.output) \(installed.complaint)")
        try await withNode { node in
            try await deploy(node, ["-f", Self.example("serverless-suite/stack.yml")])
            let tested = try await NodeUnderTest.run(
                "/usr/bin/python3", ["-B", Self.example("serverless-suite/test_suite.py")], environment: ["BRUME_URL": node.url])
            #expect(tested.exitCode == 0, "\(tested.complaint.suffix(4000))")
            #expect(tested.complaint.hasSuffix("OK\n"))
            let set = try await NodeUnderTest.run(
                NodeUnderTest.binaries.appending(path: "brume").path, ["load", "generate", "--set", "1"])
            let played = try await node.brume(["load", "--trace", "-", "--json"], input: set.output)
            #expect(played.exitCode == 0, "\(played.complaint)")
            let report = try #require(try JSONSerialization.jsonObject(with: Data(played.output.utf8)) as? [String: Any])
            let all = try #require((report["summaries"] as? [[String: Any]])?.first)
            #expect(all["calls"] as? Int == 10)
            #expect(all["failed"] as? Int == 0, "\(played.output)")
        }
    }
}
