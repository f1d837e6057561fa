// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import DequeModule
import GRPCCore
import GRPCNIOTransportHTTP2Posix
package import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// The way between real nodes: one gRPC stream per pair over mutual TLS 1.3.
///
/// ```swift
/// let identity = try NodeIdentity.load(directory: data)
/// // The first node:                                        A node that joins:
/// let authority = try ClusterAuthority.load(directory: data)   // nil on nodes that do not hold the cluster's key
///     ?? ClusterAuthority.found(directory: data)
/// let credentials = try NodeCredentials.founder(directory: data, identity: identity, authority: authority)
/// // or: try NodeCredentials.load(directory: data, identity: identity)
/// //     ?? (try await Enrolment.join(address, token: JoinToken(text), directory: data, identity: identity, ...)).credentials
/// let link = GRPCLink(
///     settings: settings, credentials: credentials, authority: authority, members: { ... }, notices: { ... }) { event in ... }
/// // link is a Service: run() listens, dials, delivers events one at a time, and ends at graceful shutdown or cancellation.
/// ```
package final class GRPCLink: PeerLink, Service {
    let settings: LinkSettings
    let credentials: NodeCredentials
    let signer: ClusterSigner
    let members: @Sendable () -> [LinkMember]
    let notices: @Sendable (LinkNotice) -> Void
    private let owner: @Sendable (LinkEvent) -> Void
    /// Everything about connections happens here, the owner's events among it.
    let loop: any EventLoop
    let executor: LoopExecutor
    /// Another value at each start: tells a restart of a node from a second one with its key.
    let instance = UInt64.random(in: 1 ... .max)
    let meter = SocketMeter()
    let table: Mutex<PeerTable>
    let enrolments: EnrolmentDesk
    let listener: Listener
    private let transport: HTTP2ServerTransport.Custom<Listener>
    /// Wake the tasks that dial, deliver, renew and stop.
    let dialler = Waker()
    let delivery = Waker()
    let renewer = Waker()
    private let stopper = Waker()

    private let isDelivering = Atomic<Bool>(false)

    /// - Parameters:
    ///   - authority: the cluster's key, if this node holds it: it then admits, removes and renews.
    ///   - members: the members to tell a node that joins here; called on any thread.
    ///   - loop: where everything happens, best the owner's own and for nothing else; it must outlive the link. One of the process's by
    ///     default.
    ///   - notices: called on any thread, never under a lock.
    ///   - events: called one event at a time, on the loop and never under a lock; while it works, receiving waits.
    package init(
        settings: LinkSettings, credentials: NodeCredentials, authority: ClusterAuthority?,
        loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next(),
        members: @escaping @Sendable () -> [LinkMember],
        notices: @escaping @Sendable (LinkNotice) -> Void = { _ in },
        events: @escaping @Sendable (LinkEvent) -> Void
    ) {
        self.settings = settings
        self.credentials = credentials
        let signer = ClusterSigner(authority)
        self.signer = signer
        self.members = members
        self.notices = notices
        owner = events
        self.loop = loop
        executor = LoopExecutor(loop)
        table = Mutex(PeerTable(own: credentials.identity.id, settings: settings))
        enrolments = EnrolmentDesk(
            authority: signer.authority, credentials: credentials, settings: settings, members: members, notices: notices)
        listener = Listener(settings: settings, credentials: credentials, meter: meter, group: loop) { node, remote, reason in
            notices(.refused(node, from: remote, reason: reason))
        }
        transport = HTTP2ServerTransport.Custom(listenerFactory: listener, config: Self.serverConfiguration(settings))
        var context = GRPCServerContext()
        context.methods = [LinkMethods.open, LinkMethods.enrol]
        transport.configure(context: context)
    }

    /// Who this node is.
    package var id: NodeID { credentials.identity.id }

    /// The cluster's key, if this node holds it.
    package var authority: ClusterAuthority? { signer.authority }

    /// The port it listens on, as soon as it does; nil if it never will.
    package var port: Int? {
        get async {
            let address = await transport.listeningAddress
            return address?.ipv4?.port ?? address?.ipv6?.port
        }
    }

    // MARK: PeerLink

    package func send(_ frame: [UInt8], kind: LinkKind, to peer: NodeID) -> LinkSend {
        let (result, connection) = table.withLock { $0.send(frame, kind: kind, to: peer, now: .now) }
        connection?.writer.call()
        // Emptying the queue of a peer that is gone may have made room that somebody waits for.
        if result == .unknown { delivery.call() }
        return result
    }

    package func connect(to peer: NodeID, at address: String) {
        // Gossip may know a removed node for a while; there is nothing to say to it.
        guard !wasRemoved(peer) else { return }
        table.withLock { $0.connect(to: peer, at: address, now: .now) }
        dialler.call()
    }

    package func disconnect(from peer: NodeID) {
        let connections = table.withLock { $0.disconnect(from: peer) }
        for connection in connections { dismiss(connection, "This node ended the connection.") }
        delivery.call()
    }

    // MARK: Running

    /// Serves until graceful shutdown, ``stop()`` or cancellation, then says goodbye to every peer.
    ///
    /// - Throws: `BrumeError` if it cannot listen.
    package func run() async throws {
        try await withGracefulShutdownHandler {
            try await withTaskExecutorPreference(executor) { try await serveAndDeliver() }
        } onGracefulShutdown: {
            self.stop()
        }
    }

    private func serveAndDeliver() async throws {
        try await withThrowingTaskGroup(of: Void.self) { outer in
            // Delivery outlives everything that has something to tell.
            outer.addTask { await self.deliver() }
            defer { delivery.finish() }
            do {
                try await serveAll()
            } catch is Stopped {
            } catch is CancellationError {
            }
        }
        deliverWaiting()
    }

    /// Ends ``run()`` as graceful shutdown does.
    package func stop() { stopper.call() }

    private struct Stopped: Error {}

    private func serveAll() async throws {
        defer { endAll("The link is stopping.") }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.listen() }
            group.addTask { if let port = await self.port { self.notices(.listening(port: port)) } }
            group.addTask { await self.dialAll() }
            group.addTask { await self.renewAll() }
            group.addTask {
                for await _ in self.stopper.calls {
                    await self.sayGoodbye()
                    throw Stopped()
                }
            }
        }
    }

    /// Listens until it is told to end.
    ///
    /// The transport must not be cancelled: a connection that it has accepted and not yet looked at would then trap in its destructor.
    /// Its task is ended by closing its sockets instead, and waited for here.
    private func listen() async throws {
        let serving = Task(executorPreference: executor) { try await self.transport.listen { stream, _ in await self.serve(stream) } }
        try await withTaskCancellationHandler {
            try await serving.value
        } onCancel: {
            transport.beginGracefulShutdown()
            listener.close()
            endAll("The link is stopping.")
        }
    }

    /// Tells each peer, and waits a little for their connections to end.
    private func sayGoodbye() async {
        let connections = table.withLock { table in
            table.isStopping = true
            return table.peers.values.compactMap(\.active)
        }
        for connection in connections { connection.post(.goodbye("The node is stopping.")) }
        let deadline = ContinuousClock.now + settings.farewellTime
        for connection in connections {
            let left = deadline - .now
            guard left > .zero else { return }
            await connection.gone.wait(atMost: left, on: loop)
        }
    }

    private func endAll(_ reason: String) {
        let connections = table.withLock { table in
            table.isStopping = true
            return table.peers.values.flatMap { [$0.active, $0.next].compactMap { $0 } }
        }
        for connection in connections { closed(connection, reason) }
    }

    private func dialAll() async {
        await withDiscardingTaskGroup { group in
            dialler.call()
            for await _ in dialler.calls {
                let due = table.withLock { $0.dialsDue(now: .now, wall: WallClock.now()) }
                for plan in due.plans { group.addTask { await self.dial(plan) } }
                if let next = due.next { dialler.call(after: next, on: self.loop) }
            }
        }
    }

    // MARK: Telling the owner

    private func deliver() async {
        for await _ in delivery.calls { deliverWaiting() }
        deliverWaiting()
    }

    /// Tells the owner what there is to tell, one event after the other.
    func deliverWaiting() {
        // An owner that causes something to be told hears of it next.
        guard !isDelivering.exchange(true, ordering: .acquiring) else { return delivery.call() }
        defer { isDelivering.store(false, ordering: .releasing) }
        while true {
            let events = table.withLock { table in
                defer { table.events = [] }
                return table.events
            }
            guard !events.isEmpty else { return }
            for event in events { owner(event) }
        }
    }

    // MARK: Figures

    /// What went over the link so far.
    package var statistics: LinkStatistics {
        var statistics = table.withLock { table in
            var statistics = table.statistics
            statistics.queuedBytes = table.queued.bytes
            return statistics
        }
        statistics.socketBytesSent = meter.sent.load(ordering: .relaxed)
        statistics.socketBytesReceived = meter.received.load(ordering: .relaxed)
        return statistics
    }
}
