// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// Whether an amount follows a feature of the call or not, decided by what would have predicted it better so far.
struct Trend: Sendable {
    /// A curve is believed once its squared error is at most this part of a plain mean's, and given up beyond the second.
    private static let believed = 0.75
    private static let givenUp = 0.9

    /// One for each feature, in the order of the call's features.
    private var fits: [CurveFit] = []
    private var mean = FadingMean()
    private var meanError = FadingMean()
    /// The feature that the amount follows, or nil where the mean does as well.
    private(set) var driver: Int?

    var error: Double {
        guard meanError.count >= 3 else { return CurveFit.errorMax }
        return driver.map { fits[$0].error } ?? meanError.value
    }

    var meanValue: Double? { mean.count == 0 ? nil : mean.value }

    /// The amount expected by the curve, or nil where no curve is believed or the call does not say the feature.
    func curve(_ features: [FeatureValue?]) -> Double? {
        guard let driver, driver < features.count, let feature = features[driver] else { return nil }
        return fits[driver].predict(feature)
    }

    /// Whether calls like this one have been seen: with a curve by its feature, without one by all of them.
    func covers(_ features: [FeatureValue?]) -> Bool {
        let relevant = driver.map { [$0] } ?? Array(features.indices)
        return relevant.allSatisfy { index in
            guard index < features.count, let feature = features[index] else { return driver == nil }
            return index < fits.count && fits[index].covers(feature)
        }
    }

    /// How the amount is predicted, and why so.
    var report: QuantityReport {
        var report = QuantityReport()
        report.samples = mean.count
        report.driver = driver
        if meanError.count > 0 { report.meanError = meanError.value.squareRoot() }
        let tested = fits.indices.filter { fits[$0].count >= CurveFit.samplesMin }
        report.bestFeature = driver ?? tested.min { fits[$0].error < fits[$1].error }
        guard let shown = report.bestFeature else { return report }
        report.curveError = fits[shown].error.squareRoot()
        report.range = fits[shown].lowest...fits[shown].highest
        if driver != nil { report.coefficients = fits[shown].coefficients }
        return report
    }

    mutating func learn(_ features: [FeatureValue?], _ amount: Double) {
        while fits.count < features.count { fits.append(CurveFit()) }
        if mean.count > 0 {
            meanError.add(CurveFit.relativeError(expected: mean.value, actual: amount), memory: CurveFit.errorMemory)
        }
        mean.add(amount, memory: CurveFit.errorMemory)
        for index in fits.indices {
            guard index < features.count, let feature = features[index] else { continue }
            fits[index].learn(feature, amount)
        }
        choose()
    }

    private mutating func choose() {
        guard meanError.count >= CurveFit.samplesMin else { return }
        var best: Int?
        for index in fits.indices where fits[index].count >= CurveFit.samplesMin && best.map({ fits[index].error < fits[$0].error }) ?? true
        {
            best = index
        }
        guard let best else { return }
        if let driver, fits[driver].error > Self.givenUp * meanError.value { self.driver = nil }
        // Another feature takes over only where it is clearly better.
        let rival = driver.map { fits[$0].error * Self.believed } ?? Self.believed * meanError.value
        if best != driver, fits[best].error < rival { driver = best }
    }
}
