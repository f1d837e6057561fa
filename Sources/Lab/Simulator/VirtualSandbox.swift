// SPDX-License-Identifier: Apache-2.0

public import BrumeModel
import DequeModule
import HeapModule
import Synchronization

/// How a function behaves in a ``VirtualSandbox``.
public struct VirtualBehaviour<Payload: Sendable>: Sendable {
    public enum Start: Sendable {
        case comesUp(after: Duration)
        case fails(String, after: Duration)
    }

    public enum Answer: Sendable {
        case replies(CallResponse<Payload>, after: Duration)
        /// The call ends badly, the replica goes on.
        case fails(CallFailure, after: Duration)
        /// The replica ends in the middle of the call.
        case crashes(ReplicaExit, CallFailure.Kind, after: Duration)
        /// Until it is cancelled or the replica is stopped.
        case hangs
    }

    public var start: Start
    public var answer: @Sendable (CallRequest<Payload>) -> Answer

    public init(start: Start = .comesUp(after: .milliseconds(1)), answer: @escaping @Sendable (CallRequest<Payload>) -> Answer) {
        self.start = start
        self.answer = answer
    }
}

/// Sandboxes without processes, in virtual time: they keep every promise of ``SandboxDriver`` and cost nothing.
///
/// Time stands still until ``advance(by:)``, or runs as fast as it can where the driver was made with `immediate`: then every method has
/// had its whole effect, events and replies included, before it returns. Events come one after the other, outside all locks.
public final class VirtualSandbox<Payload: Sendable>: SandboxDriver {
    public typealias Reply = @Sendable (Result<CallResponse<Payload>, CallFailure>) -> Void

    private enum Happening: Sendable {
        case up(ReplicaID)
        case startFails(ReplicaID, String)
        case callEnds(CallID, ReplicaID, Result<CallResponse<Payload>, CallFailure>)
        case replicaEnds(ReplicaID, ReplicaExit, CallFailure.Kind)
    }

    private struct Appointment: Comparable, Sendable {
        let at: Instant
        let sequence: UInt64
        let happening: Happening

        static func == (left: Appointment, right: Appointment) -> Bool { left.sequence == right.sequence }
        static func < (left: Appointment, right: Appointment) -> Bool { (left.at, left.sequence) < (right.at, right.sequence) }
    }

    private enum Delivery: Sendable {
        case event(SandboxEvent)
        case reply(Reply, Result<CallResponse<Payload>, CallFailure>)
    }

    private struct State: Sendable {
        var host = VirtualHost()
        var specs: [ReplicaID: FunctionSpec] = [:]
        var replies: [CallID: Reply] = [:]
        var agenda = Heap<Appointment>()
        var sequence: UInt64 = 0
        var now = Instant.zero
        var outbox = Deque<Delivery>()
        var delivering = false
        var closed = false

        mutating func schedule(_ happening: Happening, after pause: Duration) {
            sequence += 1
            agenda.insert(Appointment(at: now + pause, sequence: sequence, happening: happening))
        }

        mutating func happen(_ happening: Happening) {
            switch happening {
            case .up(let replica): if host.comeUp(replica) { outbox.append(.event(.started(replica))) }
            case .startFails(let replica, let message):
                if host.phase(of: replica) == .starting { end(replica, ReplicaExit(.startFailed, message), .startFailed) }
            case .callEnds(let call, let replica, let result): callEnds(call, replica, result)
            case .replicaEnds(let replica, let exit, let kind): end(replica, exit, kind)
            }
        }

        private mutating func callEnds(_ call: CallID, _ replica: ReplicaID, _ result: Result<CallResponse<Payload>, CallFailure>) {
            guard host.release(call, on: replica), let reply = replies.removeValue(forKey: call) else { return }
            var failure: CallFailure?
            switch result {
            case .success(let response): failure = response.failure
            case .failure(let reason): failure = reason
            }
            outbox.append(.reply(reply, result))
            outbox.append(.event(.finished(call, on: replica, failure: failure)))
            if host.phase(of: replica) == .stopping, host.calls(on: replica).isEmpty {
                end(replica, ReplicaExit(.stopped, "The replica was stopped."), .stopped)
            }
        }

        mutating func end(_ replica: ReplicaID, _ exit: ReplicaExit, _ kind: CallFailure.Kind) {
            guard let unfinished = host.end(replica) else { return }
            specs[replica] = nil
            for call in unfinished {
                let failure = CallFailure(kind, exit.message)
                if let reply = replies.removeValue(forKey: call) { outbox.append(.reply(reply, .failure(failure))) }
                outbox.append(.event(.finished(call, on: replica, failure: failure)))
            }
            outbox.append(.event(.exited(replica, exit)))
        }

        mutating func stop(_ replica: ReplicaID, grace: Duration) {
            guard host.beginStop(replica) else { return }
            let exit = ReplicaExit(.stopped, "The replica was stopped.")
            schedule(.replicaEnds(replica, exit, .stopped), after: host.calls(on: replica).isEmpty ? .zero : grace)
        }
    }

