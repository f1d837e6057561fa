// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
package import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Wall time read once and monotonic from then on, so that a jump of the clock turns no duration negative.
package struct GatewayClock: Sendable {
    private let wall: Int64
    private let monotonic: NIODeadline

    package init() {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        wall = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        monotonic = NIODeadline.now()
    }

    package func instant(at deadline: NIODeadline) -> Instant {
        Instant(nanoseconds: wall + (deadline - monotonic).nanoseconds)
    }
}

/// The `Date` field, written at most once a second.
struct DateField {
    private var second: Int64 = .min
    private var text = ""

    mutating func text(at instant: Instant) -> String {
        let now = instant.nanoseconds / 1_000_000_000
        if now != second {
            second = now
            text = Timestamp.writeHTTPDate(instant)
        }
        return text
    }
}
