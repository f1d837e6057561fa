// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc
import Synchronization

/// The counters of one control group, kept open so that a look at them costs a microsecond.
final class UsageFiles: Sendable {
    private let isUnified: Bool
    private let cpu: CInt
    private let throttling: CInt
    private let memory: CInt
    /// Highest memory use; -1 where the kernel keeps none that can begin anew.
    private let peak: CInt
    /// Where the kernel counts, and tells, how often the group came to `memory.high`; -1 where it does not.
    private let events: CInt
    /// Where the kernel counts what it killed for memory; -1 where it does not.
    private let kills: CInt
    private let isHeard = Atomic(false)

    /// - Throws: `BrumeError` where the group is gone or has no such files.
    init(_ group: ReplicaCgroup) throws(BrumeError) {
        guard let paths = group.limitPaths else { throw BrumeError(.unsupported, "Without control groups no use is counted.") }
        isUnified = paths.isUnified
        cpu = unsafe open(paths.cpuUsage, O_RDONLY | O_CLOEXEC)
        throttling = unsafe open(paths.throttling, O_RDONLY | O_CLOEXEC)
        memory = unsafe open(paths.memoryUsage, O_RDONLY | O_CLOEXEC)
        // A reader of v2's file that has written to it has a peak of its own (Linux 6.12); before that the write is refused.
        let peak = unsafe open(paths.memoryPeak, O_RDWR | O_CLOEXEC)
        if peak >= 0, !Self.reset(peak) {
            _ = close(peak)
            self.peak = -1
        } else {
            self.peak = peak
        }
        events = paths.memoryEvents.map { unsafe open($0, O_RDONLY | O_CLOEXEC) } ?? -1
        kills = paths.isUnified ? events : unsafe open(paths.memoryKills, O_RDONLY | O_CLOEXEC)
        guard cpu >= 0, memory >= 0 else { throw HostFiles.failure("open the counters of", paths.cpuUsage, errno) }
    }

    deinit {
        for file in [cpu, throttling, memory, peak, events] where file >= 0 { _ = close(file) }
        if kills >= 0, kills != events { _ = close(kills) }
    }

    /// CPU time used since the group was made, in nanoseconds, or nil if the group is gone.
    var cpuNanoseconds: Int64? {
        // v2: `usage_usec N` is the first line.
        Self.number(in: cpu, after: isUnified ? 11 : 0).map { isUnified ? $0 * 1000 : $0 }
    }

    /// Periods of the CPU quota in which the group had to wait.
    var throttledPeriods: Int? { Self.number(behind: "nr_throttled ", in: throttling) }

    /// How often the group came to `memory.high`, or nil where the kernel does not count it. Reading it makes the file tell of the next.
    var crossings: Int? { Self.number(behind: "high ", in: events) }

    /// Processes of the group that the kernel killed for memory so far, or nil where it does not count them.
    var memoryKills: Int? { Self.number(behind: "oom_kill ", in: kills) }

    /// Has the kernel tell `token` when the group comes to `memory.high`, from the first time that this is asked.
    ///
    /// - Returns: false where the kernel would tell, but not this way.
    func tell(_ token: UInt64, to kernel: KernelEvents) -> Bool {
        guard events >= 0, !isHeard.exchange(true, ordering: .relaxed) else { return true }
        // A file that was never read has something to tell.
        _ = crossings
        return kernel.add(events, token)
    }

    var memoryBytes: Int? { Self.number(in: memory, after: 0).map { Int($0) } }

    /// Begins a new peak of memory use.
    func resetPeak() { if peak >= 0 { _ = Self.reset(peak) } }

    /// The highest memory use since the last reset, or nil where the kernel does not tell.
    var memoryPeakBytes: Int? { peak >= 0 ? Self.number(in: peak, after: 0).map { Int($0) } : nil }

    private static func reset(_ file: CInt) -> Bool {
        var byte = UInt8(ascii: "0")
        return unsafe pwrite(file, &byte, 1, 0) == 1
    }

    /// Reads the number behind a word that begins a line.
    private static func number(behind word: StaticString, in file: CInt) -> Int? {
        guard file >= 0 else { return nil }
        var bytes = InlineArray<512, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        let count = unsafe span.withUnsafeMutableBytes { unsafe pread(file, $0.baseAddress, $0.count, 0) }
        let length = word.utf8CodeUnitCount
        for start in 0..<max(0, count - length) where start == 0 || bytes[start - 1] == UInt8(ascii: "\n") {
            guard (0..<length).allSatisfy({ unsafe bytes[start + $0] == word.utf8Start[$0] }) else { continue }
            var value = 0
            var index = start + length
            while index < count, bytes[index] >= 0x30, bytes[index] <= 0x39, value < 1 << 50 {
                value = value * 10 + Int(bytes[index] - 0x30)
                index += 1
            }
            return value
        }
        return nil
    }

    /// Reads the decimal number that begins `offset` bytes into a kernel file.
    private static func number(in file: CInt, after offset: Int) -> Int64? {
        var bytes = InlineArray<40, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        let count = unsafe span.withUnsafeMutableBytes { unsafe pread(file, $0.baseAddress, $0.count, 0) }
        var index = offset
        var value: Int64 = 0
        while index < count, bytes[index] >= 0x30, bytes[index] <= 0x39 {
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            value = scaled + Int64(bytes[index] - 0x30)
            index += 1
        }
        return index > offset ? value : nil
    }
}
