// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOHTTP1
import Testing

/// Several real nodes on loopback: joining, seeing each other, deaths, removals, and what goes wrong with it.
@Suite("A cluster of real nodes", .serialized)
struct ClusterTests {
    static let plain = ["--isolation", "none", "--spares", "0", "--unlisted", "--cpu", "500m", "--memory", "256Mi"]
    static let link = ["--link", "127.0.0.1:0"]

    // MARK: Helpers

    static func founder(_ directory: String? = nil) async throws -> NodeUnderTest {
        try await NodeUnderTest(dataDirectory: directory, options: plain + link + ["--name", "first"])
    }

    static func token(_ node: NodeUnderTest, life: String = "1h", uses: Int = 1) async throws -> JoinTokenReport {
        let answer = try await node.http(.POST, "/v1/tokens", body: #"{"life":"\#(life)","uses":\#(uses)}"#)
        guard answer.status == 201 else { throw NodeUnderTest.Failure(description: "\(answer.status) \(answer.text)") }
        return try JSONDecoder().decode(JoinTokenReport.self, from: Data(answer.text.utf8))
    }

    static func joiner(_ token: JoinTokenReport, _ name: String, _ more: [String] = []) async throws -> NodeUnderTest {
        try await NodeUnderTest(
            options: plain + ["--join", token.address, "--token", token.token, "--name", name] + more)
    }

    static func cluster(_ node: NodeUnderTest) async throws -> ClusterReport {
        try JSONDecoder().decode(ClusterReport.self, from: Data(try await node.http(.GET, "/v1/nodes").text.utf8))
    }

    /// Whether `node` sees others by name with these statuses.
    static func sees(_ node: NodeUnderTest, _ wanted: [String: String]) async throws -> Bool {
        let nodes = try await cluster(node).nodes
        return wanted.allSatisfy { name, status in nodes.contains { $0.name == name && $0.status == status } }
    }

    /// Three nodes that see each other, ended whatever happens.
    static func withThree(_ body: (NodeUnderTest, NodeUnderTest, NodeUnderTest) async throws -> Void) async throws {
        let first = try await founder()
        do {
            let token = try await token(first, uses: 2)
            let second = try await joiner(token, "second", ["--label", "tier=cloud", "--label", "zone=lyon"])
            do {
                let third = try await joiner(token, "third")
                do {
                    for node in [first, second, third] {
                        let isWhole = try await eventually {
                            try await sees(node, ["first": "alive", "second": "alive", "third": "alive"])
                        }
                        #expect(isWhole, "\(node.log.suffix(2_000))")
                    }
                    try await body(first, second, third)
                } catch {
                    await third.stop()
                    throw error
                }
                await third.stop()
            } catch {
                await second.stop()
                throw error
            }
            await second.stop()
        } catch {
            await first.stop()
            throw error
        }
        await first.stop()
    }

    // MARK: Together

    @Test("three nodes join, list each other with labels, and status shows them", .timeLimit(.minutes(2)))
    func join() async throws {
        try await Self.withThree { first, second, third in
            let report = try await Self.cluster(third)
            #expect(report.standing == "member" && report.nodes.count == 3)
            let labelled = try #require(report.nodes.first { $0.name == "second" })
            #expect(labelled.labels == ["tier": "cloud", "zone": "lyon"])
            #expect(report.nodes.first { $0.admits }?.name == "first")
            #expect(try await eventually { try await Self.cluster(first).nodes.allSatisfy(\.isConnected) })
            let list = try await second.brume(["node", "list"])
            #expect(list.exitCode == 0 && list.output.contains("zone=lyon") && list.output.contains("alive (this)"), "\(list.output)")
            let status = try await second.brume(["status"])
            #expect(status.output.contains("third"), "\(status.output)")
            // One keeps state of its own, and the others get it: the link carries more than membership.
            #expect(try await first.http(.PUT, "/v1/state/demo/greeting?kind=string", body: #"{"value":"bonjour"}"#).status < 300)
            let arrived = try await eventually { try await third.http(.GET, "/v1/state/demo/greeting").text.contains("bonjour") }
            #expect(arrived, "\(third.log.suffix(2_000))")
        }
    }

    @Test("a killed node is seen dead within seconds, and returns by itself", .timeLimit(.minutes(2)))
    func killed() async throws {
        try await Self.withThree { first, second, third in
            let before = try await Self.cluster(third).node
            await third.killHard()
            let killed = ContinuousClock.now
            for node in [first, second] {
                #expect(try await eventually { try await Self.sees(node, ["third": "dead", "first": "alive", "second": "alive"]) })
            }
            #expect(ContinuousClock.now - killed < .seconds(6), "\(ContinuousClock.now - killed)")
            // Without a word about the cluster: it knows that it is a member, and where the others are.
            let again = try await NodeUnderTest(dataDirectory: third.dataDirectory, options: Self.plain + ["--name", "third"])
            for node in [first, second, again] {
                #expect(try await eventually { try await Self.sees(node, ["first": "alive", "second": "alive", "third": "alive"]) })
            }
            #expect(try await Self.cluster(again).node == before)
            await again.stop()
            #expect(try await eventually { try await Self.sees(first, ["third": "left"]) }, "a stopped node says goodbye")
        }
    }

    @Test("a removed node works alone, and cannot return under its identity", .timeLimit(.minutes(2)))
    func removed() async throws {
        try await Self.withThree { first, second, third in
            let refusal = try await second.brume(["node", "remove", "third"])
            #expect(refusal.exitCode == 1 && refusal.complaint.contains("first"), "only who holds the key removes: \(refusal.complaint)")
            let done = try await first.brume(["node", "remove", "third"])
            #expect(done.exitCode == 0, "\(done.complaint)")
            #expect(try await eventually { try await Self.sees(second, ["third": "removed"]) })
            let knows = try await eventually { try await Self.cluster(third).standing == "expelled" }
            #expect(knows, "\(third.log.suffix(2_000))")
            await third.stop(keepData: true)
            defer { try? FileManager.default.removeItem(atPath: third.dataDirectory) }
            let again = try await NodeUnderTest.run(
                "/usr/bin/timeout", ["30", NodeUnderTest.program, "up", "--port", "0", "--data-dir", third.dataDirectory] + Self.plain)
            #expect(again.exitCode == 1 && again.complaint.contains("removed from its cluster"), "\(again.complaint)")
            // A new token does not help the old identity.
            let token = try await Self.token(first)
            let asked = try await NodeUnderTest.run(
                "/usr/bin/timeout",
                [
                    "30", NodeUnderTest.program, "up", "--port", "0", "--data-dir", third.dataDirectory, "--join", token.address, "--token",
                    token.token,
                ] + Self.plain)
            #expect(asked.exitCode == 1 && asked.complaint.contains("removed"), "\(asked.complaint)")
        }
    }

    // MARK: What goes wrong

    @Test("tokens that are mangled, used up, run out or revoked let nobody in, and say what to do", .timeLimit(.minutes(2)))
    func badTokens() async throws {
        let first = try await Self.founder()
        func attempt(_ address: String, _ words: [String]) async throws -> NodeUnderTest.Output {
            try await withTemporaryDirectory { directory in
                try await NodeUnderTest.run(
                    "/usr/bin/timeout",
                    ["30", NodeUnderTest.program, "up", "--port", "0", "--data-dir", directory, "--join", address] + words + Self.plain)
            }
        }
        do {
            let short = try await Self.token(first, life: "1s", uses: 5)
            let none = try await attempt(short.address, [])
            #expect(none.exitCode == 2 && none.complaint.contains("brume node token"), "\(none.complaint)")
            let mangled = try await attempt(short.address, ["--token", String(short.token.dropLast(3))])
            #expect(mangled.exitCode == 2 && mangled.complaint.contains("copy the whole"), "\(mangled.complaint)")
            try await Task.sleep(for: .seconds(2))
            let late = try await attempt(short.address, ["--token", short.token])
            #expect(late.exitCode == 1 && late.complaint.contains("token"), "\(late.complaint)")
            let other = try await Self.founder()
            let foreign = try await Self.token(other)
            await other.stop()
            let wrong = try await attempt(short.address, ["--token", foreign.token])
            #expect(wrong.exitCode == 1 && wrong.complaint.contains("not of the cluster"), "\(wrong.complaint)")
            let revoked = try await Self.token(first)
            let listed = try await first.http(.GET, "/v1/tokens").text
            let number = try #require(try JSONDecoder().decode([JoinTokenSummary].self, from: Data(listed.utf8)).first?.number)
            #expect(try await first.brume(["node", "token", "--revoke", number]).exitCode == 0)
            #expect(try await attempt(revoked.address, ["--token", revoked.token]).exitCode == 1)
            let nobody = try await attempt("127.0.0.1:1", ["--token", revoked.token])
            #expect(nobody.exitCode == 1 && nobody.complaint.contains("127.0.0.1:1"), "\(nobody.complaint)")
            #expect(try await Self.cluster(first).nodes.count == 1)
        } catch {
            await first.stop()
            throw error
        }
        await first.stop()
    }

    @Test("a node without a link says how to get one", .timeLimit(.minutes(1)))
    func alone() async throws {
        try await withNode(options: Self.plain) { node in
            #expect(try await Self.cluster(node).standing == "alone")
            let token = try await node.brume(["node", "token"])
            #expect(token.exitCode == 1 && token.complaint.contains("--link"), "\(token.complaint)")
            #expect(try await node.brume(["node", "list"]).output.contains("works alone"))
        }
    }

    @Test("a copied data directory is refused or withdraws, and the cluster works on", .timeLimit(.minutes(2)))
    func copied() async throws {
        try await Self.withThree { first, second, third in
            // The very directory is locked by its node.
            let same = try await NodeUnderTest.run(
                "/usr/bin/timeout", ["30", NodeUnderTest.program, "up", "--port", "0", "--data-dir", third.dataDirectory] + Self.plain)
            #expect(same.exitCode == 1 && same.complaint.contains(third.dataDirectory), "\(same.complaint)")
            try await withTemporaryDirectory { copy in
                for folder in ["identity", "cluster"] {
                    try FileManager.default.copyItem(atPath: third.dataDirectory + "/" + folder, toPath: copy + "/" + folder)
                }
                try await withNode(dataDirectory: copy, options: Self.plain + ["--name", "copy"]) { twin in
                    let isSaid = try await eventually {
                        let logs = [first, second, third, twin].map(\.log)
                        return logs.contains { $0.contains("one identity") || $0.contains("this node's identity") }
                    }
                    #expect(isSaid, "\(twin.log.suffix(3_000))")
                }
            }
            for node in [first, second] {
                #expect(try await eventually { try await Self.sees(node, ["first": "alive", "second": "alive", "third": "alive"]) })
            }
        }
    }

    @Test(
        "words that cannot be right are refused at once",
        arguments: [
            (["--link", "nowhere"], "--link"), (["--join", "a:b"], "--join"), (["--token", "x"], "--join"),
            (["--label", "tier"], "KEY=VALUE"),
            (["--link", "off", "--join", "127.0.0.1:7700"], "--link off"), (["--advertise", "10.0.0.5"], "--advertise"),
        ])
    func badWords(words: [String], says: String) async throws {
        try await withTemporaryDirectory { directory in
            let outcome = try await NodeUnderTest.run(
                NodeUnderTest.program, ["up", "--port", "0", "--data-dir", directory] + words)
            #expect(outcome.exitCode == 2 && outcome.complaint.contains(says), "\(outcome.complaint)")
        }
    }
}

/// `brume lab cluster`, from the words to the last process.
@Suite("The lab's cluster", .serialized)
struct LabClusterTests {
    @Test("a command runs beside three nodes with a slow network, and all of it ends", .timeLimit(.minutes(2)))
    func command() async throws {
        let outcome = try await NodeUnderTest.run(
            NodeUnderTest.program,
            [
                "lab", "cluster", "3", "--isolation", "none", "--delay", "20ms", "--jitter", "5ms", "--loss", "1%", "--bandwidth",
                "100mbit",
                "--run", "\(NodeUnderTest.program) node list --json --data-dir $BRUME_DATA_2; echo $BRUME_LAB; exit 7",
            ])
        #expect(outcome.exitCode == 7, "\(outcome.complaint)")
        #expect(outcome.output.contains(#""alive""#), "\(outcome.output)")
        let root = try #require(outcome.output.split(separator: "\n").last.map(String.init))
        #expect(!FileManager.default.fileExists(atPath: root), "\(root) is left")
        #expect(try await Self.processes(in: root) == 0)
    }

