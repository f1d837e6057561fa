// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import Testing

@testable import BrumeSandbox

@Suite("Small parts of the sandbox")
struct SandboxUnitTests {
    @Test(
        "a CPU limit becomes a quota",
        arguments: [
            (1, 2, 1_000, 1_000_000), (10, 2, 1_000, 100_000), (50, 2, 1_000, 20_000), (500, 2, 10_000, 20_000), (999, 2, 19_980, 20_000),
            (1000, 2, 100_000, 100_000), (1500, 2, 150_000, 100_000), (2000, 2, nil, 100_000), (4000, 2, nil, 100_000),
            (1000, 1, nil, 100_000), (3000, 8, 300_000, 100_000),
        ] as [(Int, Int, Int?, Int)])
    func quota(millicores: Int, cores: Int, quota: Int?, period: Int) {
        let result = CPUQuota(millicores: millicores, cores: cores)
        #expect(result.quotaMicroseconds == quota)
        #expect(result.periodMicroseconds == period)
    }

    @Test(
        "bytes become lines",
        arguments: [
            (["a\nb\n"], ["a", "b"]), (["a", "b\n", "c"], ["ab", "c"]), (["\n\n"], ["", ""]), (["a\r\nb"], ["a", "b"]),
            (["12345678"], ["1234", "5678"]), (["123456\n7"], ["1234", "56", "7"]), (["1234\n5"], ["1234", "5"]), ([""], []),
            (["\u{e9}\n"], ["\u{e9}"]),
        ])
    func lines(chunks: [String], lines: [String]) {
        var splitter = LineSplitter(lineBytesMax: 4)
        var got: [String] = []
        for chunk in chunks { splitter.push(ByteBuffer(string: chunk).readableBytesView) { got.append($0) } }
        splitter.finish { got.append($0) }
        #expect(got == lines)
    }

    @Test("the line limiter lets a burst and a rate through and counts the rest")
    func limiter() {
        var limiter = LineLimiter(perSecond: 10, savedMax: 5)
        var now = Instant(nanoseconds: 1_000)
        #expect((0..<20).filter { _ in limiter.allows(at: now) }.count == 5)
        #expect(limiter.takeDropped() == 15)
        now = now + .milliseconds(300)
        #expect((0..<20).filter { _ in limiter.allows(at: now) }.count == 3)
        #expect(limiter.takeDropped() == 17)
        #expect(limiter.takeDropped() == 0)
    }

    @Test(
        "mounts of control groups are found",
        arguments: [
            ("31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate", "/sys/fs/cgroup", []),
            (
                """
                1 2 0:1 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
                1 2 0:2 / /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory
                1 2 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
                1 2 0:4 / /proc rw - proc proc rw
                broken line
                """, "/sys/fs/cgroup/unified",
                ["cpu /sys/fs/cgroup/cpu,cpuacct", "cpuacct /sys/fs/cgroup/cpu,cpuacct", "memory /sys/fs/cgroup/my memory"]
            ),
        ] as [(String, String?, [String])])
    func mounts(text: String, unified: String?, legacy: [String]) {
        let table = MountTable(parsing: text)
        #expect(table.unified == unified)
        for line in legacy {
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            #expect(table.legacy[parts[0]] == parts[1])
        }
    }

    @Test("without control groups the reason is told")
    func noGroups() {
        let tree = CgroupTree.make(name: "brume-never", mounts: MountTable(parsing: ""))
        #expect(!tree.isUsable)
        #expect(tree.summary == "no control groups: no cgroup file system is mounted")
    }

    @Test(
        "an ending is told from what is known",
        arguments: [
            (0x0300, 0, false, true, ReplicaExit.Cause.exited(code: 3)), (0x8b00, 0, false, true, .signalled(number: 11)),
            (9, 0, false, true, .signalled(number: 9)), (0x8900, 1, false, true, .outOfMemory), (0, 1, false, true, .exited(code: 0)),
            (0x8900, 1, true, true, .stopped), (0x0100, 0, false, false, .startFailed), (0xff00, 0, false, true, .exited(code: 255)),
        ] as [(Int32, Int, Bool, Bool, ReplicaExit.Cause)])
    func endings(status: Int32, kills: Int, stopped: Bool, ready: Bool, cause: ReplicaExit.Cause) {
        let ending = ReplicaEnding(
            status: status, outOfMemoryKills: kills, stopRequested: stopped, wasReady: ready, startError: nil, errors: ["last"],
            limits: Resources(millicores: 100, memoryBytes: 64 << 20))
        #expect(ending.exit.cause == cause)
        #expect(ending.exit.message.hasSuffix(".") || ending.exit.message.hasSuffix("last"))
    }

    @Test("functions get uids of their own, which come back and are not reused at once")
    func hostIDs() throws {
        let ids = HostIDs(first: 100, count: 2)
        let (one, two, three) = ("one.space", "two.space", "three.space")
        #expect(try ids.take(for: one) == 100)
        #expect(try ids.take(for: one) == 100)
        #expect(try ids.take(for: two) == 101)
        #expect(throws: BrumeError.self) { try ids.take(for: three) }
        ids.giveBack(one)
        #expect(throws: BrumeError.self) { try ids.take(for: three) }
        ids.giveBack(one)
        #expect(try ids.take(for: three) == 100)
    }

    @Test(
        "references of images are understood or refused",
        arguments: [
            ("alpine:3.20", "docker://alpine:3.20"), ("docker://ghcr.io/a/b@sha256:12", "docker://ghcr.io/a/b@sha256:12"),
            ("oci:/nowhere:tag", nil), ("", nil), ("--help", nil), ("a b", nil), ("oci:", nil),
        ] as [(String, String?)])
    func references(reference: String, source: String?) {
        #expect((try? ImageStore.source(reference)) == source)
    }
}
