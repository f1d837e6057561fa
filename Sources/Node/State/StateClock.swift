// SPDX-License-Identifier: Apache-2.0
import BrumeModel
package import BrumeState
import Glibc

/// The clock of state: monotonic time that began as wall time, and the wall clock, each one cheap call of the kernel's page.
package struct StateClock: Sendable {
    private let anchor: Int64

    package init() { anchor = Self.read(CLOCK_REALTIME) - Self.read(CLOCK_MONOTONIC) }

    package func now() -> StateTime {
        StateTime(
            instant: Instant(nanoseconds: anchor + Self.read(CLOCK_MONOTONIC)),
            wallMilliseconds: UInt64(clamping: Self.read(CLOCK_REALTIME) / 1_000_000))
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
