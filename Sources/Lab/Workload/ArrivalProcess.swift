// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// When calls arrive: a law for the gaps between them, independent of how fast they are answered (open loop).
///
/// Rates are calls per second. The same process and the same seed give the same times on every machine.
public enum ArrivalProcess: Hashable, Sendable {
    /// Equal gaps.
    case constant(rate: Double)
    /// Independent exponential gaps: many callers who know nothing of each other.
    case poisson(rate: Double)
    /// Gaps drawn evenly between nothing and twice the mean.
    case uniform(rate: Double)
    /// Poisson arrivals at `rate` for a time of `on`, then silence for `off`, again and again, beginning with `on`.
    case onOff(rate: Double, on: Duration, off: Duration)

    /// The highest rate of any process, per second: a gap of a nanosecond is as fine as the clock.
    public static let rateMax = 1e9

    /// Checks the numbers.
    ///
    /// - Throws: `BrumeError` (`invalid`) if the rate is not above 0 and at most ``rateMax``, or a phase has no length.
    public func validate() throws(BrumeError) {
        guard rate > 0, rate <= Self.rateMax else {
            throw BrumeError(
                .invalid, "A rate of \(rate) calls per second is not possible; give a number above 0, at most \(Int(Self.rateMax)).")
        }
        if case .onOff(_, let on, let off) = self, on <= .zero || off < .zero {
            throw BrumeError(.invalid, "The phases of an on/off process must last: give 'on' a positive and 'off' a non-negative duration.")
        }
    }

    /// Calls per second over the long run.
    public var meanRate: Double {
        guard case .onOff(let rate, let on, let off) = self else { return rate }
        return rate * on.inSeconds / (on + off).inSeconds
    }

    /// Calls per second while any arrive.
    public var rate: Double {
        switch self {
        case .constant(let rate), .poisson(let rate), .uniform(let rate), .onOff(let rate, _, _): rate
        }
    }
}

/// The arrival times of one process: an endless, never decreasing sequence of offsets from the beginning.
public struct Arrivals: Sequence, IteratorProtocol, Sendable {
    private let process: ArrivalProcess
    private var generator: SeededGenerator
    /// Gaps drawn so far. For the constant process, the time is computed from it, so that rounding never adds up.
    private var count = 0
    /// Nanoseconds of active time that have passed. Exact to a nanosecond for 104 days.
    private var elapsed = 0.0

    /// - Precondition: `process` is valid (``ArrivalProcess/validate()``).
    public init(_ process: ArrivalProcess, seed: UInt64) {
        self.process = process
        generator = SeededGenerator(seed: seed)
    }

    /// The offset of the next arrival.
    public mutating func next() -> Duration? {
        let meanGap = 1e9 / process.rate
        count += 1
        switch process {
        case .constant: elapsed = Double(count) * meanGap
        case .poisson, .onOff: elapsed += generator.exponential() * meanGap
        case .uniform: elapsed += generator.unit() * 2 * meanGap
        }
        let active = Self.wholeNanoseconds(elapsed)
        guard case .onOff(_, let on, let off) = process else { return .nanoseconds(active) }
        // Time counts only while the process is on; each full active phase that passed adds one silence.
        let (silence, overflow) = off.wholeNanoseconds.multipliedReportingOverflow(by: active / Swift.max(1, on.wholeNanoseconds))
        return overflow ? .nanoseconds(Int64.max) : .nanoseconds(active) + .nanoseconds(silence)
    }

    /// The one place where drawn times become integers; a time past 292 years stays there.
    private static func wholeNanoseconds(_ value: Double) -> Int64 { Int64(exactly: value.rounded()) ?? .max }
}
