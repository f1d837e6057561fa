// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// How the memory of calls that lend is guarded: what this machine's kernel does, and what is left to looks every few milliseconds.
package struct MemoryGuard: Hashable, Sendable {
    /// The kernel slows a lender down at its lowered limit, and tells of it at once (`memory.high` and `memory.events`, cgroup v2).
    package let hearsCrossings: Bool
    /// How often the kernel looks for stalls that it tells of (PSI), in milliseconds; nil where it does not.
    package let pressureMilliseconds: Int?
    /// A lender is paused that comes to its lowered limit all the same (`cgroup.freeze`).
    package let pauses: Bool

    /// Makes and removes one group to see what groups have.
    init(_ tree: CgroupTree, _ pressure: PressureTrigger?, _ hold: MemoryHold) {
        pressureMilliseconds = pressure?.threshold.lookMilliseconds
        let group = ReplicaCgroup(tree: tree, name: Self.probeName)
        for directory in group.directories { _ = HostFiles.tryMakeDirectory(directory) }
        let paths = group.limitPaths
        hearsCrossings = hold == .pause && [paths?.memoryHigh, paths?.memoryEvents].allSatisfy { $0.map(HostFiles.exists) ?? false }
        pauses = hold == .pause && paths?.freeze.map(HostFiles.isWritable) ?? false
        for directory in group.directories { HostFiles.removeDirectory(directory) }
    }

    private static let probeName = "guard-probe"

    /// Whether memory is lent at all: a lender has to be held somehow.
    package var mayLend: Bool { hearsCrossings || pauses }

    /// Each way by its name, and whether there is it.
    package var ways: [(name: String, isThere: Bool)] {
        [("memory.events", hearsCrossings), ("memory.pressure", pressureMilliseconds != nil), ("cgroup.freeze", pauses), ("looks", true)]
    }

    /// One sentence for `brume doctor`.
    package var summary: String {
        guard mayLend else { return "none is lent: this kernel neither slows a lender down nor pauses it" }
        let looks = "looks every \(UsageWatcher.Settings().interval.nanoseconds / 1_000_000) ms"
        var ways = [looks]
        if hearsCrossings {
            let stalls = pressureMilliseconds.map { "and of stalls within \($0) ms (memory.pressure)" } ?? "but of no stalls (no PSI)"
            ways = ["the kernel slows lenders down and tells at once (memory.high, memory.events), \(stalls)", looks]
        }
        ways.append(pauses ? "who is beyond its limit all the same is paused (cgroup.freeze)" : "nobody can be paused")
        return ways.joined(separator: "; ")
    }
}
