// SPDX-License-Identifier: Apache-2.0

/// The most CPU that a call uses, averaged over a window that slides as a real node's watcher moves it: what is shorter counts by its
/// share of one.
struct PeakWindow: Hashable, Sendable {
    /// Two periods of the kernel's quota.
    static let length = 0.040
    /// The window moves on by one look.
    private static let look = 0.004
    private static let looks = 10
    /// Seconds that rounding may lose at the end of a look.
    private static let rounding = 1e-12

    /// Core-seconds between looks, the latest at `current`.
    private var used = [Double](repeating: 0, count: looks)
    private var current = 0
    /// Since the look before, and altogether as far as it matters.
    private var passed = 0.0
    private var total = 0.0
    private var sum = 0.0
    private var most = 0.0

    /// Until now, in cores. A call that is shorter than a window is averaged over its own length, but never over less than a look.
    var cores: Double { max(most, sum / min(Self.length, max(total, Self.look))) }

    /// So many cores were busy for so long.
    mutating func add(cores: Double, seconds: Double) {
        var left = seconds
        total = min(Self.length, total + seconds)
        // After a whole window nothing changes any more.
        if left > 2 * Self.length { left -= ((left - Self.length - Self.look) / Self.look).rounded(.down) * Self.look }
        while left > 0 {
            let step = min(left, Self.look - passed)
            used[current] += cores * step
            sum += cores * step
            passed += step
            left -= step
            guard passed >= Self.look - Self.rounding else { return }
            if total >= Self.length { most = max(most, sum / Self.length) }
            current = (current + 1) % Self.looks
            sum = max(0, sum - used[current])
            used[current] = 0
            passed = 0
        }
    }
}
