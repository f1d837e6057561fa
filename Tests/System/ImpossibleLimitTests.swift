// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOHTTP1
import Testing

/// Limits that the machine cannot give are refused alike, whoever asks and however the node shares: they would be no limits.
@Suite("Limits that the machine cannot give", .serialized)
struct ImpossibleLimitTests {
    private static let cores = ProcessInfo.processInfo.activeProcessorCount
    /// In whole mebibytes, as the node says it.
    private static let mebibytes = Int(ProcessInfo.processInfo.physicalMemory >> 20)

    private static let cpuWords = ["The CPU limit of \(cores + 1) is more", "it has \(cores) core", "at most \(cores),", "limits.cpu"]
    private static let memoryWords = ["The memory limit of", "is more than this node can give", "limits.memory"]

    /// What is refused of each kind: the smallest that is too much.
    private static let excess = [("cpu", "\(cores + 1)", cpuWords), ("memory", "\(mebibytes + 1)Mi", memoryWords)]

    @Test(
        "by deploy, by a stack file, and by OpenFaaS' routes, with one sentence that says what there is",
        arguments: ["static", "weights", "harvest", "density"])
    func refused(sharing: String) async throws {
        try await withNode(options: ["--spares", "0", "--sharing", sharing]) { node in
            try await node.deployFork("good", "cat")
            for (kind, amount, says) in Self.excess {
                let said = try await node.brume(["deploy", "worse", "--command", "cat", "--\(kind)", amount, "--quiet"])
                #expect(said.exitCode == 2 && said.output.isEmpty)
                BadInputTests.expectSentence(said.complaint, says: says, of: "deploy --\(kind) \(amount)")
                let again = try await node.brume(["deploy", "good", "--command", "tac", "--\(kind)", amount, "--quiet"])
                #expect(again.exitCode == 2)
                try await Self.stack(kind, amount, says, node)
                // Asking for less than the limit makes it no smaller.
                let limits = #""limits":{"\#(kind)":"\#(amount)"},"requests":{"\#(kind)":"\#(kind == "cpu" ? "10m" : "16Mi")"}"#
                for (method, name) in [(HTTPMethod.POST, "worse"), (.PUT, "good")] {
                    let refused = try await node.http(
                        method, "/system/functions", body: #"{"service":"\#(name)","image":"x","envProcess":"tac",\#(limits)}"#)
                    #expect(refused.status == 400, "\(refused.status)")
                    BadInputTests.expectSentence(refused.text, says: says, of: "\(method.rawValue) \(kind)")
                }
            }
            let names = (try await node.json("/system/functions") as? [[String: Any]])?.compactMap { $0["name"] as? String }
            #expect(names == ["good"])
            #expect(try await node.call("good", "as before").text == "as before")
        }
    }

    private static func stack(_ kind: String, _ amount: String, _ says: [String], _ node: NodeUnderTest) async throws {
        try await withTemporaryDirectory { folder in
            let stack = """
                version: "1.0"
                provider: {name: openfaas}
                functions:
                  worse:
                    fprocess: cat
                    limits: {\(kind): "\(amount)"}
                """
            try stack.write(toFile: "\(folder)/stack.yml", atomically: true, encoding: .utf8)
            let said = try await node.brume(["deploy", "-f", "\(folder)/stack.yml", "--quiet"])
            #expect(said.exitCode == 2)
            BadInputTests.expectSentence(said.complaint, says: says, of: "a stack file with \(kind): \(amount)")
        }
    }

    @Test(
        "all that the machine has is a limit that it can give, also where the node uses less of it or promises more",
        arguments: ["1", nil, "900"])
    func allOfIt(cpu: String?) async throws {
        try await withNode(options: ["--spares", "0"] + (cpu.map { ["--cpu", $0] } ?? [])) { node in
            let all = try await node.brume(["deploy", "all", "--command", "cat", "--cpu", "\(Self.cores)", "--quiet"])
            #expect(all.exitCode == 0, "\(all.complaint)")
            #expect(try await node.call("all", "here").text == "here")
            let more = try await node.brume(["deploy", "more", "--command", "cat", "--cpu", "\(Self.cores + 1)", "--quiet"])
            #expect(more.exitCode == (cpu == "900" ? 0 : 2), "\(more.complaint)")
        }
    }

    @Test("a function that was stored when there was more goes on answering")
    func stored() async throws {
        let node = try await NodeUnderTest(options: ["--spares", "0", "--cpu", "900"])
        let deployed = try await node.brume(["deploy", "old", "--command", "cat", "--cpu", "\(Self.cores + 8)", "--quiet"])
        #expect(deployed.exitCode == 0, "\(deployed.complaint)")
        await node.stop(keepData: true)
        try await withNode(dataDirectory: node.dataDirectory, options: ["--spares", "0"]) { node in
            let answer = try await node.call("old", "still")
            #expect(answer.text == "still")
        }
    }
}