    private let state = Mutex(State())
    private let behaviour: @Sendable (FunctionSpec) -> VirtualBehaviour<Payload>
    private let events: @Sendable (SandboxEvent) -> Void
    private let immediate: Bool

    /// - Parameter immediate: whether time runs as fast as it can.
    public init(
        immediate: Bool, behaviour: @escaping @Sendable (FunctionSpec) -> VirtualBehaviour<Payload>,
        events: @escaping @Sendable (SandboxEvent) -> Void
    ) {
        self.immediate = immediate
        self.behaviour = behaviour
        self.events = events
    }

    public var isolation: String { "none: replicas are virtual" }

    /// Lets time pass and everything happen that is due by then.
    public func advance(by duration: Duration) { settle(until: state.withLock { $0.now } + duration) }

    // MARK: SandboxDriver

    public func prepare(_ spec: FunctionSpec, bundle: String?) async throws {}

    public func start(_ replica: ReplicaID, of spec: FunctionSpec, secrets: [Secret]) {
        let start = behaviour(spec).start
        state.withLock { state in
            state.host.start(replica)
            state.specs[replica] = spec
            switch start {
            case _ where state.closed: state.schedule(.startFails(replica, "The driver has been shut down."), after: .zero)
            case .comesUp(let pause): state.schedule(.up(replica), after: pause)
            case .fails(let message, let pause): state.schedule(.startFails(replica, message), after: pause)
            }
        }
        settleIfImmediate()
    }

    public func invoke(
        _ call: CallID, _ request: CallRequest<Payload>, on replica: ReplicaID, deadline: Instant, reply: @escaping Reply
    ) {
        let answer = state.withLock { $0.specs[replica] }.map { behaviour($0).answer(request) }
        state.withLock { state in
            guard let answer, state.host.take(call, on: replica) else {
                let failure = CallFailure(.unsent, "The replica was gone before the call reached it; try again.")
                state.outbox.append(.reply(reply, .failure(failure)))
                state.outbox.append(.event(.finished(call, on: replica, failure: failure)))
                return
            }
            state.replies[call] = reply
            switch answer {
            case .replies(let response, let pause): state.schedule(.callEnds(call, replica, .success(response)), after: pause)
            case .fails(let failure, let pause): state.schedule(.callEnds(call, replica, .failure(failure)), after: pause)
            case .crashes(let exit, let kind, let pause): state.schedule(.replicaEnds(replica, exit, kind), after: pause)
            case .hangs: break
            }
        }
        settleIfImmediate()
    }

    public func cancel(_ call: CallID, on replica: ReplicaID) {
        let failure = CallFailure(.abandoned, "The call was cancelled.")
        state.withLock { $0.schedule(.callEnds(call, replica, .failure(failure)), after: .zero) }
        settleIfImmediate()
    }

    public func stop(_ replica: ReplicaID, grace: Duration) {
        state.withLock { $0.stop(replica, grace: grace) }
        settleIfImmediate()
    }

    /// Memory is what the function reserves; CPU time is not simulated.
    public func usage(of replica: ReplicaID) -> ReplicaUsage? {
        guard let spec = state.withLock({ $0.specs[replica] }) else { return nil }
        return ReplicaUsage(cpuTime: .zero, memoryBytes: spec.requests.memoryBytes, memoryPeakBytes: spec.requests.memoryBytes)
    }

    public func shutdown() async {
        let now = state.withLock { state in
            state.closed = true
            for replica in state.host.all { state.end(replica, ReplicaExit(.stopped, "The node was shut down."), .stopped) }
            return state.now
        }
        settle(until: now)
    }

    // MARK: Delivery

    /// What has no later time still waits for nobody: refusals and deliveries are out before the method returns.
    private func settleIfImmediate() { settle(until: immediate ? .distantFuture : state.withLock { $0.now }) }

    /// Delivers one thing after the other. Whoever comes meanwhile, also from within a delivery, leaves the work to the one who is at it.
    private func settle(until limit: Instant) {
        let isFirst = state.withLock { state in
            defer { state.delivering = true }
            return !state.delivering
        }
        guard isFirst else { return }
        while let delivery = next(until: limit) {
            switch delivery {
            case .event(let event): events(event)
            case .reply(let reply, let result): reply(result)
            }
        }
    }

    private func next(until limit: Instant) -> Delivery? {
        state.withLock { state in
            while state.outbox.isEmpty, let due = state.agenda.min, due.at <= limit {
                state.agenda.removeMin()
                state.now = Swift.max(state.now, due.at)
                state.happen(due.happening)
            }
            if state.outbox.isEmpty {
                if limit != .distantFuture { state.now = Swift.max(state.now, limit) }
                state.delivering = false
            }
            return state.outbox.popFirst()
        }
    }
}
