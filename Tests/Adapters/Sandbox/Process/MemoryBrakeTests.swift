// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeSandbox

/// Which limits of memory are written where, and what becomes of those that the kernel does not take.
@Suite("A lender of memory is slowed down at what is left to it", .serialized)
struct MemoryBrakeTests {
    private static let allocation = Resources(millicores: 1000, memoryBytes: 256 << 20)

    /// One change after the other: what is set, what memory.high and memory.max are told then; nothing where nothing changes.
    @Test("memory.high follows what is lent, memory.max what is borrowed, and each is only written when it changes")
    func follows() throws {
        let plain = try PlainGroup()
        let limits = try LimitFiles(plain.group, Self.allocation)
        _ = try (plain.taken("memory.high"), plain.taken("memory.max"))
        let steps: [(set: Int, high: String, max: String)] = [
            (48 << 20, "\(48 << 20)", ""), (48 << 20, "", ""), (32 << 20, "\(32 << 20)", ""), (64 << 20, "\(64 << 20)", ""),
            (256 << 20, "max", ""), (256 << 20, "", ""), (300 << 20, "", "\(300 << 20)"), (280 << 20, "", "\(280 << 20)"),
            (40 << 20, "\(40 << 20)", "\(256 << 20)"), (320 << 20, "max", "\(320 << 20)"), (256 << 20, "", "\(256 << 20)"),
        ]
        for (index, step) in steps.enumerated() {
            #expect(limits.set(.memory, to: step.set) == step.set, "step \(index)")
            let written = try (plain.taken("memory.high"), plain.taken("memory.max"))
            #expect(written == (step.high, step.max), "step \(index): \(written)")
        }
    }

    @Test("the end of its last call loosens the brake, once")
    func release() throws {
        let plain = try PlainGroup()
        let limits = try LimitFiles(plain.group, Self.allocation)
        #expect(limits.set(.memory, to: 48 << 20) == 48 << 20)
        _ = try plain.taken("memory.high")
        limits.releaseMemory()
        #expect(try plain.taken("memory.high") == "max")
        #expect(limits.limits == Self.allocation)
        limits.releaseMemory()
        #expect(try plain.taken("memory.high").isEmpty)
    }

    @Test("a brake that the kernel does not take is not lent behind, and counted")
    func refusedBrake() throws {
        let plain = try PlainGroup()
        let refused = RefusedWrites()
        let limits = try LimitFiles(plain.group, Self.allocation, refused: refused)
        let allow = try plain.refuse("memory.high")
        #expect(limits.set(.memory, to: 48 << 20) == Self.allocation.memoryBytes)
        #expect(limits.limits == Self.allocation && refused.total == 1)
        // It had borrowed: that goes back all the same, and what is its own stays.
        #expect(limits.set(.memory, to: 300 << 20) == 300 << 20)
        #expect(limits.set(.memory, to: 48 << 20) == Self.allocation.memoryBytes)
        #expect(try plain.taken("memory.max").hasPrefix("\(256 << 20)"))
        #expect(!limits.holdBack(using: 250 << 20), "paused without having lent")
        allow()
        #expect(limits.set(.memory, to: 48 << 20) == 48 << 20)
    }

