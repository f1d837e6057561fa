// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What one call has used so far, and at how much use somebody is to be told.
struct WatchedCall {
    private let files: UsageFiles
    private let began: Int64
    private let cpuAtStart: Int64
    private let windowLength: Int64
    private var window: UsageWindow
    private var peakMillicores = 0
    private var peakMemory = 0
    var lines = UsageWatcher.Lines()

    /// - Parameters:
    ///   - at: nanoseconds of a clock that does not jump.
    ///   - cpu: nanoseconds of CPU used by the group until then.
    ///   - window: nanoseconds over which CPU use is averaged.
    init(_ files: UsageFiles, at: Int64, cpu: Int64, window: Int64) {
        self.files = files
        began = at
        cpuAtStart = cpu
        windowLength = window
        self.window = UsageWindow(length: window, at: at, cpu: cpu)
    }

    /// Reads the counters; what cannot be read, because the group is just going, is left out.
    ///
    /// - Returns: the lines that were reached, each only once.
    mutating func look(at now: Int64) -> [(ResourceKind, Int)] {
        var crossed: [(ResourceKind, Int)] = []
        if let memory = files.memoryBytes {
            peakMemory = max(peakMemory, memory)
            if let line = lines.memoryBytes, memory >= line {
                lines.memoryBytes = nil
                crossed.append((.memory, memory))
            }
        }
        if let cpu = files.cpuNanoseconds, let (used, covered) = window.add(at: now, cpu: cpu) {
            // Less than a window is only known to be a part of one: what was used in it is what the whole had at least.
            let millicores = Int(used * 1000 / max(windowLength, covered))
            peakMillicores = max(peakMillicores, millicores)
            if let line = lines.millicores, millicores >= line {
                lines.millicores = nil
                crossed.append((.cpu, millicores))
            }
        }
        return crossed
    }

    /// What the call used, at its end; nil if its group is gone.
    mutating func usage(at now: Int64) -> CallUsage? {
        _ = look(at: now)
        guard let cpu = files.cpuNanoseconds else { return nil }
        let used = max(0, cpu - cpuAtStart)
        // A call that was shorter than a window is averaged over its own length, but never over less than a clock tick of the kernel.
        let length = max(now - began, 4_000_000)
        let average = length < windowLength ? Int(used * 1000 / length) : 0
        return CallUsage(
            cpuTime: .nanoseconds(used), peakMillicores: max(peakMillicores, average), peakMemoryBytes: files.memoryPeakBytes ?? peakMemory)
    }
}
