// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// The limits that a ``ScriptedDriver`` was told to write, as a kernel keeps them that refuses to lower some.
struct ScriptedKernel: Sendable {
    var limits: [ReplicaID: Resources] = [:]
    /// Replicas with calls: only their limits are used.
    var busy: Set<ReplicaID> = []
    /// Of the limits of memory that are lowered next, which are refused half-way: the bits, from the lowest on.
    var refusing: UInt64 = 0
    private(set) var refused = 0
    /// The most that the limits of busy replicas came to at any moment since it was last set to 0.
    var most = Resources.zero
    private(set) var writes = 0

    var memoryOfBusy: Int { sum(.memory) }

    mutating func set(_ kind: ResourceKind, to amount: Int, of replica: ReplicaID) -> Int? {
        guard let current = limits[replica]?[kind] else { return nil }
        var held = amount
        if kind == .memory, amount < current {
            if refusing & 1 == 1 {
                refused += 1
                held = amount + (current - amount + 1) / 2
            }
            refusing >>= 1
        }
        limits[replica]?[kind] = held
        writes += 1
        for kind in ResourceKind.allCases { most[kind] = max(most[kind], sum(kind)) }
        return held
    }

    /// A replica has no calls any more.
    mutating func release(_ replica: ReplicaID, _ ownMemory: Int) {
        if let memory = limits[replica]?.memoryBytes { limits[replica]?.memoryBytes = max(memory, ownMemory) }
    }

    private func sum(_ kind: ResourceKind) -> Int { limits.reduce(0) { busy.contains($1.key) ? $0 + $1.value[kind] : $0 } }
}
