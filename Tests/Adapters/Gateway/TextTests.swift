// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import Testing

@testable import BrumeGateway

struct TextTests {
    @Test(
        "a time is written in RFC 3339 and read back",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"), (-1_000_000_000, "1969-12-31T23:59:59Z"),
            (4_102_444_799_000_000_001, "2099-12-31T23:59:59.000000001Z"),
        ] as [(Int64, String)])
    func timestamps(nanoseconds: Int64, text: String) throws {
        #expect(Timestamp.write(Instant(nanoseconds: nanoseconds)) == text)
        #expect(try Timestamp.read(text) == Instant(nanoseconds: nanoseconds))
    }

    @Test(
        "a time with an offset or a short fraction is read",
        arguments: [
            ("2023-11-14T23:13:20+01:00", 1_700_000_000_000_000_000), ("2023-11-14T16:43:20-05:30", 1_700_000_000_000_000_000),
            ("2023-11-14t22:13:20.5z", 1_700_000_000_500_000_000), ("2023-11-14 22:13:20Z", 1_700_000_000_000_000_000),
        ] as [(String, Int64)])
    func offsets(text: String, nanoseconds: Int64) throws {
        #expect(try Timestamp.read(text) == Instant(nanoseconds: nanoseconds))
    }

    @Test(
        "what is not a time is refused",
        arguments: [
            "", "now", "2023-11-14", "2023-13-14T00:00:00Z", "2023-11-14T24:00:00Z", "2023-11-14T22:13:20", "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20Zx",
        ])
    func badTimes(text: String) {
        let error = #expect(throws: BrumeError.self) { try Timestamp.read(text) }
        #expect(error?.code == .invalid)
    }

    @Test("the Date field has HTTP's form")
    func httpDate() {
        #expect(Timestamp.writeHTTPDate(Instant(nanoseconds: 784_111_777_000_000_000)) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(Timestamp.writeHTTPDate(.zero) == "Thu, 01 Jan 1970 00:00:00 GMT")
    }

    @Test("durations are written with fixed decimals, and in Go's notation so that they can be read back")
    func durations() throws {
        #expect(DurationText.seconds(.microseconds(342)) == "0.000342")
        #expect(DurationText.seconds(.milliseconds(12_345)) == "12.345000")
        #expect(DurationText.seconds(.seconds(-1)) == "0.000000")
        #expect(DurationText.milliseconds(.microseconds(342)) == "0.342")
        #expect(DurationText.retryAfter(.milliseconds(2500)) == "3")
        #expect(DurationText.retryAfter(.zero) == "1")
        for (duration, text) in [
            (Duration.seconds(90), "1m30s"), (.seconds(5400), "1h30m0s"), (.milliseconds(1500), "1.5s"), (.milliseconds(250), "250ms"),
            (.zero, "0s"),
        ] {
            #expect(DurationText.goNotation(duration) == text)
            #expect(try Duration(parsing: text) == duration)
        }
    }

    @Test("call ids have the shape of a random UUID, differ, and repeat with the seed")
    func labels() {
        var labels = CallLabels(seed: 1)
        var same = CallLabels(seed: 1)
        var seen: Set<String> = []
        for _ in 0..<1000 {
            let label = labels.next()
            #expect(label == same.next())
            seen.insert(label)
            let parts = label.split(separator: "-")
            #expect(parts.map(\.count) == [8, 4, 4, 4, 12])
            #expect(parts[2].first == "4")
            #expect("89ab".contains(parts[3].prefix(1)))
        }
        #expect(seen.count == 1000)
    }

    @Test(
        "header fields of one connection are told from those that go through",
        arguments: [
            ("Connection", HeaderFate.connection), ("Keep-Alive", .drop), ("TE", .drop), ("Trailer", .drop), ("Transfer-Encoding", .drop),
            ("Upgrade", .drop), ("Proxy-Authorization", .drop), ("proxy-connection", .drop), ("X-CALL-ID", .callID), ("Host", .host),
            ("Hist", .pass),
            ("Content-Length", .contentLength), ("Content-Type", .pass), ("Authorization", .pass), ("X-Forwarded-For", .forwardedFor),
            ("", .pass),
        ])
    func requestFates(name: String, fate: HeaderFate) { #expect(HeaderNames.requestFate(of: name) == fate) }

    @Test(
        "a function cannot speak for the platform",
        arguments: [
            ("X-Brume-Start", HeaderFate.drop), ("x-brume-failure", .drop), ("X-Brume-Running-Ms", .drop), ("X-Call-Id", .drop),
            ("X-Duration-Seconds", .drop), ("Content-Type", .pass), ("X-Brum", .pass), ("X-Bruma-Start", .pass), ("Date", .date),
            ("Connection", .connection), ("Transfer-Encoding", .drop),
        ])
    func replyFates(name: String, fate: HeaderFate) { #expect(HeaderNames.replyFate(of: name) == fate) }

    @Test(
        "a target is taken apart at the name, the path and the query",
        arguments: [
            ("/function/f", "f.openfaas-fn", "/", ""), ("/function/f/", "f.openfaas-fn", "/", ""),
            ("/function/f.ns/a/b?x=1?y", "f.ns", "/a/b", "x=1?y"),
            ("/function/f?x=/a", "f.openfaas-fn", "/", "x=/a"), ("/function/f/a%20b", "f.openfaas-fn", "/a%20b", ""),
        ])
    func targets(target: String, function: String, path: String, query: String) throws {
        let parts = try TargetParts(target: target, prefixLength: 10)
        #expect("\(parts.function)" == function)
        #expect(parts.path == path)
        #expect(parts.query == query)
    }

    @Test("alerts scale in steps between the minimum and the maximum")
    func alertScaling() throws {
        var status = FunctionStatus(
            spec: FunctionSpec(
                id: try FunctionID(name: "f"), contract: .fork(command: ["cat"]), scale: Scale(min: 1, max: 10)), created: .zero,
            revision: 1)
        status.replicas = 1
        #expect(AlertScaling.replicas(for: status, isFiring: true) == 3)
        status.replicas = 9
        #expect(AlertScaling.replicas(for: status, isFiring: true) == 10)
        #expect(AlertScaling.replicas(for: status, isFiring: false) == 1)
        status.spec.labels[DeploymentKey.scaleFactor] = "0"
        #expect(AlertScaling.replicas(for: status, isFiring: true) == 1)
    }

    @Test(
        "a password is accepted only with its user",
        arguments: [("admin", "s3cret", true), ("admin", "s3cre", false), ("Admin", "s3cret", false), ("", "", false)])
    func credentials(user: String, password: String, accepted: Bool) {
        #expect(Credentials(user: "admin", password: "s3cret").accept(user: user.utf8, password: password.utf8) == accepted)
    }
}

struct JSONTests {
    @Test("JSON is read with its escapes and its numbers as they were written")
    func values() throws {
        let text = #" {"a":[1,-2.5e+3,18446744073709551615,true,false,null,{}],"\u00e9\n\"\/":"\ud83d\ude00 \ud83d x","b":""} "#
        #expect(
            try JSONParser.parse(Array(text.utf8))
                == .object([
                    "a": .array([
                        .number("1"), .number("-2.5e+3"), .number("18446744073709551615"), .bool(true), .bool(false), .null, .object([:]),
                    ]),
                    "é\n\"/": .string("😀 \u{FFFD} x"), "b": .string(""),
                ]))
    }

    @Test(
        "what is not JSON is refused with its line and column",
        arguments: [
            ("{", "line 1, column 2"), ("{\"a\":1,}", "line 1, column 8"), ("[1,]", "line 1, column 4"),
            ("{\"a\"\n 1}", "line 2, column 2"),
            ("[01]", "line 1, column 3"), ("[1.]", "column 4"), ("[-]", "column 3"), ("\"a", "column 3"), ("\"\\x\"", "column 3"),
            ("\"\\u12g4\"", "column 6"),
            ("tru", "column 1"), ("{}{}", "column 3"), ("{a:1}", "column 2"), ("[1 2]", "column 4"), ("\"\u{1}\"", "column 2"),
            ("", "column 1"),
            (String(repeating: "[", count: 100), "nesting"),
        ])
    func mistakes(text: String, place: String) throws {
        let error = try #require(throws: BrumeError.self) { try JSONParser.parse(Array(text.utf8)) }
        #expect(error.code == .invalid)
        #expect(error.message.contains(place), "\(error.message)")
    }
}
