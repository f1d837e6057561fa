// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeReport
import BrumeWorkload

/// Small runs whose figures can be worked out by hand, and larger ones that look like real ones.
enum SampleRuns {
    static let capacity = Resources(millicores: 2000, memoryBytes: 1 << 30)

    static func record(
        _ index: Int, _ function: String = "f", due: Int = 0, queued: Int = 0, running: Int?, succeeded: Bool = true
    ) -> ReplayRecord {
        var record = ReplayRecord(index: index, function: function, due: .milliseconds(due), inputSize: 7)
        record.requestID = "call-\(index)"
        record.succeeded = succeeded
        record.status = succeeded ? 200 : 502
        record.queued = .milliseconds(queued)
        record.starting = .zero
        record.running = running.map { .milliseconds($0) }
        record.completion = running.map { .milliseconds($0 + queued) }
        return record
    }

    static func point(_ milliseconds: Int, cpu: Int, memory: Int = 0, limits: Int = 0) -> UtilisationPoint {
        UtilisationPoint(
            at: .milliseconds(milliseconds), usedMillicores: cpu, usedMemoryBytes: memory, allocatedMillicores: limits,
            allocatedMemoryBytes: 2 * memory, running: 1)
    }

    static func run(
        _ policy: String, simulated: Bool = false, _ records: [ReplayRecord], _ utilisation: [UtilisationPoint] = []
    ) -> PolicyRun {
        var run = PolicyRun(policy: policy, isSimulated: simulated, capacity: capacity)
        run.records = records
        run.utilisation = utilisation
        return run
    }

    static func experiment(_ runs: [PolicyRun]) -> Experiment {
        Experiment(
            version: "1.2.3", machine: "a machine of two cores", trace: "4 calls of 2 functions", length: .seconds(1), seed: 9,
            capacity: capacity, runs: runs)
    }

    /// Nine policies with a hundred calls each, as a whole experiment has them.
    static func whole() -> Experiment {
        let policies = [
            ("static", 1.0), ("overcommit", 0.7), ("weights", 0.3), ("harvest", 0.35), ("harvest-weights", 0.3),
            ("harvest-without-safeguard", 0.4), ("harvest-without-profiler", 0.8), ("harvest-without-top-up", 0.5), ("density", 0.25),
        ]
        let functions = SuiteFunction.libra.map(\.name)
        var runs: [PolicyRun] = []
        for simulated in [false, true] {
            for (policy, factor) in policies {
                var generator = SeededGenerator(seed: 11)
                var run = PolicyRun(policy: policy, isSimulated: simulated, capacity: capacity)
                for index in 0..<165 {
                    let queued = Int(Double(index * 300) * factor * factor)
                    let running = Int((200 + 4000 * generator.unit()) * factor * (0.8 + 0.5 * generator.unit()))
                    run.records.append(
                        record(index, functions[index % functions.count], due: index * 360, queued: queued, running: running))
                }
                let seconds = ReplaySummary("all", of: run.records).completionSeconds
                for tenth in 1...Int(seconds * 10) {
                    let used = Int(Double(600 + generator.below(600)) / (0.4 + factor * 0.6))
                    run.utilisation.append(
                        point(tenth * 100, cpu: min(1990, used), memory: 200 << 20 + tenth << 10, limits: 1700 + generator.below(300)))
                }
                run.safeguards = policy == "harvest" ? 12 : 0
                runs.append(run)
            }
        }
        var experiment = experiment(runs)
        experiment.trace = "165 calls of 10 functions"
        experiment.length = .seconds(60)
        return experiment
    }
}
