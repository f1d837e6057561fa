// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux

/// The loop's clock, and what it will do in time.
///
/// Lives on the loop and is touched nowhere else.
final class LoopAgenda {
    /// When the loop woke last: all that is done in one turn is done at one time.
    private(set) var now = LoopAgenda.read()
    private var timers = TimerQueue<ServerLoop.Timer>()

    private static func read() -> Instant { Instant(nanoseconds: brume_monotonic_nanoseconds()) }

    /// Reads the clock.
    func look() { now = Self.read() }

    @discardableResult
    func add(after delay: Duration, _ timer: ServerLoop.Timer) -> TimerNumber { add(at: now + delay, timer) }

    @discardableResult
    func add(at moment: Instant, _ timer: ServerLoop.Timer) -> TimerNumber { timers.add(at: moment, timer) }

    func cancel(_ timer: TimerNumber) { timers.cancel(timer) }

    func popDue() -> ServerLoop.Timer? { timers.popDue(now) }

    /// How long the loop may sleep, rounded up so that the next timer is due afterwards; nil for ever.
    var millisecondsLeft: Int32? {
        guard let next = timers.next else { return nil }
        let left = max(0, (next - Self.read()).wholeNanoseconds)
        return Int32(clamping: left / 1_000_000 + (left % 1_000_000 > 0 ? 1 : 0))
    }
}
