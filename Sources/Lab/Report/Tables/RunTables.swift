// SPDX-License-Identifier: Apache-2.0

import BrumeModel
public import BrumeWorkload

/// The CSV files of one run.
public enum RunTables {
    /// A line for each call: what Libra's `_trajectory` and `_delta` hold, and Brume's phases.
    public static func calls(_ run: PolicyRun) -> [String] { [ReplayRecord.header] + run.records.map(\.line) }

    /// What the node's calls used and had, about ten times a second.
    public static func utilisation(_ run: PolicyRun) -> [String] {
        ["time_s,cpu_used,cpu_allocated,memory_used_mb,memory_allocated_mb,running"]
            + run.utilisation.map { point in
                [
                    Figure.decimal(point.at.inSeconds, 3), Figure.decimal(Double(point.usedMillicores) / 1000, 3),
                    Figure.decimal(Double(point.allocatedMillicores) / 1000, 3), Figure.decimal(Double(point.usedMemoryBytes) / 1e6, 1),
                    Figure.decimal(Double(point.allocatedMemoryBytes) / 1e6, 1), "\(point.running)",
                ].joined(separator: ",")
            }
    }

    /// One of Libra's four log files, with its columns and units, so that its scripts can read them.
    public enum LibraLog: String, Sendable, CaseIterable {
        case trajectory, delta
        case cpuUsage = "cpu_usage"
        case memoryUsage = "memory_usage"
    }

    public static func libra(_ log: LibraLog, _ run: PolicyRun) -> [String] {
        switch log {
        case .trajectory: trajectory(run)
        case .delta: delta(run)
        case .cpuUsage: usage(run, used: { Double($0.usedMillicores) / 1000 }, allocated: { Double($0.allocatedMillicores) / 1000 })
        case .memoryUsage:
            usage(run, used: { Double($0.usedMemoryBytes) / 1e6 }, allocated: { Double($0.allocatedMemoryBytes) / 1e6 })
        }
    }

    private static let unit = 128.0 * 1_048_576

    private static func trajectory(_ run: PolicyRun) -> [String] {
        let names = [
            "index", "request_id", "function_id", "input_size", "success", "timeout", "cpu", "memory", "cpu_peak", "mem_peak", "history",
            "predict_duration", "duration", "completion_time",
        ]
        return [names.joined(separator: ",")]
            + run.records.map { record in
                let resources = record.resources
                let fields: [String] = [
                    "\(record.index)", record.requestID, record.function, text(record.inputSize), record.succeeded ? "True" : "False",
                    record.timedOut ? "True" : "False", cores(resources.millicores),
                    resources.memoryBytes.map { Figure.decimal(Double($0) / unit, 3) } ?? "", cores(resources.peakMillicores),
                    megabytes(resources.peakMemoryBytes), history(resources), seconds(resources.predictedDuration),
                    seconds(record.running), seconds(record.completion),
                ]
                return fields.joined(separator: ",")
            }
    }

    private static func delta(_ run: PolicyRun) -> [String] {
        let names = [
            "index", "request_id", "is_safeguard", "cpu_delta", "mem_delta", "cpu_idle", "memory_idle", "duration", "completion_time",
        ]
        return [names.joined(separator: ",")]
            + run.records.map { record in
                let resources = record.resources
                return [
                    "\(record.index)", record.requestID, resources.wasSafeguarded.map { $0 ? "True" : "False" } ?? "",
                    cores(resources.millicoreSeconds), megabytes(resources.memoryByteSeconds), cores(resources.idleMillicoreSeconds),
                    megabytes(resources.idleMemoryByteSeconds), seconds(record.running), seconds(record.completion),
                ].joined(separator: ",")
            }
    }

    /// Means over whole seconds, counted from 1 as Libra does.
    private static func usage(
        _ run: PolicyRun, used: (UtilisationPoint) -> Double, allocated: (UtilisationPoint) -> Double
    ) -> [String] {
        var lines = ["time,util,alloc"]
        var second = 1
        var sums = (used: 0.0, allocated: 0.0, count: 0)
        func close() {
            guard sums.count > 0 else { return }
            let count = Double(sums.count)
            lines.append("\(second),\(Figure.decimal(sums.used / count, 3)),\(Figure.decimal(sums.allocated / count, 3))")
            sums = (0, 0, 0)
        }
        for point in run.utilisation {
            let bucket = max(1, Int(point.at.inSeconds.rounded(.up)))
            if bucket != second {
                close()
                second = bucket
            }
            sums = (sums.used + used(point), sums.allocated + allocated(point), sums.count + 1)
        }
        close()
        return lines
    }

    /// Libra's `isSafeguard;memDelta cpuDelta;memIdle cpuIdle`; the peers of each loan are in the node's own explanations.
    private static func history(_ resources: ReplayRecord.Resources) -> String {
        guard let wasSafeguarded = resources.wasSafeguarded else { return "" }
        let delta = "\(megabytes(resources.memoryByteSeconds)) \(cores(resources.millicoreSeconds))"
        let idle = "\(megabytes(resources.idleMemoryByteSeconds)) \(cores(resources.idleMillicoreSeconds))"
        return "\(wasSafeguarded ? "True" : "False");\(delta);\(idle)"
    }

    private static func text(_ number: Int?) -> String { number.map { "\($0)" } ?? "" }
    private static func seconds(_ duration: Duration?) -> String { duration.map { Figure.decimal($0.inSeconds, 6) } ?? "" }
    private static func cores(_ thousandths: Int?) -> String { thousandths.map { Figure.decimal(Double($0) / 1000, 3) } ?? "" }
    private static func megabytes(_ bytes: Int?) -> String { bytes.map { Figure.decimal(Double($0) / 1e6, 3) } ?? "" }
}
