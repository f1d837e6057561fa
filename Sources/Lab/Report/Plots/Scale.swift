// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// Places values along an axis, and finds round numbers to mark on it.
struct Scale {
    enum Kind { case linear, logarithmic }

    /// At most so many marks: more do not fit beside one another.
    private static let marksMax = 6

    let kind: Kind
    /// Of the values.
    let low: Double
    let high: Double
    /// Where these are drawn.
    let start: Double
    let end: Double

    init(_ kind: Kind, _ low: Double, _ high: Double, from start: Double, to end: Double) {
        self.kind = kind
        self.low = kind == .logarithmic ? max(low, 1e-9) : low
        self.high = high > self.low ? high : self.low + 1
        (self.start, self.end) = (start, end)
    }

    func place(_ value: Double) -> Double {
        let value = min(max(value, low), high)
        let part =
            switch kind {
            case .linear: (value - low) / (high - low)
            case .logarithmic: Elementary.logarithm(value / low) / Elementary.logarithm(high / low)
            }
        return start + part * (end - start)
    }

    var marks: [Double] {
        switch kind {
        case .linear:
            let step = Self.roundStep((high - low) / 4)
            return stride(from: (low / step).rounded(.up) * step, through: high * 1.0001, by: step).map { $0 }
        case .logarithmic:
            var decades: [Double] = []
            var value = 1e-9
            while value <= high * 1.0001, decades.count < 32 {
                if value >= low * 0.9999 { decades.append(value) }
                value *= 10
            }
            return decades.count <= Self.marksMax ? decades : decades.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        }
    }

    /// The next of 1, 2, 2.5 and 5 times a power of ten.
    static func roundStep(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return 1 }
        var power = 1.0
        while power > value { power /= 10 }
        while power * 10 <= value { power *= 10 }
        for factor in [1, 2, 2.5, 5] where value <= power * factor * 1.0001 { return power * factor }
        return power * 10
    }

    /// A round number that is not below.
    static func roundUp(_ value: Double) -> Double {
        let step = roundStep(value / 4)
        return (value / step * 0.9999).rounded(.up) * step
    }
}
