// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Metrics
import Synchronization

/// The lag of each other member, labelled with its name; a member that was removed takes its figures with it.
final class PeerMetrics: Sendable {
    private struct Gauges: Sendable {
        let up: Gauge
        let behind: Gauge
        let batches: Gauge
        let bytes: Gauge
        let oldest: Gauge
        let silence: Gauge

        init(_ node: NodeID) {
            let dimensions = [("peer", "\(node)")]
            up = Gauge(label: "brume_state_peer_up", dimensions: dimensions)
            behind = Gauge(label: "brume_state_peer_behind", dimensions: dimensions)
            batches = Gauge(label: "brume_state_peer_unacknowledged_batches", dimensions: dimensions)
            bytes = Gauge(label: "brume_state_peer_unacknowledged_bytes", dimensions: dimensions)
            oldest = Gauge(label: "brume_state_peer_oldest_seconds", dimensions: dimensions)
            silence = Gauge(label: "brume_state_peer_silence_seconds", dimensions: dimensions)
        }

        func record(_ lag: StatePeerLag) {
            up.record(lag.isUp ? 1 : 0)
            behind.record(lag.isBehind ? 1 : 0)
            batches.record(lag.batches)
            bytes.record(lag.bytes)
            oldest.record(lag.oldest?.inSeconds ?? 0)
            silence.record(lag.silence?.inSeconds ?? -1)
        }

        func destroy() {
            for gauge in [up, behind, batches, bytes, oldest, silence] { gauge.destroy() }
        }
    }

    /// By node; as many as there are members.
    private let gauges = Mutex<[NodeID: Gauges]>([:])

    func publish(_ lags: [StatePeerLag]) {
        gauges.withLock { gauges in
            let gone = gauges.keys.filter { node in !lags.contains { $0.node == node } }
            for node in gone { gauges.removeValue(forKey: node)?.destroy() }
            for lag in lags {
                let known = gauges[lag.node] ?? Gauges(lag.node)
                known.record(lag)
                gauges[lag.node] = known
            }
        }
    }
}
