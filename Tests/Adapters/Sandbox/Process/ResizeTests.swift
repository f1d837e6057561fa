// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import BrumeSandbox

/// Limits that change while a program runs, and the watching of what it uses, on real control groups.
@Suite("Limits change while a program runs", .serialized, .timeLimit(.minutes(2)), .enabled(if: ProcessBench.isRoot))
struct ResizeTests {
    /// A program in a control group of its own.
    final class Subject: Sendable {
        let group: ReplicaCgroup
        private let process: Process
        private let input = Pipe()
        private let output = Pipe()

        init(_ group: ReplicaCgroup, python: String) throws {
            self.group = group
            process = Process()
            process.executableURL = URL(filePath: "/bin/sh")
            let joins = group.directories.map { "echo $$ > \($0)/cgroup.procs" }.joined(separator: " && ")
            process.arguments = ["-c", joins + " && exec python3 -u -c \"$0\"", python]
            process.standardInput = input
            process.standardOutput = output
            try process.run()
        }

        /// Waits for a line, or for the end.
        func waitForLine() {
            var data = Data()
            repeat { data = output.fileHandleForReading.availableData } while !data.isEmpty && data.last != UInt8(ascii: "\n")
        }

        func tell(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8)) }

        func end() {
            group.kill()
            process.waitUntilExit()
        }
    }

    static func withSubject(
        _ limits: Resources, python: String, _ body: @Sendable (Subject) async throws -> Void
    ) async throws {
        let name = "brume-test-\(UInt32.random(in: 0..<UInt32.max))"
        let tree = CgroupTree.make(name: name)
        let group = ReplicaCgroup(tree: tree, name: "r1")
        try group.create(limits, endsTogether: true)
        let subject = try Subject(group, python: python)
        do {
            try await body(subject)
        } catch {
            subject.end()
            await group.remove()
            tree.remove()
            throw error
        }
        subject.end()
        await group.remove()
        tree.remove()
    }

    /// Cores used over half a second.
    private static func share(_ files: UsageFiles) async throws -> Double {
        let clock = ContinuousClock()
        let (began, before) = (clock.now, try #require(files.cpuNanoseconds))
        try await Task.sleep(for: .milliseconds(600))
        let (ended, after) = (clock.now, try #require(files.cpuNanoseconds))
        return Double(after - before) / 1e9 / ((ended - began) / .seconds(1))
    }

    private static let spin = "print('on')\nwhile True: pass"

    @Test("the CPU that a program really gets follows its limit up and down")
    func cpuFollows() async throws {
        try await Self.withSubject(Resources(millicores: 500, memoryBytes: 64 << 20), python: Self.spin) { subject in
            let limits = try LimitFiles(subject.group, Resources(millicores: 500, memoryBytes: 64 << 20))
            let files = try UsageFiles(subject.group)
            subject.waitForLine()
            for millicores in [200, 600, 100, 400] {
                #expect(limits.set(.cpu, to: millicores) == millicores)
                let used = try await Self.share(files)
                #expect(used <= Double(millicores) / 1000 * 1.25 + 0.03, "\(used) cores of \(millicores)m")
                // A busy machine may give less, but not nothing.
                #expect(used >= Double(millicores) / 1000 * 0.3, "\(used) cores of \(millicores)m")
            }
        }
    }

    @Test("a lender that works in bursts is not slowed by a limit of a little more than it needs over two periods")
    func burst() async throws {
        let bursts = """
            import time
            print('on')
            while True:
                end = time.process_time() + 0.005
                while time.process_time() < end: pass
                time.sleep(0.075)
            """
        try await Self.withSubject(Resources(millicores: 500, memoryBytes: 64 << 20), python: bursts) { subject in
            let limits = try LimitFiles(subject.group, Resources(millicores: 500, memoryBytes: 64 << 20))
            let files = try UsageFiles(subject.group)
            subject.waitForLine()
            // 5 ms within two periods of 20 ms are 125m; a fifth of headroom and what the interpreter needs beside.
            #expect(limits.set(.cpu, to: 180) == 180)
            let before = try #require(files.throttledPeriods)
            #expect(try await Self.share(files) <= 0.18)
            let throttled = try #require(files.throttledPeriods) - before
            // Every burst of the eight would be without savings: 180m are 3.6 ms in a period.
            #expect(throttled <= 2, "\(throttled) periods")
            #expect(limits.set(.cpu, to: 500) == 500 && limits.set(.cpu, to: 50) == 50 && limits.set(.cpu, to: 700) == 700)
        }
    }

    @Test("a limit that is set again and again without a change still holds")
    func sameLimit() async throws {
        try await Self.withSubject(Resources(millicores: 100, memoryBytes: 64 << 20), python: Self.spin) { subject in
            let limits = try LimitFiles(subject.group, Resources(millicores: 100, memoryBytes: 64 << 20))
            let files = try UsageFiles(subject.group)
            subject.waitForLine()
            let writer = Task {
                while !Task.isCancelled {
                    _ = limits.set(.cpu, to: 100)
                    try? await Task.sleep(for: .milliseconds(5))
                }
            }
            let used = try await Self.share(files)
            writer.cancel()
            #expect(used <= 0.16, "\(used) cores of 100m")
        }
    }

    @Test("memory is never limited below what is in use, and what was refused is told")
    func memoryFloor() async throws {
        let python =
            "import sys\nheld = bytearray(48 << 20)\nprint('held')\nsys.stdin.readline()\ndel held\nprint('free')\nsys.stdin.readline()"
        try await Self.withSubject(Resources(millicores: 1000, memoryBytes: 128 << 20), python: python) { subject in
            let limits = try LimitFiles(subject.group, Resources(millicores: 1000, memoryBytes: 128 << 20))
            let files = try UsageFiles(subject.group)
            subject.waitForLine()
            let use = try #require(files.memoryBytes)
            #expect(use >= 48 << 20)
            let inForce = limits.set(.memory, to: 16 << 20)
            #expect(inForce >= use && inForce <= use + (16 << 20), "\(inForce)")
            #expect(subject.group.outOfMemoryKills() == 0)
            try subject.tell("free it")
            subject.waitForLine()
            #expect(limits.set(.memory, to: 32 << 20) == 32 << 20)
            #expect(limits.set(.memory, to: 256 << 20) == 256 << 20)
            #expect(subject.group.outOfMemoryKills() == 0)
        }
    }

    @Test("a group that vanishes is no crash: nothing changes, and nothing is told")
    func vanished() async throws {
        let tree = CgroupTree.make(name: "brume-test-\(UInt32.random(in: 0..<UInt32.max))")
        let group = ReplicaCgroup(tree: tree, name: "r1")
        let limits = Resources(millicores: 500, memoryBytes: 64 << 20)
        try group.create(limits, endsTogether: true)
        let files = try LimitFiles(group, limits)
        let usage = try UsageFiles(group)
        let looks = Mutex<[ReplicaUse]>([])
        let watcher = try UsageWatcher { uses in looks.withLock { $0 += uses } }
        watcher.begin(ReplicaID(1), usage)
        await group.remove()
        tree.remove()
        #expect(files.set(.cpu, to: 200) == limits.millicores)
        #expect(files.set(.memory, to: 32 << 20) == limits.memoryBytes)
        #expect(!files.holdBack(using: .max) && !files.isPaused)
        files.releaseMemory()
        #expect(files.limits == limits)
        try await Task.sleep(for: .milliseconds(60))
        #expect(watcher.end(ReplicaID(1)) == nil)
        #expect(watcher.end(ReplicaID(2)) == nil)
        // Each look at what is gone is told as one that saw nothing, and counted.
        let told = looks.withLock { $0 }
        #expect(told.contains { $0.cpuTime == nil && $0.memoryBytes == nil && $0.throttledPeriods == nil })
        let counts = watcher.counts
        #expect(counts.skipped > 0 && counts.looks >= counts.skipped && counts.pauses == 0, "\(counts)")
        watcher.begin(ReplicaID(3), usage)
        #expect(watcher.counts.skipped == counts.skipped + 1 && watcher.end(ReplicaID(3)) == nil)
        await watcher.close()
        #expect(throws: BrumeError.self) { try LimitFiles(group, limits) }
        #expect(throws: BrumeError.self) { try UsageFiles(group) }
    }

    @Test("a call is looked at every few milliseconds, and its peaks are measured")
    func watching() async throws {
        let python = """
            import sys, time
            print('on')
            sys.stdin.readline()
            held = bytearray(40 << 20)
            end = time.monotonic() + 0.2
            while time.monotonic() < end: pass
            del held
            print('done')
            sys.stdin.readline()
            """
        let looks = Mutex<[ReplicaUse]>([])
        let watcher = try UsageWatcher { uses in looks.withLock { $0 += uses } }
        try await Self.withSubject(Resources(millicores: 2000, memoryBytes: 128 << 20), python: python) { subject in
            let files = try UsageFiles(subject.group)
            subject.waitForLine()
            watcher.begin(ReplicaID(7), files)
            try subject.tell("go")
            subject.waitForLine()
            let usage = try #require(watcher.end(ReplicaID(7)))
            let told = looks.withLock { $0 }
            // A busy machine may give the thread less than it asks for.
            #expect(told.count >= 10, "\(told.count) looks in 200 ms")
            #expect(
                told.allSatisfy { $0.replica == ReplicaID(7) && $0.cpuTime != nil && $0.memoryBytes != nil && $0.throttledPeriods != nil })
            #expect(zip(told, told.dropFirst()).allSatisfy { ($0.cpuTime ?? .zero) <= ($1.cpuTime ?? .zero) })
            #expect(usage.peakMemoryBytes >= 40 << 20 && usage.peakMemoryBytes < 80 << 20, "\(usage)")
            #expect(usage.peakMillicores >= 300 && usage.peakMillicores <= 1600, "\(usage)")
            #expect(usage.cpuTime > .milliseconds(50) && usage.cpuTime < .seconds(1), "\(usage)")
        }
        try await Task.sleep(for: .milliseconds(30))
        let after = looks.withLock { $0.count }
        try await Task.sleep(for: .milliseconds(30))
        #expect(looks.withLock { $0.count } == after, "nobody runs, and somebody is looked at")
        await watcher.close()
    }
}
