// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// An amount of a resource over a time: millicore-nanoseconds or byte-nanoseconds, exact.
///
/// 128 bits, because 64 hold a gigabyte for no more than nine seconds.
public struct ResourceTime: Hashable, Sendable, Comparable {
    public var units: Int128

    public init(_ units: Int128) { self.units = units }
    public init(amount: Int, for time: Duration) { units = Int128(amount) * Int128(time.wholeNanoseconds) }

    public static let zero = ResourceTime(0)

    /// Of millicores, for display and for metrics only.
    public var coreSeconds: Double { Double(units) / 1e12 }
    /// Of bytes, for display and for metrics only.
    public var byteSeconds: Double { Double(units) / 1e9 }

    public static func + (left: ResourceTime, right: ResourceTime) -> ResourceTime { ResourceTime(left.units + right.units) }
    public static func < (left: ResourceTime, right: ResourceTime) -> Bool { left.units < right.units }
}

/// An amount that changes at known moments, and what it has come to since the beginning.
struct Meter: Hashable, Sendable {
    private(set) var level = 0
    private var total = ResourceTime.zero
    private var since = Instant.zero

    /// A time that runs backwards counts as none.
    mutating func add(_ change: Int, now: Instant) {
        total = value(now)
        since = max(since, now)
        level += change
    }

    func value(_ now: Instant) -> ResourceTime { total + ResourceTime(amount: level, for: max(.zero, now - since)) }
}
