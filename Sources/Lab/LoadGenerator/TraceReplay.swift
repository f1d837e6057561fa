// SPDX-License-Identifier: Apache-2.0

public import BrumeModel
public import BrumeWorkload
import NIOCore
import NIOPosix

/// Replays a trace against a gateway and records what became of each call.
public struct TraceReplay: Sendable {
    private let plan: ReplayPlan

    /// - Throws: `BrumeError` if the plan is not possible (``ReplayPlan/validate()``).
    public init(_ plan: ReplayPlan) throws(BrumeError) {
        try plan.validate()
        self.plan = plan
    }

    /// Plays the trace to its end: until each call has an answer or has waited for one for the plan's timeout.
    ///
    /// A gateway that cannot be reached is not an error: the records say so.
    /// - Parameter progress: told four times a second; runs on the replay's thread and must not block.
    /// - Returns: one record per call, in the order of the trace.
    /// - Throws: `BrumeError` (`invalid`) if the address cannot be resolved; `CancellationError`.
    public func run(progress: (@Sendable (ReplayProgress) -> Void)? = nil) async throws -> [ReplayRecord] {
        let address = try LoadGenerator.resolve(plan.gateway)
        // One thread sends as many calls as any function platform takes.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let records = try await run(on: group.next(), address: address, progress: progress)
            try await group.shutdownGracefully()
            return records
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    private func run(
        on loop: any EventLoop, address: SocketAddress, progress: (@Sendable (ReplayProgress) -> Void)?
    ) async throws -> [ReplayRecord] {
        let worker = try await loop.submit { [plan] in
            NIOLoopBound(ReplayWorker(loop: loop, plan: plan, address: address, progress: progress), eventLoop: loop)
        }.get()
        return try await withTaskCancellationHandler {
            let records = try await loop.flatSubmit { worker.value.run() }.get()
            try Task.checkCancellation()
            return records
        } onCancel: {
            loop.execute { worker.value.stop() }
        }
    }
}
