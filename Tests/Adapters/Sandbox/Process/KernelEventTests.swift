// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import BrumeSandbox

/// What the kernel tells by itself, and what becomes of it where it does not.
@Suite("The watcher hears the kernel", .timeLimit(.minutes(1)))
struct KernelEventTests {
    /// Looks by themselves never happen with these.
    private static var onlyEvents: UsageWatcher.Settings {
        var settings = UsageWatcher.Settings()
        settings.interval = .hours(1)
        return settings
    }

    /// After this a file of the kernel tells of the next change.
    private static func read(_ file: CInt) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 256)
        return unsafe pread(file, &bytes, bytes.count, 0) > 0
    }

    @Test(
        "a change of a group's file ends a waiting at once, and a group that is gone is no endless noise",
        .enabled(if: ProcessBench.isRoot))
    func hears() async throws {
        let tree = CgroupTree.make(name: "brume-test-\(UInt32.random(in: 0..<UInt32.max))")
        let group = ReplicaCgroup(tree: tree, name: "r1")
        let directory = try #require(group.unified, "no cgroup2 here")
        try group.create(Resources(millicores: 500, memoryBytes: 64 << 20), endsTogether: true)
        let kernel = try KernelEvents()
        let file = unsafe open("\(directory)/cgroup.events", O_RDONLY)
        defer { close(file) }
        #expect(Self.read(file))
        #expect(kernel.add(file, 7))
        #expect(kernel.wait(atMost: 0).isEmpty)
        for freeze in ["1", "0"] {
            #expect(HostFiles.tryWrite(freeze, to: "\(directory)/cgroup.freeze") == 0)
            #expect(kernel.wait(atMost: 10_000_000_000) == [7])
            #expect(Self.read(file))
        }
        await group.remove()
        tree.remove()
        // The last words of a group, and then silence.
        var rounds = 0
        while !kernel.wait(atMost: 50_000_000).isEmpty, rounds < 10 { rounds += 1 }
        #expect(rounds < 10)
    }

    @Test("a waiting ends when it is woken, or after its time; files that tell nothing are refused")
    func waits() throws {
        let kernel = try KernelEvents()
        #expect(kernel.wait(atMost: 1_000_000).isEmpty)
        kernel.wake()
        kernel.wake()
        #expect(kernel.wait(atMost: nil) == [KernelEvents.woken])
        #expect(kernel.wait(atMost: 0).isEmpty)
        kernel.wake()
        #expect(kernel.wait(atMost: nil) == [KernelEvents.woken])
        let plain = try PlainGroup()
        let file = unsafe open(plain.path("memory.events"), O_RDONLY)
        #expect(!kernel.add(file, 1))
        close(file)
        #expect(!kernel.add(file, 1))
    }

    @Test("a crossing is looked at once, by itself; stalls are a reason to look at everybody; both are counted")
    func events() async throws {
        let (one, other) = (try PlainGroup(), try PlainGroup())
        let looks = Mutex<[[ReplicaID]]>([])
        let watcher = try UsageWatcher(Self.onlyEvents) { uses in looks.withLock { $0.append(uses.map(\.replica)) } }
        try watcher.begin(ReplicaID(1), UsageFiles(one.group))
        try watcher.begin(ReplicaID(2), UsageFiles(other.group))
        // Plain files tell nothing: that is counted, and no error.
        #expect(watcher.counts.skipped == 2)
        watcher.hear([1, 2, 3])
        #expect(looks.withLock { $0.isEmpty })
        try one.put("low 0\nhigh 3\nmax 9\n", in: "memory.events")
        try other.put("low 1\nhigh 0\nmax 9\n", in: "memory.events")
        watcher.hear([1, 2, 3])
        watcher.hear([1, 2, 3])
        #expect(looks.withLock { $0 } == [[ReplicaID(1)]])
        #expect(watcher.counts.crossings == 1 && watcher.counts.pressures == 0)
        watcher.hear([UsageWatcher.pressureToken])
        #expect(looks.withLock { $0 } == [[ReplicaID(1)], [ReplicaID(1), ReplicaID(2)]])
        #expect(watcher.counts.crossings == 1 && watcher.counts.pressures == 1 && watcher.counts.looks == 3)
        // A file that cannot be read any more is no crossing.
        try other.put("", in: "memory.events")
        watcher.hear([2])
        #expect(watcher.counts.looks == 3)
        _ = watcher.end(ReplicaID(1))
        try one.put("high 4\n", in: "memory.events")
        watcher.hear([1])
        #expect(watcher.counts.looks == 3)
        await watcher.close()
    }

    @Test("who is beyond its limit when a crossing is heard, and cannot have more, is paused")
    func pauses() async throws {
        let plain = try PlainGroup()
        let limits = try LimitFiles(plain.group, Resources(millicores: 1000, memoryBytes: 256 << 20))
        #expect(limits.set(.memory, to: 48 << 20) == 48 << 20)
        let watcher = try UsageWatcher(Self.onlyEvents) { _ in }
        try watcher.begin(ReplicaID(1), UsageFiles(plain.group)) { limits.holdBack(using: $0) }
        try plain.put("\(49 << 20)", in: "memory.current")
        try plain.put("high 1\n", in: "memory.events")
        watcher.hear([1])
        #expect(limits.isPaused && watcher.counts.pauses == 1)
        #expect(limits.set(.memory, to: 256 << 20) == 256 << 20 && !limits.isPaused)
        await watcher.close()
    }

    @Test("without memory.events everything else is as ever")
    func withoutEvents() async throws {
        let plain = try PlainGroup(without: ["memory.events"])
        let (looks, looked) = AsyncStream.makeStream(of: Void.self)
        let watcher = try UsageWatcher { _ in looked.yield() }
        try watcher.begin(ReplicaID(1), UsageFiles(plain.group))
        for await _ in looks { break }
        #expect(watcher.counts.skipped == 0 && watcher.counts.crossings == 0)
        #expect(watcher.end(ReplicaID(1)) != nil)
        await watcher.close()
    }

    @Test("a kernel that counts no pressure, or does not let this process ask, is done without")
    func pressure() async throws {
        let plain = try PlainGroup()
        #expect(PressureTrigger(plain.path("memory.pressure")) == nil)
        #expect(PressureTrigger("/dev/full") == nil)
        // The kernel drops the last byte of what is written.
        #expect(PressureTrigger.thresholds.allSatisfy { $0.text.hasSuffix("\n") && $0.stall < $0.window })
        // One that is accepted and cannot be heard changes nothing.
        try plain.put("", in: "memory.pressure")
        let deaf = try #require(PressureTrigger(plain.path("memory.pressure")))
        #expect(try plain.taken("memory.pressure") == PressureTrigger.thresholds[0].text)
        let watcher = try UsageWatcher(Self.onlyEvents, pressure: deaf) { _ in }
        await watcher.close()
    }

    @Test("what guards memory here is said in a sentence")
    func sentence() throws {
        let plain = try PlainGroup()
        // A directory that is no group has none of the files.
        let none = MemoryGuard(plain.tree, nil, .pause)
        #expect(!none.mayLend && none.summary.contains("none is lent"))
        #expect(none.ways.filter(\.isThere).map(\.name) == ["looks"])
        let tree = CgroupTree.make(name: "brume-test-\(UInt32.random(in: 0..<UInt32.max))")
        defer { tree.remove() }
        guard tree.isUsable else { return }
        let real = MemoryGuard(tree, nil, .pause)
        #expect(real.mayLend && real.hearsCrossings != tree.isLegacy && real.summary.contains("looks every 4 ms"), "\(real.summary)")
        #expect(tree.parents.allSatisfy { HostFiles.names(in: "\($0)").allSatisfy { !$0.contains("probe") } })
        #expect(!MemoryGuard(tree, nil, .kill).mayLend)
    }
}
