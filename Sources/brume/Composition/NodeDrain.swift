// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeNode
import BrumeState
import Logging
import ServiceLifecycle
import Synchronization

/// Takes a node out of its cluster without loss, when somebody asks for it: it takes no more calls, finishes what it has, hands its state
/// over, and then ends. Until then it may be asked to stay.
final class NodeDrain: Service {
    /// How often it looks how far it has come: calls end and disks are written without a word to it.
    private static let look = Duration.milliseconds(100)
    /// News of it go round no more often: each is a word to all members.
    private static let tellEvery = Duration.milliseconds(500)
    /// Time for the last news to go round, before the goodbye.
    private static let farewell = Duration.seconds(2)

    private let parts: ClusterAssembly.Parts
    private let state: StateService
    private let close: @Sendable (Bool) -> Void
    private let openCalls: @Sendable () -> Int
    private let logger = Logger(label: "brume.drain")
    private let isWanted = Mutex(false)
    /// The newest wish counts, and is read where it is needed.
    private let (wishes, wishInput) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    /// - Parameters:
    ///   - close: has the node take no new calls, or take them again.
    ///   - openCalls: how many calls run or wait.
    init(
        _ parts: ClusterAssembly.Parts, state: StateService, close: @escaping @Sendable (Bool) -> Void,
        openCalls: @escaping @Sendable () -> Int
    ) {
        self.parts = parts
        self.state = state
        self.close = close
        self.openCalls = openCalls
        parts.cluster.onDrain { self.ask($0) }
    }

    private func ask(_ wanted: Bool) {
        isWanted.withLock { $0 = wanted }
        wishInput.yield()
    }

    /// Ends when everything is handed over, and with it the node; or when the node is stopped otherwise.
    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in self.wishes where self.isWanted.withLock({ $0 }) {
                if await self.handOver() { return }
            }
        }
    }

    /// Answers whether the node may go.
    private func handOver() async -> Bool {
        logger.info("this node takes no more calls, and hands its state over")
        close(true)
        var told: (report: HandoverReport, at: ContinuousClock.Instant)?
        var isStateAsked = false
        while isWanted.withLock({ $0 }), !Task.isCancelled {
            let calls = openCalls()
            if calls == 0, !isStateAsked {
                state.handOver(true)
                isStateAsked = true
            }
            let report = report(calls)
            let isDue = told.map { $0.report.phase != report.phase || ContinuousClock.now - $0.at >= Self.tellEvery } ?? true
            if told?.report != report, isDue {
                tell(report)
                told = (report, .now)
            }
            if report.phase == .done {
                logger.info("everything is handed over; this node leaves")
                try? await Task.sleep(for: Self.farewell)
                return true
            }
            try? await Task.sleep(for: Self.look)
        }
        state.handOver(false)
        close(false)
        tell(nil)
        return false
    }

    private func report(_ calls: Int) -> HandoverReport {
        guard calls == 0, let progress = state.handover else { return HandoverReport(phase: .calls, calls: calls) }
        // A node that nobody can take over from must not go for lack of anything to wait for.
        let isDone = progress.isDone && !progress.done.isEmpty
        return HandoverReport(
            phase: isDone ? .done : .state, objects: progress.objects, bytes: progress.bytes, done: progress.done.count,
            behind: progress.behind.count, unreachable: progress.unreachable.count)
    }

    private func tell(_ report: HandoverReport?) {
        parts.profile.setHandover(report)
        do {
            parts.cluster.describe(try parts.profile.meta)
        } catch {
            logger.warning("others are not told how far this node has come", metadata: ["error": "\(error)"])
        }
    }
}
