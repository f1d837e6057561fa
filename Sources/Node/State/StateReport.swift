// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
package import BrumeState
import Synchronization

/// What a node's state is and does at the moment.
package struct StateReport: Sendable {
    /// What the replica holds, and what it has done.
    package var replica: StateFigures
    package var counts: StateCounts
    package var flushes = 0
    package var framesSent = 0
    package var bytesSent = 0
    package var framesReceived = 0
    package var bytesReceived = 0
    package var snapshots = 0
    /// Parts that the last snapshot wrote: those that changed since the one before.
    package var snapshotParts = 0
    package var waiters = 0
    package var subscriptions = 0
    package var damagedPieces = 0
    /// Mean time from the beginning of a wait to its end, of all so far.
    package var meanWait = Duration.zero
    package var log = StateLogFigures()
    /// How far every other member is behind, by node.
    package var lags: [StatePeerLag] = []

    init(_ replica: StateFigures, _ counts: StateCounts) {
        self.replica = replica
        self.counts = counts
    }
}

extension StateService {
    package func report() -> StateReport {
        let now = world.now()
        var report = core.locked { replica, shell in
            var report = StateReport(replica.figures, replica.counts)
            report.lags = replica.lags(now)
            report.flushes = shell.figures.flushes
            report.framesSent = shell.figures.framesSent
            report.bytesSent = shell.figures.bytesSent
            report.framesReceived = shell.figures.framesReceived
            report.bytesReceived = shell.figures.bytesReceived
            report.snapshots = shell.figures.snapshots
            report.snapshotParts = shell.figures.snapshotParts
            report.waiters = shell.waiters.count
            if shell.figures.settled > 0 {
                report.meanWait = .nanoseconds(shell.figures.settleNanoseconds / Int64(shell.figures.settled))
            }
            return report
        }
        report.subscriptions = subscriptions.count
        report.damagedPieces = damagedPieces.load(ordering: .relaxed)
        report.log = log.figures
        return report
    }

    /// What each figure of state says, by name.
    package static var metricDescriptions: [String: String] { StateMetrics.descriptions }

    /// Brings the gauges up to date; call before the metrics are rendered.
    package func publishMetrics() { metrics.publish(report()) }
}

extension StateReport {
    /// Every figure by a name of its own, for people and programs.
    package var figures: [(name: String, value: Double)] {
        let lines: [(String, Int)] = [
            ("objects", replica.objects), ("bytes", replica.bytes), ("shells", replica.shells), ("peers-up", replica.peersUp),
            ("pending-batches", replica.pendingBatches), ("pending-bytes", replica.pendingBytes), ("batches", counts.batches),
            ("flushed-objects", counts.flushedObjects), ("merged-batches", counts.mergedBatches), ("resent-batches", counts.resentBatches),
            ("refused-frames", counts.refusedFrames), ("removed-frames", counts.removedFrames), ("comparisons", counts.pulls),
            ("pulled-objects", counts.pulledObjects),
            ("answered-objects", counts.answeredObjects), ("answered-differences", counts.answeredDifferences),
            ("collected-rests", counts.collectedRests), ("late-answers", counts.lateAnswers),
            ("namespaces-kept", replica.keptNamespaces), ("namespaces-pinned", replica.pinnedNamespaces),
            ("namespaces-coming", replica.unfilledNamespaces), ("namespaces-pulled", counts.takenUpNamespaces),
            ("namespaces-dropped", counts.droppedNamespaces),
            ("kind-conflicts", counts.kindConflicts), ("duplicate-identities", counts.duplicateIdentities), ("expired", counts.expired),
            ("frames-sent", framesSent), ("bytes-sent", bytesSent), ("frames-received", framesReceived),
            ("bytes-received", bytesReceived), ("waiters", waiters), ("subscriptions", subscriptions), ("snapshots", snapshots),
            ("snapshot-parts", snapshotParts),
            ("damaged-pieces", damagedPieces), ("log-record-bytes", log.recordBytes), ("log-snapshot-bytes", log.partBytes),
            ("log-pending-bytes", log.pendingBytes), ("log-commits", log.commits), ("log-records", log.records),
            ("log-trouble", log.trouble == nil ? 0 : 1),
        ]
        return lines.map { ($0.0, Double($0.1)) } + [
            ("log-last-commit-ms", log.lastCommit.inMilliseconds), ("mean-wait-ms", meanWait.inMilliseconds),
        ] + lags.flatMap(Self.figures)
    }

    /// A member's figures, which are named after it; a time is left out where there is none.
    private static func figures(_ lag: StatePeerLag) -> [(name: String, value: Double)] {
        let name = "peer.\(lag.node)"
        var figures: [(name: String, value: Double)] = [
            ("\(name).up", lag.isUp ? 1 : 0), ("\(name).behind", lag.isBehind ? 1 : 0),
            ("\(name).unacknowledged-batches", Double(lag.batches)), ("\(name).unacknowledged-bytes", Double(lag.bytes)),
        ]
        if let oldest = lag.oldest { figures.append(("\(name).oldest-unacknowledged-ms", oldest.inMilliseconds)) }
        if let silence = lag.silence { figures.append(("\(name).last-heard-ms", silence.inMilliseconds)) }
        return figures
    }
}
