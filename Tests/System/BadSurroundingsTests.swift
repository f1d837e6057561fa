// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOHTTP1
import Testing

/// Bad input that a node finds round it when it starts: each kind gives one sentence that says what to do and exit code 1, or a warning
/// where the node can go on, and nothing that was stored is lost.
@Suite(.serialized)
struct BadSurroundingsTests {
    /// Runs `brume up` in the hope that it ends by itself.
    private static func up(_ directory: String, _ options: String...) async throws -> NodeUnderTest.Output {
        try await NodeUnderTest.run(
            "/usr/bin/timeout", ["30", NodeUnderTest.program, "up", "--port", "0", "--data-dir", directory] + options)
    }

    private static func expectRefusal(_ outcome: NodeUnderTest.Output, says: [String]) {
        #expect(outcome.exitCode == 1, "\(outcome.exitCode) \(outcome.complaint)")
        let complaint = outcome.complaint.split(separator: "\n").filter { !$0.hasPrefix("time=") }.joined(separator: "\n")
        #expect(complaint.hasPrefix("brume: "), "\(outcome.complaint)")
        BadInputTests.expectSentence(complaint, says: says, of: "brume up")
    }

    /// A data directory with a function, a secret and a call in the books, whose node has ended; it is gone after the test.
    private static func withUsedDirectory(_ body: (String) async throws -> Void) async throws {
        let node = try await NodeUnderTest()
        try await node.http(.POST, "/system/secrets", body: #"{"name":"token","value":"s3cret"}"#)
        try await node.deployFork("keeper", "cat /var/openfaas/secrets/token", secrets: ["token"])
        #expect(try await node.call("keeper").text == "s3cret")
        await node.stop(keepData: true)
        // What is still in the write-ahead log would mend damage to the file.
        defer { try? FileManager.default.removeItem(atPath: node.dataDirectory) }
        try await change(node.dataDirectory, "PRAGMA wal_checkpoint(TRUNCATE)")
        try await body(node.dataDirectory)
    }

    /// Starts a node on the directory again, sees that nothing is lost, and removes both.
    private static func expectNothingLost(_ directory: String) async throws {
        try await withNode(dataDirectory: directory) { node in
            #expect(try await node.call("keeper").text == "s3cret")
            let calls = try await node.json("/v1/calls?function=keeper") as? [[String: Any]]
            #expect(calls?.count == 2)
        }
    }

    // MARK: Port and directory

    @Test("a port in use is named, with what to do")
    func portInUse() async throws {
        try await withNode { node in
            let port = try #require(URL(string: node.url)?.port)
            try await withTemporaryDirectory { other in
                Self.expectRefusal(try await Self.up(other, "--port", "\(port)"), says: ["\(port)", "--port"])
            }
            #expect(try await node.http(.GET, "/healthz").status == 200)
        }
    }

    @Test("a directory in use is named, and its node goes on")
    func directoryInUse() async throws {
        try await withNode { node in
            Self.expectRefusal(try await Self.up(node.dataDirectory), says: [node.dataDirectory, "process \(node.pid)", "stop it"])
            try await node.deployFork("good", "cat")
            #expect(try await node.call("good", "after").text == "after")
            #expect(try await node.brume(["list"]).exitCode == 0, "the refused node took the announcement away")
        }
    }

    @Test("a data directory that is a file is refused")
    func directoryIsFile() async throws {
        try await withTemporaryDirectory { folder in
            try write("mine", to: "\(folder)/data")
            Self.expectRefusal(try await Self.up("\(folder)/data"), says: ["\(folder)/data"])
            #expect(try String(contentsOfFile: "\(folder)/data", encoding: .utf8) == "mine")
        }
    }

    // MARK: Database

    @Test("a data directory of a newer version is refused by name and left as it is")
    func newerVersion() async throws {
        try await Self.withUsedDirectory { directory in
            try await Self.change(
                directory, "INSERT INTO grdb_migrations VALUES ('999-future'); UPDATE meta SET value = '99.1.0' WHERE key = 'version'")
            let before = FileManager.default.contents(atPath: directory + "/brume.sqlite")
            Self.expectRefusal(try await Self.up(directory), says: [directory, "99.1.0", "another data directory"])
            #expect(FileManager.default.contents(atPath: directory + "/brume.sqlite") == before, "the newer database was changed")
            try await Self.change(directory, "DELETE FROM grdb_migrations WHERE identifier = '999-future'")
            try await Self.expectNothingLost(directory)
        }
    }

    @Test("a damaged database is refused and left as it is; put back, nothing is lost", arguments: ["header", "page", "emptied"])
    func corruptDatabase(_ damage: String) async throws {
        try await Self.withUsedDirectory { directory in
            let file = directory + "/brume.sqlite"
            let whole = try #require(FileManager.default.contents(atPath: file))
            var damaged = whole
            switch damage {
            case "header": damaged.replaceSubrange(0..<64, with: Data(repeating: 0x55, count: 64))
            // All pages but the first: whatever table lies there, its tree is broken.
            case "page": damaged.replaceSubrange(4096..., with: Data(repeating: 0x55, count: whole.count - 4096))
            default: damaged = Data()
            }
            try damaged.write(to: URL(filePath: file))
            Self.expectRefusal(try await Self.up(directory), says: [file, "damaged", "backup"])
            #expect(FileManager.default.contents(atPath: file) == damaged, "the damaged file was overwritten")
            try whole.write(to: URL(filePath: file))
            try await Self.expectNothingLost(directory)
        }
    }

    /// Changes a database whose node has ended, with the SQLite that Python brings.
    private static func change(_ directory: String, _ sql: String) async throws {
        let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.executescript(sys.argv[2]); db.commit(); db.close()"
        let outcome = try await NodeUnderTest.run("/usr/bin/python3", ["-c", script, directory + "/brume.sqlite", sql])
        try #require(outcome.exitCode == 0, "\(outcome.complaint)")
    }

    // MARK: Isolation

    @Test("without bubblewrap the node refuses to start and says what to do; isolation none says so on every start")
    func noBubblewrap() async throws {
        // In a mount namespace of its own, where the program is hidden behind something that cannot be executed.
        let hidden = "mount --bind /dev/null /usr/bin/bwrap && exec \"$0\" \"$@\""
        func run(_ words: [String]) async throws -> NodeUnderTest.Output {
            try await NodeUnderTest.run("/usr/bin/unshare", ["-m", "/bin/sh", "-c", hidden, NodeUnderTest.program] + words)
        }
        try await Self.withUsedDirectory { directory in
            Self.expectRefusal(
                try await run(["up", "--port", "0", "--data-dir", directory]), says: ["apt-get install bubblewrap", "--isolation none"])
            let doctor = try await run(["doctor", "--data-dir", directory])
            #expect(doctor.exitCode == 1)
            #expect(doctor.output.contains("mend: apt-get install bubblewrap"), "\(doctor.output)")
            try await Self.expectNothingLost(directory)
            try await withNode(options: ["--isolation", "none"]) { node in
                #expect(node.log.contains("without isolation"))
                try await node.deployFork("echo", "/bin/cat")
                #expect(try await node.call("echo", "plain").text == "plain")
            }
        }
    }

    @Test("without rights on control groups the node says on its start that limits do not hold and what to do, and works")
    func noControlGroups() async throws {
        let readOnly = """
            for point in $(awk '$3 ~ /^cgroup/ { print $2 }' /proc/self/mounts); do
                mount --bind "$point" "$point" && mount -o remount,bind,ro "$point" || exit 9
            done
            """
        try await Self.withUsedDirectory { directory in
            try await withNode(dataDirectory: directory, surroundings: readOnly) { node in
                let warning = node.log.split(separator: "\n").filter { $0.contains("level=warning") }.joined(separator: "\n")
                #expect(warning.contains("limits do not hold"), "\(node.log)")
                #expect(warning.contains("brume doctor"), "\(node.log)")
                #expect(!warning.contains("\n"), "\(node.log)")
                #expect(try await node.call("keeper").text == "s3cret")
                let status = try await node.json("/v1/status") as? [String: Any]
                #expect((status?["isolation"] as? String)?.contains("no control groups") == true)
            }
            let doctor = try await NodeUnderTest.run(
                "/usr/bin/unshare", ["-m", "/bin/sh", "-c", readOnly + "\nexec \"$0\" \"$@\"", NodeUnderTest.program, "doctor"])
            #expect(doctor.output.contains("CPU and memory limits do not hold"), "\(doctor.output)")
            #expect(doctor.output.contains("mend: mount -t cgroup2"), "\(doctor.output)")
        }
    }

    // MARK: Clock

    /// Hours by which everything that was stored lies in the future or in the past of the clock that the next start finds.
    @Test("a clock that was moved by hours between two starts hides no call, no log line and no retry", arguments: [5, -5])
    func clockMoved(_ hours: Int) async throws {
        let first = try await NodeUnderTest()
        try await first.deployFork("keeper", "sh -c 'echo \"heard $(cat)\" >&2; echo said'", environment: ["combine_output": "false"])
        try await first.deployFork("late", "sh -c 'exit 3'")
        try await first.call("keeper", "before", headers: [("X-Call-Id", "before")])
        try await first.http(.POST, "/async-function/late", headers: [("X-Call-Id", "again")], body: "x")
        let failed = try await eventually {
            let calls = try await first.json("/v1/calls?function=late&outcome=failed") as? [[String: Any]] ?? []
            return !calls.isEmpty
        }
        #expect(failed)
        await first.stop(keepData: true)
        let shift = hours * 3600 * 1_000_000_000
        try await Self.change(
            first.dataDirectory,
            """
            UPDATE calls SET arrived = arrived + \(shift); UPDATE logs SET time = time + \(shift);
            UPDATE queue SET accepted = accepted + \(shift), not_before = not_before + \(shift);
            """)
        try await withNode(dataDirectory: first.dataDirectory) { node in
            try await node.deployFork("late", "cat")
            try await node.call("keeper", "after", headers: [("X-Call-Id", "after")])
            let calls = try await node.json("/v1/calls?function=keeper") as? [[String: Any]]
            #expect(calls?.compactMap { $0["id"] as? String } == ["after", "before"])
            let logged = try await eventually { try await node.brume(["logs", "keeper", "--tail", "1"]).output.contains("heard after") }
            #expect(logged, "the newest line is hidden by older ones")
            let retried = try await eventually {
                let calls = try await node.json("/v1/calls?function=late&outcome=succeeded") as? [[String: Any]] ?? []
                return calls.contains { $0["id"] as? String == "again" }
            }
            #expect(retried, "the retry waits for a time that lies hours ahead")
        }
    }
}
