// SPDX-License-Identifier: Apache-2.0

/// A five-field cron expression (minute, hour, day of month, month, day of week) in UTC, as the `schedule` annotation of a `cron-function`
/// holds it.
///
/// Fields take `*`, numbers, names of months and days, ranges, lists and steps; `@hourly @daily @midnight @weekly @monthly @yearly
/// @annually` are known. Where both day fields are restricted, either matches, as in Vixie cron.
public struct CronSchedule: Hashable, Sendable {
    private var minutes: UInt64
    private var hours: UInt64
    private var daysOfMonth: UInt64
    private var months: UInt64
    private var daysOfWeek: UInt64
    private var eitherDay: Bool

    private struct Field {
        let name: String
        let range: ClosedRange<Int>
        let words: [String]
    }

    private static let fields = [
        Field(name: "minute", range: 0...59, words: []),
        Field(name: "hour", range: 0...23, words: []),
        Field(name: "day of month", range: 1...31, words: []),
        Field(
            name: "month", range: 1...12,
            words: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
        Field(name: "day of week", range: 0...7, words: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
    ]

    private static let shorthands = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]

    /// - Throws: `BrumeError` (`invalid`) that names the field and what is wrong with it.
    public init(parsing text: String) throws(BrumeError) {
        let expression = Self.shorthands[text] ?? text
        let parts = expression.split(whereSeparator: \.isWhitespace).map { String($0).lowercased() }
        guard parts.count == 5 else {
            throw BrumeError(
                .invalid, "The schedule '\(text.prefix(64))' has \(parts.count) fields; write five, for example '*/5 * * * *'.")
        }
        var masks: [UInt64] = []
        for (part, field) in zip(parts, Self.fields) { masks.append(try Self.mask(part, field)) }
        (minutes, hours, daysOfMonth, months, daysOfWeek) = (masks[0], masks[1], masks[2], masks[3], masks[4])
        // Sunday is 0 and 7.
        if daysOfWeek & (1 << 7) != 0 { daysOfWeek |= 1 }
        eitherDay = !parts[2].hasPrefix("*") && !parts[4].hasPrefix("*")
        guard next(after: .zero) != nil else {
            throw BrumeError(.invalid, "The schedule '\(text.prefix(64))' names a day that no year has.")
        }
    }

    /// Reads the annotation's value: several expressions separated by `;`.
    public static func list(parsing text: String) throws(BrumeError) -> [CronSchedule] {
        var schedules: [CronSchedule] = []
        for part in text.split(separator: ";") where !part.allSatisfy(\.isWhitespace) {
            schedules.append(try CronSchedule(parsing: String(part.drop(while: \.isWhitespace))))
        }
        guard !schedules.isEmpty else { throw BrumeError(.invalid, "The schedule is empty; write for example '*/5 * * * *'.") }
        return schedules
    }

    private static func mask(_ text: String, _ field: Field) throws(BrumeError) -> UInt64 {
        func fail() -> BrumeError {
            BrumeError(
                .invalid,
                "'\(text.prefix(32))' is no \(field.name) of a schedule; it takes \(field.range.lowerBound) to "
                    + "\(field.range.upperBound), *, lists, ranges and steps."
            )
        }
        func number(_ word: Substring) throws(BrumeError) -> Int {
            if let index = field.words.firstIndex(of: String(word)) { return index + field.range.lowerBound }
            guard let value = Int(word), field.range.contains(value) else { throw fail() }
            return value
        }
        var mask: UInt64 = 0
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = item.split(separator: "/", omittingEmptySubsequences: false)
            guard let base = halves.first, halves.count <= 2 else { throw fail() }
            var step = 1
            if halves.count == 2 {
                guard let value = Int(halves[1]), value >= 1, value <= field.range.upperBound + 1 else { throw fail() }
                step = value
            }
            var range = field.range
            if base != "*" {
                let ends = base.split(separator: "-", omittingEmptySubsequences: false)
                guard let first = ends.first, ends.count <= 2 else { throw fail() }
                let low = try number(first)
                let high = ends.count == 2 ? try number(ends[1]) : (halves.count == 2 ? field.range.upperBound : low)
                guard low <= high else { throw fail() }
                range = low...high
            }
            for value in stride(from: range.lowerBound, through: range.upperBound, by: step) { mask |= 1 << UInt64(value) }
        }
        return mask
    }

    /// The first full minute after `instant` that matches, or nil if there is none within eight years (the longest gap between leap days).
    public func next(after instant: Instant) -> Instant? {
        let minute = instant.nanoseconds / 60_000_000_000 + 1
        var day = Int(minute / 1440)
        var startMinute = Int(minute % 1440)
        for _ in 0..<(8 * 366 + 2) {
            if matches(day: day), let found = firstMinute(from: startMinute) {
                return Instant(nanoseconds: (Int64(day) * 1440 + Int64(found)) * 60_000_000_000)
            }
            day += 1
            startMinute = 0
        }
        return nil
    }

    private func matches(day: Int) -> Bool {
        let date = Self.civil(day: day)
        guard months & (1 << UInt64(date.month)) != 0 else { return false }
        let byMonth = daysOfMonth & (1 << UInt64(date.day)) != 0
        // 1970-01-01 was a Thursday.
        let byWeek = daysOfWeek & (1 << UInt64((day + 4) % 7)) != 0
        return eitherDay ? byMonth || byWeek : byMonth && byWeek
    }

    private func firstMinute(from start: Int) -> Int? {
        for minute in start..<1440 where hours & (1 << UInt64(minute / 60)) != 0 && minutes & (1 << UInt64(minute % 60)) != 0 {
            return minute
        }
        return nil
    }

    /// Month and day of the proleptic Gregorian calendar from days since 1970 (eras of 400 years beginning in March).
    private static func civil(day: Int) -> (month: Int, day: Int) {
        let shifted = day + 719_468
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        return (marchMonth < 10 ? marchMonth + 3 : marchMonth - 9, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }
}
