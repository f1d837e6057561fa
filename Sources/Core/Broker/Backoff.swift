// SPDX-License-Identifier: Apache-2.0

/// How long to wait before another attempt: doubling from `base`, at most `ceiling`.
public struct Backoff: Hashable, Sendable {
    public var base: Duration
    public var ceiling: Duration

    public init(base: Duration, ceiling: Duration) {
        precondition(base > .zero && ceiling >= base, "a back-off needs 0 < base <= ceiling")
        self.base = base
        self.ceiling = ceiling
    }

    /// The pause after `failures` failed attempts in a row, counted from 1.
    public func pause(after failures: Int) -> Duration {
        guard failures > 1 else { return base }
        // Beyond 2^20 of any sensible base the ceiling is reached, and the multiplication stays in range.
        let doubled = base * (1 << Swift.min(failures - 1, 20))
        return Swift.min(doubled, ceiling)
    }
}
