// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import NIOHTTP1
import Testing

@testable import brume

/// Words and files that make no sense, for the commands that read, make, play and simulate calls: each ends at once with one sentence that
/// says what to do, and an exit code.
@Suite("Bad words and bad files for traces and experiments")
struct CommandLineBadInputTests {
    struct Bad: Sendable, CustomTestStringConvertible {
        let words: [String]
        let says: String
        var exitCode: Int32 = 2
        var testDescription: String { words.joined(separator: " ") }

        init(_ words: String, _ says: String, exitCode: Int32 = 2) {
            self.words = words.split(separator: " ").map { $0 == "EMPTY" ? "" : String($0) }
            self.says = says
            self.exitCode = exitCode
        }
    }

    /// Files that are written into FOLDER.
    private static let files: [String: [UInt8]] = [
        "good.csv": Array("at_ms,function,input_size\n0,f,10\n5,f,20\n".utf8),
        "negative.csv": Array("at_ms,function,input_size\n0,f,10\n5,f,-20\n".utf8),
        "short.csv": Array("at_ms,function,input_size\n0,f,10\n5,f".utf8),
        "unknown.csv": Array("at_ms,function,in put\n0,f,10\n".utf8), "twice.csv": Array("at_ms,function,at_ms\n0,f,10\n".utf8),
        "missing.csv": Array("HashFunction,Trigger\nf,timer\n".utf8), "empty.csv": [],
        "header.csv": Array("at_ms,function\n".utf8),
        "wide.csv": "at_ms,function\n0,f\n".utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] },
        "rubbish.csv": (0..<4096).map { UInt8(truncatingIfNeeded: $0 * 167 ^ ($0 >> 3)) },
        "huge.csv": Array("HashFunction,1\nf,90000000\n".utf8),
        "sizes.csv": Array("1\n10\n".utf8), "badsizes.csv": Array("1,2\n10,-1\n".utf8), "file": [],
    ]

    private static func run(_ bad: Bad, _ folder: String) async throws {
        for (name, bytes) in files { try Data(bytes).write(to: URL(filePath: "\(folder)/\(name)")) }
        let words = bad.words.map { $0.replacing("FOLDER", with: folder) }
        let outcome = try await CommandLineProgram.run(words, environment: ["BRUME_URL": "http://127.0.0.1:1"], directory: folder)
        #expect(outcome.exitCode == bad.exitCode, "\(outcome.exitCode): \(outcome.complaint)")
        #expect(outcome.output.isEmpty, "\(outcome.output.prefix(200))")
        #expect(outcome.complaint.hasPrefix("brume: "), "\(outcome.complaint)")
        BadInputTests.expectSentence(outcome.complaint, says: [bad.says], of: bad.words.joined(separator: " "))
    }

    @Test(
        "a file that is no trace, or one that is broken, ends the reading with its name and the place",
        arguments: [
            Bad("load --trace FOLDER/nowhere.csv", "nowhere.csv' cannot be read"), Bad("load --trace FOLDER", "cannot be read"),
            // The kernel gives an error where it is read, whoever asks.
            Bad("load --trace /proc/self/mem", "mem' cannot be read"), Bad("load --trace EMPTY", "cannot be read"),
            Bad("load --trace /dev/zero", "The trace is larger than"), Bad("load --trace /dev/null", "/dev/null names no columns"),
            Bad("load --trace FOLDER/negative.csv", "negative.csv: Line 3, column 3 ('input_size'): '-20' is no whole number"),
            Bad("load --trace FOLDER/short.csv", "short.csv: Line 3, column 3 ('input_size'): the row ends after 2 of 3 fields"),
            Bad("load --trace FOLDER/unknown.csv", "unknown.csv: Line 1, column 3 ('in put'): the column is unknown"),
            Bad("load --trace FOLDER/twice.csv", "twice.csv: Line 1, column 3 ('at_ms'): the column is there twice"),
            Bad("load --trace FOLDER/missing.csv --format azure2019", "missing.csv: Line 1: there is no column '1'"),
            Bad("load --trace FOLDER/empty.csv", "empty.csv names no columns"),
            Bad("load --trace FOLDER/empty.csv --format azure2021", "empty.csv: The trace is empty"),
            Bad("load --trace FOLDER/header.csv", "header.csv has no call"),
            Bad("load --trace FOLDER/wide.csv", "wide.csv: Line 1: this is no text in UTF-8"),
            Bad("load --trace FOLDER/wide.csv --format brume", "wide.csv: Line 1: this is no text in UTF-8"),
            Bad("load --trace FOLDER/rubbish.csv", "rubbish.csv: Line 1: this is no text in UTF-8"),
            Bad("load --trace FOLDER/huge.csv", "huge.csv: The trace has 90000000 calls, more than 10000000"),
            Bad("load --trace FOLDER/good.csv --input-sizes FOLDER/nowhere", "nowhere' cannot be read"),
            Bad("load --trace FOLDER/good.csv --input-sizes FOLDER/badsizes.csv", "badsizes.csv: Line 2, column 2 ('2'): '-1' is no whole"),
            Bad("load --trace FOLDER/good.csv --input-sizes FOLDER/sizes.csv", "There are 1 input sizes for 2 calls"),
            Bad("lab harvest --trace FOLDER/short.csv --suite FOLDER", "lab.yml does not exist"),
        ])
    func files(bad: Bad) async throws { try await withTemporaryDirectory { try await Self.run(bad, $0) } }

    @Test("a file that only its owner may read is named to others", .enabled(if: canDropRights))
    func permission() async throws {
        try await withTemporaryDirectory { folder in
            try write("at_ms,function\n0,f\n", to: "\(folder)/mine.csv")
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: "\(folder)/mine.csv")
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder)
            let done = try await NodeUnderTest.run(
                "/usr/bin/setpriv",
                ["--reuid", "65534", "--clear-groups", try CommandLineProgram.path, "load", "--trace", "\(folder)/mine.csv"])
            #expect(done.exitCode == 2 && done.output.isEmpty)
            BadInputTests.expectSentence(done.complaint, says: ["mine.csv' cannot be read", "permissions"], of: "permission")
        }
    }

    private static var canDropRights: Bool {
        FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv")
            && (try? FileManager.default.contentsOfDirectory(atPath: "/root")) != nil
    }

    @Test("a trace from a pipe is read once, from its beginning")
    func pipe() async throws {
        try await withTemporaryDirectory { folder in
            try Data(Self.files["negative.csv"] ?? []).write(to: URL(filePath: "\(folder)/negative.csv"))
            let done = try await NodeUnderTest.run(
                "/bin/bash", ["-c", "exec \"$0\" load --trace <(cat \(folder)/negative.csv)", try CommandLineProgram.path])
            #expect(done.exitCode == 2 && done.output.isEmpty)
            BadInputTests.expectSentence(done.complaint, says: ["Line 3, column 3 ('input_size'): '-20' is no whole number"], of: "a pipe")
        }
    }

    @Test("a last line without an end is told, and what is whole is read")
    func openEnd() async throws {
        let node: CommandLineServer.Script = { request in
            switch request.path {
            case "/system/functions": .json(#"[{"name": "f"}]"#)
            case "/function/f": .init(.ok, "{}")
            default: nil
            }
        }
        try await CommandLineServer.run(node) { server in
            let outcome = try await CommandLineProgram.run(
                ["load", "--trace", "-", "-q"], at: server, input: "at_ms,function,input_size\n0,f,10\n5,f,2")
            #expect(outcome.exitCode == 0, "\(outcome.complaint)")
            #expect(
                outcome.complaint.contains("-: Line 3, the last one, has no end: if the file was cut off there"), "\(outcome.complaint)")
            #expect(server.requests.count { $0.method == "POST" } == 2)
        }
    }

    @Test(
        "options of a replay that make no sense are refused",
        arguments: [
            ("--speed nan", "speed of nan"), ("--speed -1", "speed"), ("--speed inf", "speed of inf"), ("--speed fast", "fast"),
            ("--limit 0", "--limit takes"), ("--limit -5", "limit"), ("--limit 1.5", "1.5"), ("--minutes 3-1", "--minutes takes"),
            ("--minutes -1-2", "minutes"), ("--minutes a-b", "--minutes takes"), ("--expansion odd", "odd"), ("--seed -1", "seed"),
            ("--seed 99999999999999999999", "99999999999999999999"), ("--format tea", "tea"),
            ("--timeout 0s", "timeout"), ("--timeout nan", "nan"), ("--timeout -1s", "timeout"), ("--connections 0", "0 connections"),
            ("--connections -1", "connections"), ("--connections 99999999", "99999999 connections"),
            ("--csv FOLDER", "cannot be written"), ("--csv FOLDER/none/calls.csv", "cannot be written"),
        ])
    func replay(words: String, says: String) async throws {
        try await withTemporaryDirectory { folder in
            // With credentials the node would be asked first; without it, words are looked at before anything is sent.
            try await Self.run(Bad("load --trace FOLDER/good.csv \(words)", says), folder)
        }
    }

    @Test(
        "traces that cannot be made are refused",
        arguments: [
            Bad("load generate", "Say what to make"), Bad("load generate --set 0", "There is no multi set 0"),
            Bad("load generate --set -1", "set"), Bad("load generate --set 11", "There is no multi set 11"),
            Bad("load generate --set many", "--set takes 1 to 10 or single, not 'many'"), Bad("load generate --rate 0", "A rate of 0.0"),
            Bad("load generate --rate -1", "rate"), Bad("load generate --rate nan", "A rate of nan"),
            Bad("load generate --rate inf", "A rate of inf"), Bad("load generate --rate 1e10", "A rate of 1"),
            Bad("load generate --rate many", "many"), Bad("load generate --rate 1 --duration 0s", "is not possible"),
            Bad("load generate --rate 1 --duration soon", "soon"), Bad("load generate --rate 1 --duration 99999h", "99999h"),
            Bad("load generate --rate 1e9 --duration 1h", "more than 10000000 calls"),
            Bad("load generate --rate 1 --on 0s --off 1s", "'on' a positive"), Bad("load generate --rate 1 --on 1s", "belong together"),
            Bad("load generate --rate 1 --arrivals odd", "odd"), Bad("load generate --set 1 --sizes odd", "odd"),
            Bad("load generate --rate 1 --on 1s --off 1s --arrivals uniform", "leave --arrivals out"),
            Bad("load generate --set 1 --seed -1", "seed"), Bad("load generate --rate 1 --functions tea", "no function 'tea'"),
        ])
    func generate(bad: Bad) async throws { try await withTemporaryDirectory { try await Self.run(bad, $0) } }

    @Test(
        "experiments that cannot be done are refused before anything is simulated or started",
        arguments: [
            Bad("lab density --seeds 0", "--seeds takes 1 to"), Bad("lab density --seeds -1", "seeds"),
            Bad("lab density --seeds 101", "--seeds takes 1 to"), Bad("lab density --calls 49", "--calls takes"),
            Bad("lab density --calls 10001", "--calls takes"), Bad("lab density --reference 0", "--reference takes"),
            Bad("lab density --reference nan", "--reference takes"), Bad("lab density --reference -3", "reference"),
            Bad("lab density --slowdown 1", "--slowdown takes"), Bad("lab density --slowdown nan", "--slowdown takes"),
            Bad("lab density --slowdown inf", "--slowdown takes"), Bad("lab density --cpu 0", "'0' is not an amount of CPU"),
            Bad("lab density --cpu nan", "'nan' is not an amount of CPU"), Bad("lab density --cpu 100m", "No call of the suite fits"),
            Bad("lab density --memory 0", "'0' is not an amount of memory"), Bad("lab density --memory -1Gi", "memory"),
            Bad("lab density --memory 1Mi", "No call of the suite fits"), Bad("lab density --output FOLDER/file", "cannot be made"),
            Bad("lab density --output FOLDER/file/in", "cannot be made"), Bad("lab density --output /proc", "can be written"),
            Bad("lab testbeds --seeds 0", "--seeds takes 1 to"), Bad("lab testbeds --seeds -1", "seeds"),
            Bad("lab testbeds --seeds 1001", "--seeds takes 1 to"), Bad("lab testbeds --only double", "double"),
            Bad("lab testbeds --output FOLDER/file", "cannot be made"), Bad("lab testbeds --output /proc", "can be written"),
            Bad("simulate --calls 0", "--calls takes 1 to"), Bad("simulate --calls -1", "calls"),
            Bad("simulate --calls 1e3", "1e3"), Bad("simulate --functions 0", "--functions takes 1 to"),
            Bad("simulate --functions 10001", "--functions takes 1 to"), Bad("simulate --seeds 0", "--seeds takes 1 to"),
            Bad("simulate --seeds 1000001", "--seeds takes 1 to"), Bad("simulate --seed -1", "seed"), Bad("simulate --faults some", "some"),
            Bad("simulate --trace FOLDER", "cannot be written"), Bad("simulate --trace FOLDER/none/run.txt", "cannot be written"),
            Bad("simulate --seeds 2 --trace FOLDER/run.txt", "--trace writes one run"),
        ])
    func experiments(bad: Bad) async throws { try await withTemporaryDirectory { try await Self.run(bad, $0) } }

    @Test(
        "a node cannot promise memory that the machine has not",
        arguments: [
            ("--memory 100Ti", "of memory, so that it cannot give 100Ti"), ("--memory 0", "'0' is not"), ("--cpu 0", "'0' is not"),
            ("--cpu nan", "'nan' is not"), ("--cpu 99999999", "'99999999' is not"), ("--memory 1e30", "'1e30' is not"),
        ])
    func capacity(words: String, says: String) async throws {
        try await withTemporaryDirectory { folder in
            try await Self.run(Bad("up --port 0 --unlisted --isolation none --data-dir FOLDER/data \(words)", says), folder)
            let isThere = FileManager.default.fileExists(atPath: "\(folder)/data")
            #expect(!isThere, "the node began to start")
        }
    }
}
