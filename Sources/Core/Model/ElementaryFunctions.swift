// SPDX-License-Identifier: Apache-2.0

/// The logarithm and the exponential that random draws and regressions need, written out in IEEE additions, multiplications and divisions.
///
/// Pure code may not import the C library, and its results may differ in the last bit from one version to the next: these cannot, so that a
/// seed gives the same workload everywhere. Both agree with the correctly rounded value to within 4 units in the last place.
public enum Elementary {
    /// ln 2 in two parts; the first has 21 trailing zero bits, so that a product with a small integer is exact.
    private static let ln2High = 0x1.62e42feep-1
    private static let ln2Low = 0x1.a39ef35793c76p-33

    /// The natural logarithm. Zero gives minus infinity, a negative number or NaN gives NaN.
    ///
    /// x = m * 2^k with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh s with s = (m - 1) / (m + 1), so |s| < 0.1716, and the odd series up to
    /// s^21 leaves out less than 1e-17 of the value.
    public static func logarithm(_ x: Double) -> Double {
        guard x > 0 else { return x == 0 ? -.infinity : .nan }
        guard x < .infinity else { return x }
        var mantissa = x.significand
        var exponent = Double(x.exponent)
        if mantissa > 1.4142135623730951 {
            mantissa /= 2
            exponent += 1
        }
        let s = (mantissa - 1) / (mantissa + 1)
        let square = s * s
        var sum = 0.0
        for degree in stride(from: 21, through: 3, by: -2) { sum = (sum + 1 / Double(degree)) * square }
        return exponent * ln2High + (2 * s + (2 * s * sum + exponent * ln2Low))
    }

    /// e to the power of x. Overflows to infinity above 709.78, underflows to zero below -745.
    ///
    /// x = k ln 2 + r with |r| <= 0.3466; the Taylor series of e^r up to r^13 leaves out less than 5e-18.
    public static func exponential(_ x: Double) -> Double {
        guard !x.isNaN else { return x }
        if x > 709.782712893384 { return .infinity }
        if x < -745.1332191019412 { return 0 }
        let k = (x / (ln2High + ln2Low)).rounded()
        let r = (x - k * ln2High) - k * ln2Low
        var sum = 1.0
        for degree in stride(from: 13, through: 1, by: -1) { sum = 1 + sum * r / Double(degree) }
        // In two steps, because 2^1024 is not a double although e^709.7 is one; the same for the smallest ones.
        let half = (k / 2).rounded(.down)
        return sum * powerOfTwo(Int(half)) * powerOfTwo(Int(k - half))
    }

    private static func powerOfTwo(_ exponent: Int) -> Double { Double(sign: .plus, exponent: exponent, significand: 1) }
}

extension SeededGenerator {
    /// A draw from the exponential distribution with mean 1.
    public mutating func exponential() -> Double {
        // 1 - unit() lies in (0, 1]: the logarithm is finite.
        -Elementary.logarithm(1 - unit())
    }

    /// A draw from the normal distribution with mean 0 and deviation 1 (Marsaglia's polar method, which needs no sine).
    public mutating func normal() -> Double {
        // Each round succeeds with probability pi/4; a thousand failures in a row mean a broken generator.
        for _ in 0..<1000 {
            let x = 2 * unit() - 1
            let y = 2 * unit() - 1
            let square = x * x + y * y
            if square > 0 && square < 1 { return x * (-2 * Elementary.logarithm(square) / square).squareRoot() }
        }
        preconditionFailure("the generator gave no point inside the unit circle in a thousand draws")
    }
}
