// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@Suite("Cron schedules")
struct CronScheduleTests {
    /// Next times after an instant, each computed with GNU date.
    static let known: [(expression: String, after: String, next: String)] = [
        ("* * * * *", "2024-01-01T00:00:00", "2024-01-01T00:01:00"),
        ("* * * * *", "2024-01-01T00:00:59", "2024-01-01T00:01:00"),
        ("*/5 * * * *", "2024-02-28T23:57:12", "2024-02-29T00:00:00"),
        ("0 0 29 2 *", "2023-03-01T00:00:00", "2024-02-29T00:00:00"),
        ("0 0 29 2 *", "2024-02-29T00:00:00", "2028-02-29T00:00:00"),
        // 2100 is no leap year: eight years from one leap day to the next.
        ("30 6 29 2 *", "2096-02-29T06:30:00", "2104-02-29T06:30:00"),
        // 2000 is one.
        ("0 12 29 2 *", "1999-12-31T23:59:00", "2000-02-29T12:00:00"),
        ("59 23 31 12 *", "2025-12-31T23:59:00", "2026-12-31T23:59:00"),
        ("0 0 31 * *", "2025-01-31T00:00:00", "2025-03-31T00:00:00"),
        ("0 0 1 1 *", "2026-06-15T12:00:00", "2027-01-01T00:00:00"),
        // 2025-03-03 is a Monday, 2025-03-09 a Sunday.
        ("0 9 * * mon", "2025-03-01T00:00:00", "2025-03-03T09:00:00"),
        ("0 9 * * 1-5", "2025-03-07T09:00:00", "2025-03-10T09:00:00"),
        ("0 9 * * 7", "2025-03-03T00:00:00", "2025-03-09T09:00:00"),
        ("0 9 * * 0", "2025-03-03T00:00:00", "2025-03-09T09:00:00"),
        ("0 9 * * SUN", "2025-03-03T00:00:00", "2025-03-09T09:00:00"),
        // Both day fields restricted: either matches. Friday the 7th comes before the 13th.
        ("0 0 13 * fri", "2025-03-01T00:00:00", "2025-03-07T00:00:00"),
        ("0 0 13 * fri", "2025-03-12T00:00:00", "2025-03-13T00:00:00"),
        // A starred day field with a step restricts nothing of that kind: both must match.
        ("0 0 */2 * fri", "2025-03-01T00:00:00", "2025-03-07T00:00:00"),
        ("15,45 8-10/2 * jan,jul *", "2025-01-31T10:45:00", "2025-07-01T08:15:00"),
        ("10-50/20 * * * *", "2025-01-01T00:31:00", "2025-01-01T00:50:00"),
        ("40/10 * * * *", "2025-01-01T00:00:00", "2025-01-01T00:40:00"),
        ("@hourly", "2025-01-01T00:00:00", "2025-01-01T01:00:00"),
        ("@daily", "2025-02-28T10:00:00", "2025-03-01T00:00:00"),
        ("@midnight", "2025-02-28T00:00:00", "2025-03-01T00:00:00"),
        ("@weekly", "2025-03-03T00:00:00", "2025-03-09T00:00:00"),
        ("@monthly", "2024-12-15T00:00:00", "2025-01-01T00:00:00"),
        ("@yearly", "2024-02-29T00:00:00", "2025-01-01T00:00:00"),
        ("@annually", "2025-01-01T00:00:00", "2026-01-01T00:00:00"),
        ("0 0 1 1 *", "1970-01-01T00:00:00", "1971-01-01T00:00:00"),
    ]

    @Test("known dates", arguments: known)
    func knownDates(expression: String, after: String, next: String) throws {
        let schedule = try CronSchedule(parsing: expression)
        let expected = try Calendar.instant(next)
        let found = try #require(schedule.next(after: try Calendar.instant(after)))
        #expect(found == expected, "\(expression) after \(after): \(found.nanoseconds / 1_000_000_000) s, not \(next)")
    }

    @Test("the next time is what a walk over all minutes finds", arguments: Array(UInt64(1)...60))
    func minuteWalk(seed: UInt64) throws {
        var chance = SeededGenerator(seed: seed)
        let expression = Self.draw(&chance)
        let schedule = try CronSchedule(parsing: expression)
        // Somewhere between 1970 and 2120, so that 2000 and 2100 are met.
        let start = Int64(chance.below(150 * 365 * 1440))
        var minute = start
        var found: Int64?
        // Ten days of minutes; a later match is compared through the walk's silence.
        for candidate in (start + 1)...(start + 10 * 1440) where Walker.matches(expression, minute: candidate) {
            found = candidate
            break
        }
        minute = found ?? start + 10 * 1440 + 1
        let next = schedule.next(after: Instant(nanoseconds: start * 60_000_000_000 + Int64(chance.below(60)) * 1_000_000_000))
        if found != nil {
            #expect(next?.nanoseconds == minute * 60_000_000_000, "seed \(seed): \(expression) after minute \(start)")
        } else if let next {
            #expect(next.nanoseconds >= minute * 60_000_000_000, "seed \(seed): \(expression) after minute \(start)")
            #expect(Walker.matches(expression, minute: next.nanoseconds / 60_000_000_000), "seed \(seed): \(expression)")
        }
    }

