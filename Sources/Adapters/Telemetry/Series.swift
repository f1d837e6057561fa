// SPDX-License-Identifier: Apache-2.0
import Metrics
import Synchronization

/// One line of a report, or a histogram's lines: a name, labels, and a value that many tasks change at once.
protocol Series: AnyObject, Sendable {
    var name: String { get }
    var labels: Labels { get }
    func write(name: String, into text: inout MetricText)
}

/// Label pairs in order of their names, and their text as it stands in a report.
struct Labels: Hashable, Comparable, Sendable {
    /// `a="1",b="2"`, escaped.
    let text: String

    init(_ pairs: [(String, String)]) {
        switch pairs.count {
        case 0: text = ""
        case 1: text = MetricText.pair(pairs[0])
        default: text = pairs.sorted { $0.0 < $1.0 }.map(MetricText.pair).joined(separator: ",")
        }
    }

    static func < (left: Labels, right: Labels) -> Bool { left.text < right.text }
}

/// A count that only grows.
final class CounterSeries: Series, CounterHandler {
    let name: String
    let labels: Labels
    private let value = Atomic<Int64>(0)

    init(name: String, labels: Labels) {
        self.name = name
        self.labels = labels
    }

    func increment(by amount: Int64) { value.wrappingAdd(amount, ordering: .relaxed) }
    func reset() { value.store(0, ordering: .relaxed) }
    func write(name: String, into text: inout MetricText) {
        text.sample(name: name, labels: labels, integer: value.load(ordering: .relaxed))
    }
}

/// A sum of fractions that only grows.
final class FloatingCounterSeries: Series, FloatingPointCounterHandler {
    let name: String
    let labels: Labels
    private let value = AtomicDouble()

    init(name: String, labels: Labels) {
        self.name = name
        self.labels = labels
    }

    func increment(by amount: Double) {
        // A counter that fell would look like a restart.
        guard amount > 0, amount.isFinite else { return }
        value.add(amount)
    }

    func reset() { value.store(0) }
    func write(name: String, into text: inout MetricText) { text.sample(name: name, labels: labels, value: value.load()) }
}

/// A value that goes up and down.
final class GaugeSeries: Series, MeterHandler, RecorderHandler {
    let name: String
    let labels: Labels
    private let value = AtomicDouble()

    init(name: String, labels: Labels) {
        self.name = name
        self.labels = labels
    }

    func set(_ value: Int64) { self.value.store(Double(value)) }
    func set(_ value: Double) { self.value.store(value) }
    func increment(by amount: Double) { value.add(amount) }
    func decrement(by amount: Double) { value.add(-amount) }
    func record(_ value: Int64) { set(value) }
    func record(_ value: Double) { set(value) }
    func write(name: String, into text: inout MetricText) { text.sample(name: name, labels: labels, value: value.load()) }
}

/// How values spread over buckets, with their sum. Timers record seconds.
final class HistogramSeries: Series, RecorderHandler, TimerHandler {
    private struct Counts: Sendable {
        /// One for each bound and one for what lies above them all.
        var buckets: [Int64]
        var sum = 0.0
    }

    let name: String
    let labels: Labels
    private let bounds: [Double]
    private let counts: Mutex<Counts>

    init(name: String, labels: Labels, bounds: [Double]) {
        self.name = name
        self.labels = labels
        self.bounds = bounds
        counts = Mutex(Counts(buckets: Array(repeating: 0, count: bounds.count + 1)))
    }

    func record(_ value: Int64) { record(Double(value)) }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

    func record(_ value: Double) {
        guard !value.isNaN else { return }
        // Few bounds, in ascending order: a straight search beats a binary one.
        var index = 0
        while index < bounds.count, value > bounds[index] { index += 1 }
        counts.withLock {
            $0.buckets[index] += 1
            $0.sum += value
        }
    }

    func write(name: String, into text: inout MetricText) {
        let counts = counts.withLock { $0 }
        var total: Int64 = 0
        for (index, count) in counts.buckets.enumerated() {
            total += count
            text.bucket(name: name, labels: labels, bound: index < bounds.count ? bounds[index] : .infinity, count: total)
        }
        text.sample(name: name + "_sum", labels: labels, value: counts.sum)
        text.sample(name: name + "_count", labels: labels, integer: total)
    }
}

/// A double that is changed without a lock.
final class AtomicDouble: Sendable {
    private let bits = Atomic<UInt64>(0)

    func load() -> Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
    func store(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    func add(_ amount: Double) {
        var seen = bits.load(ordering: .relaxed)
        while true {
            let sum = (Double(bitPattern: seen) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: seen, desired: sum, ordering: .relaxed)
            if exchanged { return }
            seen = original
        }
    }
}
