// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What holds a call back from idle CPU.
public enum CPUSharing: String, Hashable, Sendable, CaseIterable {
    /// Its limit, a quota. Where limits add up to more than there is, groups share evenly.
    case quota
    /// Nothing but others: CPU goes by the weight of the user's allocation, and what is idle goes to whoever can use it.
    case weights
    /// A quota that is never below the user's allocation, and weights among those that want more than there is.
    case both
    /// No quota; CPU goes by the weight of the limits that the pool has decided.
    case limitsAsWeights = "limits-as-weights"
}

/// The processors and the memory of a virtual node: calls advance at the speed that their limits and their neighbours allow.
///
/// A quota is what it is in the kernel: a budget for each period of 20 ms, which a call may use up at full speed. Who has waited for others
/// finds it whole, so that a short burst is not slowed; who works on has no more than its limit.
struct VirtualMachine: Sendable {
    /// A period of the kernel's quota: the budget is what it allows in one, and throttling is counted by it.
    static let quotaPeriod = 0.020
    /// A burst begins with this part of the budget at least: one that the neighbours have slowed does not begin anew for every crumb.
    private static let burstPart = 0.5
    /// Memory that a call may gain before the watcher looks again; the harvester ignores smaller changes.
    private static let memoryStep = 4 << 20
    /// Rounding of a rate.
    private static let nearly = 1 - 1e-9
    /// Rounding of a phase's rest: a billionth of a core-second is done.
    private static let done = 1e-9

    struct Running: Sendable {
        let call: CallID
        let replica: ReplicaID
        let work: VirtualWork
        let allocation: Resources
        var millicores: Int
        var memoryLimit: Int
        var phase = 0
        /// What is left of the phase.
        var left: Double
        /// Amount per second, now.
        var rate = 0.0
        var usedCoreSeconds = 0.0
        var throttledSeconds = 0.0
        /// What is left of the quota's budget, in core-seconds, and whether it is being used beyond the limit.
        var budget = 0.0
        var isBursting = false
        var peak: PeakWindow
        var peakMemory: Int
        var allottedCoreSeconds = 0.0
        var highestMillicores: Int
        /// At a lent memory limit: it goes on when the limit is raised.
        var isStalled = false
        /// Memory at the watcher's last look.
        var seenMemory: Int

        /// What the quota allows in a second.
        func quota(_ sharing: CPUSharing) -> Double? {
            switch sharing {
            case .quota: Double(millicores) / 1000
            case .both: Double(max(millicores, allocation.millicores)) / 1000
            case .weights, .limitsAsWeights: nil
            }
        }

        var isDone: Bool { phase >= work.phases.count }
        var cores: Double { isDone ? 0 : work.phases[phase].cores }
        private var memoryBefore: Int { phase == 0 ? work.baseMemoryBytes : work.phases[phase - 1].memoryBytes }
        var memory: Int {
            guard !isDone else { return work.baseMemoryBytes }
            let part = 1 - left / max(work.phases[phase].amount, VirtualMachine.done)
            return memoryBefore + Int((Double(work.phases[phase].memoryBytes - memoryBefore) * part).rounded())
        }

        /// Seconds until memory has come to so many bytes in this phase, or nil if it does not.
        func seconds(untilMemory bytes: Int) -> Double? {
            guard !isDone, rate > 0 else { return nil }
            let growth = Double(work.phases[phase].memoryBytes - memoryBefore)
            let gap = Double(bytes - memory)
            guard growth != 0, gap != 0, (gap > 0) == (growth > 0) else { return nil }
            let amount = gap / growth * work.phases[phase].amount
            return amount <= left ? amount / rate : nil
        }
    }

    /// What has happened by itself.
    enum Event: Sendable {
        case ended(CallID)
        /// Use has changed: the watcher will see it at its next looks.
        case changed(CallID)
        case grew(CallID)
        case reachedMemoryLimit(CallID)
    }

    let cores: Double
    let sharing: CPUSharing
    /// In order of arrival.
    private(set) var running: [Running] = []
    private(set) var now = Instant.zero
    /// Core-seconds that calls have used altogether.
    private(set) var usedCoreSeconds = 0.0

    init(millicores: Int, sharing: CPUSharing) {
        cores = Double(millicores) / 1000
        self.sharing = sharing
    }

    func find(_ call: CallID) -> Running? { running.first { $0.call == call } }
    var busyCores: Double { running.reduce(0) { $0 + ($1.cores > 0 ? $1.rate : 0) } }
    var memoryBytes: Int { running.reduce(0) { $0 + $1.memory } }

    // MARK: Time

    /// Lets time pass during which nothing happens; see ``next()``.
    mutating func advance(to time: Instant) {
        let seconds = (time - now).inSeconds
        now = max(now, time)
        guard seconds > 0 else { return }
        for index in running.indices {
            let busy = running[index].cores > 0 ? running[index].rate * seconds : 0
            running[index].left -= running[index].rate * seconds
            running[index].usedCoreSeconds += busy
            running[index].allottedCoreSeconds += Double(running[index].millicores) / 1000 * seconds
            usedCoreSeconds += busy
            running[index].peak.add(cores: busy / seconds, seconds: seconds)
            if let quota = running[index].quota(sharing) {
                running[index].budget = min(quota * Self.quotaPeriod, max(0, running[index].budget + quota * seconds - busy))
                // Whom only its neighbours hold back is not throttled.
                let isHeldBack = !running[index].isBursting && running[index].cores > quota && running[index].rate >= quota * Self.nearly
                if isHeldBack { running[index].throttledSeconds += seconds }
            }
            guard running[index].cores > 0 else { continue }
            running[index].peakMemory = max(running[index].peakMemory, running[index].memory)
        }
    }

