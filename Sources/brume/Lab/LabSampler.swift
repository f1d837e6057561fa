// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeSandbox
import BrumeWorkload

/// Looks ten times a second at what a node's calls use and have.
struct LabSampler {
    private static let interval = Duration.milliseconds(100)

    let usage: NodeUsage
    let client: NodeClient
    /// Whether the node tells of its limits: a node that does not harvest has none to tell.
    let asksForLimits: Bool

    /// What the node tells of its pool, as far as it is needed here.
    private struct PoolReport: Decodable {
        struct Pool: Decodable {
            var limits: Int
        }

        var cpu: Pool?
        var memory: Pool?
    }

    /// Looks until it is cancelled.
    func run(from start: ContinuousClock.Instant) async -> [UtilisationPoint] {
        var points: [UtilisationPoint] = []
        var (lastAt, lastCPU) = (ContinuousClock.now, usage.look()?.cpuNanoseconds)
        var tellsLimits = asksForLimits
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.interval)
            guard let look = usage.look() else { continue }
            let now = ContinuousClock.now
            let nanoseconds = (now - lastAt).wholeNanoseconds
            guard nanoseconds > 0 else { continue }
            var point = UtilisationPoint(
                at: now - start, usedMillicores: Int((look.cpuNanoseconds - (lastCPU ?? look.cpuNanoseconds)) * 1000 / nanoseconds),
                usedMemoryBytes: look.memoryBytes, allocatedMillicores: 0, allocatedMemoryBytes: 0, running: 0)
            (lastAt, lastCPU) = (now, look.cpuNanoseconds)
            if tellsLimits, !Task.isCancelled {
                do {
                    let report = try await client.fetch(PoolReport.self, "/v1/harvest")
                    point.allocatedMillicores = report.cpu?.limits ?? 0
                    point.allocatedMemoryBytes = report.memory?.limits ?? 0
                } catch {
                    tellsLimits = Task.isCancelled
                }
            }
            points.append(point)
        }
        return points
    }

    /// Adds how many calls ran at each point, and their users' allocations where the node told no limits.
    static func completing(_ points: [UtilisationPoint], _ records: [ReplayRecord], allocations: [String: Resources]) -> [UtilisationPoint]
    {
        points.map { point in
            var point = point
            var sum = Resources.zero
            for record in records {
                guard let completion = record.completion, let running = record.running else { continue }
                let end = record.due + completion
                guard end > point.at, end - running <= point.at else { continue }
                point.running += 1
                sum = sum + (allocations[record.function] ?? .zero)
            }
            if point.allocatedMillicores == 0, point.allocatedMemoryBytes == 0 {
                (point.allocatedMillicores, point.allocatedMemoryBytes) = (sum.millicores, sum.memoryBytes)
            }
            return point
        }
    }
}
