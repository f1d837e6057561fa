// SPDX-License-Identifier: Apache-2.0

/// The kernel's words for a CPU limit: so many microseconds in each period.
struct CPUQuota: Hashable, Sendable {
    /// Nil: no quota, because the limit is all that the machine has.
    var quotaMicroseconds: Int?
    var periodMicroseconds: Int

    /// Below a core: short, so that a throttled call waits 20 ms at most instead of 100.
    static let shortPeriodMicroseconds = 20_000
    /// From a core on: a quota of whole cores loses up to a seventh in short periods.
    static let longPeriodMicroseconds = 100_000
    /// The kernel's smallest quota and longest period.
    static let quotaMicrosecondsMin = 1_000
    static let periodMicrosecondsMax = 1_000_000

    init(millicores: Int, cores: Int) {
        let millicores = max(1, millicores)
        guard millicores < cores * 1000 else {
            (quotaMicroseconds, periodMicroseconds) = (nil, Self.longPeriodMicroseconds)
            return
        }
        let period = millicores >= 1000 ? Self.longPeriodMicroseconds : Self.shortPeriodMicroseconds
        // A very small limit needs a longer period to reach the smallest quota.
        let needed = (Self.quotaMicrosecondsMin * 1000 + millicores - 1) / millicores
        periodMicroseconds = min(max(period, needed), Self.periodMicrosecondsMax)
        quotaMicroseconds = max(Self.quotaMicrosecondsMin, periodMicroseconds * millicores / 1000)
    }
}
