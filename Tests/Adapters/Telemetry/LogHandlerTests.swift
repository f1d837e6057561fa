// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeTelemetry
import Logging
import Synchronization
import Testing

/// Lines as they are written.
@Suite("Log handler")
struct LogHandlerTests {
    final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    /// The lines that `body` logs at 2026-01-02T03:04:05.678Z.
    private static func lines(_ style: LogStyle = .logfmt, label: String = "", _ body: (inout Logger) -> Void) -> [String] {
        let lines = Lines()
        var logger = Logger(label: label) { label in
            BrumeLogHandler(
                label: label, style: style, now: { Instant(nanoseconds: 1_767_323_045_678_900_000) }, sink: { lines.add($0) })
        }
        body(&logger)
        return lines.all
    }

    @Test("One line for each record, with time, level, message and sorted keys")
    func logfmt() {
        let lines = Self.lines(label: "brume.node") { logger in
            logger[metadataKey: "function"] = "hello"
            logger.info("Started a replica.", metadata: ["replica": "r1", "after": "3 ms"])
            logger.error("two\nlines \"and\" quotes")
        }
        #expect(
            lines == [
                "time=2026-01-02T03:04:05.678Z level=info message=\"Started a replica.\" logger=brume.node after=\"3 ms\" "
                    + "function=hello replica=r1\n",
                "time=2026-01-02T03:04:05.678Z level=error message=\"two\\nlines \\\"and\\\" quotes\" logger=brume.node function=hello\n",
            ])
    }

    @Test("A person gets a short coloured line")
    func terminal() {
        let lines = Self.lines(.terminal) { $0.warning("Careful \u{1B}[2J now", metadata: ["a": "b c"]) }
        #expect(lines == ["\u{1B}[33mW\u{1B}[0m 03:04:05 Careful \\u{1b}[2J now \u{1B}[90ma=\u{1B}[0m\"b c\"\n"])
    }

    @Test("The level decides what is written", arguments: Logger.Level.allCases)
    func level(level: Logger.Level) {
        let lines = Self.lines { logger in
            logger.logLevel = level
            for each in Logger.Level.allCases { logger.log(level: each, "x") }
        }
        #expect(lines.count == Logger.Level.allCases.count { $0 >= level })
    }

    @Test(
        "Values of keys that speak of secrets are redacted",
        arguments: [
            "password", "PASSWORD", "db_password", "token", "X-Auth-Token", "authorization", "Authorization", "secret", "clientSecret",
        ])
    func redaction(key: String) {
        let lines = Self.lines { logger in
            logger.info("a", metadata: [key: "hunter2"])
            logger.info("b", metadata: ["outer": .dictionary([key: "hunter2", "plain": .array(["x", .dictionary([key: "hunter2"])])])])
            logger[metadataKey: key] = .stringConvertible(42_424_242)
            logger.info("c")
        }
        #expect(lines.count == 3)
        #expect(lines[0].hasSuffix("\(key)=REDACTED\n"))
        #expect(lines.allSatisfy { $0.contains("REDACTED") && !$0.contains("hunter2") && !$0.contains("42424242") })
        #expect(lines[1].contains("plain: [x, [\(key): REDACTED]]"))
    }

    @Test(
        "Values are quoted where they must be",
        arguments: [
            (value: "plain/1.2:3", text: "plain/1.2:3"), (value: "", text: "\"\""), (value: "a=b", text: "\"a=b\""),
            (value: "a\\b", text: "\"a\\\\b\""), (value: "\r\n\t", text: "\"\\r\\n\\t\""),
            (value: "\u{7}\u{85}\u{2028}", text: "\"\\u{7}\\u{85}\\u{2028}\""),
            (value: "žluť", text: "žluť"),
        ])
    func quoting(value: String, text: String) {
        let lines = Self.lines { $0.info("m", metadata: ["k": .string(value)]) }
        #expect(lines == ["time=2026-01-02T03:04:05.678Z level=info message=\"m\" k=\(text)\n"])
    }

    @Test("A key cannot forge another field")
    func keys() {
        let lines = Self.lines { $0.info("m", metadata: ["a b=\"c\n": "1", "": "2"]) }
        #expect(lines == ["time=2026-01-02T03:04:05.678Z level=info message=\"m\" _=2 a_b__c_=1\n"])
    }

    @Test("An error and a metadata provider's values are in the line, and the record's own values win")
    func sources() {
        struct Failure: Error, CustomStringConvertible { let description = "it broke" }
        let lines = Lines()
        var handler = BrumeLogHandler(label: "", style: .logfmt, now: { .zero }, sink: { lines.add($0) })
        handler.metadataProvider = Logger.MetadataProvider { ["call": "c1", "from": "provider"] }
        let made = handler
        let logger = Logger(label: "", factory: { _ in made })
        logger.error("Failed.", error: Failure(), metadata: ["from": "record"])
        #expect(lines.all == ["time=1970-01-01T00:00:00.000Z level=error message=\"Failed.\" call=c1 error=\"it broke\" from=record\n"])
    }

    @Test(
        "Times are civil dates in UTC",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_400, "2000-02-29T00:00:00.000Z"), (951_868_799, "2000-02-29T23:59:59.000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000Z"), (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_102_444_800, "2100-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
        ])
    func times(seconds: Int64, text: String) {
        let lines = Lines()
        let handler = BrumeLogHandler(
            label: "", style: .logfmt, now: { Instant(nanoseconds: seconds * 1_000_000_000) }, sink: { lines.add($0) })
        Logger(label: "", factory: { _ in handler }).info("m")
        #expect(lines.all.first?.hasPrefix("time=\(text) ") == true)
    }
}
