// SPDX-License-Identifier: Apache-2.0

import BrumeModel
public import BrumeSimulator
public import BrumeWorkload

/// What tables need of one replay, or of several with different seeds.
public struct ReplayMetrics: Sendable, Hashable, Codable {
    public var calls = 0.0
    public var mean = 0.0
    public var median = 0.0
    public var p99 = 0.0
    public var completion = 0.0
    /// Parts of the capacity, on average until completion.
    public var cpu = 0.0
    public var memory = 0.0
    /// Seconds that every core of the machine would need for the work alone.
    public var workSeconds = 0.0
    public var peakCPU = 0.0
    public var peakMemory = 0.0
    public var idleCoreSeconds = 0.0
    public var idleMegabyteSeconds = 0.0
    /// Calls that the safeguard gave their own back, in percent.
    public var safeguarded = 0.0
    public var kills = 0.0
    /// Parts of the time under static limits that were saved, and the worst loss in percent.
    public var meanSpeedup = 0.0
    public var medianSpeedup = 0.0
    public var worstDegradation = 0.0
    /// Calls more than 5 % slower than under static limits, in percent.
    public var slower = 0.0
    public var violations: [String] = []

    public init() {}

    public init(_ run: PolicyRun, _ outcome: ReplayOutcome, against fixed: PolicyRun? = nil) {
        let summary = ReplaySummary("all", of: run.records)
        calls = Double(run.records.count)
        mean = summary.meanMilliseconds / 1000
        median = summary.p50Milliseconds / 1000
        p99 = summary.p99Milliseconds / 1000
        completion = outcome.completionSeconds
        let (cores, bytes) = (Double(run.capacity.millicores) / 1000, Double(run.capacity.memoryBytes))
        cpu = outcome.usedCoreSeconds / max(outcome.completionSeconds, 1e-9) / cores
        workSeconds = outcome.usedCoreSeconds / cores
        let points = Double(max(1, run.utilisation.count))
        memory = run.utilisation.reduce(0) { $0 + Double($1.usedMemoryBytes) } / points / bytes
        peakCPU = (run.utilisation.map { Double($0.usedMillicores) }.max() ?? 0) / 1000 / cores
        peakMemory = (run.utilisation.map { Double($0.usedMemoryBytes) }.max() ?? 0) / bytes
        idleCoreSeconds = outcome.idleCoreSeconds
        idleMegabyteSeconds = outcome.idleMegabyteSeconds
        safeguarded = 100 * Double(run.records.count { $0.resources.wasSafeguarded == true }) / max(1, calls)
        kills = Double(run.outOfMemoryKills)
        violations = outcome.violations
        guard let fixed else { return }
        let saved = zip(run.records, fixed.records).map { record, before -> Double in
            1 - (record.completion?.inSeconds ?? 0) / max(before.completion?.inSeconds ?? 0, 1e-9)
        }
        meanSpeedup = saved.reduce(0, +) / max(1, calls)
        medianSpeedup = saved.sorted()[saved.count / 2]
        worstDegradation = -100 * (saved.min() ?? 0)
        slower = 100 * Double(saved.count { $0 < -0.05 }) / max(1, calls)
    }

    /// The averages; of the worst the worst.
    public static func average(_ all: [ReplayMetrics]) -> ReplayMetrics {
        guard let first = all.first else { return ReplayMetrics() }
        var result = first
        let averaged: [WritableKeyPath<ReplayMetrics, Double>] = [
            \.calls, \.mean, \.median, \.p99, \.completion, \.cpu, \.workSeconds, \.memory, \.peakCPU, \.peakMemory, \.idleCoreSeconds,
            \.idleMegabyteSeconds, \.safeguarded, \.kills, \.meanSpeedup, \.medianSpeedup, \.slower,
        ]
        for path in averaged { result[keyPath: path] = all.reduce(0) { $0 + $1[keyPath: path] } / Double(all.count) }
        result.worstDegradation = all.map(\.worstDegradation).max() ?? 0
        result.violations = all.flatMap(\.violations)
        return result
    }
}
