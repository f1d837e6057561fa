// SPDX-License-Identifier: Apache-2.0

/// A point on a node's clock, in nanoseconds since 1970.
///
/// The clock is set from wall time once, when the node starts, and is monotonic from then on: a jump of the wall clock moves no deadline.
/// In the simulator it is virtual.
public struct Instant: Hashable, Sendable, Comparable, Codable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = Instant(nanoseconds: 0)
    /// Later than anything: a deadline that never comes.
    public static let distantFuture = Instant(nanoseconds: .max)

    /// Milliseconds since 1970, as the Lambda and OpenWhisk contracts count.
    public var milliseconds: Int64 { nanoseconds / 1_000_000 }

    public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

    /// Moves by a duration; saturates at the ends of the range instead of trapping.
    public static func + (left: Instant, right: Duration) -> Instant {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.wholeNanoseconds)
        guard overflow else { return Instant(nanoseconds: sum) }
        return Instant(nanoseconds: right < .zero ? .min : .max)
    }

    public static func - (left: Instant, right: Duration) -> Instant { left + (.zero - right) }

    public static func - (left: Instant, right: Instant) -> Duration {
        let (difference, overflow) = left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)
        return .nanoseconds(overflow ? (left < right ? .min : .max) : difference)
    }
}

extension Duration {
    /// The duration in whole nanoseconds, saturating at the range of `Int64` (292 years).
    public var wholeNanoseconds: Int64 {
        // One division; `components` takes several of 128 bits, and this runs many times in each call.
        let attoseconds = attoseconds
        let magnitude = attoseconds.magnitude
        let high = UInt64(truncatingIfNeeded: magnitude >> 64)
        guard high < Self.highWordMax else { return attoseconds < 0 ? .min : .max }
        let (nanoseconds, _) = (1_000_000_000 as UInt64).dividingFullWidth((high, UInt64(truncatingIfNeeded: magnitude)))
        return attoseconds < 0 ? -Int64(nanoseconds) : Int64(nanoseconds)
    }

    /// From here on attoseconds are more nanoseconds than 63 bits hold: 2^63 * 10^9 / 2^64.
    private static var highWordMax: UInt64 { 500_000_000 }

    /// The duration in seconds, for display and for metrics only.
    public var inSeconds: Double { Double(wholeNanoseconds) / 1e9 }

    /// The duration in milliseconds, for display and for metrics only.
    public var inMilliseconds: Double { Double(wholeNanoseconds) / 1e6 }

    /// Longest duration that is read: ten years. A longer one is a slip of the unit, and sums of it would overflow.
    private static let parsedMax = Duration.seconds(10 * 366 * 86_400)

    /// Reads `90`, `90s`, `1m30s`, `250ms`, `2h`, `1.5s` (Go's notation; a bare number is seconds), as the watchdogs do.
    ///
    /// Exact to the nanosecond.
    ///
    /// - Throws: `BrumeError` (`invalid`) for anything else, for negative durations and for more than ten years.
    public init(parsing text: String) throws(BrumeError) {
        let error = BrumeError(.invalid, "'\(text.prefix(32))' is not a duration; write for example 90s, 1m30s or 250ms.")
        let isBare = !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        var total = Duration.zero
        var rest = isBare ? (text + "s")[...] : text[...]
        guard !rest.isEmpty else { throw error }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(digits), let nanoseconds = Self.nanosecondsPerUnit[String(unit)] else { throw error }
            let part = (value * nanoseconds).rounded()
            guard part <= 1e18 else { throw error }
            total += .nanoseconds(Int64(part))
            guard total <= Self.parsedMax else { throw error }
        }
        self = total
    }

    private static let nanosecondsPerUnit: [String: Double] = [
        "h": 3_600e9, "m": 60e9, "s": 1e9, "ms": 1e6, "us": 1e3, "\u{B5}s": 1e3, "\u{3BC}s": 1e3, "ns": 1,
    ]
}
