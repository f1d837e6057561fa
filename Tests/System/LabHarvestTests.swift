// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// `brume lab harvest`, from the words to the files.
@Suite("The harvest experiment", .serialized)
struct LabHarvestTests {
    /// Two functions that need nothing installed: one that waits, one that works in two processes.
    private static let suite = """
        version: "1.0"
        provider:
          name: openfaas
        functions:
          waits:
            lang: python3
            handler: ./waits
            limits: {cpu: 500m, memory: 128Mi}
            labels: {com.openfaas.scale.min: "1", com.openfaas.scale.max: "1"}
          works:
            lang: python3
            handler: ./works
            limits: {cpu: 250m, memory: 128Mi}
            labels: {com.openfaas.scale.min: "1", com.openfaas.scale.max: "1"}
        """
    private static let handlers = [
        "waits": """
        import json, time
        def handle(event, context):
            time.sleep(json.loads(event.body)["size"] / 1000)
            return {"done": True}
        """,
        "works": """
        import json
        def handle(event, context):
            total = 0
            for number in range(json.loads(event.body)["size"]):
                total += number * number
            return {"sum": total}
        """,
    ]
    private static let trace = """
        at_ms,function,input_size
        0,waits,400
        50,works,200000
        100,works,400000
        600,waits,300
        700,works,300000

        """

    /// A folder with a suite and a trace, which goes with the test.
    private final class Bench {
        let folder = FileManager.default.temporaryDirectory.appending(path: "brume-lab-test-\(UUID().uuidString.prefix(8).lowercased())")

        init() throws {
            for name in handlers.keys {
                let place = folder.appending(path: "suite/\(name)")
                try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
                try handlers[name]?.write(to: place.appending(path: "handler.py"), atomically: true, encoding: .utf8)
            }
            try FileManager.default.createDirectory(at: folder.appending(path: "tmp"), withIntermediateDirectories: true)
            // Sandboxes run as other users and pass through on the way to their files.
            for path in ["", "tmp"] {
                try FileManager.default.setAttributes([.posixPermissions: 0o711], ofItemAtPath: folder.appending(path: path).path)
            }
            try suite.write(to: folder.appending(path: "suite/lab.yml"), atomically: true, encoding: .utf8)
            try trace.write(to: folder.appending(path: "trace.csv"), atomically: true, encoding: .utf8)
        }

        deinit { try? FileManager.default.removeItem(at: folder) }

        func path(_ name: String) -> String { folder.appending(path: name).path }
        func lines(_ name: String) throws -> [String] {
            try String(contentsOfFile: path(name), encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false).map(
                String.init)
        }

        func run(_ arguments: [String]) async throws -> NodeUnderTest.Output {
            try await NodeUnderTest.run(
                NodeUnderTest.program, ["lab", "harvest"] + arguments, environment: ["TMPDIR": path("tmp")], directory: folder.path)
        }

