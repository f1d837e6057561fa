// SPDX-License-Identifier: Apache-2.0
import Metrics
import Synchronization

/// How a metric is described and, for a histogram, divided.
package struct MetricDescription: Sendable {
    package var help: String
    /// Upper bounds of the buckets in ascending order, without the last one (infinity); nil takes the registry's default.
    package var buckets: [Double]?

    package init(help: String, buckets: [Double]? = nil) {
        self.help = help
        self.buckets = buckets
    }
}

/// Bounds and texts of a ``PrometheusRegistry``.
package struct PrometheusSettings: Sendable {
    /// Series under one name; more fall together into one series labelled `overflow="true"`. A few labels for each of some hundred
    /// functions fit, and a label that takes endless values by mistake cannot fill the memory.
    package var seriesPerNameMax = 1_000
    /// From half a millisecond to a minute, in seconds, about three for each power of ten.
    package var buckets: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]
    /// By metric name.
    package var descriptions: [String: MetricDescription] = [:]

    package init() {}
}

/// A swift-metrics backend that renders the Prometheus text format 0.0.4.
///
/// Labels are the dimensions. A counter keeps the name it was given; timers and aggregating recorders are histograms, timers in
/// seconds; other recorders and meters are gauges. Making a handle looks it up under a lock; using one touches only its own series.
package final class PrometheusRegistry: Sendable {
    /// The name under which measurements beyond a limit are counted.
    package static let overflowName = "brume_metrics_overflow_total"

    enum Kind: String, Sendable { case counter, gauge, histogram }

    struct Family: Sendable {
        let kind: Kind
        let help: String
        let buckets: [Double]
        var series: [Labels: any Series] = [:]
        var overflow: (any Series)?
        /// Handles that had to share the overflow series.
        var overflows: Int64 = 0
    }

    private let settings: PrometheusSettings
    private let families = Mutex<[String: Family]>([:])

    package init(settings: PrometheusSettings = PrometheusSettings()) { self.settings = settings }

    // MARK: - Series

    /// The series of a name and labels: the one that is there, or a new one.
    func series<S: Series>(_ name: String, _ kind: Kind, _ dimensions: [(String, String)], make: (Labels, [Double]) -> S) -> S {
        let name = MetricText.name(name)
        let labels = Labels(dimensions)
        return families.withLock { families in
            if let existing = families[name]?.series[labels] as? S { return existing }
            // Changed in place: a copy of the family would copy its table of series.
            return Self.add(
                labels, kind, to: &families[name, default: newFamily(name, kind)], seriesMax: settings.seriesPerNameMax, make: make)
        }
    }

    private static func add<S: Series>(
        _ labels: Labels, _ kind: Kind, to family: inout Family, seriesMax: Int, make: (Labels, [Double]) -> S
    ) -> S {
        // The name is taken by another kind: the values go nowhere, and the count of overflows tells.
        guard family.kind == kind, family.series[labels] == nil else {
            family.overflows += 1
            return make(labels, family.buckets)
        }
        guard family.series.count < seriesMax else {
            family.overflows += 1
            if let overflow = family.overflow as? S { return overflow }
            let overflow = make(Labels([("overflow", "true")]), family.buckets)
            family.overflow = overflow
            return overflow
        }
        let made = make(labels, family.buckets)
        family.series[labels] = made
        return made
    }

    /// Forgets a series, so that what it stood for (a removed function) leaves the report and makes room.
    func remove(_ series: any Series, name: String) {
        families.withLock { families in
            guard families[name]?.series[series.labels] === series else { return }
            families[name]?.series[series.labels] = nil
        }
    }

    private func newFamily(_ name: String, _ kind: Kind) -> Family {
        let description = settings.descriptions[name]
        return Family(
            kind: kind, help: description?.help ?? MetricText.sentence(fromName: name),
            buckets: kind == .histogram ? description?.buckets ?? settings.buckets : [])
    }

    // MARK: - Report

    /// The whole report, by name and then by labels, so that two reports of the same state are the same bytes.
    package func render() -> [UInt8] {
        let families = families.withLock { $0 }
        var text = MetricText()
        var overflows: [(name: String, count: Int64)] = []
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            if family.overflows > 0 { overflows.append((name, family.overflows)) }
            let series = family.series.values.sorted { $0.labels < $1.labels } + (family.overflow.map { [$0] } ?? [])
            guard !series.isEmpty else { continue }
            text.header(name: name, help: family.help, type: family.kind.rawValue)
            for one in series { one.write(name: name, into: &text) }
        }
        if !overflows.isEmpty {
            text.header(
                name: Self.overflowName, help: "Handles that found their name's limit of series, or its kind, taken.", type: "counter")
            for overflow in overflows {
                text.sample(name: Self.overflowName, labels: Labels([("metric", overflow.name)]), integer: overflow.count)
            }
        }
        return text.bytes
    }

    /// The content type of ``render()``.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"
}
