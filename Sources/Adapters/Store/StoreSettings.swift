// SPDX-License-Identifier: Apache-2.0

/// The bounds of a data directory, each with the reason for its default.
package struct StoreSettings: Sendable {
    /// Ended calls that are kept; the oldest go. A busy edge node answers `brume calls` for about a day, in some 40 MB.
    package var callsMax = 100_000
    /// Log lines kept for each function; the oldest go. Some screens of history without crowding out other functions.
    package var logLinesPerFunctionMax = 10_000
    /// Log lines kept for all functions together, removed ones included; the oldest go. Bounds the file at roughly 100 MB of logs.
    package var logLinesMax = 500_000
    /// Calls waiting in the durable queue; one more is refused with `unavailable`. At a hundred calls a second, a quarter of an hour.
    package var queuedMax = 100_000
    /// Dead letters kept; the oldest go. More than a person will look through.
    package var deadLettersMax = 10_000
    /// Results that no callback URL has taken yet; the oldest go, counted and logged. Minutes of a busy node whose receivers are all down.
    package var deliveriesMax = 10_000
    /// Ended calls that wait in memory for the next write; one more is dropped and counted. Seconds of calls if the disk stalls.
    package var bufferedCallsMax = 16_384
    /// Log lines that wait in memory; when full, the oldest sixteenth is dropped and counted.
    package var bufferedLinesMax = 65_536
    /// Bytes of log text that wait in memory; handled like ``bufferedLinesMax``.
    package var bufferedLineBytesMax = 16 << 20
    /// The version of this program: kept in the directory, and named to an older program that meets the directory.
    package var version: String

    package init(version: String) { self.version = version }
}
