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
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, sumOverflow) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return sumOverflow ? (seconds < 0 ? .min : .max) : sum
    }

    /// The duration in seconds, for display and for metrics only.
    public var inSeconds: Double { Double(wholeNanoseconds) / 1e9 }

    /// The duration in milliseconds, for display and for metrics only.
    public var inMilliseconds: Double { Double(wholeNanoseconds) / 1e6 }

    /// Reads `90`, `90s`, `1m30s`, `250ms`, `2h`, `1.5s` (Go's notation; a bare number is seconds), as the watchdogs do.
    ///
    /// - Throws: `BrumeError` (`invalid`) for anything else, and for negative durations.
    public init(parsing text: String) throws(BrumeError) {
        let error = BrumeError(.invalid, "'\(text.prefix(32))' is not a duration; write for example 90s, 1m30s or 250ms.")
        if let seconds = Int64(text) {
            guard seconds >= 0, seconds <= 10 * 366 * 86_400 else { throw error }
            self = .seconds(seconds)
            return
        }
        var total = Duration.zero
        var rest = text[...]
        guard !rest.isEmpty else { throw error }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard let value = Double(digits), value.isFinite, value <= 1e9 else { throw error }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(unit.count)
            switch unit {
            case "h": total += .seconds(value * 3600)
            case "m": total += .seconds(value * 60)
            case "s": total += .seconds(value)
            case "ms": total += .milliseconds(value)
            case "us": total += .microseconds(value)
            default: throw error
            }
        }
        self = total
    }
}
