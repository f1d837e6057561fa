// SPDX-License-Identifier: Apache-2.0

package import BrumeMembership
package import BrumeModel
package import Logging
package import NIOCore
import ServiceLifecycle
import Synchronization

/// What a node's place in a cluster needs of the world beside its link.
package struct ClusterWorld: Sendable {
    /// The node's own clock, monotonic.
    package var now: @Sendable () -> Instant
    /// Where timers run; nothing long happens there.
    package var loop: any EventLoop
    /// Writes down what is known of the members, so that a restart finds them again; called one at a time.
    package var keep: @Sendable ([MemberRecord]) async -> Void

    package init(
        now: @escaping @Sendable () -> Instant, loop: any EventLoop, keep: @escaping @Sendable ([MemberRecord]) async -> Void
    ) {
        self.now = now
        self.loop = loop
        self.keep = keep
    }
}

/// Whoever else gets what the link tells: frames of its own kinds, and connections that come and go.
///
/// Called one event at a time, never under a lock.
package typealias LinkTaker = @Sendable (LinkEvent) -> Void

/// A node's place in a cluster: runs ``Membership`` over the link, hands the link's other frames to their owners, keeps connections to the
/// members, and tells who they are.
///
/// ```swift
/// let cluster = ClusterService(membership, world: world, logger: logger)
/// cluster.onMembers { members in state.members(...) }
/// cluster.addTaker { state.take($0) }                 // calls and the market are to come the same way
/// let link = SomeLink(events: { cluster.take($0) })
/// cluster.attach(link)
/// cluster.start(seeds: [(node, "HOST:PORT")])
/// // a Service: run() keeps what is known on disk, and says goodbye when the group shuts down
/// ```
package final class ClusterService: Service {
    /// A goodbye that has not gone round by then goes without us.
    static let goodbyeMax = Duration.seconds(1)
    /// Time that a removed member's connection gets for the news to reach it.
    static let expulsionPause = Duration.milliseconds(500)
    /// Refused frames are logged once in this time: a broken peer must not fill the log.
    static let refusalLogPause = Duration.seconds(10)

    struct State {
        var membership: Membership
        var link: (any PeerLink)?
        var takers: [LinkTaker] = []
        var onMembers: (@Sendable ([Member]) -> Void)?
        var onDrain: (@Sendable (Bool) -> Void)?
        var isDraining = false
        var connected: Set<NodeID> = []
        var timer: (at: Instant, scheduled: Scheduled<Void>)?
        var keptRevision = -1
        var refusalsUntil = Instant.zero
        var hasStarted = false
    }

    package let id: NodeID
    let world: ClusterWorld
    let logger: Logger
    let state: Mutex<State>
    /// One waiting wish to write is enough: the newest records are written.
    private let (keeps, keepInput) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    package init(_ membership: Membership, world: ClusterWorld, logger: Logger = Logger(label: "brume.cluster")) {
        id = membership.id
        self.world = world
        self.logger = logger
        state = Mutex(State(membership: membership))
    }

    // MARK: Putting together

    /// Gives the node its link; called once, before ``start(seeds:)``.
    package func attach(_ link: any PeerLink) { state.withLock { $0.link = link } }

    /// Hands every event of the link on to one more owner, except frames about membership.
    package func addTaker(_ taker: @escaping LinkTaker) { state.withLock { $0.takers.append(taker) } }

    /// Tells who belongs to the cluster, now and after each change; called on any thread.
    package func onMembers(_ tell: @escaping @Sendable ([Member]) -> Void) {
        let members = state.withLock { state in
            state.onMembers = tell
            return state.membership.members
        }
        tell(members)
    }

    /// Tells when somebody asks this node to drain, or to take work again; called on any thread.
    package func onDrain(_ tell: @escaping @Sendable (Bool) -> Void) { state.withLock { $0.onDrain = tell } }

    /// Begins to look for the members that are known, and joins through `seeds`.
    package func start(seeds: [(id: NodeID, address: String)] = []) {
        let (link, members) = state.withLock { state in
            state.hasStarted = true
            return (state.link, state.membership.members)
        }
        for member in members where !member.isSelf && member.status != .removed && !member.meta.address.isEmpty {
            link?.connect(to: member.id, at: member.meta.address)
        }
        for seed in seeds where seed.id != id { link?.connect(to: seed.id, at: seed.address) }
        step { $0.join(seeds.map(\.id), now: $1) }
    }

    // MARK: The link

    /// Takes what the link tells, in its order.
    package func take(_ event: LinkEvent) {
        switch event {
        case .up(let peer):
            state.withLock { _ = $0.connected.insert(peer) }
            step { $0.linkUp(peer, now: $1) }
        case .down(let peer, let reason):
            logger.debug("link lost", metadata: ["node": "\(peer)", "reason": "\(reason)"])
            state.withLock { _ = $0.connected.remove(peer) }
            step { $0.linkDown(peer, now: $1) }
        case .received(let frame, .membership, let peer): return step { $0.receive(frame, from: peer, now: $1) }
        case .received, .writable: break
        }
        for taker in state.withLock({ $0.takers }) { taker(event) }
    }

    // MARK: Steps

    func step(_ body: (inout Membership, Instant) -> MembershipOutput) {
        let now = world.now()
        let output = state.withLock { body(&$0.membership, now) }
        perform(output)
        arm()
    }

    func perform(_ output: MembershipOutput) {
        let link = state.withLock { $0.link }
        for frame in output.frames { _ = link?.send(frame.bytes, kind: .membership, to: frame.to) }
        for event in output.events { act(on: event, link) }
        let (isNew, members, tell) = state.withLock { state in
            let isNew = state.keptRevision != state.membership.revision
            state.keptRevision = state.membership.revision
            return (isNew, isNew ? state.membership.members : [], state.onMembers)
        }
        guard isNew else { return }
        keepInput.yield()
        tell?(members)
        guard let own = members.first(where: \.isSelf) else { return }
        let tellDrain = state.withLock { state in
            defer { state.isDraining = own.isDraining }
            return state.isDraining == own.isDraining ? nil : state.onDrain
        }
        tellDrain?(own.isDraining)
    }

    /// Sees to it that the membership ticks when it wants to.
    private func arm() {
        state.withLock { state in
            let wake = state.membership.nextWake
            if let timer = state.timer, timer.at <= wake { return }
            state.timer?.scheduled.cancel()
            guard wake != .distantFuture else { return state.timer = nil }
            let delay = max(.zero, wake - world.now())
            state.timer = (wake, world.loop.scheduleTask(in: .nanoseconds(delay.wholeNanoseconds)) { self.ticked() })
        }
    }

    private func ticked() {
        state.withLock { $0.timer = nil }
        step { $0.tick(now: $1) }
    }

    // MARK: Running

    /// Keeps what is known on disk until the service group shuts down; then says goodbye and waits a little for it to go round.
    package func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await _ in self.keeps { await self.world.keep(self.records) }
            }
            try? await gracefulShutdown()
            step { $0.leave(now: $1) }
            let end = world.now() + Self.goodbyeMax
            let pause = state.withLock { $0.membership.settings.gossipPeriod }
            while !state.withLock({ $0.membership.hasSaidGoodbye }), world.now() < end, !Task.isCancelled {
                try? await Task.sleep(for: pause)
            }
            keepInput.finish()
        }
        await world.keep(records)
        state.withLock { state in
            state.timer?.scheduled.cancel()
            state.timer = nil
        }
    }

    private var records: [MemberRecord] { state.withLock { $0.membership.records } }
}
