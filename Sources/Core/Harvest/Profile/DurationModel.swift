// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// How long a call runs, and how that depends on the CPU it gets: Amdahl's law with a serial fraction found by trial.
///
/// With `c` usable cores a call of the base time `b` takes b (s + (1 - s) / c). For each of a few serial fractions s the base time is
/// learned as if s were true; the fraction whose predictions were best is used. As long as all calls ran with the same CPU they are
/// equally good, and a cautious one holds.
struct DurationModel: Sendable {
    /// Dense where a small difference matters: near 0, eight cores are eight times one core or five times.
    static let fractions = [0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1]
    /// Assumed until the data say otherwise: mostly parallel up to the peak that was seen.
    private static let assumed = 3
    /// Another fraction is taken only where its squared error is at most this part of the assumed one's.
    private static let clearlyBetter = 0.8

    /// Calls from which on the fractions that are not chosen take turns in learning, which halves what a call costs.
    private static let allLearnUntil = 64

    private var count = 0
    private var trends = [Trend](repeating: Trend(), count: fractions.count)
    private(set) var chosen = assumed
    /// Run times and usable cores of the latest calls.
    private var samples: [(seconds: Double, cores: Double)] = []
    private var next = 0
    /// Their base times under the chosen fraction.
    private var window = SampleWindow()

    var serialFraction: Double { Self.fractions[chosen] }
    var followsInput: Bool { trends[chosen].driver != nil }
    var driver: Int? { trends[chosen].driver }

    static func factor(serial: Double, cores: Double) -> Double { serial + (1 - serial) / max(cores, 0.001) }

    /// The time on one core, in seconds, or nil where nothing is known. Calls that do not follow their input get the 5th percentile:
    /// what is lent on their account then is promised for a short time rather than for too long.
    func baseSeconds(_ features: [FeatureValue?]) -> Double? {
        if let curve = trends[chosen].curve(features), trends[chosen].covers(features), let low = window.values.first,
            let high = window.values.last
        {
            return min(max(curve, low / 2), high * 2)
        }
        return window.percentile(5)
    }

    /// Of the time on one core, in seconds.
    var report: QuantityReport {
        var report = trends[chosen].report
        report.samples = count
        report.quantiles = window.quantiles
        return report
    }

    /// The best guess of the same, for the measure of accuracy.
    func expectedBaseSeconds(_ features: [FeatureValue?]) -> Double? { trends[chosen].curve(features) ?? trends[chosen].meanValue }

    mutating func learn(_ features: [FeatureValue?], seconds: Double, cores: Double) {
        count += 1
        for index in trends.indices where count <= Self.allLearnUntil || index == chosen || index == count % trends.count {
            trends[index].learn(features, seconds / Self.factor(serial: Self.fractions[index], cores: cores))
        }
        if samples.count < SampleWindow.size {
            samples.append((seconds, cores))
        } else {
            samples[next] = (seconds, cores)
            next = (next + 1) % SampleWindow.size
        }
        let before = chosen
        choose()
        if chosen == before {
            window.add(seconds / Self.factor(serial: serialFraction, cores: cores))
        } else {
            refill()
        }
    }

    private mutating func choose() {
        guard let best = trends.indices.min(by: { trends[$0].error < trends[$1].error }) else { return }
        let rival = trends[chosen].error * Self.clearlyBetter
        if trends[best].error < rival { chosen = best }
    }

    private mutating func refill() {
        window.removeAll()
        for index in samples.indices {
            let sample = samples[(next + index) % samples.count]
            window.add(sample.seconds / Self.factor(serial: serialFraction, cores: sample.cores))
        }
    }
}
