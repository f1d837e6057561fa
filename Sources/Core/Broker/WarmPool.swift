// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// The ready replicas of one function that can take another call.
///
/// The one used last is used next, so that under light load the others grow idle and can be given back.
public struct WarmPool: Sendable {
    private var available: [Entry] = []

    private struct Entry: Sendable {
        let replica: ReplicaID
        var freeSlots: Int
    }

    public init() {}

    /// Whether any replica can take a call now.
    public var hasFreeSlot: Bool { !available.isEmpty }
    /// Calls that could be taken now.
    public var freeSlots: Int { available.reduce(0) { $0 + $1.freeSlots } }

    /// A replica became ready with so many free slots.
    public mutating func add(_ replica: ReplicaID, slots: Int) {
        precondition(slots > 0, "a replica without slots does not belong here")
        available.append(Entry(replica: replica, freeSlots: slots))
    }

    /// Whose slot the next call takes.
    public var next: ReplicaID? { available.last?.replica }

    /// Takes a slot of the replica used last, or nil if none is free.
    public mutating func take() -> ReplicaID? {
        guard let last = available.indices.last else { return nil }
        let replica = available[last].replica
        available[last].freeSlots -= 1
        if available[last].freeSlots == 0 { available.removeLast() }
        return replica
    }

    /// Gives a slot back; the replica moves to the end that is used next.
    public mutating func giveBack(_ replica: ReplicaID) {
        guard let index = available.lastIndex(where: { $0.replica == replica }) else {
            available.append(Entry(replica: replica, freeSlots: 1))
            return
        }
        available[index].freeSlots += 1
        if index != available.indices.last { available.append(available.remove(at: index)) }
    }

    /// The replica takes no more calls (draining, gone).
    public mutating func remove(_ replica: ReplicaID) { available.removeAll { $0.replica == replica } }
}
