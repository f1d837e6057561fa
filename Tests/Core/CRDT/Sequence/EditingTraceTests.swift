// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import Foundation
import Testing

@Suite("Sequences: editing traces")
struct EditingTraceTests {
    /// A trace once through its JSON, as a reader of files gets it.
    private func throughJSON(_ trace: EditingTrace) throws -> EditingTrace {
        try JSONDecoder().decode(EditingTrace.self, from: JSONEncoder().encode(trace))
    }

    @Test("a sequential trace replays to its end content", arguments: [UInt64(1), 2, 3])
    func sequential(seed: UInt64) throws {
        var generator = TraceGenerator(seed: seed)
        let trace = try throughJSON(generator.sequential(patches: 4_000))
        let text = trace.replay()[0]
        #expect(text.string == trace.endContent, "seed \(seed)")
        let back = try Text(decoding: text.encoded)
        #expect(back.string == trace.endContent, "seed \(seed)")
    }

    @Test("a concurrent trace replays to its end content on every agent", arguments: [2, 3, 5])
    func concurrent(agents: Int) throws {
        var generator = TraceGenerator(seed: UInt64(agents))
        let trace = try throughJSON(generator.concurrent(agents: agents, transactions: 1_200))
        #expect(trace.isConcurrent)
        #expect(trace.txns.contains { ($0.parents?.count ?? 0) > 1 })
        for text in trace.replay() { #expect(text.string == trace.endContent, "agents \(agents)") }
    }

    @Test("the example of the traces' own description is read and replayed")
    func example() throws {
        let json = """
            {"kind": "concurrent", "endContent": "yoooo ho ho\\n", "numAgents": 2, "txns": [
              {"parents": [], "numChildren": 1, "agent": 0, "timestamp": "2023-11-22T04:49:00+00:00", "patches": [[0, 0, "hi there\\n"]]},
              {"parents": [0], "numChildren": 1, "agent": 0, "patches": [[0, 8, ""], [0, 0, "yoooo"]]},
              {"parents": [1], "numChildren": 0, "agent": 1, "patches": [[5, 0, " ho ho"]]}]}
            """
        let trace = try JSONDecoder().decode(EditingTrace.self, from: Data(json.utf8))
        for text in trace.replay() { #expect(text.string == trace.endContent) }
    }

    /// A folder with files of the public collection, as they are (`.json` or `.json.gz`); they have licences of their own.
    private static let folder = ProcessInfo.processInfo.environment["BRUME_EDITING_TRACES"]

    @Test("recorded traces replay to their end content", .enabled(if: folder != nil))
    func recorded() throws {
        let folder = URL(fileURLWithPath: try #require(Self.folder))
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        let files = names.filter { $0.hasSuffix(".json") || $0.hasSuffix(".json.gz") }
        #expect(!files.isEmpty, "the folder holds no trace")
        for name in files {
            let trace = try JSONDecoder().decode(EditingTrace.self, from: contents(of: folder.appendingPathComponent(name)))
            var replicas: [Text] = []
            let duration = ContinuousClock().measure { replicas = trace.replay() }
            for text in replicas { #expect(text.string == trace.endContent, "\(name)") }
            print("\(name): \(trace.patchCount) patches in \(duration), \(replicas[0].encoded.count) bytes encoded")
        }
    }

    private func contents(of file: URL) throws -> Data {
        guard file.pathExtension == "gz" else { return try Data(contentsOf: file) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["gzip", "-dc", file.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return data
    }
}
