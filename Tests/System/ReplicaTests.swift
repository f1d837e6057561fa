// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

/// Replicas over time: scaling, warm reuse, replacement, queueing, deadlines.
@Suite(.serialized)
struct ReplicaTests {
    @Test("a function scales from zero on a call, is warm on the next, and goes back to zero when idle")
    func fromZeroAndBack() async throws {
        try await withNode { node in
            try await node.deployFork(
                "echo", "cat", annotations: ["dev.brume.prewarm": "false", "dev.brume.keep-alive": "1s"])
            let first = try await node.call("echo", "a")
            #expect(first.headers.first(name: "X-Brume-Start") == "cold")
            let second = try await node.call("echo", "b")
            #expect(second.headers.first(name: "X-Brume-Start") == "warm")
            let idle = try await eventually {
                let status = try await node.json("/system/function/echo") as? [String: Any]
                return status?["replicas"] as? Int ?? 0 == 0
            }
            #expect(idle, "the replica stays beyond its keep-alive")
        }
    }

    @Test("a function whose replicas are not kept is deployed at once, and each call starts one", .timeLimit(.minutes(1)))
    func notKept() async throws {
        try await withNode { node in
            let outcome = try await node.brume(["deploy", "brief", "--command", "cat", "--keep-alive", "0s"])
            #expect(outcome.exitCode == 0, "\(outcome.complaint)")
            for word in ["one", "two"] {
                let answer = try await node.call("brief", word)
                #expect(answer.text == word)
                #expect(answer.headers.first(name: "X-Brume-Start") == "cold")
                let gone = try await eventually {
                    (try await node.json("/v1/functions/brief") as? [String: Any])?["replicas"] as? Int == 0
                }
                #expect(gone)
            }
        }
    }

    @Test("redeploying under load fails no call")
    func rollingReplacement() async throws {
        try await withNode { node in
            func deploy(_ revision: Int) async throws {
                try await node.deployFork("echo", "sh -c 'cat; echo -n \(revision)'")
            }
            try await deploy(0)
            #expect(try await node.call("echo", "x").text == "x0")
            let tally = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in 0..<8 {
                    group.addTask {
                        while !tally.finished.withLock({ $0 }) {
                            let answer = try await node.call("echo", "\(client)-")
                            if answer.status == 200 {
                                tally.answered.withLock { $0 += 1 }
                            } else {
                                tally.failures.withLock { $0.append("\(answer.status) \(answer.text)") }
                            }
                        }
                    }
                }
                for revision in 1...5 {
                    try await deploy(revision)
                    try await Task.sleep(for: .milliseconds(400))
                }
                tally.finished.withLock { $0 = true }
                try await group.waitForAll()
            }
            #expect(tally.failures.withLock { $0 } == [])
            #expect(tally.answered.withLock { $0 } > 50)
            #expect(try await node.call("echo", "x").text == "x5")
        }
    }

    @Test("a burst from zero to 500 concurrent calls is answered without an error")
    func burst() async throws {
        try await withNode { node in
            try await node.deployFork("echo", "cat", annotations: ["dev.brume.prewarm": "false"])
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<500 { group.addTask { try await node.call("echo", "\(index)").status } }
                return try await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses == [200: 500])
        }
    }

    @Test("a full queue answers 429 with Retry-After, at once")
    func fullQueue() async throws {
        try await withNode { node in
            try await node.deployFork(
                "slow", "sleep 1", annotations: ["dev.brume.timeout": "4s"], labels: ["com.openfaas.scale.max": "1"])
            let answers = try await withThrowingTaskGroup(of: (Int, String?).self) { group in
                for _ in 0..<1100 {
                    group.addTask {
                        let answer = try await node.call("slow")
                        return (answer.status, answer.headers.first(name: "Retry-After"))
                    }
                }
                return try await group.reduce(into: [(Int, String?)]()) { $0.append($1) }
            }
            let refused = answers.filter { $0.0 == 429 }
            #expect(refused.count >= 1100 - 1024 - 8)
            #expect(refused.allSatisfy { Int($0.1 ?? "") ?? 0 >= 1 })
            #expect(answers.allSatisfy { [200, 429, 504].contains($0.0) })
        }
    }

    @Test("past its deadline a call gets 504, and the replica is not used again before it is idle")
    func deadline() async throws {
        try await withNode { node in
            try await node.deployFork(
                "nap", "sh -c 'read n; sleep $n; echo done'", annotations: ["dev.brume.timeout": "700ms"],
                labels: ["com.openfaas.scale.max": "1"])
            let began = ContinuousClock.now
            let answer = try await node.call("nap", "5\n")
            #expect(answer.status == 504)
            #expect(answer.text.contains("time limit"))
            #expect(ContinuousClock.now - began < .seconds(3))
            let next = try await node.call("nap", "0\n")
            #expect(next.status == 200)
            #expect(next.text == "done\n")
        }
    }
}

/// What the clients of a test saw.
private final class Tally: Sendable {
    let failures = Mutex<[String]>([])
    let answered = Mutex(0)
    let finished = Mutex(false)
}
