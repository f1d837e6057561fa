// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// How times are written in headers and documents.
enum DurationText {
    /// Seconds with six decimals, as `X-Duration-Seconds` has them: `0.000342`.
    static func seconds(_ duration: Duration) -> String { seconds(nanoseconds: duration.wholeNanoseconds) }

    static func seconds(nanoseconds: Int64) -> String { decimal(nanoseconds / 1000, decimals: 6) }

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
        var rest = UInt64(max(0, value))
        // From here on the digits and the point take more than the 15 bytes that a string holds itself.
        let capacity = rest < 100_000_000_000_000 ? 15 : 21
        return unsafe String(unsafeUninitializedCapacity: capacity) { buffer in
            var digitCount = 1
            var bound: UInt64 = 10
            while digitCount < 19, rest >= bound {
                digitCount += 1
                bound &*= 10
            }
            let length = max(digitCount, decimals + 1) + 1
            var position = length - 1
            while position >= 0 {
                if position == length - 1 - decimals {
                    unsafe buffer[position] = UInt8(ascii: ".")
                } else {
                    unsafe buffer[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
                position -= 1
            }
            return length
        }
    }

    private static func trimmed(_ value: Int64, decimals: Int) -> String {
        var text = decimal(value, decimals: decimals)
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return text
    }
}
