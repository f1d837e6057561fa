// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// The highest use of one resource in a call: what is expected, and what it will hardly exceed.
struct PeakModel: Sendable {
    struct Estimate: Sendable {
        let expected: Double
        /// The 99th percentile.
        let upper: Double
        let followsInput: Bool
    }

    /// Samples below which a 99th percentile is widened, by the reciprocal of their number.
    private static let scarce = 32

    private(set) var trend = Trend()
    private var window = SampleWindow()
    /// What was used over what the curve had expected.
    private var ratios = SampleWindow()
    private var ratiosOf: Int?
    /// A use that was cut off by the limit says only that more is wanted; this is what is tried next.
    private var probe: Double?
    private(set) var count = 0

    /// The most that was measured lately, or is to be tried next.
    var highest: Double { max(window.values.last ?? 0, probe ?? 0) }

    var report: QuantityReport {
        var report = trend.report
        report.samples = count
        report.quantiles = window.quantiles
        return report
    }

    /// - Returns: nil where nothing is known of calls like this one.
    func estimate(_ features: [FeatureValue?]) -> Estimate? {
        let widening = 1 + (window.count < Self.scarce ? 1 / Double(max(window.count, 1)) : 0)
        let known: Estimate?
        if let curve = trend.curve(features) {
            guard trend.covers(features), let high = window.values.last, let low = window.values.first else { return nil }
            let expected = min(max(curve, low / 2), high * 2)
            let ratio = max(1, ratios.percentile(99) ?? 1.25)
            known = Estimate(expected: expected, upper: expected * ratio * widening, followsInput: true)
        } else if let expected = window.percentile(50), let upper = window.percentile(99) {
            // As long as it is open whether the input matters, an input of another size is an unknown.
            guard window.count >= Self.scarce || trend.covers(features) else { return nil }
            known = Estimate(expected: expected, upper: upper * widening, followsInput: false)
        } else {
            known = nil
        }
        guard let probe else { return known }
        guard let known else { return Estimate(expected: probe, upper: probe, followsInput: false) }
        return Estimate(expected: known.expected, upper: max(known.upper, probe), followsInput: known.followsInput)
    }

    /// - Parameters:
    ///   - amount: the measured peak.
    ///   - limit: the highest limit that the call had, where a use at the limit means that it would have used more.
    ///   - most: what no probe goes beyond.
    mutating func learn(_ features: [FeatureValue?], _ amount: Double, limit: Double?, most: Double) {
        count += 1
        let known = trend.curve(features) ?? window.percentile(99)
        if let limit, amount >= limit * 0.95 {
            // Twice as much: reaches any demand in a few calls, and costs others little if it was too much.
            if known.map({ amount > $0 * 1.05 }) ?? true { probe = min(most, max(probe ?? 0, amount * 2)) }
            // Cut off above or below what is known, it says nothing else; close to it, it may be the whole of it.
            guard let known, amount >= known * 0.95, amount <= known * 1.05 else { return }
        }
        if let tried = probe, amount < tried { probe = nil }
        if trend.driver != ratiosOf {
            ratios.removeAll()
            ratiosOf = trend.driver
        }
        if let curve = trend.curve(features), curve > 0 { ratios.add(amount / curve) }
        trend.learn(features, amount)
        window.add(amount)
    }
}
