// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// When a lender gets its own allocation back, and when a function is left alone.
public struct SafeguardSettings: Hashable, Sendable {
    /// Use of the current limit, in percent, from which a lender counts as near it (Libra's value).
    public var thresholdPercent = 80
    /// CPU use is averaged over this: two quota periods, because in one a lender may use its quota and as much that it has saved up.
    public var cpuWindow = Duration.milliseconds(40)
    /// Memory that a lender keeps above its use: what it can touch between two looks (3 GB/s for 5 ms).
    public var memoryMarginBytes = 16 << 20
    /// Trips among the latest lending calls of a function from which it is no longer harvested for that resource.
    public var tripsMax = 3
    /// Lending calls over which trips are counted, at most 64: a fifteenth of them may trip.
    public var tripsOver = 45
    /// The first pause, zero for none at all; each one that follows within a pause's length of the end of the one before is twice as long.
    public var pauseMin = Duration.seconds(30)
    /// The longest pause: an input mix that has changed is noticed within the hour.
    public var pauseMax = Duration.seconds(3600)

    public init() {}

    /// The limit below which a replica that uses so much memory must not be set.
    ///
    /// It can grow by the margin before it comes near, and has the margin left when it does.
    public func memoryFloor(usedBytes: Int) -> Int {
        let used = min(max(0, usedBytes), Int.max / 1000)
        return max(used + 2 * memoryMarginBytes, (used + memoryMarginBytes) * 100 / thresholdPercent + 1)
    }

    /// What a call that is expected to peak at `peak` should be left with, of what it has reserved: enough not to come near the limit.
    ///
    /// More than it has reserved where it is expected to use more.
    public func demand(peak: Int, reserved: Int, _ kind: ResourceKind) -> Int {
        guard peak <= reserved else { return peak }
        // A hundredth more, so that a use of exactly the peak stays below the threshold.
        let widened = min(peak, Int.max / 1000) * 101 / thresholdPercent + 1
        return min(reserved, kind == .cpu ? widened : max(widened, peak + memoryMarginBytes + 1))
    }

    /// The use of memory from which it is near a limit: the threshold, or with no more than the margin left. Kernels can watch for it.
    public func memoryThreshold(limit: Int) -> Int { min(limit / 100 * thresholdPercent, limit - memoryMarginBytes) }
}
