// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOPosix
import Testing

/// What a warm call costs the node, in counts that do not depend on how fast the machine is.
@Suite(.serialized)
struct BudgetTests {
    private struct Counts {
        var allocations: Double
        var reads: Double
        var writes: Double
    }

    private static let callCount = 500

    @Test("a warm call keeps to its budget of allocations and of system calls that read and write")
    func warmCall() async throws {
        let folder = NSTemporaryDirectory() + "brume-budget-" + UUID().uuidString.prefix(8).lowercased()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let counter = folder + "/count"
        try Data(count: 8).write(to: URL(filePath: counter))
        let library = try await Self.buildCounter(in: folder)
        try await withNode(environment: ["LD_PRELOAD": library, "COUNT_ALLOCATIONS": counter]) { node in
            try await node.deployFork("echo", "cat")
            for _ in 0..<300 { #expect(try await node.call("echo", "warm").status == 200) }
            let before = try Self.counts(node, counter)
            for _ in 0..<Self.callCount { #expect(try await node.call("echo", "warm").text == "warm") }
            let after = try Self.counts(node, counter)
            let calls = Double(Self.callCount)
            let (allocations, reads) = ((after.allocations - before.allocations) / calls, (after.reads - before.reads) / calls)
            let writes = (after.writes - before.writes) / calls
            // Read and write once on each side, all on one event loop; the rest are the store's, which writes calls down in groups.
            // A call that changed threads would add two of each. Measured without optimisation: 220, 2.8 and 3.4.
            #expect(allocations > 10 && allocations <= 260, "\(allocations) allocations for each call")
            #expect(reads >= 2 && reads <= 3.5, "\(reads) reads for each call")
            #expect(writes >= 2 && writes <= 4.2, "\(writes) writes for each call")
        }
    }

    @Test(
        "a write of a Redis client keeps to its budget of allocations and of system calls that read and write",
        arguments: [["SET", "key", "value"], ["INCR", "hits"], ["SADD", "set", "member"], ["HSET", "hash", "field", "value"]])
    func stateWrite(words: [String]) async throws {
        let folder = NSTemporaryDirectory() + "brume-budget-" + UUID().uuidString.prefix(8).lowercased()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let counter = folder + "/count"
        try Data(count: 8).write(to: URL(filePath: counter))
        let library = try await Self.buildCounter(in: folder)
        let port = try await Self.freePort()
        let environment = ["LD_PRELOAD": library, "COUNT_ALLOCATIONS": counter]
        try await withNode(options: ["--redis", "127.0.0.1:\(port)"], environment: environment) { node in
            try await Self.write(words, times: 200, port)
            let before = try Self.counts(node, counter)
            try await Self.write(words, times: Self.writeCount, port)
            let after = try Self.counts(node, counter)
            let writes = Double(Self.writeCount)
            let allocations = (after.allocations - before.allocations) / writes
            let (read, written) = ((after.reads - before.reads) / writes, (after.writes - before.writes) / writes)
            // One read and one write, on one thread. A write that woke the loop of flushes each time would add one of each; where the
            // machine is busy, some do. Measured without optimisation: 15 to 18, 1.1 and 1.1.
            #expect(allocations > 1 && allocations <= 24, "\(allocations) allocations for each write")
            #expect(read >= 1 && read <= 1.8, "\(read) reads for each write")
            #expect(written >= 1 && written <= 1.8, "\(written) writes for each write")
        }
    }

    private static let writeCount = 5_000

    private static func write(_ words: [String], times: Int, _ port: Int) async throws {
        let run = try await NodeUnderTest.run("/usr/bin/env", ["redis-cli", "-p", "\(port)", "-r", "\(times)"] + words)
        try #require(run.exitCode == 0, "\(run.complaint)")
    }

    /// A port on which nobody listens now.
    private static func freePort() async throws -> Int {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        try await server.close()
        return port
    }

    private static func buildCounter(in folder: String) async throws -> String {
        let library = folder + "/count-allocations.so"
        let source = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Counting/count-allocations.c").path
        let built = try await NodeUnderTest.run("/usr/bin/env", ["clang", "-shared", "-fPIC", "-O1", "-o", library, source])
        try #require(built.exitCode == 0, "\(built.complaint)")
        return library
    }

    private static func counts(_ node: NodeUnderTest, _ counter: String) throws -> Counts {
        let bytes = ByteBuffer(bytes: try Data(contentsOf: URL(filePath: counter)))
        let allocations: UInt64 = try #require(bytes.getInteger(at: 0, endianness: .host))
        let io = try String(contentsOfFile: "/proc/\(node.pid)/io", encoding: .utf8)
        func number(_ name: String) throws -> Double {
            let line = try #require(io.split(separator: "\n").first { $0.hasPrefix(name + ":") })
            return try #require(Double(line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)))
        }
        return Counts(allocations: Double(allocations), reads: try number("syscr"), writes: try number("syscw"))
    }
}
