// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel

/// The world where calls lend: what they use is drawn, limits are written as a node writes them, and added up after each write.
extension Simulation {
    /// The limits of one replica as they stand.
    struct WrittenLimits: Sendable {
        var now: Resources
        /// Whether its CPU counts: from the first limit of a call on it to the end of the last call.
        var isBusy = false
    }

    private var lends: Bool { plan.settings.harvest != nil }
    /// Of memory limits to lower: so many stay higher, because the memory is in use.
    private static let refused = Ratio(1, in: 8)
    /// Of looks: so many are followed by another.
    private static let looksAgain = Ratio(3, in: 4)

    mutating func drawFeatures() -> CallFeatures { lends ? CallFeatures(inputBytes: usage.below(1000)) : .unknown }

    mutating func drawUsage(_ replica: ReplicaID) -> CallUsage? {
        guard lends, let limits = limits[replica]?.now else { return nil }
        return CallUsage(
            cpuTime: .milliseconds(usage.below(20)), peakMillicores: usage.below(limits.millicores + 1),
            peakMemoryBytes: usage.below(limits.memoryBytes + 1))
    }

    mutating func openLimits(_ replica: ReplicaID, _ handle: FunctionHandle) {
        guard lends else { return }
        limits[replica] = WrittenLimits(now: referee.functions[handle.index].policy.allocation)
    }

    /// The last call on a replica has ended: what its limit allows is used by nobody until the next begins.
    mutating func markIdle(after call: CallID) {
        let replica = referee.book(call).replica
        guard replica > 0, Int(replica) <= referee.replicas.count, referee.replicas[Int(replica) - 1].calls == 0 else { return }
        limits[ReplicaID(replica)]?.isBusy = false
    }

    // MARK: Looks

    mutating func beginLooking(_ replica: ReplicaID) {
        if lends { schedule(.look(replica), after: usage.draw(.milliseconds(1)...Duration.milliseconds(8))) }
    }

    mutating func look(_ replica: ReplicaID) {
        guard let now = limits[replica]?.now, !host.calls(on: replica).isEmpty else { return }
        let sample = UsageSample(
            at: clock, cpuTime: .nanoseconds(clock.nanoseconds / 1000 * Int64(usage.below(now.millicores + 1))),
            throttledPeriods: usage.chance(1, in: 8) ? usage.below(100) : nil, memoryBytes: usage.below(now.memoryBytes + 1))
        submit(.sampled([ReplicaSample(replica: replica, usage: sample)]))
        if usage.happens(Self.looksAgain) { beginLooking(replica) }
    }

    // MARK: Limits

    /// As the node does. Any limit of memory that is lowered may be refused, those of answers to refusals like the others.
    mutating func write(_ batch: [ReplicaLimit]) {
        var turn = LimitTurn(batch) { limits[$0]?.now.memoryBytes }
        // What else follows from refusals waits for the limits.
        var others: [Output] = []
        while let next = turn.next() {
            switch next {
            case .write(let limit): turn.wrote(limit, inForce: write(limit))
            case .tell(let limit, let held, let batch):
                for output in decide(.limitHeld(limit, at: held, batch: batch)) {
                    if case .limit(let answer) = output { turn.answered(answer) } else { others.append(output) }
                }
            }
        }
        for output in others { perform(output) }
    }

    /// - Returns: what stands now, or nil if the replica is gone.
    private mutating func write(_ limit: ReplicaLimit) -> Int? {
        guard let now = limits[limit.replica]?.now else { return nil }
        let gap = now[limit.kind] - limit.to
        let isRefused = limit.kind == .memory && gap > 0 && faultsActive && usage.happens(Self.refused)
        let value = isRefused ? limit.to + usage.draw(1...gap) : limit.to
        limits[limit.replica]?.now[limit.kind] = value
        if limit.kind == .cpu, limit.call != nil { limits[limit.replica]?.isBusy = true }
        checkSums()
        return value
    }

    private mutating func checkSums() {
        var sum = Resources.zero
        for replica in limits.keys.sorted() {
            guard let written = limits[replica] else { continue }
            sum.memoryBytes += written.now.memoryBytes
            if written.isBusy { sum.millicores += written.now.millicores }
        }
        let capacity = plan.settings.capacity
        if sum.millicores > capacity.millicores { referee.breach("limits add up to \(sum.millicores)m of \(capacity.millicores)m") }
        if sum.memoryBytes > capacity.memoryBytes { referee.breach("limits add up to \(sum.memoryBytes) of \(capacity.memoryBytes) bytes") }
    }
}