    static func draw(_ chance: inout SeededGenerator) -> String {
        func field(_ range: ClosedRange<Int>, _ chance: inout SeededGenerator) -> String {
            let low = chance.draw(range)
            switch chance.below(6) {
            case 0, 1: return "*"
            case 2: return "*/\(chance.draw(1...range.upperBound))"
            case 3: return "\(low)"
            case 4: return "\(low)-\(chance.draw(low...range.upperBound))"
            default: return "\(low),\(chance.draw(range))"
            }
        }
        // Days up to 28 exist in each month, so that no drawn expression is refused.
        return [
            field(0...59, &chance), field(0...23, &chance), field(1...28, &chance), field(1...12, &chance), field(0...7, &chance),
        ].joined(separator: " ")
    }

    @Test(
        "words that are no schedule are refused with a sentence",
        arguments: [
            "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8", "a * * * *",
            "5-1 * * * *", "*/0 * * * *", "*/-1 * * * *", "1,,2 * * * *", "1/2/3 * * * *", "1-2-3 * * * *", "- * * * *", "0 0 30 2 *",
            "0 0 31 4,6,9,11 *", "@never", "* * * mon *", "+ * * * *",
        ])
    func refused(text: String) {
        #expect {
            try CronSchedule(parsing: text)
        } throws: { error in
            (error as? BrumeError)?.code == .invalid && (error as? BrumeError)?.message.isEmpty == false
        }
    }

    @Test("several expressions are separated by semicolons")
    func lists() throws {
        #expect(try CronSchedule.list(parsing: "*/5 * * * *; 0 0 * * mon ;").count == 2)
        #expect(throws: BrumeError.self) { try CronSchedule.list(parsing: " ; ") }
        #expect(throws: BrumeError.self) { try CronSchedule.list(parsing: "* * * * *; nonsense") }
    }
}

/// Decides about one minute by counting days from 1970, and reads the fields its own way.
private enum Walker {
    static func matches(_ expression: String, minute: Int64) -> Bool {
        let fields = expression.split(separator: " ").map(String.init)
        let (month, day) = Calendar.date(day: Int(minute / 1440))
        let weekday = Int((minute / 1440 + 4) % 7)
        guard holds(fields[0], Int(minute % 60), 0...59), holds(fields[1], Int(minute / 60 % 24), 0...23), holds(fields[3], month, 1...12)
        else { return false }
        let byDay = holds(fields[2], day, 1...31)
        let byWeekday = holds(fields[4], weekday, 0...7) || (weekday == 0 && holds(fields[4], 7, 0...7))
        return fields[2].hasPrefix("*") || fields[4].hasPrefix("*") ? byDay && byWeekday : byDay || byWeekday
    }

    private static func holds(_ field: String, _ value: Int, _ range: ClosedRange<Int>) -> Bool {
        field.split(separator: ",").contains { item in
            if item == "*" { return true }
            if item.hasPrefix("*/") { return (value - range.lowerBound) % (Int(item.dropFirst(2)) ?? 1) == 0 }
            let ends = item.split(separator: "-").compactMap { Int($0) }
            return ends.count == 2 ? value >= ends[0] && value <= ends[1] : value == ends.first
        }
    }
}

/// A calendar that counts year by year: slow and plain.
private enum Calendar {
    static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    static func length(_ month: Int, of year: Int) -> Int {
        month == 2 ? (isLeap(year) ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    static func date(day: Int) -> (month: Int, day: Int) {
        var (year, rest) = (1970, day)
        while rest >= (isLeap(year) ? 366 : 365) {
            rest -= isLeap(year) ? 366 : 365
            year += 1
        }
        var month = 1
        while rest >= length(month, of: year) {
            rest -= length(month, of: year)
            month += 1
        }
        return (month, rest + 1)
    }

    static func instant(_ text: String) throws -> Instant {
        let numbers = text.split { !$0.isNumber }.compactMap { Int($0) }
        try #require(numbers.count == 6)
        var days = 0
        for year in 1970..<numbers[0] { days += isLeap(year) ? 366 : 365 }
        for month in 1..<numbers[1] { days += length(month, of: numbers[0]) }
        days += numbers[2] - 1
        let seconds = days * 86_400 + numbers[3] * 3600 + numbers[4] * 60 + numbers[5]
        return Instant(nanoseconds: Int64(seconds) * 1_000_000_000)
    }
}
