// SPDX-License-Identifier: Apache-2.0

/// The bounds of the log of state, each with the reason for its default.
package struct StateLogSettings: Sendable {
    /// How long a record that nobody waits for may stay in memory: what a crash of the machine may take, at ten syncs a second at most.
    package var interval = Duration.milliseconds(100)
    /// Bytes that are written before the interval is over: larger commits would make those who wait for a sync wait longer.
    package var intervalBytesMax = 1 << 20
    /// Bytes that share one commit at most; some 20 ms of a slow disk.
    package var commitBytesMax = 4 << 20
    /// Bytes that wait in memory while the disk is full or stalls; beyond it new records are given up until a snapshot makes up for them.
    package var pendingBytesMax = 64 << 20
    /// After a failed write the log tries again so much later.
    package var retryDelay = Duration.seconds(1)
    /// Bytes of one row: longer parts are cut, so that no commit is held up by a large one.
    package var sliceBytes = 256 << 10

    package init() {}
}
