// SPDX-License-Identifier: Apache-2.0

import BrumeGateway
import BrumeNode
import BrumeStore
import BrumeTelemetry
import Metrics

/// The registry of a node's figures, each with a sentence that says what it counts.
enum NodeRegistry {
    static func make() -> PrometheusRegistry {
        var settings = PrometheusSettings()
        let texts = [NodeMetrics.descriptions, NodeMetrics.harvestDescriptions, GatewayMetrics.descriptions, StoreMetrics.descriptions]
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
