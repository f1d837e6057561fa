// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
package import NIOCore
import NIOPosix
import Synchronization

/// What a watcher has done since it was made.
package struct WatchCounts: Hashable, Sendable {
    /// Looks at one replica.
    package var looks = 0
    /// Looks of which a counter could not be read, because the group was just going.
    package var skipped = 0
    /// Replicas that were paused because memory that they lent could not be had back in time.
    package var pauses = 0
}

/// Looks at what replicas with running calls use, from one thread for the whole node.
///
/// Nothing is looked at while nothing runs.
package final class UsageWatcher: Sendable {
    package struct Settings: Sendable {
        /// Between two looks: a program fills 12 MB at full speed meanwhile, and a safeguard has 20 ms.
        package var interval = TimeAmount.milliseconds(4)
        /// More between two looks where many are watched: 6 us for each, a twentieth of a core at most.
        package var intervalOfEach = TimeAmount.microseconds(120)
        /// Over which the peak of CPU use is averaged: one period of a quota, in which a throttled program may use all of it at once.
        package var window = TimeAmount.microseconds(Int64(LimitFiles.periodMicroseconds))

        package init() {}
    }

    /// What was used, and whom to tell about the memory afterwards.
    private struct Look {
        let use: ReplicaUse
        let hold: @Sendable (Int) -> Bool
    }

    private struct State {
        var watched: [ReplicaID: WatchedCall] = [:]
        var counts = WatchCounts()
        var ticking = false
        var closed = false
    }

    private let settings: Settings
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let loop: any EventLoop
    private let state = Mutex(State())
    private let looked: @Sendable ([ReplicaUse]) -> Void

    /// - Parameter looked: told on the watcher's own thread; must not block.
    package init(_ settings: Settings = Settings(), looked: @escaping @Sendable ([ReplicaUse]) -> Void) {
        self.settings = settings
        self.looked = looked
        loop = group.next()
    }

    /// Ends the thread.
    package func close() async {
        state.withLock { state in
            state.closed = true
            state.watched = [:]
        }
        try? await group.shutdownGracefully()
    }

    /// What has been done so far.
    package var counts: WatchCounts { state.withLock { $0.counts } }

    /// A replica begins to run calls.
    ///
    /// - Parameter hold: told, on the watcher's thread, what memory it uses after everybody has reacted to each look; may pause the
    ///   replica, and says whether it did.
    func begin(_ replica: ReplicaID, _ files: UsageFiles, hold: @escaping @Sendable (Int) -> Bool = { _ in false }) {
        guard let cpu = files.cpuNanoseconds else {
            state.withLock { $0.counts.skipped += 1 }
            return
        }
        files.resetPeak()
        let wantsTick = state.withLock { state in
            guard !state.closed else { return false }
            state.watched[replica] = WatchedCall(files, at: Self.now, cpu: cpu, window: settings.window.nanoseconds, hold: hold)
            defer { state.ticking = true }
            return !state.ticking
        }
        if wantsTick { schedule(among: 1) }
    }

    /// It runs none any more.
    ///
    /// - Returns: what it used meanwhile, or nil if it was not watched.
    func end(_ replica: ReplicaID) -> CallUsage? {
        guard var watched = state.withLock({ $0.watched.removeValue(forKey: replica) }) else { return nil }
        return watched.usage(at: Self.now)
    }

    private static var now: Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }

    private func schedule(among count: Int) {
        let interval = max(settings.interval, .nanoseconds(settings.intervalOfEach.nanoseconds * Int64(count)))
        loop.scheduleTask(in: interval) { self.tick() }
    }

    private func tick() {
        let looks = state.withLock { state in
            let now = Self.now
            var looks: [Look] = []
            looks.reserveCapacity(state.watched.count)
            for replica in state.watched.keys.sorted() {
                guard let use = state.watched[replica]?.look(replica, at: now), let hold = state.watched[replica]?.hold else { continue }
                looks.append(Look(use: use, hold: hold))
                state.counts.looks += 1
                if use.cpuTime == nil || use.memoryBytes == nil { state.counts.skipped += 1 }
            }
            state.ticking = !looks.isEmpty
            return looks
        }
        guard !looks.isEmpty else { return }
        looked(looks.map(\.use))
        // Limits that follow from this look are written by now.
        let paused = looks.count { look in look.use.memoryBytes.map(look.hold) ?? false }
        if paused > 0 { state.withLock { $0.counts.pauses += paused } }
        schedule(among: looks.count)
    }
}
