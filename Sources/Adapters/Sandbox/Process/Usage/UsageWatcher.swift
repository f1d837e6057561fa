// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Dispatch
package import NIOCore
import Synchronization

/// What the watching of running calls, and what follows from it, has come to since the node's start.
package struct WatchCounts: Hashable, Sendable {
    /// Looks at one replica.
    package var looks = 0
    /// Looks of which a counter could not be read, because the group was just going, and groups that cannot tell of crossings.
    package var skipped = 0
    /// Replicas that were paused because memory that they lent could not be had back in time.
    package var pauses = 0
    /// Times that the kernel told of a replica that came to its lowered limit of memory, and that it was looked at for that.
    package var crossings = 0
    /// Limits that the kernel did not take.
    package var refused = 0
    /// Times that the kernel told that replicas stall for want of memory, and that all were looked at for that.
    package var pressures = 0
}

/// Looks at what replicas with running calls use, from one thread for the whole node: every few milliseconds, and at once where the
/// kernel tells that one came to its lowered limit of memory.
///
/// Nothing is looked at while nothing runs.
package final class UsageWatcher: Sendable {
    package struct Settings: Sendable {
        /// Between two looks: a program fills 12 MB at full speed meanwhile, and a safeguard has 20 ms.
        package var interval = TimeAmount.milliseconds(4)
        /// More between two looks where many are watched: 6 us for each, a twentieth of a core at most.
        package var intervalOfEach = TimeAmount.microseconds(120)
        /// Over which the peak of CPU use is averaged: two periods, because a lender may use twice its quota in one of them, and a
        /// replica with its own allocation may use all of that at once.
        package var window = TimeAmount.microseconds(2 * Int64(LimitFiles.periodMicroseconds))

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
        /// When all are looked at again, in nanoseconds of a clock that does not jump; nil while nobody is watched.
        var nextLook: Int64?
        var closed = false
    }

    /// What tells of all replicas at once.
    static let pressureToken = KernelEvents.woken - 1

    private let settings: Settings
    private let kernel: KernelEvents
    private let pressure: PressureTrigger?
    private let state = Mutex(State())
    private let ended = OneShot<Void>()
    private let looked: @Sendable ([ReplicaUse]) -> Void

    /// Starts the thread, which lives until ``close()``.
    ///
    /// - Parameters:
    ///   - pressure: heard as long as the watcher lives.
    ///   - looked: told on the watcher's own thread; must not block.
    /// - Throws: `BrumeError` where this process may open no more files.
    init(
        _ settings: Settings = Settings(), pressure: PressureTrigger? = nil, looked: @escaping @Sendable ([ReplicaUse]) -> Void
    ) throws(BrumeError) {
        self.settings = settings
        self.looked = looked
        kernel = try KernelEvents()
        self.pressure = pressure.flatMap { [kernel] in kernel.add($0.file, Self.pressureToken) ? $0 : nil }
        DispatchQueue(label: "brume.watch").async { [self] in run() }
    }

    /// Ends the thread.
    package func close() async {
        state.withLock { state in
            state.closed = true
            state.watched = [:]
        }
        kernel.wake()
        _ = await ended.wait()
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
        let isHeard = files.tell(replica.number, to: kernel)
        let isFirst = state.withLock { state in
            guard !state.closed else { return false }
            if !isHeard { state.counts.skipped += 1 }
            let now = Self.now
            state.watched[replica] = WatchedCall(files, at: now, cpu: cpu, window: settings.window.nanoseconds, hold: hold)
            guard state.nextLook == nil else { return false }
            state.nextLook = now + interval(among: 1)
            return true
        }
        if isFirst { kernel.wake() }
    }

    /// It runs none any more.
    ///
    /// - Returns: what it used meanwhile, or nil if it was not watched.
    func end(_ replica: ReplicaID) -> CallUsage? {
        guard var watched = state.withLock({ $0.watched.removeValue(forKey: replica) }) else { return nil }
        return watched.usage(at: Self.now)
    }

    private static var now: Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }

    private func interval(among count: Int) -> Int64 {
        max(settings.interval.nanoseconds, settings.intervalOfEach.nanoseconds * Int64(count))
    }

    // MARK: The thread

    private func run() {
        while true {
            let (closed, next) = state.withLock { ($0.closed, $0.nextLook) }
            if closed { break }
            let told = kernel.wait(atMost: next.map { max(0, $0 - Self.now) })
            // What the kernel tells of is urgent; a look at everybody can wait for it.
            if !told.isEmpty { hear(told) }
            lookAtAll()
        }
        ended.set(())
    }

    /// Looks at who crossed its limit, or at everybody where all are said to stall.
    func hear(_ tokens: [UInt64]) {
        look { state in
            let crossed = tokens.sorted().map { ReplicaID($0) }.filter { state.watched[$0]?.hasCrossed() ?? false }
            state.counts.crossings += crossed.count
            guard tokens.contains(Self.pressureToken) else { return crossed }
            state.counts.pressures += 1
            return state.watched.keys.sorted()
        }
    }

    /// Looks at everybody, if it is time.
    private func lookAtAll() {
        let isTime = look { state in
            guard let next = state.nextLook, Self.now >= next else { return nil }
            return state.watched.keys.sorted()
        }
        guard isTime else { return }
        state.withLock { state in
            state.nextLook = state.watched.isEmpty ? nil : Self.now + interval(among: state.watched.count)
        }
    }

    /// Looks at some replicas, and lets everybody react to what was seen.
    ///
    /// - Parameter choose: at which; nil for no look at all. Called under the lock.
    /// - Returns: whether there was a look.
    @discardableResult
    private func look(at choose: (inout State) -> [ReplicaID]?) -> Bool {
        let looks: [Look]? = state.withLock { state in
            guard let replicas = choose(&state) else { return nil }
            let now = Self.now
            var looks: [Look] = []
            looks.reserveCapacity(replicas.count)
            for replica in replicas {
                guard let use = state.watched[replica]?.look(replica, at: now), let hold = state.watched[replica]?.hold else { continue }
                looks.append(Look(use: use, hold: hold))
                state.counts.looks += 1
                if use.cpuTime == nil || use.memoryBytes == nil { state.counts.skipped += 1 }
            }
            return looks
        }
        guard let looks else { return false }
        guard !looks.isEmpty else { return true }
        looked(looks.map(\.use))
        // Limits that follow from this look are written by now.
        let paused = looks.count { look in look.use.memoryBytes.map(look.hold) ?? false }
        if paused > 0 { state.withLock { $0.counts.pauses += paused } }
        return true
    }
}
