// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import Synchronization

/// A driver inside the test's process: replicas are ready at once, and what a call does is in the function's name.
///
/// A call whose body is `hold` does not answer either. `echo` and `measured` answer with the body, `status500` with a failure, `killed`
/// runs out of memory, `survives` answers although the kernel killed a process of it, `never` does not answer at all, `gone` is lost
/// before the call is sent until the second replica.
final class ScriptedDriver: SandboxDriver {
    typealias Payload = ByteBuffer

    struct State: Sendable {
        var running: [ReplicaID: FunctionSpec] = [:]
        var invoked: [String] = []
        var cancelled: [CallID] = []
        var held: [CallID: ReplicaID] = [:]
        var secrets: [Secret] = []
        var prepared = 0
        var kernel = ScriptedKernel()
    }

    let isolation = "none: calls are scripted in the test"
    let state = Mutex(State())
    private let events: @Sendable (SandboxEvent) -> Void

    init(events: @escaping @Sendable (SandboxEvent) -> Void) { self.events = events }

    func prepare(_ spec: FunctionSpec, bundle: String?) async throws {
        if spec.id.name == "unpreparable" { throw BrumeError(.invalid, "The handler has a syntax error in line 3.") }
        state.withLock { $0.prepared += 1 }
    }

    func start(_ replica: ReplicaID, of spec: FunctionSpec, secrets: [Secret]) {
        if spec.id.name == "broken" {
            events(.exited(replica, ReplicaExit(.startFailed, "The program is missing.")))
            return
        }
        state.withLock { state in
            state.running[replica] = spec
            state.kernel.limits[replica] = spec.limits
            state.secrets = secrets
        }
        events(.started(replica))
    }

    func invoke(
        _ call: CallID, _ request: CallRequest<ByteBuffer>, on replica: ReplicaID, deadline: Instant, reply: @escaping ReplyHandler
    ) {
        let name = request.function.name
        let attempt = state.withLock { state in
            state.invoked.append(request.label)
            return state.invoked.count { $0 == request.label }
        }
        let isHeld = if case .whole(let body) = request.body { body == ByteBuffer(string: "hold") } else { false }
        switch name {
        case _ where isHeld, "never":
            state.withLock { $0.held[call] = replica }
        case "gone" where attempt == 1:
            let failure = CallFailure(.unsent, "The replica had gone.")
            reply(.failure(failure))
            events(.finished(call, on: replica, failure: failure))
            state.withLock { state in
                state.running[replica] = nil
                state.kernel.limits[replica] = nil
            }
            events(.exited(replica, ReplicaExit(.exited(code: 0), "It ended.")))
        case "killed":
            let failure = CallFailure(.outOfMemory, "It ran out of memory.")
            reply(.failure(failure))
            events(.finished(call, on: replica, failure: failure))
        case "status500":
            reply(.success(CallResponse(status: 500, body: .whole(ByteBuffer(string: "no")))))
            events(.finished(call, on: replica, failure: nil))
        case "streams":
            let (parts, continuation) = AsyncThrowingStream.makeStream(of: ByteBuffer.self, throwing: (any Error).self)
            for part in ["one ", "two ", "three"] { continuation.yield(ByteBuffer(string: part)) }
            reply(.success(CallResponse(status: 200, body: .stream(parts))))
            events(.finished(call, on: replica, failure: nil))
            continuation.finish()
        default:
            guard case .whole(let body) = request.body else { return }
            reply(.success(CallResponse(status: 200, headers: [HeaderField("X-Echo", "yes")], body: .whole(body))))
            events(.log(replica, .stdout, "echoed"))
            events(.finished(call, on: replica, failure: nil))
        }
    }

    func setLimit(_ kind: ResourceKind, to amount: Int, of replica: ReplicaID) -> Int? {
        state.withLock { $0.kernel.set(kind, to: amount, of: replica) }
    }

    func beginUse(of replica: ReplicaID) { state.withLock { _ = $0.kernel.busy.insert(replica) } }

    /// Each time with calls used as much on `measured`, and half as much again as it has by right on `hungry`.
    func endUse(of replica: ReplicaID) -> CallUsage? {
        let spec = state.withLock { state in
            state.kernel.busy.remove(replica)
            // As the real driver does: without calls it lends nothing.
            if let own = state.running[replica]?.limits.memoryBytes { state.kernel.release(replica, own) }
            return state.running[replica]
        }
        return switch spec?.id.name {
        case "survives": CallUsage(cpuTime: .milliseconds(1), peakMillicores: 200, peakMemoryBytes: 20 << 20, memoryKills: 1)
        case "measured": CallUsage(cpuTime: .milliseconds(1), peakMillicores: 200, peakMemoryBytes: 20 << 20)
        case "hungry": CallUsage(cpuTime: .milliseconds(1), peakMillicores: 200, peakMemoryBytes: (spec?.limits.memoryBytes ?? 0) * 3 / 2)
        default: nil
        }
    }

    /// Tells what a replica uses, as the watcher of the real driver does.
    func tell(_ use: ReplicaUse) { events(.used([use])) }

    func cancel(_ call: CallID, on replica: ReplicaID) {
        let held = state.withLock { state in
            state.cancelled.append(call)
            return state.held.removeValue(forKey: call)
        }
        if held != nil { events(.finished(call, on: replica, failure: CallFailure(.abandoned, "It was told to give up."))) }
    }

    func stop(_ replica: ReplicaID, grace: Duration) {
        let isThere = state.withLock { state in
            state.kernel.limits[replica] = nil
            state.kernel.busy.remove(replica)
            return state.running.removeValue(forKey: replica) != nil
        }
        guard isThere else { return }
        events(.exited(replica, ReplicaExit(.stopped, "It was asked to stop.")))
    }

    func usage(of replica: ReplicaID) -> ReplicaUsage? {
        state.withLock {
            $0.running[replica] == nil ? nil : ReplicaUsage(cpuTime: .seconds(1), memoryBytes: 1 << 20, memoryPeakBytes: 2 << 20)
        }
    }

    func shutdown() async {
        let running = state.withLock { $0.running.keys.sorted() }
        for replica in running { stop(replica, grace: .zero) }
    }
}
