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

    /// The limits of memory that the node says it has written.
    static func memoryLimits(_ node: NodeUnderTest) -> [Int] {
        node.log.split(separator: "\n").filter { $0.contains("limit written") && $0.contains("kind=memory") }.compactMap { line in
            line.split(separator: " ").first { $0.hasPrefix("to=") }.flatMap { Int($0.dropFirst(3)) }
        }
    }

    @Test("a call that uses little lends: its limits are lowered while it runs, restored when it comes near them, and nobody is killed")
    func lending() async throws {
        try await withNode(options: ["--sharing", "harvest", "--spares", "0", "--log-level", "trace"]) { node in
            let file = node.dataDirectory + "/busy.py"
            try Self.handler.write(toFile: file, atomically: true, encoding: .utf8)
            let deployed = try await node.brume([
                "deploy", "busy", "--handler", file, "--memory", "256Mi", "--cpu", "1", "--min", "1", "--max", "1",
                "--annotation", "dev.brume.harvest.parameters=mib",
            ])
            #expect(deployed.exitCode == 0, "\(deployed.complaint)")
            for _ in 0..<20 { #expect(try await node.call("busy", #"{"ms": 30, "mib": 2}"#).status == 200) }
            async let slow = node.call("busy", #"{"ms": 600, "mib": 2}"#)
            let lowered = try await eventually(.seconds(5)) { Self.memoryLimits(node).contains { $0 < 200 << 20 } }
            #expect(lowered, "no memory was lent: \(Self.memoryLimits(node))")
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

    @Test("a call that was answered is on record after kill -9, though what it lent was not known yet")
    func recordsSurvive() async throws {
        let node = try await NodeUnderTest(options: ["--sharing", "harvest", "--spares", "0"])
        let file = node.dataDirectory + "/busy.py"
        try Self.handler.write(toFile: file, atomically: true, encoding: .utf8)
        // Two calls at a time in one replica: they are told under the first, when both are through.
        let deployed = try await node.brume([
            "deploy", "busy", "--handler", file, "--concurrency", "2", "--min", "1", "--max", "1", "--memory", "256Mi",
        ])
        #expect(deployed.exitCode == 0, "\(deployed.complaint)")
        #expect(try await node.call("busy", #"{"ms": 0, "mib": 1}"#).status == 200)
        let long = Task { try? await node.call("busy", #"{"ms": 20000, "mib": 1}"#) }
        #expect(try await eventually { try await Self.outcomes(node).contains("running") })
        let answered = try await node.call("busy", #"{"ms": 1, "mib": 1}"#)
        #expect(answered.status == 200)
        // Asking flushes what waits; it must be there to be flushed.
        #expect(try await Self.outcomes(node).count { $0 == "succeeded" } == 2)
        await node.killHard()
        _ = await long.value
        let again = try await NodeUnderTest(dataDirectory: node.dataDirectory)
        #expect(try await Self.outcomes(again).count { $0 == "succeeded" } == 2)
        await again.stop()
    }

    private static func outcomes(_ node: NodeUnderTest) async throws -> [String] {
        let calls = try await node.json("/v1/calls?function=busy") as? [[String: Any]]
        return calls?.compactMap { $0["outcome"] as? String } ?? []
    }

    /// Takes so many mebibytes in one go after a while, and keeps them.
    private static let sudden = """
        import json, time
        def handle(req):
            args = json.loads(req)
            time.sleep(args['wait'] / 1000)
            held = b'x' * (args['mib'] << 20)
            time.sleep(args['stay'] / 1000)
            return str(len(held) >> 20)
        """

    /// The call's input, always of one length: nothing is to follow from that.
    private static func words(wait: Int, mib: Int, stay: Int) -> String {
        let text = #"{"wait": \#(wait), "mib": \#(mib), "stay": \#(stay)}"#
        return text + String(repeating: " ", count: max(0, 64 - text.utf8.count))
    }

    @Test("a lender that needs what its borrower really uses waits for it, and both calls end well")
    func waiting() async throws {
        // Room for both, and next to nothing beside them.
        let options = ["--sharing", "harvest", "--spares", "0", "--cpu", "4", "--memory", "368Mi", "--log-level", "trace"]
        try await withNode(options: options) { node in
            let file = node.dataDirectory + "/sudden.py"
            try Self.sudden.write(toFile: file, atomically: true, encoding: .utf8)
            for (name, memory) in [("lender", "256Mi"), ("borrower", "96Mi")] {
                let deployed = try await node.brume([
                    "deploy", name, "--handler", file, "--memory", memory, "--cpu", "1", "--min", "1", "--max", "1",
                ])
                #expect(deployed.exitCode == 0, "\(deployed.complaint)")
            }
            for _ in 0..<12 { #expect(try await node.call("lender", Self.words(wait: 0, mib: 1, stay: 10)).status == 200) }
            // By its own allocation it ends for want of memory, as it would without harvesting; so it is known to want more.
            for _ in 0..<10 { #expect(try await node.call("borrower", Self.words(wait: 0, mib: 1, stay: 0)).status == 200) }
            for _ in 0..<4 {
                let answer = try await node.call("borrower", Self.words(wait: 0, mib: 140, stay: 0))
                #expect(answer.text.contains("memory limit"), "\(answer.status) \(answer.text)")
            }
            async let lending = node.call("lender", Self.words(wait: 1500, mib: 230, stay: 50))
            #expect(try await eventually { Self.memoryLimits(node).last.map { $0 < 90 << 20 } ?? false })
            let borrowed = try await node.call("borrower", Self.words(wait: 0, mib: 140, stay: 3000))
            #expect(borrowed.status == 200, "\(borrowed.status) \(borrowed.text)")
            let lent = try await lending
            #expect(lent.status == 200 && lent.text == "230", "\(lent.status) \(lent.text)")
            let logs = try await node.brume(["logs", "lender"])
            #expect(logs.output.contains("Paused: a call that borrowed its memory"), "\(logs.output)")
        }
    }
}