    @Test("with --redis any Redis client uses the nodes, also on two sides of a cut link", .timeLimit(.minutes(2)))
    func redis() async throws {
        let script = """
            one() { redis-cli -u $BRUME_REDIS_1 "$@"; }
            two() { redis-cli -u $BRUME_REDIS_2 "$@"; }
            one incrby hits 1
            for i in $(seq 200); do [ "$(two get hits)" = 1 ] && break; sleep 0.05; done
            echo 'partition 1|2' > $BRUME_LAB/control
            for i in $(seq 200); do one set probe $i > /dev/null; sleep 0.1; [ "$(two get probe)" = $i ] || break; done
            one incrby hits 10; two incrby hits 100
            echo "apart $(one get hits) $(two get hits)"
            echo heal > $BRUME_LAB/control
            for i in $(seq 400); do [ "$(one get hits)" = 111 ] && [ "$(two get hits)" = 111 ] && break; sleep 0.05; done
            echo "together $(one get hits) $(two get hits)"
            """
        let outcome = try await NodeUnderTest.run(
            NodeUnderTest.program, ["lab", "cluster", "2", "--isolation", "none", "--redis", "0", "--run", script])
        #expect(outcome.exitCode == 0, "\(outcome.complaint)")
        let said = outcome.output
        #expect(said.contains("apart 11 101") && said.contains("together 111 111"), "\(said)\(outcome.complaint)")
    }

