// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel

/// A profile in the words that people are told it in.
struct ProfileText {
    /// Rows of the table of expected demand: both ends, the middle, and what lies between.
    static let outlookRows = 5
    private static let terms = ["1", "x", "log(1+|x|)", "x log(1+|x|)", "x^2"]

    let profile: ProfileReport
    let settings: ProfilerSettings
    /// Names of the numbers that demand may follow.
    let parameters: [String]

    func report(of function: FunctionID, takesPart: Set<ResourceKind>) -> HarvestProfileReport {
        var report = HarvestProfileReport(
            function: function.description, takesPart: ResourceKind.allCases.filter { takesPart.contains($0) }, calls: profile.calls,
            callsBeforePrediction: settings.callsBeforePrediction, cpu: quantity(profile.cpu), memory: quantity(profile.memory),
            duration: quantity(profile.duration), serialShare: Double(profile.serialThousandths) / 1000)
        report.predictions = profile.predictions
        report.unpredicted = profile.unpredicted
        if profile.predictions > profile.unpredicted {
            report.cpuClassAccuracy = profile.cpuClassAccuracy
            report.memoryClassAccuracy = profile.memoryClassAccuracy
        }
        report.durationR2 = profile.durationR2
        report.cpuExceeded = profile.cpuExceeded
        report.memoryExceeded = profile.memoryExceeded
        return report
    }

    /// What a feature is called: the size of the input, a parameter of its body, or the product of all of these.
    static func name(ofFeature index: Int, _ parameters: [String]) -> String {
        switch index {
        case 0: "input bytes"
        case 1...parameters.count where !parameters.isEmpty: parameters[index - 1]
        default: parameters.joined(separator: " x ")
        }
    }

    private func quantity(_ known: QuantityReport) -> HarvestProfileReport.Quantity {
        let isUnknown = known.samples < settings.callsBeforePrediction
        let model: HarvestProfileReport.Quantity.Model = isUnknown ? .unknown : known.driver == nil ? .quantiles : .curve
        var quantity = HarvestProfileReport.Quantity(model: model, reason: reason(known, model), samples: known.samples)
        quantity.feature = known.bestFeature.map { Self.name(ofFeature: $0, parameters) }
        quantity.lowest = known.range?.lowerBound
        quantity.highest = known.range?.upperBound
        quantity.curveError = known.curveError
        quantity.meanError = known.meanError
        if !known.coefficients.isEmpty {
            quantity.curve = zip(Self.terms, known.coefficients).filter { $0.1 != 0 }.map { .init(term: $0.0, coefficient: $0.1) }
        }
        quantity.p5 = known.quantiles?.p5
        quantity.p50 = known.quantiles?.p50
        quantity.p99 = known.quantiles?.p99
        return quantity
    }

    private func reason(_ known: QuantityReport, _ model: HarvestProfileReport.Quantity.Model) -> String {
        guard model != .unknown else {
            return "measured in \(known.samples) calls, and predicted from \(settings.callsBeforePrediction) on"
        }
        guard let feature = known.bestFeature, let curve = known.curveError, let mean = known.meanError else {
            return "no curve has been tried yet"
        }
        let best = model == .curve ? "" : "the best curve, over \(Self.name(ofFeature: feature, parameters)), was "
        return best + "off by \(Self.percent(curve)), a plain mean by \(Self.percent(mean))"
    }

    private static func percent(_ share: Double) -> String {
        let tenths = Int((share * 1000).rounded())
        return "\(tenths / 10).\(tenths % 10) %"
    }
}

extension HarvestProfileReport.Outlook {
    /// - Parameter own: the CPU of the user's allocation.
    init(_ outlook: ProfileOutlook, own: Int) {
        self.init(value: outlook.value)
        guard let prediction = outlook.prediction else { return }
        if prediction.known.contains(.cpu) {
            millicores = prediction.peak.millicores
            shortestRunMs = prediction.expectedDuration(millicores: .max).inMilliseconds
        }
        if prediction.known.contains(.memory) { memoryBytes = prediction.peak.memoryBytes }
        runMs = prediction.expectedDuration(millicores: own).inMilliseconds
    }
}
