// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
package import NIOCore
import NIOPosix
import Synchronization

/// Looks at the use of replicas that run a call, from one thread for the whole node: what calls peak at, and who comes near a limit that
/// was lowered below its own allocation.
///
/// Nothing is looked at while nothing is watched.
package final class UsageWatcher: Sendable {
    package struct Settings: Sendable {
        /// Between two looks at a replica that lends: a program fills 5 MB at full speed meanwhile.
        package var lenderInterval = TimeAmount.milliseconds(2)
        /// Between two looks at any other replica, only for its peaks.
        package var interval = TimeAmount.milliseconds(8)
        /// Over which CPU use is averaged: one period of a quota, in which a throttled program may use all of it at once.
        package var window = TimeAmount.microseconds(Int64(LimitFiles.periodMicroseconds))

        package init() {}
    }

    /// At how much use a lender is told of. Nil: not watched.
    package struct Lines: Hashable, Sendable {
        package var millicores: Int?
        package var memoryBytes: Int?

        package init(millicores: Int? = nil, memoryBytes: Int? = nil) {
            self.millicores = millicores
            self.memoryBytes = memoryBytes
        }
    }

    /// A line was reached. It is told once; setting lines arms them again.
    package struct Crossing: Hashable, Sendable {
        package let replica: ReplicaID
        package let kind: ResourceKind
        /// Millicores or bytes in use.
        package let use: Int
    }

    private struct State {
        var watched: [ReplicaID: WatchedCall] = [:]
        /// Replicas with lines, looked at on every tick.
        var lenders: Set<ReplicaID> = []
        var ticking = false
        var lastFullLook: Int64 = 0
        var closed = false
    }

    private let settings: Settings
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let loop: any EventLoop
    private let state = Mutex(State())
    private let crossed: @Sendable (Crossing) -> Void

    /// - Parameter crossed: told on the watcher's own thread; must not block.
    package init(_ settings: Settings = Settings(), crossed: @escaping @Sendable (Crossing) -> Void) {
        self.settings = settings
        self.crossed = crossed
        loop = group.next()
    }

    /// Ends the thread.
    package func close() async {
        state.withLock { state in
            state.closed = true
            state.watched = [:]
            state.lenders = []
        }
        try? await group.shutdownGracefully()
    }

    // MARK: Calls

    /// A call begins on a replica that runs no other.
    func begin(_ replica: ReplicaID, _ files: UsageFiles) {
        guard let cpu = files.cpuNanoseconds else { return }
        files.resetPeak()
        let now = Self.now
        let wantsTick = state.withLock { state in
            guard !state.closed else { return false }
            state.watched[replica] = WatchedCall(files, at: now, cpu: cpu, window: settings.window.nanoseconds)
            defer { state.ticking = true }
            return !state.ticking
        }
        if wantsTick { schedule() }
    }

    /// Sets at which use the replica's lender is to be told of; without any it is not watched as a lender.
    func set(_ lines: Lines, of replica: ReplicaID) {
        let becomesLender = state.withLock { state in
            guard state.watched[replica] != nil else { return false }
            state.watched[replica]?.lines = lines
            guard lines != Lines() else {
                state.lenders.remove(replica)
                return false
            }
            return state.lenders.insert(replica).inserted && state.lenders.count == 1
        }
        // The next tick may be a long interval away.
        if becomesLender { loop.execute { self.tick(reschedules: false) } }
    }

    /// The call is over.
    ///
    /// - Returns: what it used, or nil if it was not watched.
    func end(_ replica: ReplicaID) -> CallUsage? {
        let watched = state.withLock { state in
            state.lenders.remove(replica)
            return state.watched.removeValue(forKey: replica)
        }
        guard var watched else { return nil }
        return watched.usage(at: Self.now)
    }

    // MARK: The thread

    private static var now: Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }

    private func schedule() {
        let hasLenders = state.withLock { !$0.lenders.isEmpty }
        loop.scheduleTask(in: hasLenders ? settings.lenderInterval : settings.interval) { self.tick(reschedules: true) }
    }

    private func tick(reschedules: Bool) {
        let (crossings, goesOn) = state.withLock { state -> ([Crossing], Bool) in
            let now = Self.now
            let all = now - state.lastFullLook >= settings.interval.nanoseconds
            if all { state.lastFullLook = now }
            var crossings: [Crossing] = []
            for replica in all ? Array(state.watched.keys) : Array(state.lenders) {
                for (kind, use) in state.watched[replica]?.look(at: now) ?? [] {
                    crossings.append(Crossing(replica: replica, kind: kind, use: use))
                }
            }
            if reschedules { state.ticking = !state.watched.isEmpty }
            return (crossings, state.ticking)
        }
        for crossing in crossings { crossed(crossing) }
        if reschedules, goesOn { schedule() }
    }
}
