// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What a replica has used since its first call began.
struct WatchedCall {
    private let files: UsageFiles
    /// Told what memory is in use once everybody has reacted to it; pauses the replica where nobody could. Says whether it did.
    let hold: @Sendable (Int) -> Bool
    private let began: Int64
    private let cpuAtStart: Int64
    private let windowLength: Int64
    /// How often the group had come to `memory.high` when that was looked at last.
    private var crossings: Int
    private let killsAtStart: Int
    private var window: UsageWindow
    private var peakMillicores = 0
    private var peakMemory = 0

    /// - Parameters:
    ///   - at: nanoseconds of a clock that does not jump.
    ///   - cpu: nanoseconds of CPU used by the group until then.
    ///   - window: nanoseconds over which CPU use is averaged.
    ///   - hold: see ``hold``.
    init(_ files: UsageFiles, at: Int64, cpu: Int64, window: Int64, hold: @escaping @Sendable (Int) -> Bool) {
        self.files = files
        self.hold = hold
        began = at
        cpuAtStart = cpu
        windowLength = window
        crossings = files.crossings ?? 0
        killsAtStart = files.memoryKills ?? 0
        self.window = UsageWindow(length: window, at: at, cpu: cpu)
    }

    /// Reads the counters; what cannot be read, because the group is just going, is left out.
    mutating func look(_ replica: ReplicaID, at now: Int64) -> ReplicaUse {
        let (memory, cpu) = (files.memoryBytes, files.cpuNanoseconds)
        if let memory { peakMemory = max(peakMemory, memory) }
        if let cpu, let (used, covered) = window.add(at: now, cpu: cpu) {
            // Less than a window is only known to be a part of one: what was used in it is what the whole had at least.
            peakMillicores = max(peakMillicores, Int(used * 1000 / max(windowLength, covered)))
        }
        return ReplicaUse(
            replica: replica, cpuTime: cpu.map { .nanoseconds($0) }, throttledPeriods: files.throttledPeriods, memoryBytes: memory)
    }

    /// Whether it has come to `memory.high` since this was asked last.
    mutating func hasCrossed() -> Bool {
        // A group that is just going is no reason to look.
        guard let now = files.crossings, now > crossings else { return false }
        crossings = now
        return true
    }

    /// What was used until the end; nil if the group is gone.
    mutating func usage(at now: Int64) -> CallUsage? {
        _ = look(ReplicaID(0), at: now)
        guard let cpu = files.cpuNanoseconds else { return nil }
        let used = max(0, cpu - cpuAtStart)
        // A call that was shorter than a window is averaged over its own length, but never over less than a clock tick of the kernel.
        let length = max(now - began, 4_000_000)
        let average = length < windowLength ? Int(used * 1000 / length) : 0
        return CallUsage(
            cpuTime: .nanoseconds(used), peakMillicores: max(peakMillicores, average), peakMemoryBytes: files.memoryPeakBytes ?? peakMemory,
            memoryKills: max(0, (files.memoryKills ?? 0) - killsAtStart))
    }
}
