// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState
import Glibc
import Synchronization

/// State of one node without peers and without a log: a real replica under a lock, by the machine's clock.
final class LocalState: StateAccess {
    private struct Subscriber {
        let number: UInt64
        let filter: @Sendable (StateChange) -> Bool
        let onChange: @Sendable ([StateChange]) -> Void
    }

    private struct Subscribers {
        var list: [Subscriber] = []
        var next: UInt64 = 1
    }

    private let replica: Mutex<Replica>
    private let subscribers = Mutex(Subscribers())
    /// What `whenReady` and `whenSettled` answer; nil for "it is there".
    let refusal = Mutex<StateError?>(nil)
    /// Who is told of writes that are to settle, instead of their settling at once; one test has few of them.
    let settlements = Mutex<AsyncStream<@Sendable (StateError?) -> Void>.Continuation?>(nil)
    /// What brings a namespace that is waited for.
    let onNeed = Mutex<(@Sendable () -> Void)?>(nil)

    let node: NodeID
    /// Frames for the other node, where there is one.
    private let outbox = Mutex<[(frame: [UInt8], kind: LinkKind)]>([])

    init(settings: StateSettings = StateSettings(), seed: UInt64 = 1) throws {
        let hexadecimal = String(seed, radix: 16)
        node = try NodeID(String(repeating: "0", count: 32 - hexadecimal.count) + hexadecimal)
        replica = Mutex(Replica(node: node, site: SiteID(rawValue: seed), settings: settings, seed: seed, now: Self.now()))
    }

    /// Makes two nodes a cluster.
    static func join(_ one: LocalState, _ other: LocalState) {
        for (state, peer) in [(one, other), (other, one)] {
            state.withReplica { replica, now in
                replica.members([one, other].map { StateMember(node: $0.node, tier: .edge) }, now)
                replica.peerUp(peer.node, now)
            }
        }
    }

    /// Lets two nodes tell each other everything; until the next time they are apart.
    static func exchange(_ one: LocalState, _ other: LocalState) {
        // A round brings frames, the next one what they lead to; two nodes come to rest within a few.
        for _ in 0..<20 {
            for (state, peer) in [(one, other), (other, one)] {
                state.withReplica { replica, now in replica.flush(now) }
                let frames = state.outbox.withLock { box in
                    defer { box = [] }
                    return box
                }
                for (frame, _) in frames { peer.withReplica { replica, now in _ = replica.receive(frame, from: state.node, now) } }
            }
        }
    }

    static func now() -> StateTime {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        let nanoseconds = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        return StateTime(instant: Instant(nanoseconds: nanoseconds), wallMilliseconds: UInt64(nanoseconds / 1_000_000))
    }

    func withReplica<Result, Failure: Error>(
        _ body: (inout Replica, StateTime) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var changes: [StateChange] = []
        defer { tell(changes) }
        return try replica.withLock { replica throws(Failure) in
            let now = Self.now()
            defer {
                replica.tick(now)
                for output in replica.takeOutputs() {
                    switch output {
                    case .changed(let part): changes += part
                    case .send(let frame, let kind, _): outbox.withLock { $0.append((frame, kind)) }
                    case .log(_, let number, _): replica.logged(through: number, now)
                    case .ready, .incarnation, .note: break
                    }
                }
            }
            return try body(&replica, now)
        }
    }

    func whenSettled(
        _ mark: WriteMark, _ level: Settlement, within limit: Duration, _ done: @escaping @Sendable (StateError?) -> Void
    ) {
        if case .replicas(let count) = level, count > 1 { return done(StateError(.unavailable, "There is one node only.")) }
        if let listener = settlements.withLock({ $0 }) {
            listener.yield(done)
        } else {
            done(refusal.withLock { $0 })
        }
    }

    func whenReady(_ need: StateNeed, within limit: Duration, _ done: @escaping @Sendable (StateError?) -> Void) {
        if case .present = need { onNeed.withLock { $0 }?() }
        done(refusal.withLock { $0 })
    }

    func subscribe(
        _ filter: @escaping @Sendable (StateChange) -> Bool, _ onChange: @escaping @Sendable ([StateChange]) -> Void
    ) -> StateSubscription {
        let number = subscribers.withLock { state in
            state.list.append(Subscriber(number: state.next, filter: filter, onChange: onChange))
            state.next += 1
            return state.next - 1
        }
        replica.withLock { $0.isWatched = true }
        return StateSubscription(number: number)
    }

    func unsubscribe(_ subscription: StateSubscription) {
        subscribers.withLock { state in state.list.removeAll { $0.number == subscription.number } }
    }

    private func tell(_ changes: [StateChange]) {
        guard !changes.isEmpty else { return }
        for subscriber in subscribers.withLock({ $0.list }) {
            let chosen = changes.filter(subscriber.filter)
            if !chosen.isEmpty { subscriber.onChange(chosen) }
        }
    }
}
