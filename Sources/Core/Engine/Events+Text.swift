// SPDX-License-Identifier: Apache-2.0

public import BrumeHarvest
public import BrumeModel

// One line for each event, the same in scenario files, in traces of the simulator and in debug logs.

extension Input: CustomStringConvertible {
    public var description: String {
        switch self {
        case .deploy(let function, let policy): "deploy \(function) \(policy.sentence)"
        case .remove(let function): "remove \(function)"
        case .scale(let function, let count): "scale \(function) to \(count)"
        case .arrive(let call, let function, let timeout, let features):
            "arrive \(call) \(function)" + (timeout.map { " timeout \($0.short)" } ?? "")
                + (features == .unknown ? "" : " input \(features.inputBytes)")
        case .offer(let call, let function): "offer \(call) \(function)"
        case .enqueue(let call, let function, let failed, let notBefore):
            "enqueue \(call) \(function) failed \(failed) not before \(notBefore.short)"
        case .abandon(let call): "abandon \(call)"
        case .started(let replica): "started \(replica)"
        case .exited(let replica, let exit): "exited \(replica) (\(exit.cause)) \(exit.message)"
        case .finished(let call, let end, let usage):
            "finished \(call) \(end)"
                + (usage.map { " peak \(ResourceKind.cpu.text($0.peakMillicores)) \(ResourceKind.memory.text($0.peakMemoryBytes))" } ?? "")
        case .sampled(let samples): "sampled " + samples.map(\.description).joined(separator: ", ")
        case .limitHeld(let limit, let held, _): "limit held \(limit) at \(limit.kind.text(held))"
        case .tick: "tick"
        case .drain: "drain"
        case .halt: "halt"
        }
    }
}

extension Output: CustomStringConvertible {
    public var description: String {
        switch self {
        case .start(let replica, let function): "start \(replica) \(function)"
        case .run(let call, let replica, let cold, let deadline):
            "run \(call) on \(replica) \(cold ? "cold" : "warm") deadline \(deadline.short)"
        case .refuse(let call, let refusal): "refuse \(call): \(refusal.httpStatus) \(refusal.sentence)"
        case .fail(let call, let failure): "fail \(call): \(failure.kind.rawValue) \(failure.message)"
        case .expire(let call, let replica): "expire \(call) " + (replica.map { "running on \($0)" } ?? "waiting")
        case .cancel(let call, let replica): "cancel \(call) on \(replica)"
        case .complete(let call): "complete \(call)"
        case .retry(let call, let failed, let at): "retry \(call) failed \(failed) at \(at.short)"
        case .bury(let call, let failed): "bury \(call) failed \(failed)"
        case .stop(let replica, let grace): "stop \(replica) grace \(grace.short)"
        case .limit(let limits): "limit " + limits.map(\.description).joined(separator: ", ")
        case .wake(let at): "wake at \(at.short)"
        case .note(let note): "note \(note)"
        }
    }
}

extension Note: CustomStringConvertible {
    public var description: String {
        switch self {
        case .queued(let call, let ahead): "\(call) queued behind \(ahead)"
        case .startedReplica(let replica, let function, let reason): "\(replica) of \(function) starts: \(reason.rawValue)"
        case .startDeferred(let function, let reason): "no start of \(function): \(reason.rawValue)"
        case .startFailed(let replica, let function, let failures, let message):
            "\(replica) of \(function) failed to start (\(failures) in a row): \(message)"
        case .stoppedReplica(let replica, let function, let reason): "\(replica) of \(function) takes no more calls: \(reason.rawValue)"
        case .resent(let call, let replica): "\(call) never reached \(replica)"
        case .heldBack(let call, let needs):
            "\(call) held back until \(ResourceKind.cpu.text(needs.millicores)) and \(ResourceKind.memory.text(needs.memoryBytes)) are free"
        case .allotted(let call, let limits, let allocation):
            "\(call) runs with "
                + ResourceKind.allCases.map { "\($0.text(limits[$0])) of \($0.text(allocation[$0]))" }.joined(separator: ", ")
        case .settled(let statement): "\(statement.call) " + statement.sentence
        }
    }
}

extension ResourceKind {
    /// An amount with its unit.
    fileprivate func text(_ amount: Int) -> String {
        self == .cpu ? Resources.describe(millicores: amount) + " CPU" : Resources.describe(bytes: amount)
    }
}

extension ReplicaLimit: CustomStringConvertible {
    public var description: String { "\(replica) \(kind.text(from)) -> \(kind.text(to))" }
}

extension ReplicaSample: CustomStringConvertible {
    public var description: String {
        "\(replica)" + (usage.cpuTime.map { " cpu \($0.short)" } ?? "") + (usage.memoryBytes.map { " memory \($0)" } ?? "")
    }
}

extension CallStatement {
    /// What harvesting did to the call, in core-seconds and in mebibyte-seconds.
    public var sentence: String {
        ResourceKind.allCases.map { kind in
            let account = self[kind]
            let guarded = account.safeguards > 0 ? ", restored by the safeguard" : ""
            return "lent \(Self.text(account.lent, kind)), borrowed \(Self.text(account.borrowed, kind))" + guarded
        }.joined(separator: "; ")
    }

    private static func text(_ amount: ResourceTime, _ kind: ResourceKind) -> String {
        // Whole thousandths: a text must be the same everywhere.
        let thousandths = kind == .cpu ? amount.units / 1_000_000_000 : amount.units / (1 << 20) / 1_000_000
        return "\(thousandths / 1000).\(String(1000 + thousandths % 1000).dropFirst()) " + (kind == .cpu ? "core-s" : "MiB-s")
    }
}

extension FunctionPolicy {
    fileprivate var sentence: String {
        "cpu \(requests.millicores)m memory \(Resources.describe(bytes: requests.memoryBytes)) concurrency \(concurrency) "
            + "min \(scale.min) max \(scale.max) keep-alive \(scale.keepAlive.short) timeout \(timeout.short)" + (prewarm ? " prewarm" : "")
    }
}

extension FunctionHandle: CustomStringConvertible {
    public var description: String { "f\(index)" }
}

extension Duration {
    /// The exact time in the largest unit that divides it: `90s`, `1500ms`, `20us`, `7ns`.
    public var short: String {
        let nanoseconds = wholeNanoseconds
        for (unit, factor) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000)] as [(String, Int64)]
        where nanoseconds % factor == 0 {
            return "\(nanoseconds / factor)\(unit)"
        }
        return "\(nanoseconds)ns"
    }
}

extension Instant {
    /// The time since zero, as ``Swift/Duration/short``.
    public var short: String { self == .distantFuture ? "never" : Duration.nanoseconds(nanoseconds).short }
}
