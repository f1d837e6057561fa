// SPDX-License-Identifier: Apache-2.0

import BrumeGateway
import BrumeNode
import BrumeSandbox
import BrumeStore
import BrumeTelemetry
import Metrics

/// The registry of a node's figures, each with a sentence that says what it counts.
enum NodeRegistry {
    static func make() -> PrometheusRegistry {
        var settings = PrometheusSettings()
        let texts = [
            NodeMetrics.descriptions, NodeMetrics.harvestDescriptions, GatewayMetrics.descriptions, StoreMetrics.descriptions,
            WatchMetrics.descriptions, StateService.metricDescriptions, LinkMetrics.descriptions,
        ]
        for (name, help) in texts.joined() { settings.descriptions[name] = MetricDescription(help: help) }
        return PrometheusRegistry(settings: settings)
    }
}

/// What a store could not keep. Names begin with `brume_store_`.
struct StoreMetrics: Sendable {
    static let descriptions = [
        "brume_store_dropped_calls": "Records of ended calls since the start that the disk was too slow for.",
        "brume_store_dropped_lines": "Log lines since the start that the disk was too slow for.",
        "brume_store_dropped_results": "Results since the start that no callback URL took before newer ones needed their place.",
    ]

    private let calls = Gauge(label: "brume_store_dropped_calls")
    private let lines = Gauge(label: "brume_store_dropped_lines")
    private let results = Gauge(label: "brume_store_dropped_results")

    /// Brings the figures up to date; call before they are rendered.
    func publish(_ dropped: DroppedRecords) {
        calls.record(dropped.calls)
        lines.record(dropped.lines)
        results.record(dropped.results)
    }
}

/// What the watcher of running calls has done, on a node that harvests.
struct WatchMetrics: Sendable {
    static let descriptions = [
        "brume_watch_looks": "Looks at what a running replica uses, since the start.",
        "brume_watch_skipped": "Looks since the start at which a counter could not be read, because its group was just going.",
        "brume_watch_pauses": "Times since the start that a replica was paused until it had the memory that it had lent.",
    ]

    private let looks = Gauge(label: "brume_watch_looks")
    private let skipped = Gauge(label: "brume_watch_skipped")
    private let pauses = Gauge(label: "brume_watch_pauses")

    /// Brings the figures up to date; call before they are rendered.
    func publish(_ counts: WatchCounts) {
        looks.record(counts.looks)
        skipped.record(counts.skipped)
        pauses.record(counts.pauses)
    }
}
