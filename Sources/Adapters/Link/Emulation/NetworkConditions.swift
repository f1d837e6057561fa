// SPDX-License-Identifier: Apache-2.0

/// How one direction between two nodes behaves.
package struct NetworkConditions: Sendable, Equatable {
    /// Time every frame takes.
    package var delay = Duration.zero
    /// Most that chance adds to the delay; frames never overtake one another.
    package var jitter = Duration.zero
    /// Bytes a second, or nil for no limit.
    package var bytesPerSecond: Int?
    /// Part of the frames that is lost, between 0 and 1. TCP would hide losses; here they are of whole frames.
    package var loss = 0.0
    /// Nothing passes. After ``LinkSettings/Keepalive`` both sides would notice; the emulation tells `down` after `partitionNotice`.
    package var isCut = false

    package init() {}
}
