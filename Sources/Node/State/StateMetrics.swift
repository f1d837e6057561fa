// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Metrics

/// What a node's state counts. Names begin with `brume_state_`; sizes are bytes, times seconds.
struct StateMetrics: Sendable {
    private let objects = Gauge(label: "brume_state_objects")
    private let bytes = Gauge(label: "brume_state_bytes")
    private let flushes = Gauge(label: "brume_state_flushes")
    private let framesSent = Gauge(label: "brume_state_frames_sent")
    private let bytesSent = Gauge(label: "brume_state_sent_bytes")
    private let framesReceived = Gauge(label: "brume_state_frames_received")
    private let bytesReceived = Gauge(label: "brume_state_received_bytes")
    private let recordBytes = Gauge(label: "brume_state_log_record_bytes")
    private let partBytes = Gauge(label: "brume_state_log_snapshot_bytes")
    private let pendingBytes = Gauge(label: "brume_state_log_pending_bytes")
    private let commits = Gauge(label: "brume_state_log_commits")
    private let lastCommit = Gauge(label: "brume_state_log_last_commit_seconds")
    private let isTroubled = Gauge(label: "brume_state_log_trouble")
    private let snapshots = Gauge(label: "brume_state_snapshots")
    private let damaged = Gauge(label: "brume_state_damaged_pieces")
    private let waiters = Gauge(label: "brume_state_waiters")
    private let batches = Gauge(label: "brume_state_batches")
    private let flushedObjects = Gauge(label: "brume_state_flushed_objects")
    private let kindConflicts = Gauge(label: "brume_state_kind_conflicts")
    private let kept = Gauge(label: "brume_state_namespaces_kept")
    private let pinned = Gauge(label: "brume_state_namespaces_pinned")
    private let unfilled = Gauge(label: "brume_state_namespaces_coming")
    private let pulled = Gauge(label: "brume_state_namespaces_pulled")
    private let dropped = Gauge(label: "brume_state_namespaces_dropped")
    private let pulledObjects = Gauge(label: "brume_state_pulled_objects")
    private let peersUp = Gauge(label: "brume_state_peers_up")
    private let unacknowledged = Gauge(label: "brume_state_unacknowledged_bytes")
    private let peers = PeerMetrics()

    func publish(_ report: StateReport) {
        objects.record(report.replica.objects)
        bytes.record(report.replica.bytes)
        flushes.record(report.flushes)
        framesSent.record(report.framesSent)
        bytesSent.record(report.bytesSent)
        framesReceived.record(report.framesReceived)
        bytesReceived.record(report.bytesReceived)
        recordBytes.record(report.log.recordBytes)
        partBytes.record(report.log.partBytes)
        pendingBytes.record(report.log.pendingBytes)
        commits.record(report.log.commits)
        lastCommit.record(report.log.lastCommit.inSeconds)
        isTroubled.record(report.log.trouble == nil ? 0 : 1)
        snapshots.record(report.snapshots)
        damaged.record(report.damagedPieces)
        waiters.record(report.waiters)
        batches.record(report.counts.batches)
        flushedObjects.record(report.counts.flushedObjects)
        kindConflicts.record(report.counts.kindConflicts)
        kept.record(report.replica.keptNamespaces)
        pinned.record(report.replica.pinnedNamespaces)
        unfilled.record(report.replica.unfilledNamespaces)
        pulled.record(report.counts.takenUpNamespaces)
        dropped.record(report.counts.droppedNamespaces)
        pulledObjects.record(report.counts.pulledObjects)
        peersUp.record(report.replica.peersUp)
        unacknowledged.record(report.replica.pendingBytes)
        peers.publish(report.lags)
    }

    /// What each figure says, by name.
    static let descriptions = [
        "brume_state_objects": "Objects that exist on this node.",
        "brume_state_bytes": "Memory of objects, approximately.",
        "brume_state_flushes": "Batches of writes made since the start.",
        "brume_state_frames_sent": "Frames handed to the link since the start.",
        "brume_state_sent_bytes": "Bytes handed to the link since the start.",
        "brume_state_frames_received": "Frames taken from the link since the start.",
        "brume_state_received_bytes": "Bytes taken from the link since the start.",
        "brume_state_log_record_bytes": "Records of the log that no snapshot has replaced yet.",
        "brume_state_log_snapshot_bytes": "Size of the snapshot.",
        "brume_state_log_pending_bytes": "Records that wait in memory for the disk.",
        "brume_state_log_commits": "Commits of the log since the start.",
        "brume_state_log_last_commit_seconds": "How long the last commit took, its waiting included.",
        "brume_state_log_trouble": "1 while the log cannot be written.",
        "brume_state_snapshots": "Snapshots finished since the start.",
        "brume_state_damaged_pieces": "Pieces of the log that could not be read at the start.",
        "brume_state_batches": "Batches of deltas made since the start.",
        "brume_state_flushed_objects": "Objects whose changes went into those batches.",
        "brume_state_kind_conflicts": "Keys that two nodes made with two kinds.",
        "brume_state_namespaces_kept": "Namespaces that this node keeps.",
        "brume_state_namespaces_pinned": "Of those, namespaces that a policy or a function keeps here.",
        "brume_state_namespaces_coming": "Of those, namespaces of which other nodes have still to send a part.",
        "brume_state_namespaces_pulled": "Namespaces that this node began to keep since the start, for a use, a function or a policy.",
        "brume_state_namespaces_dropped": "Namespaces that this node dropped since the start, after others had promised to keep them.",
        "brume_state_pulled_objects": "Objects that came by a comparison or a question, and not by a batch.",
        "brume_state_peers_up": "Nodes that frames of state reach.",
        "brume_state_unacknowledged_bytes": "Batches that some node lacks; those are kept until it has them, or compares.",
        "brume_state_peer_up": "1 while frames of state reach the member.",
        "brume_state_peer_behind": "1 while the member lacks batches that are not kept any more, and must compare.",
        "brume_state_peer_unacknowledged_batches": "Batches that the member has not acknowledged.",
        "brume_state_peer_unacknowledged_bytes": "Bytes of those batches that are kept.",
        "brume_state_peer_oldest_seconds": "Age of the oldest of them; 0 where there is none.",
        "brume_state_peer_silence_seconds": "Time since the last frame of state that came from the member; -1 where none ever came.",
        "brume_state_waiters": "Calls that wait for a write to settle or for a session.",
    ]
}
