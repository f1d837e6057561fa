// SPDX-License-Identifier: Apache-2.0

import BrumeModel
package import BrumeState
package import NIOCore

/// What a node's state needs of the world beside its log and its link.
package struct StateWorld: Sendable {
    /// The node's own clock and the wall clock; asked once for each run of operations, so it must be fast.
    package var now: @Sendable () -> StateTime
    /// Random bits of the operating system: names incarnations, which must never meet.
    package var random: @Sendable () -> UInt64
    /// Where flushes are made and frames handed on; one thread, better not the one that serves calls. Best the link's own: then nothing
    /// changes threads on its way from a peer or to one.
    package var loop: any EventLoop

    package init(now: @escaping @Sendable () -> StateTime, random: @escaping @Sendable () -> UInt64, loop: any EventLoop) {
        self.now = now
        self.random = random
        self.loop = loop
    }
}

/// The bounds of a node's state beside those of its replica, each with the reason for its default.
package struct StateServiceSettings: Sendable {
    package var replica = StateSettings()
    /// Time between two flushes. After a pause of this length a write is flushed at once, so a lone write waits for nobody.
    package var flushSpacing = Duration.milliseconds(5)
    /// The same while many write: each flush costs every node some wakings, whatever it holds. With what links and merging take, a write
    /// is still heard of everywhere within 15 ms.
    package var busyFlushSpacing = Duration.milliseconds(12)
    /// Runs of operations between two flushes from which on many write: some six hundred a second. With functions on five nodes that
    /// counted to one number, a thousand writes a second each, frames of 5 ms were a third of all the processors' work.
    package var busyRuns = 3
    /// Bytes of records at which a snapshot is made, unless the snapshot itself is larger: bounds how much a start has to read again.
    package var recordBytesMax = 16 << 20
    /// How often it is looked whether a snapshot is due.
    package var snapshotInterval = Duration.seconds(2)
    /// Bytes of parts that are written in one go; between two of them others write.
    package var snapshotBytes = 1 << 20
    /// Subscriptions to changes at once; each is asked about every change.
    package var subscriptionsMax = 10_000

    package init() {}
}
