// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeSandbox

/// What becomes of a program that wants memory which it has lent, on real control groups.
@Suite("A lender of memory is paused, never killed", .serialized, .timeLimit(.minutes(2)), .enabled(if: ProcessBench.isRoot))
struct PauseTests {
    private static let allocation = Resources(millicores: 1000, memoryBytes: 256 << 20)
    private static let left = 48 << 20

    /// Ways to take 160 MiB (when reading, half of it as the file's cache) at full speed: page faults, and system calls that the kernel
    /// would fail at its own limit.
    enum Way: String, CaseIterable {
        case touching = "held = b'x' * (160 << 20)"
        case reading = """
            import tempfile
            file = tempfile.TemporaryFile(buffering=0)
            file.truncate(80 << 20)
            held = file.read(80 << 20)
            assert len(held) == 80 << 20
            """
        case sharedMemory = """
            import os
            file, page, written = os.memfd_create('x'), bytes(1 << 16), 0
            while written < 160 << 20: written += os.write(file, page)
            """
        case forking = """
            import os
            for _ in range(10):
                if os.fork() == 0: held = b'x' * (16 << 20); break
            else:
                for _ in range(10): os.wait()
            import sys
            if 'held' in dir(): os._exit(0)
            """
    }

    private static func program(_ way: Way) -> String {
        "import sys\nprint('on')\nsys.stdin.readline()\n\(way.rawValue)\nprint('done')\nsys.stdin.readline()"
    }

    /// Runs a program that lends, and tells it to take memory. `body` begins once it has been paused.
    private static func withPaused(
        _ way: Way, _ body: @Sendable (ResizeTests.Subject, LimitFiles, UsageFiles) async throws -> Void
    ) async throws {
        try await ResizeTests.withSubject(allocation, python: program(way)) { subject in
            let limits = try LimitFiles(subject.group, allocation)
            let files = try UsageFiles(subject.group)
            subject.waitForLine()
            #expect(limits.set(.memory, to: left) == left)
            let (pauses, paused) = AsyncStream.makeStream(of: Void.self)
            let watcher = try UsageWatcher { _ in }
            watcher.begin(ReplicaID(1), files) { bytes in
                guard limits.holdBack(using: bytes) else { return false }
                paused.yield()
                return true
            }
            try subject.tell("go")
            for await _ in pauses { break }
            try await body(subject, limits, files)
            _ = watcher.end(ReplicaID(1))
            limits.releaseMemory()
            #expect(watcher.counts.pauses == 1)
            await watcher.close()
            #expect(subject.group.outOfMemoryKills() == 0)
        }
    }

    /// Waits until all processes stand: the kernel stops each at its next way out of the kernel.
    private static func settle(_ subject: ResizeTests.Subject) async throws {
        let events = (subject.group.unified ?? "") + "/cgroup.events"
        let deadline = ContinuousClock.now + .seconds(20)
        while HostFiles.read(events)?.contains("frozen 1") != true {
            guard ContinuousClock.now < deadline else { throw BrumeError(.failed, "The program was not paused.") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test("whatever it takes memory with, it stops, and goes on unharmed once it has its own again", arguments: Way.allCases)
    func goesOn(way: Way) async throws {
        try await Self.withPaused(way) { subject, limits, files in
            #expect(limits.isPaused)
            try await Self.settle(subject)
            let memoryBefore = try #require(files.memoryBytes)
            let cpuBefore = try #require(files.cpuNanoseconds)
            try await Task.sleep(for: .milliseconds(60))
            let memoryAfter = try #require(files.memoryBytes)
            let cpuAfter = try #require(files.cpuNanoseconds)
            #expect(memoryAfter <= memoryBefore && cpuAfter == cpuBefore)
            #expect(limits.set(.memory, to: Self.allocation.memoryBytes) == Self.allocation.memoryBytes)
            #expect(!limits.isPaused)
            subject.waitForLine()
            let held = try #require(files.memoryBytes)
            #expect(way == .forking || held >= 160 << 20, "\(held >> 20) MiB")
        }
    }

    @Test("a little more is not enough for it to go on; its last call's end is")
    func release() async throws {
        try await Self.withPaused(.touching) { subject, limits, files in
            try await Self.settle(subject)
            let use = try #require(files.memoryBytes)
            if use > Self.left + 2 {
                #expect(limits.set(.memory, to: Self.left + 1) == Self.left + 1)
                #expect(limits.isPaused)
            }
            limits.releaseMemory()
            #expect(!limits.isPaused && limits.limits.memoryBytes == Self.allocation.memoryBytes)
            subject.waitForLine()
        }
    }

    @Test("a paused program can be ended")
    func ends() async throws {
        try await Self.withPaused(.touching) { subject, limits, _ in
            #expect(limits.isPaused)
            subject.end()
        }
    }

    @Test("at its own allocation a lender is killed as ever")
    func realEnd() async throws {
        let small = Resources(millicores: 1000, memoryBytes: 96 << 20)
        try await ResizeTests.withSubject(small, python: Self.program(.touching)) { subject in
            let limits = try LimitFiles(subject.group, small)
            subject.waitForLine()
            #expect(limits.set(.memory, to: Self.left) == Self.left)
            // Nobody watches, so nobody pauses it.
            try subject.tell("go")
            subject.waitForLine()
            #expect(subject.group.outOfMemoryKills() == 1)
        }
    }

    @Test("without the safeguard what is left is the kernel's limit, and going beyond is the end")
    func killed() async throws {
        try await ResizeTests.withSubject(Self.allocation, python: Self.program(.touching)) { subject in
            let limits = try LimitFiles(subject.group, Self.allocation, .kill)
            subject.waitForLine()
            #expect(limits.set(.memory, to: Self.left) == Self.left)
            try subject.tell("go")
            subject.waitForLine()
            #expect(subject.group.outOfMemoryKills() == 1)
        }
    }
}
