// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// One of several schedulers that place calls on the same destinations without talking to each other.
///
/// Each has its own even slice of every destination, and all see the pools of whole destinations. A single shard is a central scheduler.
/// At the slice's limit ``place(_:on:)`` gives nothing, and the caller queues the call.
public struct SchedulerShard: Sendable {
    public let policy: PlacementPolicy
    private var slices: [Slice]
    private var chooser: DestinationChooser

    private struct Slice: Sendable {
        let capacity: Resources
        var reserved = Resources.zero
    }

    /// - Parameters:
    ///   - capacities: of the destinations, whole.
    ///   - index: which of the `count` shards this is. What cannot be divided goes to the first ones.
    ///   - leastSlice: a slice is not made smaller than this, or it could take no call at all; the slices may then add up to more than there
    ///     is, and the destination's own admission decides.
    public init(_ policy: PlacementPolicy, capacities: [Resources], index: Int = 0, of count: Int = 1, leastSlice: Resources = .zero) {
        precondition(count > 0 && (0..<count).contains(index), "shard \(index) of \(count) does not exist")
        self.policy = policy
        chooser = DestinationChooser(policy)
        func part(_ whole: Int, _ least: Int) -> Int { max(whole / count + (index < whole % count ? 1 : 0), min(least, whole)) }
        slices = capacities.map { capacity in
            Slice(
                capacity: Resources(
                    millicores: part(capacity.millicores, leastSlice.millicores),
                    memoryBytes: part(capacity.memoryBytes, leastSlice.memoryBytes)))
        }
    }

    /// What this shard could still place on a destination.
    public func free(_ destination: Int) -> Resources { slices[destination].capacity - slices[destination].reserved }

    /// Chooses a destination and takes the call's allocation from the slice there.
    ///
    /// - Parameter statuses: of all destinations, in the order of the capacities; as old as the latest message from each.
    /// - Returns: the destination's index, or nil if no slice has room.
    public mutating func place(_ request: PlacementRequest, on statuses: [DestinationStatus]) -> Int? {
        precondition(statuses.count == slices.count, "a status is needed for each destination")
        let slices = slices
        let index = chooser.choose(request, statuses) { request.allocation.fits(in: slices[$0].capacity - slices[$0].reserved) }
        if let index { self.slices[index].reserved = self.slices[index].reserved + request.allocation }
        return index
    }

    /// A placed call has ended.
    public mutating func release(_ allocation: Resources, on destination: Int) {
        slices[destination].reserved = slices[destination].reserved - allocation
        let reserved = slices[destination].reserved
        precondition(reserved.millicores >= 0 && reserved.memoryBytes >= 0, "more was released than was placed")
    }
}