    /// When something happens by itself, or nil if nothing will.
    func next() -> Instant? {
        var soonest = Double.infinity
        for task in running where task.rate > 0 {
            soonest = min(soonest, task.left / task.rate)
            if task.isBursting, let quota = task.quota(sharing), task.rate > quota {
                soonest = min(soonest, task.budget / (task.rate - quota))
            }
            if let seconds = task.seconds(untilMemory: task.memoryLimit + 1) { soonest = min(soonest, seconds) }
            let step = task.memory >= task.seenMemory ? Self.memoryStep : -Self.memoryStep
            if let seconds = task.seconds(untilMemory: task.seenMemory + step) { soonest = min(soonest, seconds) }
        }
        guard soonest.isFinite else { return nil }
        return now + .nanoseconds(Int64(min(max(0, soonest) * 1e9, 1e18).rounded(.up)))
    }

    /// What is due now.
    mutating func takeEvents() -> [Event] {
        var events: [Event] = []
        var isBudgetSpent = false
        for index in running.indices {
            let task = running[index]
            isBudgetSpent = isBudgetSpent || (task.isBursting && task.budget <= Self.done)
            if !task.isStalled, task.memory > task.memoryLimit {
                events.append(.reachedMemoryLimit(task.call))
                continue
            }
            if abs(task.memory - task.seenMemory) >= Self.memoryStep {
                running[index].seenMemory = task.memory
                events.append(.grew(task.call))
            }
            guard task.left <= Self.done, !task.isStalled else { continue }
            running[index].peakMemory = max(task.peakMemory, task.memory)
            running[index].phase += 1
            if running[index].isDone {
                events.append(.ended(task.call))
            } else {
                running[index].left = task.work.phases[task.phase + 1].amount
                events.append(.changed(task.call))
            }
        }
        if !events.isEmpty || isBudgetSpent { share() }
        return events
    }

    // MARK: Changes

    mutating func begin(_ call: CallID, on replica: ReplicaID, _ work: VirtualWork, allocation: Resources, limits: Resources) {
        running.append(
            Running(
                call: call, replica: replica, work: work, allocation: allocation, millicores: limits.millicores,
                memoryLimit: limits.memoryBytes, left: work.phases.first?.amount ?? 0, peak: PeakWindow(),
                peakMemory: work.baseMemoryBytes, highestMillicores: limits.millicores, seenMemory: work.baseMemoryBytes))
        refill(running.count - 1)
        share()
    }

    @discardableResult
    mutating func end(_ call: CallID) -> Running? {
        guard let index = running.firstIndex(where: { $0.call == call }) else { return nil }
        let task = running.remove(at: index)
        share()
        return task
    }

    mutating func setLimit(_ kind: ResourceKind, to limit: Int, of replica: ReplicaID) {
        guard let index = running.firstIndex(where: { $0.replica == replica }) else { return }
        if kind == .cpu {
            running[index].millicores = limit
            running[index].highestMillicores = max(running[index].highestMillicores, limit)
            refill(index)
        } else {
            running[index].memoryLimit = limit
            if running[index].memory <= limit { running[index].isStalled = false }
        }
        share()
    }

    /// The call has touched more memory than it may: it stands still until its limit is raised.
    mutating func stall(_ call: CallID) {
        guard let index = running.firstIndex(where: { $0.call == call }) else { return }
        running[index].isStalled = true
        share()
    }

    /// Each write of a quota begins a new period, with the whole budget.
    private mutating func refill(_ index: Int) { running[index].budget = (running[index].quota(sharing) ?? 0) * Self.quotaPeriod }

    /// What a call can use of the machine now.
    private mutating func cap(_ index: Int) -> Double {
        let task = running[index]
        guard task.cores > 0, !task.isStalled else {
            running[index].isBursting = false
            return 0
        }
        guard let quota = task.quota(sharing) else { return task.cores }
        let least = task.isBursting ? Self.done : quota * Self.quotaPeriod * Self.burstPart
        running[index].isBursting = task.cores > quota && task.budget > least
        return running[index].isBursting ? task.cores : min(task.cores, quota)
    }

    /// Gives each call its speed.
    private mutating func share() {
        let caps = running.indices.map { cap($0) }
        let weights = running.map { task -> Double in
            switch sharing {
            case .quota: 1
            case .limitsAsWeights: Double(max(1, task.millicores))
            case .weights, .both: Double(max(1, task.allocation.millicores))
            }
        }
        let shares = WaterFilling.shares(of: cores, caps: caps, weights: weights)
        for index in running.indices {
            running[index].rate = running[index].isStalled || running[index].isDone ? 0 : running[index].cores > 0 ? shares[index] : 1
        }
    }
}
