// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// How much of what a call would use beyond its own allocation a node's pool can give it, for as long as the call runs.
///
/// Libra's demand coverage, by its formula: the integral of min(R, idle at t) over the run, divided by R times the run, for R extra units.
public enum DemandCoverage {
    /// The weight of CPU beside memory (Libra's value: CPU is the dearer of the two).
    public static let cpuWeight = 0.9

    /// The part of the extra demand that is covered, from 0 to 1. Nothing demanded is wholly covered.
    public static func coverage(of extra: Int, by entries: [PoolSnapshot.Entry], from start: Instant, to end: Instant) -> Double {
        guard extra > 0 else { return 1 }
        guard end > start else { return Double(min(Int128(extra), idle(entries, at: start))) / Double(extra) }
        // Snapshots come from other machines: no amount in them may overflow a sum.
        var changes: [(at: Instant, amount: Int128)] = []
        for entry in entries where entry.amount > 0 && max(entry.start, start) < min(entry.end, end) {
            changes.append((max(entry.start, start), Int128(entry.amount)))
            changes.append((min(entry.end, end), -Int128(entry.amount)))
        }
        changes.sort { $0.at < $1.at }
        var (idle, reached, covered) = (Int128(0), start, ResourceTime.zero)
        for change in changes {
            covered = covered + ResourceTime(amount: Int(min(Int128(extra), idle)), for: change.at - reached)
            reached = change.at
            idle += change.amount
        }
        return Double(covered.units) / Double(ResourceTime(amount: extra, for: end - start).units)
    }

    /// Both resources together.
    public static func weighted(
        of extra: Resources, by pool: PoolSnapshot, from start: Instant, to end: Instant, cpuWeight: Double = cpuWeight
    ) -> Double {
        cpuWeight * coverage(of: extra.millicores, by: pool.cpu, from: start, to: end)
            + (1 - cpuWeight) * coverage(of: extra.memoryBytes, by: pool.memory, from: start, to: end)
    }

    private static func idle(_ entries: [PoolSnapshot.Entry], at now: Instant) -> Int128 {
        entries.reduce(0) { $0 + ($1.start <= now && now < $1.end ? Int128(max(0, $1.amount)) : 0) }
    }
}
