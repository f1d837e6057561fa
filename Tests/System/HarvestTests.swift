// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Testing

/// Lending between real replicas, on real control groups.
@Suite(.serialized)
struct HarvestTests {
    /// A handler that takes so many mebibytes, one a millisecond, and stays for so many milliseconds.
    private static let handler = """
        import json, time
        def handle(req):
            args = json.loads(req)
            held = []
            for _ in range(args['mib']):
                held.append(b'x' * (1 << 20))
                time.sleep(0.001)
            time.sleep(args['ms'] / 1000)
            return str(len(held))
        """

    /// The limit file of the one replica of a function, on cgroup v1 or v2.
    private static func memoryLimits(_ node: NodeUnderTest) throws -> [Int] {
        let process = try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)
        let roots = process.split(separator: "\n").map { $0.split(separator: " ") }.filter { $0.count > 2 && $0[2].hasPrefix("cgroup") }
        var limits: [Int] = []
        for root in roots.map({ String($0[1]) }) {
            for name in ["memory.limit_in_bytes", "memory.max"] {
                for group in (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? [] where group.hasPrefix("brume") {
                    for replica in (try? FileManager.default.contentsOfDirectory(atPath: "\(root)/\(group)")) ?? [] {
                        let path = "\(root)/\(group)/\(replica)/\(name)"
                        guard let text = try? String(contentsOfFile: path, encoding: .utf8), let value = Int(text.dropLast()) else {
                            continue
                        }
                        limits.append(value)
                    }
                }
            }
        }
        return limits
    }

    @Test("a call that uses little lends: its limits are lowered while it runs, restored when it comes near them, and nobody is killed")
    func lending() async throws {
        try await withNode(options: ["--sharing", "harvest", "--spares", "0"]) { node in
            let file = node.dataDirectory + "/busy.py"
            try Self.handler.write(toFile: file, atomically: true, encoding: .utf8)
            let deployed = try await node.brume([
                "deploy", "busy", "--handler", file, "--memory", "256Mi", "--cpu", "1", "--min", "1", "--max", "1",
                "--annotation", "dev.brume.harvest.parameters=mib",
            ])
            #expect(deployed.exitCode == 0, "\(deployed.complaint)")
            for _ in 0..<20 { #expect(try await node.call("busy", #"{"ms": 30, "mib": 2}"#).status == 200) }
            async let slow = node.call("busy", #"{"ms": 600, "mib": 2}"#)
            let lowered = try await eventually(.seconds(5)) { try Self.memoryLimits(node).contains { $0 < 200 << 20 } }
            let limits = try Self.memoryLimits(node)
            #expect(lowered, "no memory was lent: \(limits)")
            #expect(try await slow.status == 200)
            // Ten times what it was known to need: the safeguard has to be in time.
            for _ in 0..<10 {
                let answer = try await node.call("busy", #"{"ms": 60, "mib": 160}"#)
                #expect(answer.status == 200, "\(answer.status) \(answer.text)")
            }
            let calls = try await node.json("/v1/calls?function=busy&outcome=failed") as? [[String: Any]]
            #expect(calls?.isEmpty == true, "\(calls ?? [])")
        }
    }
}
