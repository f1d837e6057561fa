// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Logging

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// How a record becomes a line.
package enum LogStyle: Sendable {
    /// `time=2026-01-02T03:04:05.678Z level=info message="..." key=value`, for machines.
    case logfmt
    /// `03:04:05 message key=value` with a coloured letter in front, for a person.
    case terminal

    /// A person's style if standard error is a terminal.
    package static var forStandardError: LogStyle { isatty(STDERR_FILENO) == 1 ? .terminal : .logfmt }
}

/// One record on its way to a line.
struct LogRecord {
    var time: Instant
    var level: Logger.Level
    var message: String
    /// By key.
    var metadata: [(key: String, value: String)]

    /// The line with its newline.
    func line(_ style: LogStyle) -> String {
        switch style {
        case .logfmt: logfmt
        case .terminal: terminal
        }
    }

    private var logfmt: String {
        var line = "time=\(Timestamp(time).full) level=\(level.rawValue) message=\(Self.quoted(message, always: true))"
        for (key, value) in metadata { line += " \(Self.key(key))=\(Self.quoted(value))" }
        return line + "\n"
    }

    private var terminal: String {
        let (letter, colour) =
            switch level {
            case .trace: ("T", "90")
            case .debug: ("D", "90")
            case .info: ("I", "32")
            case .notice: ("N", "36")
            case .warning: ("W", "33")
            case .error: ("E", "31")
            case .critical: ("C", "1;31")
            }
        var line = "\u{1B}[\(colour)m\(letter)\u{1B}[0m \(Timestamp(time).clock) \(Self.printable(message))"
        for (key, value) in metadata { line += " \u{1B}[90m\(Self.key(key))=\u{1B}[0m\(Self.quoted(value))" }
        return line + "\n"
    }

    // MARK: - Quoting

    private static func key(_ key: String) -> String {
        let isPlain = { (scalar: Unicode.Scalar) in scalar.value > 0x20 && scalar != "=" && scalar != "\"" && scalar.value != 0x7F }
        guard !key.isEmpty else { return "_" }
        guard !key.unicodeScalars.allSatisfy(isPlain) else { return key }
        return String(String.UnicodeScalarView(key.unicodeScalars.map { isPlain($0) ? $0 : "_" }))
    }

    private static func quoted(_ text: String, always: Bool = false) -> String {
        let isPlain =
            !text.isEmpty && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "=" && $0 != "\"" && $0 != "\\" && !isControl($0) }
        return isPlain && !always ? text : "\"\(escaped(text, quotes: true))\""
    }

    /// Without what would move a terminal's cursor or start another line.
    private static func printable(_ text: String) -> String { escaped(text, quotes: false) }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\"" where quotes: result += "\\\""
            case "\\" where quotes: result += "\\\\"
            case _ where isControl(scalar): result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// C0, DEL, C1, and the separators that some viewers take for line ends.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || scalar.value == 0x2028 || scalar.value == 0x2029
    }
}

/// A moment in UTC, split into what a clock shows.
struct Timestamp {
    /// `2026-01-02T03:04:05.678Z`.
    let full: String
    /// `03:04:05`.
    let clock: String

    init(_ instant: Instant) {
        let milliseconds = Self.floorDivide(instant.nanoseconds, 1_000_000)
        let seconds = Self.floorDivide(milliseconds, 1_000)
        let days = Self.floorDivide(seconds, 86_400)
        let ofDay = seconds - days * 86_400
        // Days to a civil date, in years that begin in March so that the leap day comes last.
        let shifted = days + 719_468
        let era = Self.floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let civilMonth = month < 10 ? month + 3 : month - 9
        let year = yearOfEra + era * 400 + (civilMonth <= 2 ? 1 : 0)
        clock = "\(Self.pad(ofDay / 3_600)):\(Self.pad(ofDay / 60 % 60)):\(Self.pad(ofDay % 60))"
        full = "\(Self.pad(year, 4))-\(Self.pad(civilMonth))-\(Self.pad(day))T\(clock).\(Self.pad(milliseconds - seconds * 1_000, 3))Z"
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        let quotient = value / divisor
        return value % divisor < 0 ? quotient - 1 : quotient
    }

    private static func pad(_ value: Int64, _ width: Int = 2) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
