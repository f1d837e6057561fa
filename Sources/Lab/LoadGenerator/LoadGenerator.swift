// SPDX-License-Identifier: Apache-2.0

public import BrumeModel
import NIOCore
import NIOPosix
import Synchronization

/// Sends load to a server and measures how it answers.
///
/// In the open loop every request has a time at which it is due, and its latency counts from there: a server that stalls for a second
/// is charged with every request that should have been sent in that second, not with one.
public struct LoadGenerator: Sendable {
    private let plan: LoadPlan

    /// - Throws: `BrumeError` if the plan is not possible (``LoadPlan/validate()``).
    public init(_ plan: LoadPlan) throws(BrumeError) {
        try plan.validate()
        self.plan = plan
    }

    /// Runs the plan to its end: its warm-up, its duration and at most its timeout after that. Cancelling the task ends it early.
    ///
    /// A server that cannot be reached is not an error: the report counts it.
    /// - Parameter progress: told a few times a second how far the run is; runs on the generator's threads and must not block.
    /// - Throws: `BrumeError` (`invalid`) if the address cannot be resolved; `CancellationError`.
    public func run(progress: (@Sendable (LoadProgress) -> Void)? = nil) async throws -> LoadReport {
        let address = try Self.resolve(plan.target)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: plan.threads)
        do {
            let report = try await run(on: group, address: address, progress: progress)
            try await group.shutdownGracefully()
            return report
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    private func run(
        on group: MultiThreadedEventLoopGroup, address: SocketAddress, progress: (@Sendable (LoadProgress) -> Void)?
    ) async throws -> LoadReport {
        let totals = ProgressTotals(workers: plan.threads, tell: progress)
        var workers: [NIOLoopBound<LoadWorker>] = []
        for index in 0..<plan.threads {
            let loop = group.next()
            let worker = try await loop.submit { [plan] in
                let share = Share(index: index, count: plan.threads)
                return NIOLoopBound(LoadWorker(loop: loop, plan: plan, address: address, share: share), eventLoop: loop)
            }.get()
            workers.append(worker)
        }
        let all = workers
        return try await withTaskCancellationHandler {
            for worker in all { try await worker.eventLoop.flatSubmit { worker.value.connect() }.get() }
            try Task.checkCancellation()
            // Time for every thread to get the order before it is due.
            let start = NIODeadline.now() + .milliseconds(5)
            let runs = all.enumerated().map { index, worker in
                worker.eventLoop.flatSubmit { worker.value.run(from: start, progress: totals.ticker(index)) }
            }
            var tally = LoadTally()
            for run in runs { tally.add(try await run.get()) }
            try Task.checkCancellation()
            return LoadReport(plan: plan, tally: tally)
        } onCancel: {
            for worker in all { worker.eventLoop.execute { worker.value.stop() } }
        }
    }

    static func resolve(_ target: LoadTarget) throws -> SocketAddress {
        do {
            switch target.endpoint {
            case .unix(let path): return try SocketAddress(unixDomainSocketPath: path)
            // Most servers on this machine listen on IPv4 alone, and the resolver may name ::1 first.
            case .tcp("localhost", let port): return try SocketAddress(ipAddress: "127.0.0.1", port: port)
            case .tcp(let host, let port): return try SocketAddress.makeAddressResolvingHost(host, port: port)
            }
        } catch {
            throw BrumeError(.invalid, "\(target) cannot be resolved to an address; check the name or the path.", cause: error)
        }
    }
}

/// Adds up what the workers' tickers tell.
private final class ProgressTotals: Sendable {
    private let parts: Mutex<[LoadProgress]>
    private let tell: (@Sendable (LoadProgress) -> Void)?

    init(workers: Int, tell: (@Sendable (LoadProgress) -> Void)?) {
        parts = Mutex(Array(repeating: LoadProgress(succeeded: 0, failed: 0), count: workers))
        self.tell = tell
    }

    func ticker(_ worker: Int) -> ProgressTicker? {
        guard let tell else { return nil }
        return ProgressTicker { part in
            let sum = self.parts.withLock { parts in
                parts[worker] = part
                return parts.reduce(into: LoadProgress(succeeded: 0, failed: 0)) {
                    $0.succeeded += $1.succeeded
                    $0.failed += $1.failed
                }
            }
            tell(sum)
        }
    }
}
