// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOHTTP1
import Testing

/// Real nodes that hand over what they have and leave.
@Suite("A node that is drained", .serialized)
struct DrainTests {
    private static func isDraining(_ asked: NodeUnderTest, _ name: String) async throws -> Bool? {
        try await ClusterTests.cluster(asked).nodes.first { $0.name == name }?.isDraining
    }

    @Test("finishes its calls and refuses new ones, says at the end of the time what is left, and may stay", .timeLimit(.minutes(2)))
    func calls() async throws {
        try await ClusterTests.withThree { first, second, third in
            try await third.deployFork("nap", "sh -c 'sleep 8; echo rested'")
            try await third.deployFork("echo", "cat")
            async let nap = third.call("nap")
            #expect(try await eventually { try await third.http(.GET, "/v1/status").text.contains(#""runningCalls":1"#) })
            let late = try await second.brume(["node", "drain", "third", "--timeout", "2s"])
            #expect(late.exitCode == 1 && late.complaint.contains("1 call still to be finished"), "\(late.complaint)")
            for node in [first, second, third] {
                #expect(try await eventually { try await Self.isDraining(node, "third") == true })
            }
            #expect(try await second.brume(["node", "list"]).output.contains("drains: 1 call"))
            let refused = try await third.call("echo", "x")
            #expect(refused.status == 503, "\(refused.text)")
            let undone = try await second.brume(["node", "drain", "third", "--undo"])
            #expect(undone.exitCode == 0, "\(undone.complaint)")
            for node in [first, second, third] {
                #expect(try await eventually { try await Self.isDraining(node, "third") == false })
            }
            #expect(try await eventually { try await third.call("echo", "x").text == "x" })
            let rested = try await nap
            #expect(rested.status == 200 && rested.text.contains("rested"), "\(rested.text)")
            let unknown = try await second.brume(["node", "drain", "nobody"])
            #expect(unknown.exitCode == 2 && unknown.complaint.contains("brume node list"), "\(unknown.complaint)")
        }
    }

    @Test(
        "leaves when others have all of its state, though its disk burns, and an interrupted command stops nothing", .timeLimit(.minutes(2))
    )
    func state() async throws {
        try await ClusterTests.withThree { first, second, third in
            for number in 0..<100 {
                let path = "/v1/state/demo/k\(number)?kind=string"
                #expect(try await third.http(.PUT, path, body: #"{"value":"v\#(number)"}"#).status < 300)
            }
            try await third.deployFork("nap", "sh -c 'sleep 6; echo rested'")
            async let nap = third.call("nap")
            #expect(try await eventually { try await third.http(.GET, "/v1/status").text.contains(#""runningCalls":1"#) })
            let words = ["-s", "INT", "--preserve-status", "2", NodeUnderTest.program, "node", "drain", "third", "--data-dir"]
            let interrupted = try await NodeUnderTest.run("/usr/bin/timeout", words + [third.dataDirectory])
            #expect(interrupted.exitCode == 1 && interrupted.complaint.contains("goes on handing over"), "\(interrupted.complaint)")
            #expect(try await third.http(.PUT, "/v1/state/demo/late?kind=string", body: #"{"value":"too"}"#).status < 300)
            // Asked at the node itself, which is gone before it could answer for ever.
            let done = try await third.brume(["node", "drain", "third", "--timeout", "60s"])
            #expect(done.exitCode == 0 && done.complaint.contains("handed over everything"), "\(done.complaint)")
            #expect(try await nap.text.contains("rested"))
            #expect(try await eventually { !third.isRunning }, "\(third.log.suffix(2_000))")
            #expect(try await eventually { try await ClusterTests.sees(first, ["third": "left"]) })
            await third.stop()
            for node in [first, second] {
                for name in ["k0", "k50", "k99"] {
                    let text = try await node.http(.GET, "/v1/state/demo/\(name)").text
                    #expect(text.contains("v\(name.dropFirst())"), "\(name): \(text)")
                }
                #expect(try await node.http(.GET, "/v1/state/demo/late").text.contains("too"))
            }
        }
    }

    @Test(
        "goes though a member is down, comes back when it is started again, and stays where nobody could take over", .timeLimit(.minutes(2))
    )
    func absent() async throws {
        try await ClusterTests.withThree { first, second, third in
            await second.killHard()
            #expect(try await eventually { try await ClusterTests.sees(first, ["second": "dead"]) })
            #expect(try await third.http(.PUT, "/v1/state/demo/k?kind=string", body: #"{"value":"v"}"#).status < 300)
            let done = try await first.brume(["node", "drain", "third", "--timeout", "60s"])
            #expect(done.exitCode == 0, "\(done.complaint)")
            #expect(try await eventually { !third.isRunning })
            let alone = try await first.brume(["node", "drain", "first"])
            #expect(alone.exitCode == 1 && alone.complaint.contains("No other node is alive"), "\(alone.complaint)")
            #expect(try await first.http(.GET, "/v1/state/demo/k").text.contains("v"))
            let again = try await NodeUnderTest(dataDirectory: third.dataDirectory, options: ClusterTests.plain + ["--name", "third"])
            #expect(try await eventually { try await ClusterTests.sees(first, ["third": "alive"]) })
            #expect(try await Self.isDraining(first, "third") == false)
            await again.stop(keepData: true)
        }
    }
}
