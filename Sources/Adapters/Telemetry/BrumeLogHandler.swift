// SPDX-License-Identifier: Apache-2.0
package import BrumeModel
package import Logging
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Writes one line for each record, to standard error unless told otherwise.
///
/// Values whose key speaks of a password, a token, an authorization or a secret are replaced by `REDACTED`.
package struct BrumeLogHandler: LogHandler {
    /// Takes one whole line with its newline.
    package typealias Sink = @Sendable (String) -> Void

    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let style: LogStyle
    private let now: @Sendable () -> Instant
    private let sink: Sink

    package init(
        label: String, level: Logger.Level = .info, style: LogStyle = .forStandardError,
        now: @escaping @Sendable () -> Instant = BrumeLogHandler.wallClock, sink: @escaping Sink = BrumeLogHandler.standardError
    ) {
        self.label = label
        self.logLevel = level
        self.style = style
        self.now = now
        self.sink = sink
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var merged = metadata
        if let provided = metadataProvider?.get() { merged.merge(provided) { $1 } }
        if let own = event.metadata { merged.merge(own) { $1 } }
        if let error = event.error { merged["error"] = "\(error)" }
        var pairs = merged.map { (key: $0.key, value: Redaction.text($0.value, key: $0.key)) }.sorted { $0.key < $1.key }
        if !label.isEmpty { pairs.insert((key: "logger", value: label), at: 0) }
        let record = LogRecord(time: now(), level: event.level, message: event.message.description, metadata: pairs)
        sink(record.line(style))
    }

    /// The wall clock.
    package static let wallClock: @Sendable () -> Instant = {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// Writes the line with as few system calls as the kernel allows, so that lines of several threads do not mix.
    package static let standardError: Sink = { line in
        var text = line
        text.withUTF8 { bytes in
            StandardError.lock.withLock { _ in
                var offset = 0
                while offset < bytes.count {
                    let count = unsafe write(STDERR_FILENO, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
                    // Nobody can be told that standard error is gone.
                    if count < 0 && errno != EINTR { return }
                    offset += max(0, count)
                }
            }
        }
    }
}

/// Standard error is one for the whole process, and so is its lock.
private enum StandardError {
    static let lock = Mutex(())
}

/// Keeps secrets out of lines.
enum Redaction {
    static let mark = "REDACTED"
    private static let words = ["password", "token", "authorization", "secret"]

    static func isSecret(key: String) -> Bool {
        let key = key.lowercased()
        return words.contains { key.contains($0) }
    }

    static func text(_ value: Logger.Metadata.Value, key: String) -> String {
        if isSecret(key: key) { return mark }
        switch value {
        case .string(let string): return string
        case .stringConvertible(let convertible): return convertible.description
        case .array(let values): return "[" + values.map { text($0, key: "") }.joined(separator: ", ") + "]"
        case .dictionary(let values):
            return "[" + values.sorted { $0.key < $1.key }.map { "\($0.key): \(text($0.value, key: $0.key))" }.joined(separator: ", ") + "]"
        }
    }
}
