// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// How times are written in headers and documents.
enum DurationText {
    /// Seconds with six decimals, as `X-Duration-Seconds` has them: `0.000342`.
    static func seconds(_ duration: Duration) -> String { decimal(duration.wholeNanoseconds / 1000, decimals: 6) }

    /// Milliseconds with three decimals: `0.342`.
    static func milliseconds(_ duration: Duration) -> String { decimal(duration.wholeNanoseconds / 1000, decimals: 3) }

    /// Go's notation, which `Duration(parsing:)` reads back: `1h30m0s`, `1.5s`, `250ms`.
    static func goNotation(_ duration: Duration) -> String {
        let nanoseconds = max(0, duration.wholeNanoseconds)
        if nanoseconds == 0 { return "0s" }
        if nanoseconds < 1_000_000 { return trimmed(nanoseconds, decimals: 3) + "us" }
        if nanoseconds < 1_000_000_000 { return trimmed(nanoseconds, decimals: 6) + "ms" }
        let (minutes, rest) = nanoseconds.quotientAndRemainder(dividingBy: 60_000_000_000)
        let seconds = trimmed(rest, decimals: 9) + "s"
        if minutes == 0 { return seconds }
        let (hours, minute) = minutes.quotientAndRemainder(dividingBy: 60)
        return hours == 0 ? "\(minute)m\(seconds)" : "\(hours)h\(minute)m\(seconds)"
    }

    /// Whole seconds, rounded up and at least one, as `Retry-After` has them.
    static func retryAfter(_ duration: Duration) -> String {
        "\(max(1, (duration.wholeNanoseconds + 999_999_999) / 1_000_000_000))"
    }

    /// `value` counts units of ten to the minus `decimals`. Short results are stored inside the string, without an allocation.
    private static func decimal(_ value: Int64, decimals: Int) -> String {
        var scale: Int64 = 1
        for _ in 0..<decimals { scale *= 10 }
        let (whole, fraction) = max(0, value).quotientAndRemainder(dividingBy: scale)
        var text = "\(whole)."
        var divisor = scale / 10
        while divisor > 0 {
            text.unicodeScalars.append(Unicode.Scalar(UInt8(ascii: "0") + UInt8(fraction / divisor % 10)))
            divisor /= 10
        }
        return text
    }

    private static func trimmed(_ value: Int64, decimals: Int) -> String {
        var text = decimal(value, decimals: decimals)
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return text
    }
}
