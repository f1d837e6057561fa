// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOHTTP1
import Testing

@testable import brume

/// Which of several real nodes keep a namespace of state, and how the others come by it.
@Suite("Who keeps what, on real nodes", .serialized)
struct KeepingSystemTests {
    private static let json = [("Content-Type", "application/json")]
    /// What is used and not kept goes after a second, so that a test sees it go.
    private static let options = ["--state-idle", "1s", "--redis", "127.0.0.1:0"]
    private static let objects = 40

    // MARK: Helpers

    /// Three nodes, the second of which stands in the cloud; ended whatever happens.
    private func withThree(
        _ first: [String] = [], _ body: ([NodeUnderTest]) async throws -> Void
    ) async throws {
        var nodes: [NodeUnderTest] = []
        do {
            let founder = try await NodeUnderTest(
                options: ClusterTests.plain + ClusterTests.link + ["--name", "first"] + Self.options + first)
            nodes.append(founder)
            let token = try await ClusterTests.token(founder, uses: 2)
            nodes.append(try await ClusterTests.joiner(token, "second", Self.options + ["--tier", "cloud"]))
            nodes.append(try await ClusterTests.joiner(token, "third", Self.options + ["--tier", "edge"]))
            for node in nodes {
                let all = try await eventually {
                    guard try await ClusterTests.sees(node, ["first": "alive", "second": "alive", "third": "alive"]) else { return false }
                    return try await ClusterTests.cluster(node).nodes.allSatisfy { $0.isSelf || $0.isConnected }
                }
                #expect(all, "\(node.log.suffix(2_000))")
            }
            try await body(nodes)
        } catch {
            let logs = nodes.map { $0.log.suffix(2_000) }.joined(separator: "\n--- the next node ---\n")
            for node in nodes.reversed() { await node.stop() }
            throw NodeUnderTest.Failure(description: "\(error)\n\(logs)")
        }
        for node in nodes.reversed() { await node.stop() }
    }

    private func kept(_ node: NodeUnderTest, _ namespace: String) async throws -> StateKeepReport {
        let path = "/v1/keep/" + namespace.replacing("/", with: "%2F")
        let answer = try await node.http(.GET, path)
        guard answer.status == 200 else { throw NodeUnderTest.Failure(description: "\(path): \(answer.status) \(answer.text)") }
        return try JSONDecoder().decode(StateKeepReport.self, from: Data(answer.text.utf8))
    }

    /// Which nodes hold so many objects of the namespace; nil while some hold a part, or the nodes do not all name just those.
    private func keepers(_ nodes: [NodeUnderTest], _ namespace: String, _ count: Int = objects) async throws -> [Int]? {
        var whole: [Int] = []
        var named: Set<Int> = []
        for (index, node) in nodes.enumerated() {
            let report = try await kept(node, namespace)
            named.insert(report.nodes.count)
            if report.here.kept, report.here.complete, report.here.objects == count {
                whole.append(index)
            } else if report.here.kept || report.here.objects > 0 {
                return nil
            }
        }
        return named == [whole.count] ? whole : nil
    }

    private func write(_ node: NodeUnderTest, _ namespace: String, _ count: Int = objects) async throws {
        let path = "/v1/state/" + namespace.replacing("/", with: "%2F")
        for number in 0..<count {
            let body = #"{"value":"v\#(number)"}"#
            let answer = try await node.http(.PUT, "\(path)/k\(number)", headers: Self.json, body: body)
            guard answer.status < 300 else { throw NodeUnderTest.Failure(description: "\(answer.status) \(answer.text)") }
        }
    }

    @discardableResult
    private func say(_ node: NodeUnderTest, _ namespace: String, _ policy: String) async throws -> String {
        let outcome = try await node.brume(["state", "keep", namespace, policy, "--quiet"])
        #expect(outcome.exitCode == 0, "\(outcome.complaint)")
        return outcome.output
    }

    private func figure(_ node: NodeUnderTest, _ name: String) async throws -> Int {
        let stats = try await node.json("/v1/state") as? [String: Any]
        return (stats?["figures"] as? [String: Any])?[name] as? Int ?? -1
    }

    // MARK: Copies

