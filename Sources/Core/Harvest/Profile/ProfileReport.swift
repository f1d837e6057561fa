// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// Libra's classes, in which its accuracy is measured: whole cores and units of 128 MB, one more than fits, from 1 to 8.
public enum DemandClass {
    public static let memoryUnitBytes = 128_000_000
    private static let range = 1...8

    public static func cpu(millicores: Int) -> Int { clip(millicores / 1000 + 1) }
    public static func memory(bytes: Int) -> Int { clip(bytes / memoryUnitBytes + 1) }

    private static func clip(_ value: Int) -> Int { min(max(value, range.lowerBound), range.upperBound) }
}

/// How well a function's calls are predicted. All shares are over the latest predictions, each made before its call was learned.
public struct ProfileReport: Hashable, Sendable {
    /// Calls learned from.
    public var calls = 0
    /// Predictions that the shares below are over.
    public var predictions = 0
    /// Calls among them of which not everything could be said.
    public var unpredicted = 0
    /// The feature that each quantity follows (0 the input's size, then the named parameters, then their product), or nil for quantiles.
    public var cpuDriver: Int?
    public var memoryDriver: Int?
    public var durationDriver: Int?
    /// Share of the calls whose peak fell into the predicted class.
    public var cpuClassAccuracy = 0.0
    public var memoryClassAccuracy = 0.0
    /// The coefficient of determination of the run times, or nil where they do not vary.
    public var durationR2: Double?
    /// Share of the calls that used more than they were expected to.
    public var cpuExceeded = 0.0
    public var memoryExceeded = 0.0
    /// The part of the run time that more CPU does not shorten, in thousandths.
    public var serialThousandths = 0
    /// How each quantity is predicted: millicores, bytes, and seconds on one core.
    public var cpu = QuantityReport()
    public var memory = QuantityReport()
    public var duration = QuantityReport()

    /// Of a function that nothing is known of.
    public init() {}
}

/// How one quantity of a function's calls is predicted, and what that choice is made by.
public struct QuantityReport: Hashable, Sendable {
    public struct Quantiles: Hashable, Sendable {
        public let p5: Double
        public let p50: Double
        public let p99: Double
    }

    /// Calls in which it was measured.
    public var samples = 0
    /// The feature that it follows, or nil for quantiles.
    public var driver: Int?
    /// The feature that it would follow best, nil as long as no curve has been tried; and the values of it that were seen.
    public var bestFeature: Int?
    public var range: ClosedRange<Double>?
    /// Mean relative errors of what that curve, and what a plain mean, said before each call.
    public var curveError: Double?
    public var meanError: Double?
    /// Of 1, x, log(1 + |x|), x log(1 + |x|) and x^2; empty for quantiles.
    public var coefficients: [Double] = []
    /// Of the latest calls.
    public var quantiles: Quantiles?
}

/// What calls of a function with one value of a feature are expected to need.
public struct ProfileOutlook: Hashable, Sendable {
    /// The feature that varies, the others being as in the latest call; nil where nothing follows one.
    public let feature: Int?
    public let value: Double?
    public let prediction: Prediction?
}

/// The latest predictions beside what came of them.
struct PredictionRecord: Sendable {
    /// Predictions remembered: enough for shares to the percent.
    static let size = 200

    private struct Entry: Sendable {
        /// Nil where nothing was predicted.
        var prediction: Prediction?
        var actual: CallObservation
    }

    private var entries: [Entry] = []
    private var next = 0

    mutating func add(_ prediction: Prediction?, _ actual: CallObservation) {
        let entry = Entry(prediction: prediction, actual: actual)
        if entries.count < Self.size {
            entries.append(entry)
        } else {
            entries[next] = entry
            next = (next + 1) % Self.size
        }
    }

    var report: ProfileReport {
        var report = ProfileReport()
        report.unpredicted = entries.count { ($0.prediction?.known.count ?? 0) < ResourceKind.allCases.count }
        report.predictions = entries.count
        let made = entries.compactMap { entry in entry.prediction.map { ($0, entry.actual) } }
        let cpu = made.filter { $0.0.known.contains(.cpu) }.compactMap { made in made.1.peakMillicores.map { (made.0, $0) } }
        let memory = made.filter { $0.0.known.contains(.memory) }.compactMap { made in made.1.peakMemoryBytes.map { (made.0, $0) } }
        report.cpuClassAccuracy = Self.share(cpu) {
            DemandClass.cpu(millicores: $0.0.expectedPeak.millicores) == DemandClass.cpu(millicores: $0.1)
        }
        report.memoryClassAccuracy = Self.share(memory) {
            DemandClass.memory(bytes: $0.0.expectedPeak.memoryBytes) == DemandClass.memory(bytes: $0.1)
        }
        report.cpuExceeded = Self.share(cpu) { $0.1 > $0.0.peak.millicores }
        report.memoryExceeded = Self.share(memory) { $0.1 > $0.0.peak.memoryBytes }
        report.durationR2 = Self.determination(
            made.filter { !$0.1.outOfMemory }.map {
                ($0.0.expectedDuration(millicores: $0.1.allocatedMillicores).inSeconds, $0.1.duration.inSeconds)
            })
        return report
    }

    private static func share<Item>(_ items: [Item], _ holds: (Item) -> Bool) -> Double {
        items.isEmpty ? 0 : Double(items.count(where: holds)) / Double(items.count)
    }

    /// 1 minus the squared errors over the squares about the mean.
    private static func determination(_ pairs: [(expected: Double, actual: Double)]) -> Double? {
        guard pairs.count > 1 else { return nil }
        let mean = pairs.reduce(0) { $0 + $1.actual } / Double(pairs.count)
        let spread = pairs.reduce(0) { $0 + ($1.actual - mean) * ($1.actual - mean) }
        guard spread > 0 else { return nil }
        let errors = pairs.reduce(0) { $0 + ($1.actual - $1.expected) * ($1.actual - $1.expected) }
        return 1 - errors / spread
    }
}
