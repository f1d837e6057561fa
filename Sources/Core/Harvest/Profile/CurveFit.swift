// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// A mean that forgets: every sample counts the same until `memory` of them are there, older ones fade from then on.
struct FadingMean: Sendable {
    private(set) var value = 0.0
    private(set) var count = 0

    mutating func add(_ sample: Double, memory: Int) {
        count += 1
        value += (sample - value) / Double(min(count, memory))
    }
}

/// A feature of a call and its logarithm, which every curve over it needs.
struct FeatureValue: Sendable {
    let value: Double
    /// Of 1 + |value|, with the value's sign.
    let logarithm: Double

    init(_ value: Double) {
        self.value = value
        let magnitude = Elementary.logarithm(1 + abs(value))
        logarithm = value < 0 ? -magnitude : magnitude
    }
}

/// How an amount follows one feature of a call: least squares over 1, x, log x, x log x and x^2, learned sample by sample.
///
/// Errors count relative to the amount, so that small inputs matter as much as large ones. Two curves are kept, a straight line and the
/// full one, and the one that has predicted better so far (each sample before it was learned) is used. A sample costs some
/// hundred multiplications, whatever came before.
struct CurveFit: Sendable {
    private static let terms = 5
    /// The straight line is the first two terms.
    private static let lineTerms = 2
    /// A sample's weight fades by this factor with each that follows: about 100 count, enough for five terms, few enough to follow change.
    private static let fading = 0.99
    /// Added to the diagonal, relative to it: keeps curves that the data do not tell apart from cancelling each other out.
    private static let ridge = 1e-6
    /// Samples over which prediction errors are averaged.
    static let errorMemory = 50
    /// A single prediction counts as at most this wrong (relative, squared), so that one outlier decides nothing.
    static let errorMax = 1.0
    /// Samples before a curve's errors count: with fewer than two for each term it is not yet itself.
    private static let lineSamplesMin = 2 * lineTerms
    static let samplesMin = 2 * terms
    /// How far beyond the samples a curve is believed.
    private static let reach = 1.25

    /// The normal equations: what the terms' products and the amounts add up to. Three lanes of eight are not used.
    private var products = [SIMD8<Double>](repeating: .zero, count: terms)
    private var sums = SIMD8<Double>.zero
    /// The coefficients of both curves.
    private var line = SIMD8<Double>.zero
    private var curve = SIMD8<Double>.zero
    /// The triangular factor of the equations, kept so that solving them takes no memory.
    private var lower = [SIMD8<Double>](repeating: .zero, count: terms)
    private var lineError = FadingMean()
    private var curveError = FadingMean()
    /// Units in which feature and amount are of the order of 1; fixed by the first sample.
    private var scale = FeatureValue(0)
    private var amountScale = 0.0
    private(set) var lowest = Double.infinity
    private(set) var highest = -Double.infinity
    private(set) var count = 0

    /// The mean squared relative error of what was predicted so far; large before there are samples.
    var error: Double { prefersCurve ? curveError.value : lineError.count > 0 ? lineError.value : Self.errorMax }

    private var prefersCurve: Bool { curveError.count > 0 && curveError.value < lineError.value }

    /// Whether the feature lies where samples have been.
    func covers(_ feature: FeatureValue) -> Bool {
        let margin = (Self.reach - 1) * max(abs(lowest), abs(highest))
        return count > 0 && feature.value >= min(lowest / Self.reach, lowest) - 0.01 * margin && feature.value <= highest + margin
    }

    /// The amount expected at a feature, or nil before there are samples. Never negative.
    func predict(_ feature: FeatureValue) -> Double? {
        guard count > 0 else { return nil }
        return max(0, (basis(feature) * (prefersCurve ? curve : line)).sum() * amountScale)
    }

    /// The curve in use: coefficients of 1, x, log(1 + |x|), x log(1 + |x|) and x^2.
    var coefficients: [Double] {
        let scaled = prefersCurve ? curve : line
        let units = [1, scale.value, scale.logarithm, scale.value * scale.logarithm, scale.value * scale.value]
        return units.indices.map { scaled[$0] * amountScale / units[$0] }
    }

    mutating func learn(_ feature: FeatureValue, _ amount: Double) {
        if count == 0 {
            scale = FeatureValue(max(1, abs(feature.value)))
            amountScale = max(amount, 1e-9)
        }
        let x = basis(feature)
        let y = amount / amountScale
        let (onLine, onCurve) = ((x * line).sum(), (x * curve).sum())
        let expected = count == 0 ? y : prefersCurve ? onCurve : onLine
        // Only inside what has been seen: beyond it nothing is predicted.
        if covers(feature) {
            if count >= Self.lineSamplesMin { lineError.add(Self.relativeError(expected: onLine, actual: y), memory: Self.errorMemory) }
            if count >= Self.samplesMin { curveError.add(Self.relativeError(expected: onCurve, actual: y), memory: Self.errorMemory) }
        }
        count += 1
        lowest = min(lowest, feature.value)
        highest = max(highest, feature.value)
        // By what was expected: a weight that follows the sample itself would pull the curve down.
        let size = min(max(expected, 0.05), 20)
        let weight = 1 / (size * size)
        for row in 0..<Self.terms { products[row] = products[row] * Self.fading + x * (weight * x[row]) }
        sums = sums * Self.fading + x * (weight * y)
        line = solve(Self.lineTerms)
        curve = solve(Self.terms)
    }

    /// The squared error relative to both, so that too much and too little by the same factor are equally wrong.
    static func relativeError(expected: Double, actual: Double) -> Double {
        let error = actual - expected
        return min(error * error / max(abs(actual) * abs(expected), 1e-9), errorMax)
    }

    private func basis(_ feature: FeatureValue) -> SIMD8<Double> {
        let u = feature.value / scale.value
        let l = feature.logarithm / scale.logarithm
        return SIMD8(1, u, l, u * l, u * u, 0, 0, 0)
    }

    /// Solves the first `size` equations by Cholesky's method, each term scaled by its own diagonal first.
    private mutating func solve(_ size: Int) -> SIMD8<Double> {
        var scaling = SIMD8<Double>.zero
        for row in 0..<size { scaling[row] = 1 / max(products[row][row], 1e-300).squareRoot() }
        var solution = SIMD8<Double>.zero
        for row in 0..<size {
            let scaled = products[row] * scaling * scaling[row]
            var factors = SIMD8<Double>.zero
            for column in 0..<row {
                factors[column] = (scaled[column] - (factors * lower[column]).sum()) / lower[column][column]
            }
            let pivot = scaled[row] + Self.ridge - (factors * factors).sum()
            let diagonal = max(pivot, Self.ridge * 1e-3).squareRoot()
            solution[row] = (sums[row] * scaling[row] - (factors * solution).sum()) / diagonal
            factors[row] = diagonal
            lower[row] = factors
        }
        for row in stride(from: size - 1, through: 0, by: -1) {
            solution[row] /= lower[row][row]
            for above in 0..<row { solution[above] -= lower[row][above] * solution[row] }
        }
        return solution * scaling
    }
}
