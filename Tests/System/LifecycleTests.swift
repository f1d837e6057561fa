// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOHTTP1
import Testing

/// The node's own life: what survives, what is cleaned up.
@Suite(.serialized)
struct LifecycleTests {
    @Test("functions, secrets and namespaces survive kill -9, and nothing of the dead node's replicas is left after the next start")
    func killAndRestart() async throws {
        let node = try await NodeUnderTest()
        try await node.http(
            .POST, "/system/secrets", body: #"{"name":"token","namespace":"openfaas-fn","value":"s3cret"}"#)
        try await node.http(.POST, "/system/namespace/dev", body: #"{"name":"dev"}"#)
        try await node.deployFork(
            "keeper", "sh -c 'cat /var/openfaas/secrets/token; sleep 0.01'", labels: ["com.openfaas.scale.min": "2"], secrets: ["token"])
        #expect(try await node.call("keeper").text == "s3cret")
        let before = Self.processes(naming: node.dataDirectory)
        await node.killHard()

        let again = try await NodeUnderTest(dataDirectory: node.dataDirectory)
        let gone = try await eventually { before.allSatisfy { !Self.isAlive($0) } }
        #expect(gone, "processes of the killed node are alive")
        #expect(try await again.call("keeper").text == "s3cret")
        #expect(!Self.cgroups(of: again).isEmpty, "the test looks for groups under another name than the node uses")
        let namespaces = try await again.json("/system/namespaces") as? [String]
        #expect(namespaces?.contains("dev") == true)
        await again.stop(keepData: true)

        #expect(Self.cgroups(of: again).isEmpty, "cgroups are left: \(Self.cgroups(of: again))")
        #expect(Self.mounts(naming: node.dataDirectory).isEmpty)
        #expect(Self.processes(naming: node.dataDirectory).isEmpty)
        try FileManager.default.removeItem(atPath: node.dataDirectory)
    }

    @Test("unpacked code of functions that are gone or were replaced is removed at the next start")
    func leftovers() async throws {
        try await withTemporaryDirectory { folder in
            for number in 1...3 { try write("def handle(req):\n    return '\(number)'\n", to: "\(folder)/f\(number).py") }
            let node = try await NodeUnderTest()
            for (name, file) in [("kept", "f1.py"), ("gone", "f2.py"), ("kept", "f3.py")] {
                let outcome = try await node.brume(["deploy", name, "--handler", "\(folder)/\(file)", "--quiet"])
                #expect(outcome.exitCode == 0, "\(outcome.complaint)")
            }
            #expect(try await node.brume(["remove", "gone"]).exitCode == 0)
            let unpacked = node.dataDirectory + "/unpacked/code"
            #expect(try FileManager.default.contentsOfDirectory(atPath: unpacked).count == 3)
            await node.stop(keepData: true)
            try await withNode(dataDirectory: node.dataDirectory) { node in
                let answer = try await node.call("kept")
                #expect(answer.text == "3")
                #expect(try FileManager.default.contentsOfDirectory(atPath: unpacked).count == 1)
            }
        }
    }

    @Test("each figure of /metrics is described by a sentence of its own")
    func figures() async throws {
        try await withNode { node in
            try await node.deployFork("good", "cat")
            try await node.call("good")
            let lines = try await node.http(.GET, "/metrics").text.split(separator: "\n")
            var described: [String] = []
            for line in lines where line.hasPrefix("# HELP ") {
                let words = line.dropFirst(7).split(separator: " ", maxSplits: 1)
                try #require(words.count == 2)
                let generic = words[0].replacing("_", with: " ")
                #expect(words[1].lowercased() != generic + ".", "\(words[0]) has no description")
                #expect(words[1].hasSuffix("."), "\(line)")
                described.append(String(words[0]))
            }
            for name in ["brume_store_dropped_calls", "brume_store_dropped_lines", "brume_store_dropped_results"] {
                #expect(described.contains(name))
                #expect(lines.contains { $0 == "\(name) 0" })
            }
            #expect(described.contains("brume_replicas") && described.contains("gateway_function_invocation_total"))
        }
    }

    @Test("SIGTERM lets a running call end")
    func gracefulStop() async throws {
        let node = try await NodeUnderTest()
        try await node.deployFork("nap", "sh -c 'sleep 1; echo rested'")
        try await node.call("nap")
        async let running = node.call("nap")
        let busy = try await eventually { (try await node.json("/v1/status") as? [String: Any])?["runningCalls"] as? Int == 1 }
        #expect(busy)
        let stopping = Task { await node.stop() }
        let answer = try await running
        #expect(answer.status == 200)
        #expect(answer.text == "rested\n")
        await stopping.value
    }

    // MARK: What is left

    static func processes(naming path: String) -> [pid_t] {
        let own = ProcessInfo.processInfo.processIdentifier
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { pid_t($0) }.filter { pid in
            guard pid != own, let data = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return false }
            let words = data.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            return words.contains { $0.contains(path) }
        }
    }

    static func isAlive(_ pid: pid_t) -> Bool { kill(pid, 0) == 0 }

    static func mounts(naming path: String) -> [Substring] {
        ((try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? "").split(separator: "\n").filter { $0.contains(path) }
    }

    /// Groups of a node, which are named after its sandbox directory (FNV-1a, 64 bits).
    static func cgroups(of node: NodeUnderTest) -> [String] {
        let path = URL(filePath: node.dataDirectory).resolvingSymlinksInPath().path + "/sandbox"
        let hash = path.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        let digits = String(hash, radix: 16)
        let name = "brume-" + String(repeating: "0", count: 16 - digits.count) + digits
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified"]
        return roots.map { $0 + "/" + name }.filter { FileManager.default.fileExists(atPath: $0) }
    }
}