    @Test("a brake that the kernel does not loosen is tried again at each look, and at the end")
    func stuckBrake() throws {
        let plain = try PlainGroup()
        let refused = RefusedWrites()
        let limits = try LimitFiles(plain.group, Self.allocation, refused: refused)
        for ending in [false, true] {
            #expect(limits.set(.memory, to: 48 << 20) == 48 << 20)
            _ = try plain.taken("memory.high")
            let before = refused.total
            let allow = try plain.refuse("memory.high")
            #expect(limits.set(.memory, to: 256 << 20) == 256 << 20)
            #expect(!limits.holdBack(using: 60 << 20))
            #expect(refused.total == before + 2)
            allow()
            #expect(try plain.taken("memory.high").isEmpty)
            if ending { limits.releaseMemory() } else { #expect(!limits.holdBack(using: 60 << 20)) }
            #expect(try plain.taken("memory.high") == "max")
        }
    }

    @Test("a pause that the kernel does not end is tried again at each look")
    func stuckPause() throws {
        let plain = try PlainGroup()
        let limits = try LimitFiles(plain.group, Self.allocation)
        #expect(limits.set(.memory, to: 48 << 20) == 48 << 20)
        #expect(limits.holdBack(using: 60 << 20) && limits.isPaused)
        #expect(try plain.taken("cgroup.freeze") == "1")
        let allow = try plain.refuse("cgroup.freeze")
        #expect(limits.set(.memory, to: 256 << 20) == 256 << 20)
        #expect(limits.isPaused)
        allow()
        #expect(!limits.holdBack(using: 60 << 20) && !limits.isPaused)
        #expect(try plain.taken("cgroup.freeze") == "0")
    }

    @Test("a pause that the kernel refuses is none, and tried again")
    func refusedPause() throws {
        let plain = try PlainGroup()
        let limits = try LimitFiles(plain.group, Self.allocation)
        #expect(limits.set(.memory, to: 48 << 20) == 48 << 20)
        let allow = try plain.refuse("cgroup.freeze")
        #expect(!limits.holdBack(using: 60 << 20) && !limits.isPaused)
        allow()
        #expect(limits.holdBack(using: 60 << 20) && limits.isPaused)
    }

    @Test("a limit that the kernel does not raise or lower stays what it was, and its caller is told")
    func refusedLimit() throws {
        let plain = try PlainGroup()
        let limits = try LimitFiles(plain.group, Self.allocation)
        var allow = try plain.refuse("memory.max")
        #expect(limits.set(.memory, to: 300 << 20) == 256 << 20)
        allow()
        #expect(limits.set(.memory, to: 300 << 20) == 300 << 20)
        allow = try plain.refuse("memory.max")
        #expect(limits.set(.memory, to: 48 << 20) == 300 << 20)
        #expect(try plain.taken("memory.high") == "max", "slowed down below a limit that it still has")
        allow()
        #expect(limits.set(.memory, to: 48 << 20) == 48 << 20)
    }

    @Test(
        "a kernel without one of the two ways to hold a lender lends by the other, one without both lends no memory",
        arguments: [(["memory.high"], true), (["cgroup.freeze"], true), (["memory.high", "cgroup.freeze"], false)] as [(Set<String>, Bool)])
    func missing(files: Set<String>, lends: Bool) throws {
        let plain = try PlainGroup(without: files)
        let limits = try LimitFiles(plain.group, Self.allocation)
        #expect(limits.set(.memory, to: 48 << 20) == (lends ? 48 << 20 : 256 << 20))
        #expect(limits.holdBack(using: 60 << 20) == (lends && !files.contains("cgroup.freeze")))
        #expect(limits.set(.memory, to: 300 << 20) == 300 << 20)
        #expect(!limits.isPaused)
    }

    @Test("without the safeguard nothing slows a lender down: what is left to it is the kernel's limit")
    func kill() throws {
        let plain = try PlainGroup()
        let limits = try LimitFiles(plain.group, Self.allocation, .kill)
        #expect(limits.set(.memory, to: 48 << 20) == 48 << 20)
        #expect(try plain.taken("memory.max") == "\(48 << 20)")
        #expect(try plain.taken("memory.high") == "max")
        #expect(!limits.holdBack(using: 60 << 20))
    }

    @Test("files that are closed in the middle of a loan leave neither a brake nor a pause")
    func closed() throws {
        let plain = try PlainGroup()
        let limits = try LimitFiles(plain.group, Self.allocation)
        #expect(limits.set(.memory, to: 48 << 20) == 48 << 20)
        #expect(limits.holdBack(using: 60 << 20))
        _ = try (plain.taken("memory.high"), plain.taken("cgroup.freeze"))
        limits.close()
        #expect(try plain.taken("memory.high") == "max")
        #expect(try plain.taken("cgroup.freeze") == "0")
        #expect(!limits.isPaused)
    }
}
