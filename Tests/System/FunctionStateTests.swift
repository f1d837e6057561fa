// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Testing

/// State of real functions in real sandboxes.
@Suite(.serialized)
struct FunctionStateTests {
    private static let handler = """
        import brume
        state = brume.state()
        def handle(event, context):
            what, _, name = event.body.decode().partition(" ")
            if what == "add":
                return str(state.counter(name).add())
            if what == "tags":
                state.set("tags").add(*name.split(","))
                return ",".join(sorted(state.set("tags")))
            if what == "batch":
                with state.atomically() as batch:
                    batch.counter("a").add(2)
                    batch.list("l").append(name)
                return repr(batch.results)
            if what == "token":
                return state.token
            if what == "resume":
                state.resume(name)
                return "resumed"
            return str(state.counter(name).value)
        """

    private func deploy(_ name: String, on node: NodeUnderTest, _ words: [String] = []) async throws {
        let file = node.dataDirectory + "/\(name).py"
        try Self.handler.write(toFile: file, atomically: true, encoding: .utf8)
        let deployed = try await node.brume(["deploy", name, "--handler", file, "--max", "2"] + words)
        #expect(deployed.exitCode == 0, "\(deployed.complaint)")
    }

    @Test("handlers count, collect and batch by `import brume`; functions see their own state, or one that they were given together")
    func handlers() async throws {
        try await withNode { node in
            try await deploy("first", on: node)
            try await deploy("second", on: node)
            try await deploy("third", on: node, ["--annotation", "dev.brume.state.namespace=together"])
            try await deploy("fourth", on: node, ["--annotation", "dev.brume.state.namespace=together"])
            for count in 1...3 { #expect(try await node.call("first", "add visits").text == "\(count)") }
            #expect(try await node.call("second", "add visits").text == "1")
            #expect(try await node.call("first", "tags red,blue").text == "blue,red")
            #expect(try await node.call("second", "tags green").text == "green")
            #expect(try await node.call("first", "batch line").text == "[2, 1]")
            #expect(try await node.call("third", "add shared").text == "1")
            #expect(try await node.call("fourth", "add shared").text == "2")
            let token = try await node.call("third", "token").text
            #expect(!token.isEmpty)
            #expect(try await node.call("fourth", "resume \(token)").text == "resumed")
        }
    }

    @Test("a program of the fork contract finds its state by REDIS_URL, with the Redis client of its choice")
    func anyClient() async throws {
        try await withNode { node in
            let deployed = try await node.brume([
                "deploy", "counter", "--command", "redis-cli -s /run/brume/state.sock INCR hits",
            ])
            #expect(deployed.exitCode == 0, "\(deployed.complaint)")
            for count in 1...3 {
                #expect(try await node.call("counter").text.trimmingCharacters(in: .whitespacesAndNewlines) == "\(count)")
            }
        }
    }

    /// Sockets below the node's folder of sockets of state on which somebody listens, by their paths.
    private func stateSockets(of node: NodeUnderTest) throws -> Set<String> {
        let owned = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(node.pid)/fd").compactMap { entry in
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(node.pid)/fd/\(entry)")
        }
        let lines = try String(contentsOfFile: "/proc/net/unix", encoding: .utf8).split(separator: "\n").dropFirst()
        // Num RefCount Protocol Flags Type St Inode Path; bit 16 of the flags says that it listens.
        let open = lines.compactMap { line -> String? in
            let words = line.split(separator: " ").map(String.init)
            guard words.count >= 8, words[3] == "00010000", owned.contains("socket:[\(words[6])]") else { return nil }
            return words[7]
        }
        return Set(open.filter { $0.contains("/state/") })
    }

    @Test("the socket of a removed function closes, those of others stay, and it opens again with the state that was kept")
    func closesSockets() async throws {
        try await withNode(options: ["--spares", "0"]) { node in
            #expect(try stateSockets(of: node).isEmpty)
            try await deploy("first", on: node)
            #expect(try await node.call("first", "add visits").text == "1")
            let firsts = try stateSockets(of: node)
            try await deploy("second", on: node)
            #expect(try await node.call("second", "add visits").text == "1")
            let both = try stateSockets(of: node)
            #expect(firsts.count == 1 && both.count == 2 && both.isSuperset(of: firsts))
            let removed = try await node.brume(["remove", "first"])
            #expect(removed.exitCode == 0, "\(removed.complaint)")
            let isClosed = try await eventually { try stateSockets(of: node) == both.subtracting(firsts) }
            #expect(isClosed)
            #expect(firsts.allSatisfy { !FileManager.default.fileExists(atPath: $0) })
            #expect(try await node.call("second", "add visits").text == "2")
            try await deploy("first", on: node)
            #expect(try await node.call("first", "add visits").text == "2")
            #expect(try stateSockets(of: node) == both)
        }
    }

    @Test("what was answered at durability sync is there after kill -9")
    func survives() async throws {
        let node = try await NodeUnderTest(options: ["--state-durability", "sync"])
        try await deploy("first", on: node)
        for count in 1...5 { #expect(try await node.call("first", "add visits").text == "\(count)") }
        await node.killHard()
        let again = try await NodeUnderTest(dataDirectory: node.dataDirectory, options: ["--state-durability", "sync"])
        let isThere = try await eventually { try await again.call("first", "get visits").text == "5" }
        #expect(isThere)
        #expect(try await again.call("first", "add visits").text == "6")
        await again.stop()
    }
}
