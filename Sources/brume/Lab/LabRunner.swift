// SPDX-License-Identifier: Apache-2.0
import BrumeLoad
import BrumeModel
import BrumeSandbox
import BrumeWorkload
import SystemPackage

/// Plays the traces of an experiment under one policy on a node of its own.
struct LabRunner {
    /// Longest wait for an answer: a call may stand behind all others of its trace.
    private static let answerMax = Duration.seconds(900)
    /// Longest wait until all warm replicas are up.
    private static let warmMax = Duration.seconds(180)
    private static let lookInterval = Duration.milliseconds(100)
    /// The node's loose ends after the warming and the learning.
    private static let pause = Duration.milliseconds(500)

    let suite: LabSuite
    let traces: LabTraces
    let node: LabNode
    /// Told what is going on.
    let tell: @Sendable (String) -> Void

    struct Result: Sendable {
        var run: PolicyRun
        /// CPU that was used beside the functions', as a part of the machine's: the node's own and that of strangers.
        var othersShare: Double
    }

    func run(_ policy: LabPolicy) async throws -> Result {
        let used = suite.functions.filter { settings in traces.trace.functions.contains { $0.name == settings.id.callPath } }
        return try await node.during(policy) { address in
            try await NodeClient.with(address) { client in
                tell("deploying the functions")
                try await deploy(used.map { $0.under(policy) }, client)
                try await awaitReplicas(used, client)
                let replicas = traces.trace.functions.map { function in
                    used.first { $0.id.callPath == function.name }.map { max(1, $0.warmReplicas) } ?? 0
                }
                tell("warming the replicas")
                _ = try await play(traces.warmUp(replicas: replicas), address, doing: "warming the replicas")
                if policy.lends || traces.trainsAll { _ = try await play(traces.training, address, doing: "learning") }
                try await Task.sleep(for: Self.pause)
                let began = (ContinuousClock.now, LabMachine.busySeconds())
                let run = try await measure(policy, address, client)
                let others = Self.othersShare(run, began)
                // The next node finds them without a replica, and starts none in vain.
                try await deploy(used.map(\.atRest), client)
                return Result(run: run, othersShare: others)
            }
        }
    }

    private static func othersShare(_ run: PolicyRun, _ began: (at: ContinuousClock.Instant, busy: Double?)) -> Double {
        guard let then = began.busy, let now = LabMachine.busySeconds() else { return 0 }
        var (own, before) = (0.0, 0.0)
        for point in run.utilisation {
            own += (point.at.inSeconds - before) * Double(point.usedMillicores) / 1000
            before = point.at.inSeconds
        }
        let seconds = max(0.001, (ContinuousClock.now - began.at).inSeconds)
        return max(0, now - then - own) / (seconds * Double(Machine.coreCount))
    }

    private func measure(_ policy: LabPolicy, _ address: NodeAddress, _ client: NodeClient) async throws -> PolicyRun {
        let sampler = LabSampler(
            usage: NodeUsage(stateDirectory: FilePath(node.dataDirectory).appending("sandbox").string), client: client,
            asksForLimits: policy.lends)
        let since = Wording.timestamp(before: .zero)
        let start = ContinuousClock.now
        var run = PolicyRun(policy: policy.rawValue, isSimulated: false, capacity: node.capacity)
        try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask { .looks(await sampler.run(from: start)) }
            group.addTask { .records(try await play(traces.trace, address, doing: "playing the trace")) }
            while let part = try await group.next() {
                switch part {
                case .records(let records):
                    run.records = records
                    // Nothing is to be looked at any more.
                    group.cancelAll()
                case .looks(let points): run.utilisation = points
                }
            }
        }
        run.utilisation = LabSampler.completing(run.utilisation, run.records, allocations: try allocations)
        run.take(try await LabCall.all(since: since, from: client))
        return run
    }

    private enum Part: Sendable {
        case records([ReplayRecord])
        case looks([UtilisationPoint])
    }

    private var allocations: [String: Resources] {
        get throws {
            let amounts = try suite.allocations(of: traces.trace)
            return Dictionary(zip(traces.trace.functions.map(\.name), amounts)) { first, _ in first }
        }
    }

    // MARK: Functions

    private func deploy(_ functions: [FunctionSettings], _ client: NodeClient) async throws {
        for settings in functions {
            var plan = try await DeploymentPlan(settings)
            do {
                if let archive = plan.archive { plan.uploaded(as: try await client.upload(archive)) }
                try await client.deploy(plan.deployment)
            } catch let refusal as NodeRefusal {
                throw CommandFailure.failed("The function \(settings.id.name) of the suite could not be deployed: \(refusal.sentence)")
            }
        }
    }

    /// There is no event to wait for in the API.
    private func awaitReplicas(_ functions: [FunctionSettings], _ client: NodeClient) async throws {
        let started = ContinuousClock.now
        for settings in functions {
            while true {
                let report = try await client.report(settings.id)
                if let problem = report?.problem, !problem.isEmpty {
                    throw CommandFailure.failed("The function \(settings.id.name) of the suite does not start: \(problem)")
                }
                if let report, report.availableReplicas >= settings.warmReplicas { break }
                guard ContinuousClock.now - started < Self.warmMax else {
                    throw CommandFailure.failed(
                        """
                        Not all replicas of \(settings.id.name) were up within \(Wording.duration(Self.warmMax)); give the node more with \
                        --cpu and --memory, or ask for fewer in the suite's \(LabSuite.stackName).
                        """)
                }
                try await Task.sleep(for: Self.lookInterval)
            }
        }
    }

    // MARK: Calls

    private func play(_ trace: Trace, _ address: NodeAddress, doing what: String) async throws -> [ReplayRecord] {
        guard !trace.calls.isEmpty else { return [] }
        let plan = ReplayPlan(
            gateway: try LoadTarget(parsing: address.url), trace: trace, paths: trace.functions.map { "/function/" + $0.name },
            timeout: Self.answerMax)
        return try await TraceReplay(plan).run { [tell] progress in
            tell("\(what), \(progress.succeeded + progress.failed) of \(progress.calls) calls answered")
        }
    }
}
