// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload

/// Averages what calls use and have over even steps of time.
struct UtilisationMeter: Sendable {
    /// Ten points a second, as on a real node.
    private static let step: Int64 = 100_000_000
    /// Points kept: more than a day. What comes later counts in the last one.
    private static let pointsMax = 1_000_000

    /// What calls use and have at one moment: cores, and memory in bytes.
    struct Level: Sendable {
        var cores = 0.0
        var memory = 0.0
        var allocatedCores = 0.0
        var allocatedMemory = 0.0
        var calls = 0.0
    }

    private var sums: [Level] = []

    /// The level held from one moment to the other.
    mutating func add(_ level: Level, from start: Instant, to end: Instant) {
        var at = start.nanoseconds
        while at < end.nanoseconds {
            let index = Int(min(at / Self.step, Int64(Self.pointsMax - 1)))
            let until = index == Self.pointsMax - 1 ? end.nanoseconds : min(end.nanoseconds, (Int64(index) + 1) * Self.step)
            while sums.count <= index { sums.append(Level()) }
            let seconds = Double(until - at) / 1e9
            sums[index].cores += level.cores * seconds
            sums[index].memory += level.memory * seconds
            sums[index].allocatedCores += level.allocatedCores * seconds
            sums[index].allocatedMemory += level.allocatedMemory * seconds
            sums[index].calls += level.calls * seconds
            at = until
        }
    }

    var points: [UtilisationPoint] {
        let seconds = Double(Self.step) / 1e9
        return sums.enumerated().map { index, sum in
            UtilisationPoint(
                at: .nanoseconds((Int64(index) + 1) * Self.step), usedMillicores: Int((sum.cores * 1000 / seconds).rounded()),
                usedMemoryBytes: Int((sum.memory / seconds).rounded()),
                allocatedMillicores: Int((sum.allocatedCores * 1000 / seconds).rounded()),
                allocatedMemoryBytes: Int((sum.allocatedMemory / seconds).rounded()), running: Int((sum.calls / seconds).rounded()))
        }
    }
}
