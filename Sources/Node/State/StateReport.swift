// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import BrumeState

/// What a node's state is and does at the moment.
package struct StateReport: Sendable {
    package var objects = 0
    package var bytes = 0
    package var flushes = 0
    package var framesSent = 0
    package var bytesSent = 0
    package var framesReceived = 0
    package var bytesReceived = 0
    package var snapshots = 0
    package var waiters = 0
    package var subscriptions = 0
    package var damagedPieces = 0
    /// Mean time from the beginning of a wait to its end, of all so far.
    package var meanWait = Duration.zero
    package var log = StateLogFigures()
}

extension StateService {
    package func report() -> StateReport {
        var report = core.locked { replica, shell in
            var report = StateReport()
            for space in replica.allSpaces() {
                report.objects += replica.count(in: space)
            }
            report.flushes = shell.figures.flushes
            report.framesSent = shell.figures.framesSent
            report.bytesSent = shell.figures.bytesSent
            report.framesReceived = shell.figures.framesReceived
            report.bytesReceived = shell.figures.bytesReceived
            report.snapshots = shell.figures.snapshots
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

    /// Brings the gauges up to date; call before the metrics are rendered.
    package func publishMetrics() { metrics.publish(report()) }
}
