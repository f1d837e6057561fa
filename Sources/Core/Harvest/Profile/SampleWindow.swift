// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// The latest samples of an amount, ready for quantiles.
struct SampleWindow: Sendable {
    /// Samples kept: with 100 the 99th percentile is the largest, and a change of behaviour is forgotten after as many calls.
    static let size = 100

    /// In order of arrival, the oldest at `next` once the window is full.
    private var ring: [Double] = []
    private var next = 0
    private var sorted: [Double] = []

    var count: Int { ring.count }
    /// In order of size.
    var values: [Double] { sorted }

    mutating func add(_ sample: Double) {
        if ring.count < Self.size {
            ring.append(sample)
        } else {
            sorted.remove(at: position(of: ring[next]))
            ring[next] = sample
            next = (next + 1) % Self.size
        }
        sorted.insert(sample, at: position(of: sample))
    }

    mutating func removeAll() { self = SampleWindow() }

    /// The value that the next sample exceeds (above 50) or undercuts (below 50) no more often than the percentage says, as far as the
    /// window tells; nil without samples.
    func percentile(_ percent: Double) -> Double? {
        guard !sorted.isEmpty else { return nil }
        let rank = (percent / 100 * Double(sorted.count + 1)).rounded(percent < 50 ? .down : .up)
        return sorted[min(max(Int(rank), 1), sorted.count) - 1]
    }

    /// The 5th, 50th and 99th percentile, or nil without samples.
    var quantiles: QuantityReport.Quantiles? {
        guard let low = percentile(5), let median = percentile(50), let high = percentile(99) else { return nil }
        return QuantityReport.Quantiles(p5: low, p50: median, p99: high)
    }

    /// Where the first value not below `sample` stands.
    private func position(of sample: Double) -> Int { sorted.partitioningIndex { $0 >= sample } }
}
