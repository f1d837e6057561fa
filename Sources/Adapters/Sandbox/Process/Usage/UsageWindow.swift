// SPDX-License-Identifier: Apache-2.0

/// CPU use over the last moments, from samples of a counter that only grows.
struct UsageWindow {
    private struct Sample {
        let at: Int64
        let cpu: Int64
    }

    /// Samples kept: several for each window at the finest interval; beyond it the oldest go.
    private static let samplesMax = 64

    private let length: Int64
    private var samples: [Sample] = []

    /// - Parameters:
    ///   - length: of the window, in nanoseconds.
    ///   - at: time of the first sample, in nanoseconds of a clock that does not jump.
    ///   - cpu: the counter then, in nanoseconds.
    init(length: Int64, at: Int64, cpu: Int64) {
        self.length = length
        samples = [Sample(at: at, cpu: cpu)]
    }

    /// Takes a sample; one that is not later than the last, or whose counter went back, is left out.
    ///
    /// - Returns: nanoseconds of CPU used within the window that ends now, and how much of the window is covered.
    mutating func add(at: Int64, cpu: Int64) -> (used: Int64, covered: Int64)? {
        guard let last = samples.last, at > last.at, cpu >= last.cpu else { return nil }
        samples.append(Sample(at: at, cpu: cpu))
        // The newest sample that is a whole window old is where the window begins.
        var first = 0
        while first + 1 < samples.count, at - samples[first + 1].at >= length { first += 1 }
        if first > 0 { samples.removeFirst(first) }
        if samples.count > Self.samplesMax { samples.removeFirst(samples.count - Self.samplesMax) }
        return (cpu - samples[0].cpu, at - samples[0].at)
    }
}
