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

/// How an amount follows one feature of a call: least squares over 1, x, log x, x log x and x^2, learned sample by sample.
///
/// Errors count relative to the amount, so that small inputs matter as much as large ones. Two curves are kept, a straight line and the
/// full one, and the one that has predicted better so far (each sample before it was learned) is used. A sample costs about 400
/// multiplications, whatever came before.
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

    private var products = [Double](repeating: 0, count: terms * terms)
    private var sums = [Double](repeating: 0, count: terms)
    private var line: [Double] = []
    private var curve: [Double] = []
    private var lineError = FadingMean()
    private var curveError = FadingMean()
    /// Units in which feature and amount are of the order of 1; fixed by the first sample.
    private var featureScale = 0.0
    private var amountScale = 0.0
    private(set) var lowest = Double.infinity
    private(set) var highest = -Double.infinity
    private(set) var count = 0

    /// The mean squared relative error of what was predicted so far; large before there are samples.
    var error: Double { prefersCurve ? curveError.value : lineError.count > 0 ? lineError.value : Self.errorMax }

    private var prefersCurve: Bool { curveError.count > 0 && curveError.value < lineError.value }

    /// Whether the feature lies where samples have been.
    func covers(_ feature: Double) -> Bool {
        let margin = (Self.reach - 1) * max(abs(lowest), abs(highest))
        return count > 0 && feature >= min(lowest / Self.reach, lowest) - 0.01 * margin && feature <= highest + margin
    }

    /// The amount expected at a feature, or nil before there are samples. Never negative.
    func predict(_ feature: Double) -> Double? {
        guard count > 0 else { return nil }
        return max(0, value(prefersCurve ? curve : line, basis(feature)) * amountScale)
    }

    mutating func learn(_ feature: Double, _ amount: Double) {
        if count == 0 {
            featureScale = max(1, abs(feature))
            amountScale = max(amount, 1e-9)
        }
        let x = basis(feature)
        let y = amount / amountScale
        let expected = count > 0 ? value(prefersCurve ? curve : line, x) : y
        // Only inside what has been seen: beyond it nothing is predicted.
        if covers(feature) {
            if count >= Self.lineSamplesMin {
                lineError.add(Self.relativeError(expected: value(line, x), actual: y), memory: Self.errorMemory)
            }
            if count >= Self.samplesMin {
                curveError.add(Self.relativeError(expected: value(curve, x), actual: y), memory: Self.errorMemory)
            }
        }
        count += 1
        lowest = min(lowest, feature)
        highest = max(highest, feature)
        // By what was expected: a weight that follows the sample itself would pull the curve down.
        let size = min(max(expected, 0.05), 20)
        let weight = 1 / (size * size)
        for row in 0..<Self.terms {
            for column in 0..<Self.terms {
                let index = row * Self.terms + column
                products[index] = products[index] * Self.fading + weight * x[row] * x[column]
            }
            sums[row] = sums[row] * Self.fading + weight * x[row] * y
        }
        line = solve(Self.lineTerms)
        curve = solve(Self.terms)
    }

    /// The squared error relative to both, so that too much and too little by the same factor are equally wrong.
    static func relativeError(expected: Double, actual: Double) -> Double {
        let error = actual - expected
        return min(error * error / max(abs(actual) * abs(expected), 1e-9), errorMax)
    }

    private func basis(_ feature: Double) -> [Double] {
        let u = feature / featureScale
        let magnitude = Elementary.logarithm(1 + abs(feature)) / Elementary.logarithm(1 + featureScale)
        let l = feature < 0 ? -magnitude : magnitude
        return [1, u, l, u * l, u * u]
    }

    private func value(_ coefficients: [Double], _ basis: [Double]) -> Double {
        var sum = 0.0
        for index in coefficients.indices { sum += coefficients[index] * basis[index] }
        return sum
    }

    /// Solves the first `size` normal equations by Cholesky's method, each term scaled by its own diagonal first.
    private func solve(_ size: Int) -> [Double] {
        let scale = (0..<size).map { 1 / max(products[$0 * Self.terms + $0], 1e-300).squareRoot() }
        var lower = [Double](repeating: 0, count: size * size)
        var solution = [Double](repeating: 0, count: size)
        for row in 0..<size {
            for column in 0...row {
                var sum = products[row * Self.terms + column] * scale[row] * scale[column]
                if row == column { sum += Self.ridge }
                for k in 0..<column { sum -= lower[row * size + k] * lower[column * size + k] }
                if row == column {
                    lower[row * size + row] = max(sum, Self.ridge * 1e-3).squareRoot()
                } else {
                    lower[row * size + column] = sum / lower[column * size + column]
                }
            }
            var sum = sums[row] * scale[row]
            for k in 0..<row { sum -= lower[row * size + k] * solution[k] }
            solution[row] = sum / lower[row * size + row]
        }
        for row in stride(from: size - 1, through: 0, by: -1) {
            for k in (row + 1)..<max(size, row + 1) { solution[row] -= lower[k * size + row] * solution[k] }
            solution[row] /= lower[row * size + row]
        }
        return (0..<size).map { solution[$0] * scale[$0] }
    }
}
