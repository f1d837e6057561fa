// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel

/// A function made after a description of one of Libra's ten, with noise.
///
/// What is taken from the description: run times at 1, 10, 50 and 100 times the smallest input (straight between them), the usual classes
/// of CPU and memory and how large a part of the inputs has which. What is made up: where inside its class a peak lies, the shape of the
/// way from one class to the next, the noise, and the serial part.
struct SyntheticFunction: Sendable {
    let name: String
    let base: Int
    /// Seconds at 8 cores, by multiples of the base.
    let seconds: [(multiple: Double, seconds: Double)]
    /// Peak in cores and in units of 128 MB at a multiple of the base.
    let cores: @Sendable (Double) -> Double
    let units: @Sendable (Double) -> Double
    var multiples = 1...100
    var serial = 0.1

    static let all: [SyntheticFunction] = [
        .init(name: "dh", base: 100, seconds: table(1.79, 1.94, 1.97, 2.15), cores: { 5.5 + 0.6 * log10($0) }, units: { _ in 0.5 }),
        .init(name: "eg", base: 2000, seconds: table(2.23, 3.40, 8.92, 15.75), cores: { 1.92 + 0.0208 * $0 }, units: { 0.4 + 0.01 * $0 }),
        .init(name: "ip", base: 5, seconds: table(3.04, 4.00, 9.45, 15.72), cores: { _ in 7.4 }, units: { _ in 1.5 }),
        .init(
            name: "vp", base: 1, seconds: zip(1...10, [9.1, 9.1, 11.4, 13.0, 14.6, 16.3, 17.0, 22.1, 23.3, 24.0]).map { (Double($0), $1) },
            cores: { _ in 7.4 }, units: { _ in 4.5 }, multiples: 1...10),
        .init(name: "ir", base: 10, seconds: table(6.08, 6.08, 6.34, 6.23), cores: { _ in 7.4 }, units: { _ in 2.5 }),
        .init(name: "knn", base: 5, seconds: table(5.84, 6.29, 14.90, 25.40), cores: { _ in 7.4 }, units: { _ in 4.5 }),
        .init(name: "alu", base: 10000, seconds: table(1.80, 1.96, 2.09, 2.28), cores: { 3.5 + 0.6 * log10($0) }, units: { _ in 0.5 }),
        .init(name: "ms", base: 5000, seconds: table(1.97, 2.59, 5.25, 8.52), cores: { 4.3 + 0.0072 * $0 }, units: { _ in 0.5 }),
        .init(name: "gd", base: 2, seconds: table(6.51, 6.08, 12.35, 19.69), cores: { _ in 7.4 }, units: { 1.93 + 0.35 * log10($0) }),
        .init(name: "dv", base: 100, seconds: table(5.92, 6.40, 8.78, 11.73), cores: { _ in 7.4 }, units: { _ in 0.5 }),
    ]

    private static func table(_ d1: Double, _ d10: Double, _ d50: Double, _ d100: Double) -> [(multiple: Double, seconds: Double)] {
        [(1, d1), (10, d10), (50, d50), (100, d100)]
    }

    private static func log10(_ x: Double) -> Double { Elementary.logarithm(x) / Elementary.logarithm(10) }

    /// Without noise, at 8 cores.
    func seconds(at multiple: Double) -> Double {
        guard let right = seconds.firstIndex(where: { $0.multiple >= multiple }), right > 0 else {
            return seconds.first { $0.multiple >= multiple }?.seconds ?? 0
        }
        let (low, high) = (seconds[right - 1], seconds[right])
        return low.seconds + (high.seconds - low.seconds) * (multiple - low.multiple) / (high.multiple - low.multiple)
    }

    /// The same with other limits: a peak above the limit is cut off, and Amdahl's law stretches the time.
    func seconds(at multiple: Double, millicores: Int) -> Double {
        let peak = cores(multiple)
        func factor(_ cores: Double) -> Double { serial + (1 - serial) / cores }
        return seconds(at: multiple) * factor(min(peak, Double(millicores) / 1000)) / factor(peak)
    }
}

/// One drawn call of a synthetic function.
struct SyntheticCall {
    let multiple: Double
    let features: CallFeatures
    let observation: CallObservation
    /// The run time without noise.
    let trueSeconds: Double

    init(
        _ function: SyntheticFunction, millicores: Int, noise: Double, peakNoise: Double, _ chance: inout SeededGenerator
    ) {
        // Sizes are whole numbers from the smallest to the largest multiple, as the traces draw them.
        let size = chance.draw(function.base * function.multiples.lowerBound...function.base * function.multiples.upperBound)
        multiple = Double(size) / Double(function.base)
        // The body is a little JSON around the number: its length says next to nothing.
        features = CallFeatures(inputBytes: 20 + "\(size)".utf8.count, parameters: [Double(size)])
        trueSeconds = function.seconds(at: multiple, millicores: millicores)
        let seconds = trueSeconds * Elementary.exponential(noise * chance.normal())
        let cores = function.cores(multiple) * Elementary.exponential(peakNoise * chance.normal())
        let units = function.units(multiple) * Elementary.exponential(peakNoise * chance.normal())
        observation = CallObservation(
            duration: .nanoseconds(Int64(seconds * 1e9)),
            peak: Resources(millicores: min(millicores, Int(cores * 1000)), memoryBytes: Int(units * Double(DemandClass.memoryUnitBytes))),
            allocatedMillicores: millicores)
    }
}
