// SPDX-License-Identifier: Apache-2.0

/// How one direction between two nodes behaves.
package struct NetworkConditions: Sendable, Equatable {
    /// Time every frame takes.
    package var delay: Duration
    /// Most that chance adds to the delay; frames of a pair never overtake one another.
    package var jitter: Duration
    /// Bytes a second, or nil for no limit.
    package var bytesPerSecond: Int?
    /// Part of the frames that is lost, between 0 and 1. TCP would hide losses; here whole frames vanish.
    package var loss: Double
    /// Nothing passes in either direction; after a while the owner is told that the peer is down, as a real link would notice.
    package var isCut: Bool

    package init(
        delay: Duration = .zero, jitter: Duration = .zero, bytesPerSecond: Int? = nil, loss: Double = 0, isCut: Bool = false
    ) {
        self.delay = delay
        self.jitter = jitter
        self.bytesPerSecond = bytesPerSecond
        self.loss = loss
        self.isCut = isCut
    }

    /// Whether a frame passes as if there were no emulation.
    var isClear: Bool { delay == .zero && jitter == .zero && bytesPerSecond == nil && loss == 0 && !isCut }
}
