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
    /// Burr (type XII), which has a heavier tail than a lognormal: the share of draws above x is `(1 + (x / scale)^c)^-k`.
    /// Draws above `max` count as `max`.
    case burr(scale: Int, c: Double, k: Double, max: Int)

    /// How long functions run on Azure, in nanoseconds: the lognormal law that Shahrad et al. (ATC'20, section 3.4) fitted to the averages
    /// of all functions in 2019, in seconds with log mean -0.38 and sigma 2.36. Half run for less than 0.684 s. `max` is the ten minutes
    /// that the platform allowed.
    public static let azureDurationNanoseconds = Quantity.lognormal(median: 683_861_409, sigma: 2.36, max: 600_000_000_000)

    /// How much memory applications have on Azure, in bytes: the Burr law of the same paper (section 3.5), in MB with c = 11.652, k = 0.221
    /// and scale 107.083. `max` is the 1.5 GB that the platform allowed.
    public static let azureMemoryBytes = Quantity.burr(scale: 107_083_000, c: 11.652, k: 0.221, max: 1_536_000_000)

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
        case .burr(let scale, let c, let k, let max):
            guard scale > 0, c >= 0.01, c <= 1000, k >= 0.01, k <= 1000, max > 0 else {
                throw BrumeError(
                    .invalid, "A Burr amount needs a positive scale and maximum, and c and k between 0.01 and 1000.")
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
        case .burr(let scale, let c, let k, let max):
            // The inverse of the law at the share 1 - u of draws above, which lies in (0, 1].
            let above = Elementary.exponential(-Elementary.logarithm(1 - generator.unit()) / k) - 1
            return Self.whole(Double(scale) * Elementary.exponential(Elementary.logarithm(above) / c), max: max)
        }
    }

    /// The one place where drawn amounts become integers.
    private static func whole(_ value: Double, max: Int) -> Int { Int(exactly: value.rounded()).map { Swift.min($0, max) } ?? max }
}
