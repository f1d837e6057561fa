// SPDX-License-Identifier: Apache-2.0

package import BrumeModel

/// RFC 3339 in UTC, written and read without a calendar library.
package enum Timestamp {
    /// Writes `2026-01-31T12:00:00Z`, with nine digits of nanoseconds if there are any.
    package static func write(_ instant: Instant) -> String {
        let (seconds, nanoseconds) = instant.nanoseconds.flooringDivision(by: 1_000_000_000)
        let (days, second) = seconds.flooringDivision(by: 86_400)
        let date = CivilDate(daysSinceEpoch: days)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(30)
        append(date.year, digits: 4, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        append(date.month, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        append(date.day, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "T"))
        append(second / 3600, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        append(second / 60 % 60, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        append(second % 60, digits: 2, to: &bytes)
        if nanoseconds != 0 {
            bytes.append(UInt8(ascii: "."))
            append(nanoseconds, digits: 9, to: &bytes)
        }
        bytes.append(UInt8(ascii: "Z"))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes `Sat, 31 Jan 2026 12:00:00 GMT`, the form of HTTP's `Date`.
    package static func writeHTTPDate(_ instant: Instant) -> String {
        let (seconds, _) = instant.nanoseconds.flooringDivision(by: 1_000_000_000)
        let (days, second) = seconds.flooringDivision(by: 86_400)
        let date = CivilDate(daysSinceEpoch: days)
        // Day zero, 1 January 1970, was a Thursday.
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][Int(days.flooringDivision(by: 7).remainder)]
        let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        var bytes = Array("\(weekday), ".utf8)
        append(date.day, digits: 2, to: &bytes)
        bytes.append(contentsOf: " \(names[Int(date.month) - 1]) ".utf8)
        append(date.year, digits: 4, to: &bytes)
        for (value, separator) in [(second / 3600, " "), (second / 60 % 60, ":"), (second % 60, ":")] {
            bytes.append(contentsOf: separator.utf8)
            append(value, digits: 2, to: &bytes)
        }
        bytes.append(contentsOf: " GMT".utf8)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Reads a date with a time and a zone: `2026-01-31T12:00:00.5+01:00`.
    ///
    /// - Throws: `BrumeError` (`invalid`).
    package static func read(_ text: String) throws(BrumeError) -> Instant {
        var rest = ArraySlice(text.utf8)
        guard
            let year = number(4, from: &rest), take("-", from: &rest), let month = number(2, from: &rest), take("-", from: &rest),
            let day = number(2, from: &rest), take("Tt ", from: &rest), let hour = number(2, from: &rest), take(":", from: &rest),
            let minute = number(2, from: &rest), take(":", from: &rest), let second = number(2, from: &rest),
            let fraction = fraction(from: &rest), let offset = offset(from: &rest), rest.isEmpty,
            (1678...2261).contains(year), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second <= 60
        else {
            throw BrumeError(.invalid, "'\(text.prefix(48))' is not a time; write RFC 3339, for example 2026-01-31T12:00:00Z.")
        }
        let days = CivilDate(year: year, month: month, day: day).daysSinceEpoch
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
        return Instant(nanoseconds: seconds * 1_000_000_000 + fraction)
    }

    private static func append(_ value: Int64, digits: Int, to bytes: inout [UInt8]) {
        var divisor: Int64 = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
            divisor /= 10
        }
    }

    private static func number(_ digits: Int, from rest: inout ArraySlice<UInt8>) -> Int64? {
        guard rest.count >= digits else { return nil }
        var value: Int64 = 0
        for _ in 0..<digits {
            let byte = rest.removeFirst()
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return value
    }

    private static func take(_ allowed: StaticString, from rest: inout ArraySlice<UInt8>) -> Bool {
        guard let byte = rest.first, "\(allowed)".utf8.contains(byte) else { return false }
        rest.removeFirst()
        return true
    }

    private static func fraction(from rest: inout ArraySlice<UInt8>) -> Int64? {
        guard rest.first == UInt8(ascii: ".") else { return 0 }
        rest.removeFirst()
        var value: Int64 = 0
        var digits = 0
        while let byte = rest.first, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
            rest.removeFirst()
            digits += 1
            if digits <= 9 { value = value * 10 + Int64(byte - UInt8(ascii: "0")) }
        }
        guard digits > 0 else { return nil }
        for _ in min(digits, 9)..<9 { value *= 10 }
        return value
    }

    private static func offset(from rest: inout ArraySlice<UInt8>) -> Int64? {
        guard let sign = rest.popFirst() else { return nil }
        if sign == UInt8(ascii: "Z") || sign == UInt8(ascii: "z") { return 0 }
        guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else { return nil }
        guard let hours = number(2, from: &rest), take(":", from: &rest), let minutes = number(2, from: &rest) else { return nil }
        guard hours < 24, minutes < 60 else { return nil }
        let seconds = hours * 3600 + minutes * 60
        return sign == UInt8(ascii: "+") ? seconds : -seconds
    }
}

/// A day of the proleptic Gregorian calendar (Howard Hinnant's conversion).
private struct CivilDate {
    let year: Int64
    let month: Int64
    let day: Int64

    init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }

    init(daysSinceEpoch: Int64) {
        let (era, dayOfEra) = (daysSinceEpoch + 719_468).flooringDivision(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shifted + 2) / 5 + 1
        month = shifted < 10 ? shifted + 3 : shifted - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    var daysSinceEpoch: Int64 {
        let (era, yearOfEra) = (month <= 2 ? year - 1 : year).flooringDivision(by: 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}

extension Int64 {
    fileprivate func flooringDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
