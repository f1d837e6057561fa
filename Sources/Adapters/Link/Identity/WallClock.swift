// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// The time of day, which certificates and tokens are measured by.
enum WallClock {
    /// Seconds since 1970.
    static func now() -> Int64 { Int64(Date().timeIntervalSince1970) }
}
