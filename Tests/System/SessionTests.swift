// SPDX-License-Identifier: Apache-2.0

import BrumeFunctions
import Foundation
import Testing

/// A laboratory's cluster that a test talks to by itself.
private final class LabUnderTest {
    /// Where its nodes serve Redis clients.
    private(set) var urls: [String] = []
    private let process = Process()
    private let root = NSTemporaryDirectory() + "brume-lab-" + UUID().uuidString.prefix(8).lowercased()

    init(nodes: Int, _ options: [String]) async throws {
        process.executableURL = URL(filePath: NodeUnderTest.program)
        process.arguments = ["lab", "cluster", "\(nodes)", "--isolation", "none", "--redis", "0", "--dir", root] + options
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        // The network is as it was asked for when orders are taken.
        guard try await eventually(.seconds(60), { FileManager.default.fileExists(atPath: root + "/control") }) else {
            await stop()
            throw NodeUnderTest.Failure(description: "the lab did not start")
        }
        for number in 1...nodes {
            let data = FileManager.default.contents(atPath: root + "/node\(number)/node.json") ?? Data()
            let file = try JSONSerialization.jsonObject(with: data) as? [String: Any]
            urls.append("redis://" + (file?["redis"] as? String ?? ""))
        }
    }

    func stop() async {
        if process.isRunning { kill(process.processIdentifier, SIGINT) }
        let hasEnded = (try? await eventually(.seconds(40)) { !process.isRunning }) ?? false
        if !hasEnded { kill(process.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(atPath: root)
    }
}

/// Sessions of the SDKs between real nodes, whose link is slow enough to show what they are for.
@Suite("Sessions of functions on two nodes", .serialized)
struct SessionTests {
    private static let lab = ["--delay", "150ms"]

    private func withLab(_ body: ([String]) async throws -> Void) async throws {
        let lab = try await LabUnderTest(nodes: 2, Self.lab)
        do {
            try await body(lab.urls)
        } catch {
            await lab.stop()
            throw error
        }
        await lab.stop()
    }

    @Test("in Swift, a session that goes from node to node by its token reads its writes, and never less", .timeLimit(.minutes(2)))
    func swift() async throws {
        try await withLab { urls in
            var strangers: [State] = []
            for url in urls { strangers.append(try await State.connect(url: url)) }
            var token = ""
            var seen = 0
            var stale = 0
            for round in 1...12 {
                // Somebody else writes at one node all the time.
                try await strangers[0].counter("noise").add()
                let here = try await State.connect(url: urls[round % 2], token: token)
                try await here.setConsistency(.session)
                #expect(try await here.counter("mine").value() == round - 1, "round \(round): a session did not read its writes")
                #expect(try await here.counter("mine").add() == round)
                try await here.list("steps").append("\(round)")
                let noise = try await here.counter("noise").value()
                #expect(noise >= seen, "round \(round): a session read less than before")
                seen = max(seen, noise)
                token = try await here.token()
                // Who does not take the token along may read less.
                if try await strangers[(round + 1) % 2].counter("mine").value() < round { stale += 1 }
                here.close()
            }
            #expect(stale > 0, "the network was too fast to show anything")
            let last = try await State.connect(url: urls[0], token: token)
            #expect(try await last.list("steps").elements() == (1...12).map { "\($0)" }, "writes of a session keep their order")
            await #expect(throws: StateFailure.self) { _ = try await State.connect(url: urls[0], token: "no token!") }
            for state in strangers + [last] { state.close() }
        }
    }

    private static let python = """
        import sys
        sys.path.insert(0, sys.argv[1])
        import brume
        urls = sys.argv[2:4]
        strangers = [brume.state(url) for url in urls]
        token, seen, stale = None, 0, 0
        for turn in range(1, 13):
            strangers[0].counter("noise").add()
            here = brume.state(urls[turn % 2], token=token)
            here.consistency("session")
            assert here.counter("mine").value == turn - 1, ("own writes", turn, here.counter("mine").value)
            assert here.counter("mine").add() == turn
            noise = here.counter("noise").value
            assert noise >= seen, ("monotonic", turn, noise, seen)
            seen = noise
            token = here.token
            stale += strangers[(turn + 1) % 2].counter("mine").value < turn
            here.close()
        again = strangers[1]
        again.resume(token)
        assert again.counter("mine").value == 12
        assert stale > 0, "the network was too fast to show anything"
        print("done", stale)
        """

    @Test("in Python, the same by the one file", .timeLimit(.minutes(2)))
    func python() async throws {
        // The file as it lies in the tree, above this one.
        var folder = URL(filePath: #filePath)
        while folder.path != "/", !FileManager.default.fileExists(atPath: folder.path + "/Sources/Adapters/Sandbox/Shims/brume.py") {
            folder.deleteLastPathComponent()
        }
        let shims = folder.path + "/Sources/Adapters/Sandbox/Shims"
        try await withLab { urls in
            let outcome = try await NodeUnderTest.run("/usr/bin/env", ["python3", "-c", Self.python, shims] + urls)
            #expect(outcome.exitCode == 0 && outcome.output.hasPrefix("done"), "\(outcome.output)\(outcome.complaint)")
        }
    }
}
