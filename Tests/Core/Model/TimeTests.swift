// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Testing

@Suite("Time")
struct TimeTests {
    @Test(
        "Durations are read in Go's notation, exactly",
        arguments: [
            ("90", .seconds(90)), ("0", .zero), ("0s", .zero), ("90s", .seconds(90)), ("1m30s", .seconds(90)),
            ("250ms", .milliseconds(250)), ("2h", .seconds(7_200)),
            ("1.5s", .milliseconds(1_500)), ("0.1s", .milliseconds(100)), ("0.3s", .milliseconds(300)),
            ("1h2m3s4ms5us6ns", .nanoseconds(3_723_004_005_006)),
            ("100us", .microseconds(100)), ("100µs", .microseconds(100)), ("100μs", .microseconds(100)), ("7ns", .nanoseconds(7)),
            (".5s", .milliseconds(500)),
            ("24h", .seconds(86_400)), ("316224000", .seconds(316_224_000)),
        ] as [(String, Duration)])
    func parsing(text: String, value: Duration) throws {
        #expect(try Duration(parsing: text) == value)
    }

    @Test(
        "What is not a duration is refused",
        arguments: [
            "", " ", "s", "-1", "-1s", "+5", "1.5", "1m30", "1x", "1 s", "1s ", "1d", "1S", "inf", "nans", "1e3s", "0x1s", "1..5s", "٣s",
            "316224001", "87841h", "99999999999999999999", "9223372036854775807", "1s1", "ms",
        ])
    func bad(text: String) {
        let error = #expect(throws: BrumeError.self) { try Duration(parsing: text) }
        #expect(error?.code == .invalid)
        #expect(error?.message.contains("write for example 90s") == true)
    }

    @Test("A bad duration of any length gives a short sentence")
    func longInput() {
        let error = #expect(throws: BrumeError.self) { try Duration(parsing: String(repeating: "9h", count: 10_000)) }
        #expect((error?.message.utf8.count ?? .max) < 200)
    }

    @Test(
        "Instants saturate at the ends of their range instead of trapping",
        arguments: [
            (Instant.distantFuture, Duration.nanoseconds(1), Int64.max), (.zero, .seconds(Int64.max), .max),
            (.zero, .seconds(Int64.min), .min),
            (Instant(nanoseconds: .min), .nanoseconds(-1), .min), (.distantFuture, .nanoseconds(-1), .max - 1), (.zero, .nanoseconds(5), 5),
            (Instant(nanoseconds: 7), .nanoseconds(-9), -2), (.distantFuture, .seconds(Int64.max), .max),
        ] as [(Instant, Duration, Int64)])
    func addition(start: Instant, step: Duration, nanoseconds: Int64) {
        #expect((start + step).nanoseconds == nanoseconds)
    }

    @Test("Going back is going forth by the opposite")
    func subtraction() {
        #expect(Instant(nanoseconds: 10) - .nanoseconds(3) == Instant(nanoseconds: 7))
        #expect(Instant.zero - .seconds(Int64.max) == Instant(nanoseconds: .min))
        #expect(Instant.zero - .seconds(Int64.min) == .distantFuture)
    }

    @Test("The distance of two instants saturates too")
    func distance() {
        let early = Instant(nanoseconds: .min)
        #expect(Instant(nanoseconds: 9) - Instant(nanoseconds: 4) == .nanoseconds(5))
        #expect(Instant.distantFuture - early == .nanoseconds(Int64.max))
        #expect(early - Instant.distantFuture == .nanoseconds(Int64.min))
    }

    @Test(
        "Whole nanoseconds saturate and cut towards zero",
        arguments: [
            (Duration.seconds(Int64.max), Int64.max), (.seconds(Int64.min), .min), (.zero, 0), (.nanoseconds(-1), -1),
            (.seconds(-2), -2_000_000_000),
            (Duration(secondsComponent: 0, attosecondsComponent: 1_999_999_999), 1),
            (Duration(secondsComponent: 0, attosecondsComponent: -999_999_999), 0),
            (Duration(secondsComponent: 9_223_372_036, attosecondsComponent: 854_775_807_000_000_000), .max),
            (Duration(secondsComponent: 9_223_372_036, attosecondsComponent: 854_775_808_000_000_000), .max),
            (Duration(secondsComponent: -9_223_372_036, attosecondsComponent: -854_775_808_000_000_000), .min),
        ] as [(Duration, Int64)])
    func wholeNanoseconds(duration: Duration, value: Int64) {
        #expect(duration.wholeNanoseconds == value)
    }

    @Test("Display units")
    func display() {
        #expect(Duration.milliseconds(1_500).inSeconds == 1.5)
        #expect(Duration.microseconds(1_500).inMilliseconds == 1.5)
        #expect(Instant(nanoseconds: 1_999_999).milliseconds == 1)
        #expect(Instant.zero < Instant(nanoseconds: 1))
    }
}
