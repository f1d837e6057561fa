// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// A distribution of whole amounts: nanoseconds of work, bytes of a body. Draws are never negative.
public enum Quantity: Hashable, Sendable {
    /// Always the same.
    case fixed(Int)
    /// Evenly between both ends, both included.
    case uniform(ClosedRange<Int>)
    /// Lognormal: half of the draws lie below `median`; `sigma` is the deviation of the logarithm (0.5 a mild, 2 a heavy tail).
    /// Draws above `max` count as `max`.
    case lognormal(median: Int, sigma: Double, max: Int)

    /// Checks the numbers.
    ///
    /// - Throws: `BrumeError` (`invalid`) for negative amounts and for a lognormal without a positive median and a sensible sigma.
    public func validate() throws(BrumeError) {
        switch self {
        case .fixed(let amount):
            guard amount >= 0 else { throw BrumeError(.invalid, "An amount of \(amount) is negative; give 0 or more.") }
        case .uniform(let range):
            guard range.lowerBound >= 0, range.upperBound < Int.max else {
                throw BrumeError(.invalid, "A range from \(range.lowerBound) to \(range.upperBound) is not possible; begin at 0 or above.")
            }
        case .lognormal(let median, let sigma, let max):
            guard median > 0, sigma >= 0, sigma <= 10, max >= median else {
                throw BrumeError(
                    .invalid,
                    "A lognormal amount needs a positive median, a sigma between 0 and 10 and a maximum not below the median.")
            }
        }
    }

    /// One amount.
    ///
    /// - Precondition: the distribution is valid (``validate()``).
    public func draw(_ generator: inout SeededGenerator) -> Int {
        switch self {
        case .fixed(let amount): return amount
        case .uniform(let range): return generator.draw(range)
        case .lognormal(let median, let sigma, let max):
            let factor = Elementary.exponential(sigma * generator.normal())
            return Self.whole(Double(median) * factor, max: max)
        }
    }

    /// The one place where drawn amounts become integers.
    private static func whole(_ value: Double, max: Int) -> Int { Int(exactly: value.rounded()).map { Swift.min($0, max) } ?? max }
}