        /// What the experiment has left in its place for temporary things.
        var leftovers: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path("tmp"))) ?? ["?"] }
    }

    @Test("two policies on the real node: every file is there, with its columns, and nothing else is left")
    func wholeExperiment() async throws {
        let bench = try Bench()
        let done = try await bench.run([
            "--policies", "static,harvest", "--trace", "trace.csv", "--suite", "suite", "--output", "out", "--json",
        ])
        try #require(done.exitCode == 0, "\(done.complaint)")
        let summary = try #require(try JSONSerialization.jsonObject(with: Data(done.output.utf8)) as? [String: Any])
        let real = try #require(summary["real"] as? [[String: Any]])
        #expect(real.map { $0["name"] as? String } == ["static", "harvest"])
        for policy in real {
            #expect(policy["calls"] as? Int == 5)
            #expect(policy["failed"] as? Int == 0)
            #expect(policy["oom_kills"] as? Int == 0)
            let mean = try #require(policy["mean_ms"] as? Double)
            #expect(mean > 50 && mean < 30_000)
            let use = try #require(policy["cpu_utilisation"] as? Double)
            #expect(use > 0 && use < 1)
            let completion = try #require(policy["completion_s"] as? Double)
            #expect(completion > 0.9)
        }
        let simulated = try #require(summary["simulated"] as? [[String: Any]])
        #expect(simulated.map { $0["name"] as? String } == ["static", "harvest"])
        #expect(simulated.map { $0["failed"] as? Int } == [0, 0])
        for policy in simulated { #expect(try #require(policy["completion_s"] as? Double) > 0.9, "\(policy)") }
        let text = try String(contentsOfFile: bench.path("out/summary.json"), encoding: .utf8)
        #expect(text == done.output)
        let expected = ["real", "report.html", "simulated", "summary.json", "table.txt", "trace.csv"]
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.path("out")).sorted() == expected)
        #expect(try bench.lines("out/simulated/harvest_calls.csv").count == 5 + 2)
        for policy in ["static", "harvest"] {
            let calls = try bench.lines("out/real/\(policy)_calls.csv")
            #expect(calls.count == 5 + 2)
            #expect(calls[0].hasPrefix("index,request_id,function_id,input_size,success,timeout,cpu,memory,cpu_peak,mem_peak"))
            #expect(calls[1].contains(",waits,400,1,0,"))
            #expect(try bench.lines("out/real/\(policy)_trajectory.csv")[0].hasSuffix("predict_duration,duration,completion_time"))
            #expect(try bench.lines("out/real/\(policy)_delta.csv")[0].hasPrefix("index,request_id,is_safeguard,cpu_delta"))
            for log in ["cpu_usage", "memory_usage"] {
                let lines = try bench.lines("out/real/\(policy)_\(log).csv")
                #expect(lines[0] == "time,util,alloc")
                #expect(lines.count > 2)
            }
            let use = try bench.lines("out/real/\(policy)_utilisation.csv").dropFirst().filter { !$0.isEmpty }
            // A call of 400 ms at least was seen running, with its limits.
            #expect(use.count >= 6)
            #expect(use.contains { $0.split(separator: ",").last == "1" || $0.split(separator: ",").last == "2" })
            #expect(use.contains { Double($0.split(separator: ",")[2]) ?? 0 >= 0.25 })
        }
        #expect(try String(contentsOfFile: bench.path("out/report.html"), encoding: .utf8).contains("<svg"))
        #expect(try bench.lines("out/trace.csv")[0].hasPrefix("at_ms,function,input_size"))
        #expect(bench.leftovers == [])
    }

    @Test("an interrupt ends the node, takes its folder away and leaves nothing")
    func interrupt() async throws {
        let bench = try Bench()
        let process = Process()
        process.executableURL = URL(filePath: NodeUnderTest.program)
        process.arguments = [
            "lab", "harvest", "--policies", "harvest", "--trace", "trace.csv", "--suite", "suite", "--output", "out", "--rounds", "20",
        ]
        process.currentDirectoryURL = bench.folder
        process.environment = ProcessInfo.processInfo.environment.merging(["TMPDIR": bench.path("tmp")]) { $1 }
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        func node() -> pid_t? {
            guard let name = bench.leftovers.first(where: { $0.hasPrefix("brume-lab-") }),
                let data = FileManager.default.contents(atPath: bench.path("tmp/\(name)/node.json")),
                let file = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
            else { return nil }
            return (file["pid"] as? Int).map { pid_t($0) }
        }
        #expect(try await eventually { node() != nil })
        let pid = try #require(node())
        process.interrupt()
        #expect(try await eventually(.seconds(40)) { !process.isRunning })
        if process.isRunning { process.terminate() }
        #expect(process.terminationStatus == 1)
        #expect(kill(pid, 0) != 0, "the node still runs")
        #expect(bench.leftovers == [])
        let isThere = FileManager.default.fileExists(atPath: bench.path("out/real"))
        #expect(!isThere, "an experiment without a single run left a folder")
    }

    @Test(
        "what makes no sense is said in a sentence, before a node starts",
        arguments: [
            (["--policies", "static,greedy"], "'greedy' is no policy"),
            (["--policies", "static,static"], "named twice"),
            (["--output", "suite"], "holds something already"),
            (["--output", "/proc/nowhere"], "cannot be made"),
            (["--trace", "missing.csv"], "missing.csv"),
            (["--trace", "broken.csv"], "Line 3"),
            (["--trace", "suite/lab.yml"], "no columns of a known trace"),
            (["--trace", "stranger.csv"], "which the suite has not"),
            (["--trace", "trace.csv", "--set", "3"], "Give one of"),
            (["--set", "11"], "no multi set 11"),
            (["--rate", "-1"], "rate"),
            (["--rounds", "0"], "--rounds takes 1 to"),
            (["--wait", "51", "--rate", "1"], "--wait takes 0 to 50"),
            (["--wait", "3", "--trace", "trace.csv"], "leave out --wait"),
            (["--cpu", "lots"], "lots"), (["--cpu", "900"], "what is measured with more is not true"), (["--cpu", "0"], "'0' is not"),
            (["--memory", "100Ti"], "it cannot give 100Ti"), (["--rounds", "-1"], "rounds"), (["--rounds", "21"], "--rounds takes 1 to"),
            (["--rate", "nan"], "rate of nan"), (["--rate", "0"], "rate of 0.0"), (["--rate", "1e9"], "more than 10000000"),
            (["--set", "0"], "no multi set 0"), (["--policies", ""], "'' is no policy"), (["--seed", "-1"], "seed"),
            (["--output", "suite/lab.yml"], "cannot be made"), (["--trace", "suite"], "cannot be read"),
            (["--trace", "cut.csv"], "cut.csv: Line 3, column 3 ('input_size'): the row ends after 2 of 3 fields"),
            (["--suite", "nothing-here"], "--suite DIRECTORY"),
        ] as [([String], String)])
    func badInput(words: [String], sentence: String) async throws {
        let bench = try Bench()
        let rows = Self.trace.split(separator: "\n")
        try (rows.prefix(2) + ["50,works,-7"]).joined(separator: "\n").write(
            toFile: bench.path("broken.csv"), atomically: true, encoding: .utf8)
        try (rows.prefix(2) + ["50,works"]).joined(separator: "\n").write(
            toFile: bench.path("cut.csv"), atomically: true, encoding: .utf8)
        try "at_ms,function\n0,stranger\n".write(toFile: bench.path("stranger.csv"), atomically: true, encoding: .utf8)
        var arguments = words
        if !words.contains("--suite") { arguments += ["--suite", "suite"] }
        if !words.contains("--output") { arguments += ["--output", "out"] }
        if !["--trace", "--set", "--rate"].contains(where: words.contains) { arguments += ["--trace", "trace.csv"] }
        let done = try await bench.run(arguments)
        #expect(done.exitCode == 2, "\(done.complaint)")
        #expect(done.complaint.contains(sentence), "\(done.complaint)")
        #expect(done.complaint.hasPrefix("brume: ") && done.complaint.split(separator: "\n").count == 1, "\(done.complaint)")
        #expect(bench.leftovers == [])
        let isThere = FileManager.default.fileExists(atPath: bench.path("out"))
        #expect(!isThere)
    }
}
