// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOHTTP1
import Testing

/// What goes wrong inside a function ends that call with a clear error, and only that call.
@Suite(.serialized)
struct FunctionFailureTests {
    struct Fault: Sendable, CustomTestStringConvertible {
        let name: String
        let command: String
        var limits: [String: String] = [:]
        var annotations: [String: String] = [:]
        let status: Int
        let says: String
        var testDescription: String { name }
    }

    static let faults = [
        Fault(
            name: "memory", command: "python3 -c 'x = bytearray(400 << 20); print(len(x))'", limits: ["memory": "64Mi"], status: 500,
            says: "memory"),
        Fault(name: "exit", command: "sh -c 'echo partly; exit 3'", status: 500, says: "3"),
        Fault(name: "crash", command: "sh -c 'kill -SEGV $$'", status: 500, says: "signal"),
        Fault(name: "slow", command: "sleep 30", annotations: ["dev.brume.timeout": "500ms"], status: 504, says: "time limit"),
        Fault(
            name: "forkbomb", command: "sh -c 'b() { b | b & b; }; b'", annotations: ["dev.brume.timeout": "3s"], status: 500,
            says: ""),
        Fault(
            name: "disk", command: "sh -c 'head -c 900000000 /dev/zero > /tmp/fill'", limits: ["memory": "128Mi"], status: 500, says: ""),
    ]

    @Test("a fault ends its call with an error, and its neighbour goes on", arguments: faults)
    func fault(_ fault: Fault) async throws {
        try await withNode { node in
            try await node.deployFork("good", "cat")
            try await node.deployFork(fault.name, fault.command, annotations: fault.annotations, limits: fault.limits)
            async let bad = node.call(fault.name, "x")
            for round in 0..<5 {
                let answer = try await node.call("good", "round \(round)")
                #expect(answer.status == 200)
                #expect(answer.text == "round \(round)")
            }
            let answer = try await bad
            if fault.name == "forkbomb" {
                #expect([500, 502, 504].contains(answer.status), "\(answer.status) \(answer.text)")
            } else {
                #expect(answer.status == fault.status, "\(answer.text)")
                #expect(answer.text.localizedCaseInsensitiveContains(fault.says) || fault.says.isEmpty, "\(answer.text)")
            }
            #expect(try await node.call("good", "after").text == "after")
        }
    }

    @Test("endless output breaks off at the limit, and its neighbour goes on")
    func endlessOutput() async throws {
        try await withNode { node in
            try await node.deployFork("good", "cat")
            try await node.deployFork("endless", "yes", annotations: ["dev.brume.timeout": "60s"])
            // The status and the first bytes are out before the limit is reached, so the transfer breaks off instead of ending well.
            await #expect(throws: (any Error).self) { try await node.call("endless") }
            #expect(try await node.call("good", "after").text == "after")
            let ended = try await eventually {
                let calls = try await node.json("/v1/calls?function=endless") as? [[String: Any]] ?? []
                return !calls.isEmpty && calls.allSatisfy { $0["outcome"] as? String != "running" }
            }
            #expect(ended)
        }
    }
}