    @Test("the table of nodes says where they serve Redis, and a node that is started again serves there again", .timeLimit(.minutes(2)))
    func redisPorts() async throws {
        let outcome = try await NodeUnderTest.run(
            NodeUnderTest.program, ["lab", "cluster", "2", "--isolation", "none", "--redis", "0"], input: "kill 2\nstart 2\nexit\n")
        #expect(outcome.exitCode == 0, "\(outcome.complaint)")
        let rows = outcome.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(rows.first?.prefix(3) == ["NODE", "URL", "REDIS"], "\(outcome.output)")
        let ports = rows.dropFirst().prefix(2).compactMap { $0.count > 2 ? Int($0[2].split(separator: ":").last ?? "") : nil }
        #expect(ports.count == 2 && Set(ports).count == 2 && ports.allSatisfy { $0 > 0 }, "\(outcome.output)")
        #expect(outcome.complaint.contains("Node 2 runs"), "\(outcome.complaint)")
        let wrong = try await NodeUnderTest.run(NodeUnderTest.program, ["lab", "cluster", "2", "--redis", "65535"])
        #expect(wrong.exitCode == 2 && wrong.complaint.contains("--redis"), "\(wrong.complaint)")
    }

    @Test("orders part, heal, kill and start nodes", .timeLimit(.minutes(3)))
    func orders() async throws {
        let orders = """
            partition 1,2|3
            wait 5s
            status
            heal
            wait 5s
            kill 2
            wait 4s
            status
            start 2
            wait 3s
            status
            dance
            exit
            """
        let outcome = try await NodeUnderTest.run(
            NodeUnderTest.program, ["lab", "cluster", "3", "--isolation", "none"], input: orders + "\n")
        #expect(outcome.exitCode == 0, "\(outcome.complaint)")
        let tables = outcome.output.components(separatedBy: "NODE  URL").dropFirst().filter { $0.contains("SEES") }
        #expect(tables.count == 3, "\(outcome.output)")
        let rows = tables.map { $0.split(separator: "\n").dropFirst().map(String.init) }
        if rows.count == 3 {
            #expect(rows[0][0].contains("n2 alive, n3 dead") && rows[0][2].contains("n1 dead, n2 dead"), "\(rows[0])")
            #expect(rows[1][0].contains("n2 dead, n3 alive") && rows[1][1].contains("ended"), "\(rows[1])")
            #expect(rows[2].allSatisfy { !$0.contains("dead") }, "\(rows[2])")
        }
        #expect(outcome.complaint.contains("'dance' is no order"), "\(outcome.complaint)")
    }