    @Test(
        "two copies are on exactly two nodes, and the third reads them over HTTP, Redis and the command line, pulls and lets go",
        .timeLimit(.minutes(3)))
    func copies() async throws {
        try await withThree { nodes in
            try await write(nodes[0], "default")
            #expect(try await eventually { try await keepers(nodes, "default") == [0, 1, 2] }, "by default all keep it")
            try await say(nodes[2], "default", "2")
            var two: [Int] = []
            let areTwo = try await eventually(.seconds(40)) {
                two = try await keepers(nodes, "default") ?? []
                return two.count == 2
            }
            #expect(areTwo, "\(two)")
            let other = try #require([0, 1, 2].first { !two.contains($0) })
            let third = nodes[other]
            let pulledBefore = try await figure(third, "namespaces-pulled")
            let redis = try #require(NodeFileReport(third.dataDirectory)?.redis.split(separator: ":").last)
            let doors: [(String, () async throws -> String)] = [
                ("http", { try await third.http(.GET, "/v1/state/default/k7").text }),
                ("redis", { try await NodeUnderTest.run("/usr/bin/redis-cli", ["-p", "\(redis)", "GET", "k7"]).output }),
                ("state get", { try await third.brume(["state", "get", "k7", "--quiet"]).output }),
                ("state ls", { try await third.brume(["state", "ls", "k7", "--quiet"]).output.replacing("k7", with: "v7") }),
            ]
            for (number, door) in doors.enumerated() {
                #expect(try await kept(third, "default").here.objects == 0, "\(door.0)")
                let answer = try await door.1()
                #expect(answer.contains("v7"), "\(door.0): \(answer)")
                #expect(try await figure(third, "namespaces-pulled") == pulledBefore + number + 1, "\(door.0)")
                #expect(try await eventually(.seconds(40)) { try await keepers(nodes, "default") == two }, "\(door.0)")
            }
            #expect(try await figure(third, "namespaces-dropped") == doors.count + 1)
            #expect(try await figure(third, "pulled-objects") >= Self.objects)
            let metrics = try await third.http(.GET, "/metrics").text
            #expect(metrics.contains("brume_state_namespaces_dropped \(doors.count + 1)"), "\(metrics.count)")
            // A write where it is not kept counts like any other, and reaches those that keep it.
            let counted = try await NodeUnderTest.run("/usr/bin/redis-cli", ["-p", "\(redis)", "INCRBY", "n", "5"]).output
            #expect(counted.contains("5"))
            #expect(try await eventually(.seconds(40)) { try await keepers(nodes, "default", Self.objects + 1) == two })
            // More copies than nodes are as many as there are nodes.
            let table = try await say(third, "default", "9")
            #expect(table.contains("default") && table.contains("9"), "\(table)")
            #expect(try await eventually { try await keepers(nodes, "default", Self.objects + 1) == [0, 1, 2] })
            let shown = try await nodes[1].brume(["state", "keep", "--quiet"]).output
            #expect(shown.contains("first, second, third"), "\(shown)")
        }
    }

    // MARK: The edge and the cloud

    @Test("edge is kept by nodes at the edge alone, cloud by those in the cloud, as said at a node's start", .timeLimit(.minutes(3)))
    func tiers() async throws {
        try await withThree(["--state-keep", "plants=edge", "--state-keep", "archive=cloud"]) { nodes in
            try await write(nodes[0], "plants")
            try await write(nodes[0], "archive")
            #expect(try await eventually(.seconds(40)) { try await keepers(nodes, "plants") == [0, 2] })
            #expect(try await eventually(.seconds(40)) { try await keepers(nodes, "archive") == [1] })
            #expect(try await kept(nodes[1], "plants").keep == "edge", "what one was told at its start holds on all")
            #expect(try await nodes[1].http(.GET, "/v1/state/plants/k3").text.contains("v3"))
            #expect(try await eventually(.seconds(40)) { try await keepers(nodes, "plants") == [0, 2] })
            // What a person says counts against what a start says, also at the next start.
            try await say(nodes[2], "archive", "edge")
            #expect(try await eventually(.seconds(40)) { try await keepers(nodes, "archive") == [0, 2] })
            await nodes[0].killHard()
            let again = try await NodeUnderTest(
                dataDirectory: nodes[0].dataDirectory,
                options: ClusterTests.plain + ["--name", "first"] + Self.options + ["--state-keep", "archive=cloud"])
            let all = [again, nodes[1], nodes[2]]
            do {
                #expect(try await eventually(.seconds(40)) { try await keepers(all, "archive") == [0, 2] }, "\(again.log.suffix(2_000))")
                #expect(try await kept(again, "archive").keep == "edge")
            } catch {
                await again.stop()
                throw error
            }
            await again.stop(keepData: true)
        }
    }

    // MARK: Functions

