// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeSandbox
import Glibc
import Testing

@Suite("The sandbox holds its limits", .serialized, .timeLimit(.minutes(2)), .enabled(if: ProcessBench.isRoot))
struct LimitTests {
    /// Burns CPU in as many processes as told for a second of wall time, and gives CPU seconds per second.
    private static func burn(processes: Int) -> String {
        """
        import os, time
        began = time.monotonic()
        children = []
        for _ in range(\(processes)):
            pid = os.fork()
            if pid == 0:
                while time.monotonic() < began + 1.0: pass
                os._exit(0)
            children.append(pid)
        for pid in children: os.waitpid(pid, 0)
        t = os.times()
        r = (t.children_user + t.children_system) / (time.monotonic() - began)
        """
    }

    @Test("the CPU limit holds, also for a whole core on a machine with more", arguments: [(100, 0.16), (500, 0.62), (1000, 1.12)])
    func cpu(millicores: Int, most: Double) async throws {
        try await ProcessBench.with { bench in
            let replica = try await bench.start(try ProcessBench.spec(millicores: millicores))
            let used = try #require(Double(try await bench.run(Self.burn(processes: 2), on: replica)))
            #expect(used <= most, "\(millicores)m used \(used) cores")
            // A busy machine may give less, but not nothing.
            #expect(used > 0)
        }
    }

    @Test("running out of memory is told as such and ends only that replica")
    func memory() async throws {
        try await ProcessBench.with { bench in
            let greedy = try await bench.start(try ProcessBench.spec("greedy", memory: 32 << 20))
            let other = try await bench.start(try ProcessBench.spec("other", memory: 32 << 20))
            let failure = await #expect(throws: CallFailure.self) { try await bench.run("b = bytearray(200 << 20)", on: greedy) }
            #expect(failure?.kind == .outOfMemory)
            let exit = await bench.recorder.exit(of: greedy)
            #expect(exit.cause == .outOfMemory)
            #expect(exit.message.contains("32Mi"))
            #expect(try await bench.run("r = 'alive'", on: other) == "alive")
        }
    }

    @Test("a fork bomb stops at the process limit and the replica can be stopped")
    func forkBomb() async throws {
        try await ProcessBench.with { bench in
            let replica = try await bench.start(try ProcessBench.spec(memory: 256 << 20))
            let program = """
                import os, time
                made = 0
                try:
                    while made < 2000:
                        if os.fork() == 0: time.sleep(600)
                        made += 1
                except OSError as e: r = (made < 256, e.errno)
                """
            #expect(try await bench.run(program, on: replica) == "(True, 11)")
            #expect(await bench.stop(replica).cause == .stopped)
            #expect(HostState.groups(in: bench.driver.groupName, named: "\(replica)").isEmpty)
        }
    }

    @Test("a full /tmp is an error of that call only", arguments: ["/tmp", "/dev/shm", "/home/app"])
    func fullDisk(place: String) async throws {
        try await ProcessBench.with { bench in
            let replica = try await bench.start(try ProcessBench.spec(memory: 64 << 20))
            let program = """
                import os
                f = open('\(place)/big', 'wb')
                try:
                    for _ in range(1000): f.write(bytes(1 << 20)); f.flush()
                except OSError as e: r = e.errno
                os.unlink('\(place)/big')
                """
            #expect(try await bench.run(program, on: replica) == "28")
            #expect(try await bench.run("r = 'alive'", on: replica) == "alive")
        }
    }

    @Test("endless output is cut to the limit and says so, and the next call is answered")
    func endlessOutput() async throws {
        try await ProcessBench.with { bench in
            let replica = try await bench.start(try ProcessBench.spec())
            #expect(try await bench.run("import sys\nfor i in range(200000): print('line', i)\nsys.stdout.flush()", on: replica) == "")
            #expect(try await bench.run("r = 1", on: replica) == "1")
            _ = await bench.stop(replica)
            let lines = bench.recorder.lines(of: replica, .stdout)
            #expect(lines.first == "line 0")
            #expect(lines.count >= 2000 && lines.count < 30_000)
            #expect(bench.recorder.lines(of: replica, .platform).contains { $0.contains("lines were left out") })
        }
    }

    @Test("use is counted")
    func usage() async throws {
        try await ProcessBench.with { bench in
            let replica = try await bench.start(try ProcessBench.spec())
            _ = try await bench.run("b = bytearray(40 << 20)", on: replica)
            _ = try await bench.run("import time\ne = time.monotonic() + 0.2\nwhile time.monotonic() < e: pass", on: replica)
            let usage = try #require(bench.driver.usage(of: replica))
            #expect(usage.cpuTime > .milliseconds(50))
            #expect(usage.memoryBytes > 1 << 20)
            #expect(usage.memoryPeakBytes > 40 << 20)
            _ = await bench.stop(replica)
            #expect(bench.driver.usage(of: replica) == nil)
        }
    }
}
