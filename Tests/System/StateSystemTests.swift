// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOHTTP1
import Testing

/// State through every door of a real node, and over its death.
@Suite(.serialized)
struct StateSystemTests {
    private static let json = [("Content-Type", "application/json")]

    @Test("nothing that was answered at sync is lost, however often the node is killed in the middle of writes", .timeLimit(.minutes(4)))
    func killed() async throws {
        let rounds = ProcessInfo.processInfo.environment["BRUME_KILLS"].flatMap { Int($0) } ?? 25
        let directory = NSTemporaryDirectory() + "brume-state-" + UUID().uuidString.prefix(8).lowercased()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var answered = 0
        var asked = 0
        for round in 0..<rounds {
            let node = try await NodeUnderTest(dataDirectory: directory, options: ["--state-durability", "sync"])
            let before = try await Self.hits(node)
            #expect(before >= answered, "round \(round): \(answered) increments were answered, \(before) are there")
            #expect(before <= asked, "round \(round): \(asked) increments were asked for, \(before) are there")
            // Eight clients; the node dies under them after a moment that differs from round to round.
            let (good, all) = await withTaskGroup(of: (Int, Int).self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        var counts = (0, 0)
                        while true {
                            counts.1 += 1
                            let answer = try? await node.http(
                                .POST, "/v1/state/shop/hits", headers: Self.json, body: #"{"op":"incr"}"#, timeout: .seconds(5))
                            guard answer?.status == 200 else { return counts }
                            counts.0 += 1
                        }
                    }
                }
                group.addTask {
                    try? await Task.sleep(for: .milliseconds(30 + round * 37 % 200))
                    await node.killHard()
                    return (0, 0)
                }
                return await group.reduce((0, 0)) { ($0.0 + $1.0, $0.1 + $1.1) }
            }
            answered = before + good
            asked = before + all
        }
        print("kill -9 of the node: \(answered) increments answered over \(rounds) kills")
        #expect(answered > rounds)
        let last = try await NodeUnderTest(dataDirectory: directory)
        #expect(try await Self.hits(last) >= answered)
        await last.stop()
    }

    private static func hits(_ node: NodeUnderTest) async throws -> Int {
        let answer = try await node.http(.GET, "/v1/state/shop/hits")
        if answer.status == 404 { return 0 }
        let document = try JSONSerialization.jsonObject(with: Data(answer.text.utf8)) as? [String: Any]
        return Int(document?["value"] as? String ?? "") ?? -1
    }

    @Test("the commands set, read, add, remove, list, dump, restore and count")
    func commands() async throws {
        try await withNode { node in
            func brume(_ words: String..., input: String? = nil) async throws -> String {
                let outcome = try await node.brume(["state"] + words + ["--quiet"], input: input)
                #expect(outcome.exitCode == 0, "\(words): \(outcome.complaint)")
                return outcome.output
            }
            _ = try await brume("set", "greeting", "hello world")
            #expect(try await brume("get", "greeting") == "hello world\n")
            #expect(try await brume("incr", "visits", "--by", "5") == "5\n")
            #expect(try await brume("incr", "stock", "--by", "3", "--kind", "counter") == "3\n")
            #expect(try await brume("add", "basket", "apple", "pear", "apple") == "2\n")
            #expect(try await brume("remove", "basket", "pear", "plum") == "1\n")
            #expect(try await brume("get", "basket") == "apple\n")
            _ = try await brume("set", "limits", #"{"max":"10"}"#, "--kind", "hash", "--expires", "1h")
            #expect(try await brume("get", "limits") == "max\t10\n")
            #expect(try await brume("insert", "steps", "one", "three", "--kind", "list") == "2\n")
            #expect(try await brume("insert", "steps", "two", "--at", "1") == "3\n")
            #expect(try await brume("replace", "steps", "THREE", "--at", "-1") == "3\n")
            #expect(try await brume("get", "steps") == "one\ntwo\nTHREE\n")
            #expect(try await brume("get", "steps", "--at", "-1") == "THREE\n")
            let ids = try await brume("get", "steps", "--ids", "--json")
            let steps = try JSONSerialization.jsonObject(with: Data(ids.utf8)) as? [String: Any]
            let id = try #require((steps?["ids"] as? [String])?.last)
            #expect(try await brume("insert", "steps", "four", "--after", id) == "4\n")
            let late = try await node.brume(["state", "cut", "steps", "--if-version", steps?["version"] as? String ?? "", "--quiet"])
            #expect(late.exitCode == 1 && late.complaint.contains("If-Match"), "\(late.complaint)")
            #expect(try await brume("cut", "steps", "--at", "1", "--count", "2") == "two\nTHREE\n")
            let outside = try await node.brume(["state", "cut", "steps", "--at", "2", "--quiet"])
            #expect(outside.exitCode == 2 && outside.complaint.contains("The index 2 is out of range"), "\(outside.complaint)")
            _ = try await brume("rm", "steps")
            let listing = try await brume("ls")
            for word in ["greeting", "visits", "counter", "basket", "set", "limits", "hash"] { #expect(listing.contains(word)) }
            let dump = try await brume("dump")
            #expect(dump.split(separator: "\n").count == 5)
            _ = try await brume("rm", "greeting", "visits", "stock", "basket", "limits")
            #expect(try await brume("ls", "--json").filter { !$0.isWhitespace } == "[]")
            #expect(try await brume("restore", input: dump) == "Restored 5 objects.\n")
            #expect(try await brume("dump").split(separator: "\n").sorted() == dump.split(separator: "\n").sorted())
            #expect(try await brume("stats").contains("default"))
            let missing = try await node.brume(["state", "get", "nothing", "--quiet"])
            #expect(missing.exitCode == 1 && missing.complaint.contains("There is no object 'nothing'"))
            let taken = try await node.brume(["state", "set", "greeting", "x", "--new", "--quiet"])
            #expect(taken.exitCode == 1)
        }
    }

    @Test("changes are streamed while they happen")
    func watching() async throws {
        try await withNode { node in
            let watcher = Process()
            let output = Pipe()
            watcher.executableURL = URL(filePath: NodeUnderTest.program)
            watcher.arguments = ["state", "watch", "--json", "--data-dir", node.dataDirectory]
            watcher.standardOutput = output
            watcher.standardError = FileHandle.nullDevice
            try watcher.run()
            defer { watcher.terminate() }
            let seen = try await eventually {
                _ = try await node.http(.PUT, "/v1/state/default/watched", headers: Self.json, body: #"{"value":"1"}"#)
                return output.fileHandleForReading.availableBytes > 0
            }
            #expect(seen)
            let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
            #expect(line.contains(#""name":"watched""#) && line.contains(#""kind":"string""#), "\(line)")
        }
    }

    @Test("durability and quotas hold for the namespace that they are said of")
    func namespaces() async throws {
        try await withTemporaryDirectory { directory in
            let options = [
                "--state-durability", "shop=sync", "--state-durability", "cache=none", "--state-objects", "shop=3", "--state-bytes",
                "box=64Ki", "--state-objects", "5",
            ]
            func put(_ node: NodeUnderTest, _ path: String, _ value: String = "1") async throws -> NodeUnderTest.Answer {
                try await node.http(.PUT, "/v1/state/\(path)", headers: Self.json, body: #"{"value":"\#(value)"}"#)
            }
            let node = try await NodeUnderTest(dataDirectory: directory, options: options)
            for number in 1...3 {
                let answer = try await put(node, "shop/\(number)")
                #expect(answer.status < 300, "\(answer.status) \(answer.text)")
            }
            let fourth = try await put(node, "shop/4")
            #expect(fourth.status == 413 && fourth.text.contains("3"), "\(fourth.status) \(fourth.text)")
            for number in 1...5 { #expect(try await put(node, "cache/\(number)").status < 300) }
            let sixth = try await put(node, "cache/6")
            #expect(sixth.status == 413, "\(sixth.status) \(sixth.text)")
            // What begins below a quota of bytes is taken, as with Redis' maxmemory; what begins above is not, once it is counted.
            #expect(try await put(node, "box/large", String(repeating: "x", count: 128 << 10)).status < 300)
            #expect(try await eventually { try await put(node, "box/small").status == 413 })
            #expect(try await put(node, "cache/1", String(repeating: "x", count: 128 << 10)).status < 300)
            await node.killHard()
            let again = try await NodeUnderTest(dataDirectory: directory, options: options)
            for number in 1...3 { #expect(try await again.http(.GET, "/v1/state/shop/\(number)").status == 200) }
            #expect(try await again.http(.GET, "/v1/state/cache/2").status == 404)
            await again.stop()
        }
    }

    @Test(
        "what nobody can hold of a namespace is refused, and what to say is told",
        arguments: [
            (["--state-durability", "shop=often"], "say sync, interval or none"), (["--state-durability", "weekly"], "'weekly' is none"),
            (["--state-objects", "shop=0"], "a number from 1 on"), (["--state-objects", "many"], "a number from 1 on"),
            (["--state-bytes", "shop=-1"], "an amount like 64Mi"), (["--state-bytes", "two words=1Gi"], "is no namespace"),
            (["--state-bytes", "1Gi", "--state-bytes", "2Gi"], "of all namespaces it is said twice"),
            (["--state-objects", "shop=1", "--state-objects", "shop=2"], "of shop it is said twice"),
        ])
    func refusedNamespaces(options: [String], words: String) async throws {
        let outcome = try await CommandLineProgram.run(["up"] + options)
        #expect(outcome.exitCode != 0)
        #expect(outcome.complaint.contains(words), "\(outcome.complaint)")
    }

    @Test("a function finds its own namespace of state on a socket in its sandbox, whatever its contract", .enabled(if: geteuid() == 0))
    func functions() async throws {
        try await withTemporaryDirectory { folder in
            let program = """
                import os, socket

                def talk(*words):
                    path = os.environ["REDIS_URL"].removeprefix("unix://")
                    with socket.socket(socket.AF_UNIX) as s:
                        s.connect(path)
                        s.sendall(("*%d\\r\\n" % len(words) + "".join("$%d\\r\\n%s\\r\\n" % (len(w), w) for w in words)).encode())
                        return s.recv(4096).decode().strip()

                def handle(req):
                    return talk("INCR", "hits")

                if __name__ == "__main__":
                    print(handle(""), end="")
                """
            try write(program, to: folder + "/handler.py")
            try await withNode { node in
                for (name, options) in [
                    ("handled", ["--handler", folder + "/handler.py"]),
                    ("forked", ["--command", "python3 /function/handler.py", "--directory", folder]),
                ] {
                    let deployed = try await node.brume(["deploy", name, "--quiet"] + options)
                    #expect(deployed.exitCode == 0, "\(deployed.complaint)")
                    for expected in 1...3 { #expect(try await node.call(name).text == ":\(expected)") }
                    let seen = try await node.http(.GET, "/v1/state/openfaas-fn%2F\(name)/hits")
                    #expect(seen.text.contains(#""value":"3""#), "\(seen.text)")
                }
            }
        }
    }
}

extension FileHandle {
    /// Bytes that can be read without waiting.
    fileprivate var availableBytes: Int {
        var count: Int32 = 0
        return unsafe ioctl(fileDescriptor, UInt(FIONREAD), &count) == 0 ? Int(count) : 0
    }
}
