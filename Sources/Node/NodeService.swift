// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
package import BrumeModel
package import Logging
package import NIOCore
import ServiceLifecycle
import Synchronization

/// The shell round the engine: takes what happens, asks the engine, performs what it says on real sandboxes and a real store.
///
/// Decisions are made under one lock and performed outside it. What must happen in the order of the decisions (starts and stops of
/// replicas, changes in the store) goes through ``control``; handing a call to a replica does not need an order and is done at once.
package final class NodeService<Driver: SandboxDriver, Keeper: Store>: NodeOperations, Service
where Driver.Payload == ByteBuffer, Keeper.Payload == ByteBuffer {
    package typealias Payload = ByteBuffer

    package let settings: NodeSettings
    let world: NodeWorld
    let store: Keeper
    package let driver: Driver
    let logger: Logger
    let clock: NodeClock
    let startedAt: Instant
    let books: Mutex<Books>
    let logs = LogHub()
    let metrics = NodeMetrics()
    /// Nil where nothing is lent.
    let harvestMetrics: HarvestMetrics?
    /// One administrative change at a time, so that store and engine agree on the order.
    let changes = Lane()
    let control: AsyncStream<ControlItem>
    let controlInput: AsyncStream<ControlItem>.Continuation
    let callbackDeliveries: AsyncStream<StoredDelivery<ByteBuffer>>
    let callbacks: AsyncStream<StoredDelivery<ByteBuffer>>.Continuation

    typealias ControlItem = NodeControlItem
    typealias Settlement = NodeSettlement

    /// Whether resources are lent between calls.
    let isHarvesting: Bool

    /// - Parameter makeDriver: gets the sink for the driver's events.
    package init(
        settings: NodeSettings, world: NodeWorld, store: Keeper, epoch: UInt64, logger: Logger,
        makeDriver: (@escaping @Sendable (SandboxEvent) -> Void) async throws -> Driver
    ) async rethrows {
        self.settings = settings
        isHarvesting = settings.engine.harvest != nil
        self.world = world
        self.store = store
        self.logger = logger
        clock = world.clock
        startedAt = clock.now
        harvestMetrics = settings.engine.harvest == nil ? nil : HarvestMetrics()
        // 2^40 calls for each start of the data directory: ten years at 3,000 calls a second.
        books = Mutex(
            Books(
                engine: Engine(settings: settings.engine, now: startedAt), firstCall: epoch << 40, settings: settings))
        // Nothing may be dropped here; what can be queued is bounded by the engine's own limits on replicas and running calls.
        (control, controlInput) = AsyncStream.makeStream(of: ControlItem.self, bufferingPolicy: .unbounded)
        // Beyond it the oldest leave memory; they stay in the store until the next start, and a dead receiver must not fill memory.
        (callbackDeliveries, callbacks) = AsyncStream.makeStream(
            of: StoredDelivery<ByteBuffer>.self, bufferingPolicy: .bufferingNewest(settings.callbacksWaitingMax))
        let relay = EventRelay()
        driver = try await makeDriver { relay.send($0) }
        relay.connect { [weak self] in self?.happened($0) }
    }

    // MARK: Lock, decide, unlock, act

    /// Asks the engine and performs its answer.
    func submit(_ input: Input) {
        let actions = books.withLock { books in self.decide(input, &books) }
        perform(actions)
    }

    /// Asks the engine under the lock. Ordered work is queued here, still under the lock, because its order is the order of decisions.
    ///
    /// - Returns: what the caller performs after unlocking.
    func decide(_ input: Input, _ books: inout Books) -> NodeActions { decide(input, at: clock.now, &books) }

    func decide(_ input: Input, at now: Instant, _ books: inout Books) -> NodeActions {
        var outputs = books.outputs
        books.outputs = []
        outputs.removeAll(keepingCapacity: true)
        books.engine.step(input, now: now, into: &outputs)
        var actions = NodeActions()
        for output in outputs {
            metrics.count(output)
            translate(output, at: now, &books, &actions)
        }
        books.outputs = outputs
        return actions
    }

    func translate(_ output: Output, at now: Instant, _ books: inout Books, _ actions: inout NodeActions) {
        switch output {
        case .run(let call, let replica, let cold, let deadline):
            beginUse(of: replica, &books)
            if let entry = books.calls[call], entry.begin(on: replica, cold: cold, at: now) {
                actions.append(.invoke(call, entry, replica, deadline: deadline))
            } else {
                controlInput.yield(.runQueued(call, replica, deadline: deadline))
            }
        case .refuse(let call, let refusal): answer(call, .refused(refusal), &books, &actions)
        case .fail(let call, let failure): answer(call, .failed(failure), &books, &actions)
        case .expire(let call, let replica):
            if let replica { actions.append(.cancel(call, replica)) }
            answer(call, .failed(timedOut(call, &books)), &books, &actions)
        case .cancel(let call, let replica): actions.append(.cancel(call, replica))
        case .note(let note): keep(note, &books)
        case .limit(let batch): write(batch, &books, &actions)
        case .start(let replica, let function): controlInput.yield(.start(replica, function))
        case .stop(let replica, let grace): controlInput.yield(.stop(replica, grace: grace))
        case .wake(let at): controlInput.yield(.wake(at))
        case .complete(let call): settle(call, .complete, &books)
        case .bury(let call, let failed): settle(call, .bury(failedAttempts: failed), &books)
        case .retry(let call, let failed, let at):
            settle(call, .retry(failedAttempts: failed, at: at), &books)
            books.calls[call]?.beginAttempt(failed + 1)
        }
    }

    private func settle(_ call: CallID, _ kind: Settlement.Kind, _ books: inout Books) {
        let harvest = books.harvest.settled.removeValue(forKey: call)
        let entry = if case .retry = kind { books.calls[call]?.copy() } else { books.calls.removeValue(forKey: call) }
        controlInput.yield(.settle(Settlement(call: call, kind: kind, entry: entry, harvest: harvest)))
    }

    func perform(_ actions: NodeActions) {
        actions.forEach { action in
            switch action {
            case .invoke(let call, let entry, let replica, let deadline):
                if let request = entry.request { invoke(call, request, on: replica, deadline: deadline) }
            case .answer(let ending):
                if let record = ending.record { store.record(record) }
                ending.caller.reply(ending.reply)
            case .cancel(let call, let replica): driver.cancel(call, on: replica)
            }
        }
    }

    func invoke(_ call: CallID, _ request: CallRequest<ByteBuffer>, on replica: ReplicaID, deadline: Instant) {
        driver.invoke(call, request, on: replica, deadline: deadline) { [weak self] result in self?.replied(call, result) }
    }

    // MARK: What the driver reports

    private func happened(_ event: SandboxEvent) {
        switch event {
        case .started(let replica):
            let actions = books.withLock { books in
                books.replicas[replica]?.ready = clock.now
                return decide(.started(replica), &books)
            }
            perform(actions)
        case .finished(let call, let replica, let failure):
            let actions = books.withLock { books -> NodeActions in
                let usage = endUse(of: replica, &books)
                let entry = books.calls[call]
                if let entry, entry.collecting {
                    // Whether the attempt succeeded is known once its body has been read: `keepResult` goes on from here.
                    entry.heldEnd = AttemptEnd(failure: failure, usage: usage)
                    return NodeActions()
                }
                return decide(.finished(call, callEnd(failure, entry?.result), usage: usage), &books)
            }
            perform(actions)
        case .used(let uses): submit(.sampled(uses.map { ReplicaSample($0, at: clock.now) }))
        case .exited(let replica, let exit):
            let (actions, entry) = books.withLock { books in
                if isHarvesting { _ = driver.endUse(of: replica) }
                return (decide(.exited(replica, exit), &books), books.replicas.removeValue(forKey: replica))
            }
            if exit.cause != .stopped, let entry { tell(entry.function, replica, exit.message) }
            perform(actions)
        case .log(let replica, let stream, let text):
            guard let function = books.withLock({ $0.replicas[replica]?.function }) else { return }
            keep(LogLine(function: function, instance: "\(replica)", time: clock.now, stream: stream, text: text))
        }
    }

    func callEnd(_ failure: CallFailure?, _ result: AttemptResult?) -> CallEnd {
        if failure?.kind == .unsent { return .unsent }
        // One process of several may have been killed, which only the reply knows.
        if failure?.kind == .outOfMemory || result?.failure?.kind == .outOfMemory { return .outOfMemory }
        if let result { return result.succeeded ? .succeeded : .failed }
        return failure == nil ? .succeeded : .failed
    }

    private func timedOut(_ call: CallID, _ books: inout Books) -> CallFailure {
        guard let entry = books.calls[call], let handle = books.handles[entry.function], let function = books.functions[handle] else {
            return CallFailure(.timedOut, "The call's deadline passed.")
        }
        let limit = Swift.min(entry.request?.timeout ?? function.stored.spec.timeout, function.stored.spec.timeout)
        let phase = entry.began == nil ? "while it waited for a replica" : "while it was running"
        return CallFailure(
            .timedOut, "The call's time limit of \(limit) passed \(phase); raise the function's timeout or ask for less work.")
    }

    // MARK: Logs

    /// A line of the platform in the function's own log.
    func tell(_ function: FunctionID, _ replica: ReplicaID, _ text: String) {
        keep(LogLine(function: function, instance: "\(replica)", time: clock.now, stream: .platform, text: text))
    }

    func keep(_ line: LogLine) {
        store.append([line])
        logs.publish(line)
    }
}

/// Passes events on once both sides exist: a driver is made with its sink before the node that listens is complete.
private final class EventRelay: Sendable {
    /// The closure stands in a struct: a bare one is wrapped in another thunk each time it is read from under the lock, without end.
    private struct Listener: Sendable {
        let hear: @Sendable (SandboxEvent) -> Void
    }

    private let listener = Mutex<Listener?>(nil)

    func connect(_ hear: @escaping @Sendable (SandboxEvent) -> Void) { listener.withLock { $0 = Listener(hear: hear) } }

    func send(_ event: SandboxEvent) { listener.withLock { $0 }?.hear(event) }
}
