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
        "brume_watch_events":
            "Times since the start that the kernel told, and a replica was looked at for that: memory.events of one at its lowered limit, "
            + "memory.pressure of stalls for want of memory.",
        "brume_watch_refused_writes": "Limits since the start that the kernel did not take.",
        "brume_memory_guard": "1 for each way in which the memory of calls that lend is guarded, 0 for ways that are not there.",
    ]

    private let looks = Gauge(label: "brume_watch_looks")
    private let skipped = Gauge(label: "brume_watch_skipped")
    private let pauses = Gauge(label: "brume_watch_pauses")
    private let crossings = Gauge(label: "brume_watch_events", dimensions: [("source", "memory.events")])
    private let pressures = Gauge(label: "brume_watch_events", dimensions: [("source", "memory.pressure")])
    private let refused = Gauge(label: "brume_watch_refused_writes")

    /// - Parameter memoryGuard: does not change while the node lives.
    init(_ memoryGuard: MemoryGuard) {
        for (way, isThere) in memoryGuard.ways {
            Gauge(label: "brume_memory_guard", dimensions: [("way", way)]).record(isThere ? 1 : 0)
        }
    }

    /// Brings the figures up to date; call before they are rendered.
    func publish(_ counts: WatchCounts) {
        crossings.record(counts.crossings)
        pressures.record(counts.pressures)
        refused.record(counts.refused)
        looks.record(counts.looks)
        skipped.record(counts.skipped)
        pauses.record(counts.pauses)
    }
}
