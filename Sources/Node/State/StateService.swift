// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
package import BrumeModel
package import BrumeState
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization

/// A node's state: a lock round the replica, the loop that flushes it, its log, and its way to other nodes.
///
/// Operations run on the caller's thread under the lock. Everything that follows from them (batches, frames, records, callbacks) is done in
/// turns on one event loop, in order and never under the lock.
package final class StateService: StateAccess, Service {
    let core: StateGuard
    let world: StateWorld
    let settings: StateServiceSettings
    let log: any StateLog
    let logger: Logger
    let subscriptions = StateSubscriptions()
    /// Pieces of the log that could not be read at the start.
    let damagedPieces = Atomic<Int>(0)
    let metrics = StateMetrics()
    /// What is to be done in the order of its decisions, by the service's own task.
    let control: AsyncStream<StateControl>
    let controlInput: AsyncStream<StateControl>.Continuation
    private let linkBox = Mutex<(any PeerLink)?>(nil)
    /// Outputs that wait until a new incarnation is on disk; touched on the loop alone.
    let held: NIOLoopBoundBox<[StateOutput]?>

    init(
        replica: consuming Replica, settings: StateServiceSettings, world: StateWorld, log: any StateLog, logger: Logger
    ) {
        core = StateGuard(replica)
        self.settings = settings
        self.world = world
        self.log = log
        self.logger = logger
        (control, controlInput) = AsyncStream.makeStream(of: StateControl.self, bufferingPolicy: .bufferingNewest(Self.controlMax))
        held = NIOLoopBoundBox.makeEmptyBox(eventLoop: world.loop)
    }

    /// Orders to the service's own task that wait: one look at the log each interval, and incarnations, of which a node has few. The newest
    /// incarnation is the one that counts.
    private static let controlMax = 64

    // MARK: - What faces do

    package func withReplica<Value, Failure: Error>(
        _ body: (inout Replica, StateTime) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let now = world.now()
        var wake = Wake.none
        defer { act(on: wake) }
        return try core.locked { replica, shell throws(Failure) in
            defer {
                shell.runs &+= 1
                wake = self.wake(&replica, &shell, now)
            }
            return try body(&replica, now)
        }
    }

    package func holdReplica(_ body: (inout Replica, StateTime) -> Void) {
        let now = world.now()
        var wake = Wake.none
        core.held { replica, shell in
            body(&replica, now)
            shell.runs &+= 1
            wake = self.wake(&replica, &shell, now)
        }
        act(on: wake)
    }

    package func whenSettled(
        _ mark: WriteMark, _ level: Settlement, within limit: Duration, _ done: @escaping @Sendable (StateError?) -> Void
    ) {
        if level == .accepted { return done(nil) }
        begin(isForLog: level == .durable, done) { replica, now throws(StateError) in
            try replica.wait(for: mark, level, until: now.instant + limit, now)
        }
    }

    package func whenReady(_ need: StateNeed, within limit: Duration, _ done: @escaping @Sendable (StateError?) -> Void) {
        begin(isForLog: false, done) { replica, now throws(StateError) in
            try replica.wait(for: need, until: now.instant + limit, now)
        }
    }

    /// Begins a wait; what the replica puts on its way for it is handed on in a turn at once.
    private func begin(
        isForLog: Bool, _ done: @escaping @Sendable (StateError?) -> Void,
        _ wait: (inout Replica, StateTime) throws(StateError) -> StateTicket?
    ) {
        let now = world.now()
        var wake = Wake.none
        do throws(StateError) {
            let isOver = try core.locked { replica, shell throws(StateError) -> Bool in
                defer { wake = self.wake(&replica, &shell, now) }
                if shell.isStopped { throw StateError(.unavailable, "The node is being stopped; ask another one.") }
                guard let ticket = try wait(&replica, now) else { return true }
                // The log tells of each record once; who comes later must hear of it too.
                if isForLog, let trouble = shell.trouble { throw trouble }
                shell.waiters[ticket.number] = StateWaiter(isForLog: isForLog, began: now.instant, done: done)
                return false
            }
            act(on: wake)
            if isOver { done(nil) }
        } catch {
            act(on: wake)
            done(error)
        }
    }

    package func subscribe(
        _ filter: @escaping @Sendable (StateChange) -> Bool, _ onChange: @escaping @Sendable ([StateChange]) -> Void
    ) -> StateSubscription {
        let subscription = subscriptions.add(filter, onChange)
        core.locked { replica, _ in replica.isWatched = true }
        return subscription
    }

    package func unsubscribe(_ subscription: StateSubscription) {
        if !subscriptions.remove(subscription) { core.locked { replica, _ in replica.isWatched = subscriptions.count > 0 } }
    }

    // MARK: - Waking the loop

    enum Wake { case none, now, after(Duration) }

    /// What must happen after a step: what waits to be handed on goes at once; what is to be flushed, after a pause at once and under
    /// load with some company.
    @inline(__always)
    func wake(_ replica: inout Replica, _ shell: inout StateShell, _ now: StateTime) -> Wake {
        // What is asked of a replica after its last turn goes nowhere; it must not keep the loop busy either.
        if shell.coming.isNow || shell.isStopped { return .none }
        if replica.hasUrgentOutputs || replica.isFlushDue(now) {
            shell.coming = .now
            return .now
        }
        guard replica.isDirty else { return .none }
        return wake(at: shell.lastFlush + shell.spacing, &shell, now)
    }

    /// Has a turn come by then.
    @inline(__always)
    func wake(at moment: Instant, _ shell: inout StateShell, _ now: StateTime) -> Wake {
        guard shell.coming.isAfter(moment) else { return .none }
        guard moment > now.instant else {
            shell.coming = .now
            return .now
        }
        shell.coming = .later(moment)
        return .after(moment - now.instant)
    }

    func act(on wake: Wake) {
        switch wake {
        case .none: break
        case .now: world.loop.execute { self.turn() }
        case .after(let delay): world.loop.scheduleTask(in: .nanoseconds(delay.wholeNanoseconds)) { self.turn() }
        }
    }

    // MARK: - The link

    /// The way to other nodes, if there is one.
    var link: (any PeerLink)? { linkBox.withLock { $0 } }

    /// Gives the node a way to others; until then it works alone.
    package func attach(_ link: any PeerLink) { linkBox.withLock { $0 = link } }

    /// Tells who belongs to the cluster: all that were not removed for good, reachable or not.
    package func members(_ list: [StateMember]) {
        withReplica { replica, now in replica.members(list, now) }
    }
}

/// What the service's own task does.
enum StateControl: Sendable {
    /// The replica goes on under another identity as soon as that is on disk.
    case incarnation(UInt64)
    case snapshot
}
