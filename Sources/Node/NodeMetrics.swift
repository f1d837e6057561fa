// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel
import Metrics
import Synchronization

/// What a node counts beyond what its gateway counts per call. Names begin with `brume_`; sizes are bytes, times seconds.
package struct NodeMetrics: Sendable {
    private let coldCalls = Counter(label: "brume_cold_calls_total")
    private let replicasStarted = Counter(label: "brume_replica_starts_total")
    private let startsFailed = Counter(label: "brume_replica_start_failures_total")
    private let callsResent = Counter(label: "brume_calls_resent_total")
    private let attemptsRetried = Counter(label: "brume_queue_retries_total")
    private let callsBuried = Counter(label: "brume_queue_dead_total")
    private let replicas = Gauge(label: "brume_replicas")
    private let replicasStarting = Gauge(label: "brume_replicas_starting")
    private let callsRunning = Gauge(label: "brume_calls_running")
    private let callsQueued = Gauge(label: "brume_calls_queued")
    private let callsAsynchronous = Gauge(label: "brume_calls_asynchronous")
    private let reservedMillicores = Gauge(label: "brume_reserved_millicores")
    private let reservedMemory = Gauge(label: "brume_reserved_memory_bytes")
    private let recordsSkipped = Gauge(label: "brume_call_records_skipped")
    private let residentMemory = Gauge(label: "brume_node_resident_memory_bytes")

    func count(_ output: Output) {
        switch output {
        case .run(_, _, cold: true, _): coldCalls.increment()
        case .retry: attemptsRetried.increment()
        case .bury: callsBuried.increment()
        case .note(.startedReplica): replicasStarted.increment()
        case .note(.startFailed): startsFailed.increment()
        case .note(.resent): callsResent.increment()
        default: break
        }
    }

    func publish(_ view: EngineView, recordsSkipped skipped: Int, residentBytes: Int) {
        recordsSkipped.record(skipped)
        replicas.record(view.replicas)
        replicasStarting.record(view.starting)
        callsRunning.record(view.runningCalls)
        callsQueued.record(view.queuedCalls)
        callsAsynchronous.record(view.asynchronousCalls)
        reservedMillicores.record(view.reserved.millicores)
        reservedMemory.record(view.reserved.memoryBytes)
        residentMemory.record(residentBytes)
    }
}

extension NodeMetrics {
    /// What each figure says, by name.
    package static let descriptions = [
        "brume_cold_calls_total": "Calls that waited for a replica to start.",
        "brume_replica_starts_total": "Replicas that were begun to be started.",
        "brume_replica_start_failures_total": "Replicas that did not come up.",
        "brume_calls_resent_total": "Calls sent to another replica because the first was gone before they reached it.",
        "brume_queue_retries_total": "Attempts of asynchronous calls that failed and are followed by another.",
        "brume_queue_dead_total": "Asynchronous calls whose attempts all failed.",
        "brume_replicas": "Replicas, those that start or end included.",
        "brume_replicas_starting": "Replicas that are being started.",
        "brume_calls_running": "Calls that a replica works on.",
        "brume_calls_queued": "Calls that wait for a replica.",
        "brume_calls_asynchronous": "Asynchronous calls that are accepted and have not ended.",
        "brume_reserved_millicores": "CPU reserved for replicas, thousandths of a core.",
        "brume_reserved_memory_bytes": "Memory reserved for replicas.",
        "brume_call_records_skipped": "Ended calls since the start that were warm, good and too many to write; kept in memory for a while.",
        "brume_node_resident_memory_bytes": "Memory of the node's own process.",
    ]
}

extension NodeService {
    /// Brings the gauges up to date; call before the metrics are rendered.
    package func publishMetrics() {
        let (view, skipped, harvest) = books.withLock { books in
            let figures = books.engine.harvester.map { HarvestFigures($0, heldBack: books.harvest.heldBack, now: clock.now) }
            return (books.engine.view, books.records.skipped, figures)
        }
        metrics.publish(view, recordsSkipped: skipped, residentBytes: world.residentBytes())
        if let harvest { harvestMetrics?.publish(harvest) }
    }
}
