// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import FoundationEssentials
package import NIOCore

/// Wall time read once and monotonic from then on, so that a jump of the clock turns no duration negative.
package struct GatewayClock: Sendable {
    private let wall: Int64
    private let monotonic: NIODeadline

    package init() {
        // A double of seconds is exact to a quarter of a microsecond here.
        wall = Int64(Date().timeIntervalSince1970 * 1e9)
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