    @Test("an interrupted lab, and a killed one, leave no process behind", .timeLimit(.minutes(2)), arguments: [SIGINT, SIGKILL])
    func ended(signal: Int32) async throws {
        try await withTemporaryDirectory { root in
            let lab = Process()
            lab.executableURL = URL(filePath: NodeUnderTest.program)
            lab.arguments = ["lab", "cluster", "2", "--isolation", "none", "--dir", root + "/lab"]
            lab.standardInput = FileHandle.nullDevice
            lab.standardOutput = FileHandle.nullDevice
            lab.standardError = FileHandle.nullDevice
            try lab.run()
            let stands = try await eventually(.seconds(60)) { try await Self.processes(in: root) >= 3 }
            #expect(stands)
            _ = try await eventually(.seconds(30)) { FileManager.default.fileExists(atPath: root + "/lab/control") }
            kill(lab.processIdentifier, signal)
            #expect(try await eventually(.seconds(30)) { try await Self.processes(in: root) == 0 })
            #expect(try await eventually(.seconds(30)) { !lab.isRunning })
        }
    }

    /// Processes whose command line names a folder.
    private static func processes(in folder: String) async throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").count { entry in
            guard Int32(entry) != nil, let words = FileManager.default.contents(atPath: "/proc/\(entry)/cmdline") else { return false }
            let text = String(decoding: words, as: UTF8.self)
            return text.contains(folder) && text.hasPrefix(NodeUnderTest.program)
        }
    }
}