    @Test(
        "a function's nodes keep its namespace until it is removed there, as its annotation says, and the last copy stays",
        .timeLimit(.minutes(3)))
    func functions() async throws {
        try await withThree { nodes in
            let name = "openfaas-fn/counter"
            for node in [nodes[1], nodes[2]] {
                try await node.deployFork("counter", "cat", annotations: ["dev.brume.state.keep": "functions"])
            }
            try await write(nodes[0], name)
            #expect(try await eventually(.seconds(40)) { try await keepers(nodes, name) == [1, 2] })
            #expect(try await kept(nodes[1], name).here.users == 1)
            // Another namespace by annotation, and a new deployment: the node lets go of the old one.
            try await nodes[1].http(.DELETE, "/system/functions", headers: Self.json, body: #"{"functionName":"counter"}"#)
            #expect(try await eventually(.seconds(40)) { try await keepers(nodes, name) == [2] })
            try await nodes[2].http(.DELETE, "/system/functions", headers: Self.json, body: #"{"functionName":"counter"}"#)
            #expect(try await kept(nodes[2], name).here.users == 0)
            // Nobody runs it, nobody uses it: idle many times over, it is still there, and a killed node brings it back.
            try await Task.sleep(for: .seconds(6))
            #expect(try await keepers(nodes, name) == [2])
            await nodes[2].killHard()
            let again = try await NodeUnderTest(
                dataDirectory: nodes[2].dataDirectory, options: ClusterTests.plain + ["--name", "third"] + Self.options)
            do {
                #expect(try await eventually { try await nodes[0].http(.GET, "/v1/state/openfaas-fn%2Fcounter/k5").text.contains("v5") })
            } catch {
                await again.stop()
                throw error
            }
            await again.stop(keepData: true)
        }
    }

    // MARK: Bad input

    @Test("words that make no sense are refused where they are said, in one sentence", .timeLimit(.minutes(2)))
    func badInput() async throws {
        let wrong: [([String], String)] = [
            (["--tier", "fog"], "edge"), (["--label", "tier=fog"], "--tier edge"),
            (["--tier", "edge", "--label", "tier=cloud"], "leave one"),
            (["--state-keep", "plants"], "NAMESPACE=POLICY"), (["--state-keep", "plants=moon"], "'moon' does not say"),
            (["--state-keep", "plants=0"], "'0' does not say"), (["--state-keep", "two words=2"], "is no namespace"),
            (["--state-keep", ".brume.keep=2"], "Brume's own"), (["--state-idle", "0s"], "a second or more"),
        ]
        for (words, sentence) in wrong {
            let outcome = try await NodeUnderTest.run(
                NodeUnderTest.program, ["up", "--port", "0", "--unlisted", "--data-dir", NSTemporaryDirectory() + "brume-none"] + words)
            #expect(outcome.exitCode != 0 && outcome.complaint.contains(sentence), "\(words): \(outcome.complaint)")
        }
        try await withNode(options: ["--isolation", "none", "--spares", "0", "--unlisted"]) { node in
            let bodies = [
                #"{"keep":"moon"}"#: "'moon' does not say", #"{"keep":0}"#: "'0' does not say", #"{"keep":1001}"#: "1 to 1000",
                #"{}"#: "'keep' is missing", "edge": "JSON",
            ]
            for (body, sentence) in bodies.sorted(by: { $0.key < $1.key }) {
                let answer = try await node.http(.PUT, "/v1/keep/plants", headers: Self.json, body: body)
                #expect(answer.status == 400 && answer.text.contains(sentence), "\(body): \(answer.status) \(answer.text)")
            }
            for path in ["/v1/keep/.brume.keep", "/v1/keep/two%20words", "/v1/state/.brume.keep", "/v1/state/.brume.keep/plants"] {
                #expect(try await node.http(.GET, path).status == 400, "\(path)")
            }
            let spoken = try await node.brume(["state", "keep", "plants", "moon", "--quiet"])
            #expect(spoken.exitCode != 0 && spoken.complaint.contains("'moon' does not say"), "\(spoken.complaint)")
            for (annotation, value) in [("dev.brume.state.keep", "moon"), ("dev.brume.state.namespace", "two words")] {
                await #expect(throws: NodeUnderTest.Failure.self, "\(annotation)") {
                    try await node.deployFork("wrong", "cat", annotations: [annotation: value])
                }
            }
            #expect(try await node.http(.GET, "/system/function/wrong").status == 404, "nothing of it is deployed")
            #expect(try await kept(node, "plants").default)
        }
    }
}

/// What `DATA-DIR/node.json` says.
private struct NodeFileReport {
    let redis: String

    init?(_ directory: String) {
        guard let data = FileManager.default.contents(atPath: directory + "/node.json"),
            let file = try? JSONSerialization.jsonObject(with: data) as? [String: Any], let redis = file["redis"] as? String
        else { return nil }
        self.redis = redis
    }
}
