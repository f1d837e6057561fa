// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import Testing

@testable import BrumeSandbox

/// What a channel adds to the work itself. The bounds are loose, because test machines are shared and tests are not optimised;
/// the benchmarks measure the optimised program.
@Suite("Overhead of the channels", .serialized)
struct OverheadTests {
    private static let forks = 200

    @Test("A forked call costs about what starting the program costs")
    func fork() async throws {
        let replica = try await Fixture.fork(["/bin/cat"])
        _ = await replica.call("warm")
        var through: [Duration] = []
        var direct: [Duration] = []
        // Turn by turn, so that both see the same neighbours.
        for _ in 0..<Self.forks {
            let clock = ContinuousClock()
            direct.append(try clock.measure { try Self.spawnCat() })
            let start = clock.now
            #expect(await replica.call("hello").text == "hello")
            through.append(clock.now - start)
        }
        // The undisturbed calls: the work is the same each time, only neighbours add to it.
        let (a, b) = (Self.undisturbed(through), Self.undisturbed(direct))
        print("fork: through the channel \(a), posix_spawn alone \(b), ratio \(a / b)")
        #expect(a / b < 3)
    }

    @Test("Calls per second of a warm handler, one and sixteen at a time", arguments: [1, 16])
    func handler(_ inFlight: Int) async throws {
        let deployment = try await Deployment(
            .handler(language: .python, file: "handler.py"), Bundle(["handler.py": "def handle(event, context):\n    return 'x'"]),
            concurrency: inFlight)
        let replica = try await deployment.start()
        let count = 2000
        let start = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<inFlight {
                group.addTask { for _ in 0..<(count / inFlight) { #expect(await replica.call("hello").status == 200) } }
            }
        }
        let seconds = (ContinuousClock.now - start).inSeconds
        print(
            "handler, \(inFlight) in flight: \(Int(Double(count) / seconds)) calls/s, \(seconds / Double(count) * 1e6 * Double(inFlight)) us each"
        )
        #expect(Double(count) / seconds > 200)
    }

    private static func undisturbed(_ durations: [Duration]) -> Duration { durations.sorted()[durations.count / 20] }

    /// What the agent does for one call, without any agent.
    private static func spawnCat() throws {
        // Not pipes: another test may start a process between making one and marking it.
        let kind = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        var input: (CInt, CInt) = (0, 0)
        var output: (CInt, CInt) = (0, 0)
        try unsafe withUnsafeMutablePointer(to: &input) { pair in
            try unsafe #require(pair.withMemoryRebound(to: CInt.self, capacity: 2) { unsafe socketpair(AF_UNIX, kind, 0, $0) } == 0)
        }
        try unsafe withUnsafeMutablePointer(to: &output) { pair in
            try unsafe #require(pair.withMemoryRebound(to: CInt.self, capacity: 2) { unsafe socketpair(AF_UNIX, kind, 0, $0) } == 0)
        }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, input.0, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output.1, 1)
        var pid: pid_t = 0
        let name = unsafe strdup("/bin/cat")
        defer { unsafe free(name) }
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe [name, nil]
        var environment: [UnsafeMutablePointer<CChar>?] = unsafe [nil]
        try unsafe #require(posix_spawn(&pid, "/bin/cat", &actions, nil, &arguments, &environment) == 0)
        close(input.0)
        close(output.1)
        _ = unsafe write(input.1, "hello", 5)
        close(input.1)
        var buffer = [UInt8](repeating: 0, count: 4096)
        while unsafe read(output.0, &buffer, 4096) > 0 {}
        close(output.0)
        var status: CInt = 0
        _ = unsafe waitpid(pid, &status, 0)
    }
}
