// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials

/// How quantities are written for people.
enum Wording {
    /// `0.42 s`, `12.3 ms`, `2m05s`: three digits or so, never more than a person reads.
    static func duration(_ duration: Duration) -> String { milliseconds(duration.inMilliseconds) }

    static func milliseconds(_ milliseconds: Double) -> String {
        if milliseconds < 0.0005 { return "0 ms" }
        if milliseconds < 10 { return "\(decimal(milliseconds, places: 2)) ms" }
        if milliseconds < 1000 { return "\(decimal(milliseconds, places: 1)) ms" }
        if milliseconds < 60_000 { return "\(decimal(milliseconds / 1000, places: 2)) s" }
        let seconds = Int(milliseconds / 1000)
        if seconds < 3600 { return "\(seconds / 60)m\(padded(seconds % 60))s" }
        if seconds < 86_400 { return "\(seconds / 3600)h\(padded(seconds / 60 % 60))m" }
        return "\(seconds / 86_400)d\(padded(seconds / 3600 % 24))h"
    }

    /// `61.5 MiB`.
    static func bytes(_ bytes: Int) -> String {
        var value = Double(bytes)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1024 { return unit == "B" ? "\(bytes) B" : "\(decimal(value, places: 1)) \(unit)" }
            value /= 1024
        }
        return "\(decimal(value, places: 1)) TiB"
    }

    /// `2026-11-21 11:18:30.123` out of an RFC 3339 time in UTC; anything else unchanged.
    static func time(_ rfc3339: String) -> String {
        guard let t = rfc3339.firstIndex(of: "T"), rfc3339.hasSuffix("Z") else { return rfc3339 }
        let clock = rfc3339[rfc3339.index(after: t)...].dropLast()
        let parts = clock.split(separator: ".", maxSplits: 1)
        let fraction = parts.count == 2 ? "." + parts[1].prefix(3) : ""
        return "\(rfc3339[..<t]) \(parts.first ?? "")\(fraction)"
    }

    /// The moment so long ago, as RFC 3339 in UTC.
    static func timestamp(before age: Duration, now: Date = .now) -> String {
        now.addingTimeInterval(-age.inSeconds).ISO8601Format(.init(includingFractionalSeconds: true))
    }

    /// `1 function`, `2 functions`.
    static func count(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

    /// A number with so many decimal places, without the locale.
    static func decimal(_ value: Double, places: Int) -> String {
        var scale = 1
        for _ in 0..<places { scale *= 10 }
        let scaled = Int((value * Double(scale)).rounded())
        guard places > 0 else { return "\(scaled)" }
        let fraction = "\(abs(scaled) % scale)"
        return "\(scaled < 0 ? "-" : "")\(abs(scaled) / scale)." + String(repeating: "0", count: places - fraction.count) + fraction
    }

    private static func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
