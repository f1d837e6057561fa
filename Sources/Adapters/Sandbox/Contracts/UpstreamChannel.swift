// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOPosix
import Synchronization

/// The channel of every contract that ends in HTTP/1.1 to the replica: `fork`, `handler` and `http`.
///
/// Workers of `fork` and `handler` connect back to a Unix socket of the node and then serve on that connection; a server of the `http`
/// contract is connected to. Either way a free connection is a free slot.
final class UpstreamChannel: ReplicaChannel {
    enum Kind: Sendable {
        /// `ends`: closing the connection ends the work (the agent kills the child), so a cancelled call is not let finish.
        case workers(ends: Bool)
        case server(port: Int)
    }

    private struct State {
        var idle: [(connection: UpstreamConnection, since: NIODeadline)] = []
        var active: [CallID: UpstreamConnection] = [:]
        var waiting: [UpstreamCall] = []
        var open = 0
        var connects: [Int: Task<Void, Never>] = [:]
        var connectNumber = 0
        var failure: CallFailure?
        var process: (any SandboxProcess)?
        var listener: EventLoopFuture<any Channel>?
    }

    private enum Step {
        case start(UpstreamConnection)
        case wait
        case fail(CallFailure)
    }

    let limits: ContractLimits
    private let kind: Kind
    private let capacity: Int
    /// Workers have connections for each loop of the node, of which only `capacity` are ever in use.
    private let connectionsMax: Int
    private let group: any EventLoopGroup
    private let makePlan: @Sendable () throws(BrumeError) -> LaunchPlan
    private let startSignal = StartSignal()
    private let state = Mutex(State())

    init(
        kind: Kind, capacity: Int, loopCount: Int, group: any EventLoopGroup, limits: ContractLimits,
        plan: @escaping @Sendable () throws(BrumeError) -> LaunchPlan
    ) {
        self.kind = kind
        self.capacity = capacity
        // Twice the slots: a worker that was cut off may be back before its old connection is seen to end.
        connectionsMax = capacity * loopCount * 2 + 2
        self.group = group
        self.limits = limits
        makePlan = plan
    }

    var endsWorkByClosing: Bool { if case .workers(let ends) = kind { ends } else { false } }
    /// Brume's own agent and shims mark failures with a header; a stranger's server may not.
    var trustsFailureHeader: Bool { if case .workers = kind { true } else { false } }
    /// A server may close an idle connection at the moment of a request; a worker never does.
    var mayRepeat: Bool { if case .server = kind { true } else { false } }

    // MARK: Starting

    func plan(socketDirectory: String) throws(BrumeError) -> LaunchPlan {
        let plan = try makePlan()
        guard case .workers = kind else { return plan }
        let handle = try HostSocket.listenUnix(directory: socketDirectory, name: Inside.socketName)
        let listener = ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(WorkerGreeting { self.greeted($0, $1) })
                }
            }
            .withBoundSocket(handle)
        state.withLock { $0.listener = listener }
        return plan
    }

    func ready(_ process: any SandboxProcess) async throws(BrumeError) {
        state.withLock { $0.process = process }
        let seconds = limits.startTimeout
        switch kind {
        case .workers:
            try await startSignal.wait(limit: seconds) {
                "The function did not start within \(seconds); see its logs (brume logs) for what it waits for."
            }
        case .server(let port):
            try await connectFirst(process, port: port)
        }
    }

    /// A TCP server gives no sign when it listens, so connecting is tried, at growing distances.
    private func connectFirst(_ process: any SandboxProcess, port: Int) async throws(BrumeError) {
        let deadline = ContinuousClock.now + limits.startTimeout
        var pause = limits.knockPause
        while true {
            do {
                let handle = try await process.connect(port: port)
                try await adopt(handle)
                return
            } catch {
                guard !Task.isCancelled else { throw BrumeError(.unavailable, "The start was given up.") }
                guard ContinuousClock.now + pause < deadline else {
                    throw BrumeError(
                        .unavailable,
                        "Nothing listened on port \(port) within \(limits.startTimeout); the server must listen on the port in $PORT.",
                        cause: error)
                }
            }
            do { try await Task.sleep(for: pause) } catch { throw BrumeError(.unavailable, "The start was given up.") }
            pause = min(pause * limits.knockGrowth, limits.knockPauseMax)
        }
    }

    private func greeted(_ word: WorkerGreeting.Word, _ context: ChannelHandlerContext) {
        switch word {
        case .ready:
            guard state.withLock({ $0.open < connectionsMax }) else {
                context.close(promise: nil)
                return
            }
            do {
                let connection = try add(to: context.channel)
                context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
                joined(connection)
                startSignal.set(.success(()))
            } catch {
                context.close(promise: nil)
            }
        case .failed(let why):
            startSignal.set(.failure(BrumeError(.failed, why)))
            context.close(promise: nil)
        case .gate:
            context.close(promise: nil)
        }
    }

    /// Puts the client behind a connected channel; on its event loop.
    private func add(to channel: any Channel) throws -> UpstreamConnection {
        let connection = UpstreamConnection(channel: channel, owner: self)
        try channel.pipeline.syncOperations.addHandler(connection)
        return connection
    }

    private func adopt(_ handle: CInt, on loop: (any EventLoop)? = nil) async throws(BrumeError) {
        do {
            let connection = try await ClientBootstrap(group: loop ?? group).withConnectedSocket(handle) { channel in
                channel.eventLoop.makeCompletedFuture { try self.add(to: channel) }
            }
            joined(connection)
        } catch {
            throw BrumeError(.unavailable, "The connection to the function could not be used.", cause: error)
        }
    }

    // MARK: Connections and calls

    /// A new connection is free.
    private func joined(_ connection: UpstreamConnection) {
        enum Action { case nothing, close, start(UpstreamCall) }
        let action = state.withLock { state -> Action in
            guard state.failure == nil else { return .close }
            state.open += 1
            guard !state.waiting.isEmpty else {
                state.idle.append((connection, .now()))
                return .nothing
            }
            let call = state.waiting.removeFirst()
            state.active[call.id] = connection
            return .start(call)
        }
        switch action {
        case .nothing: break
        case .close: connection.close()
        case .start(let call): connection.start(call)
        }
    }

    func invoke(
        _ call: CallID, _ request: CallRequest<ByteBuffer>, deadline: Instant,
        reply: @escaping @Sendable (Result<CallResponse<ByteBuffer>, CallFailure>) -> Void,
        finished: @escaping @Sendable (CallFailure?) -> Void
    ) {
        invoke(UpstreamCall(id: call, request: request, reply: reply, finished: finished))
    }

    func invoke(_ call: UpstreamCall) {
        let now = mayRepeat ? NIODeadline.now() : .uptimeNanoseconds(0)
        var stale: [UpstreamConnection] = []
        let step = state.withLock { state -> Step in
            if state.failure != nil { return .fail(.unsentToReplica) }
            if mayRepeat {
                while let first = state.idle.first, now - first.since > limits.idleConnectionMax {
                    stale.append(first.connection)
                    state.idle.removeFirst()
                    state.open -= 1
                }
            }
            if let connection = Self.pick(&state.idle) {
                state.active[call.id] = connection
                connectHere(&state, instead: connection)
                return .start(connection)
            }
            guard state.waiting.count < capacity else {
                return .fail(CallFailure(.stopped, "The replica has more calls than the \(capacity) it can be in the middle of."))
            }
            state.waiting.append(call)
            connectIfWanted(&state)
            return .wait
        }
        for connection in stale { connection.close() }
        switch step {
        case .start(let connection): connection.start(call)
        case .fail(let failure): call.fail(failure)
        case .wait: break
        }
    }

    /// The connection used last, or one of the caller's own event loop, which saves waking another thread.
    private static func pick(_ idle: inout [(connection: UpstreamConnection, since: NIODeadline)]) -> UpstreamConnection? {
        guard !idle.isEmpty else { return nil }
        // A handful is enough to meet every loop of a small group.
        for index in idle.indices.suffix(8).reversed() where idle[index].connection.eventLoop.inEventLoop {
            return idle.remove(at: index).connection
        }
        return idle.removeLast().connection
    }

    private func connectIfWanted(_ state: inout sending State) {
        guard case .server(let port) = kind, let process = state.process else { return }
        guard state.connects.count < state.waiting.count, state.open + state.connects.count < capacity else { return }
        state.connectNumber += 1
        let number = state.connectNumber
        state.connects[number] = Task { await self.connectOne(number, process, port: port) }
    }

    /// The caller's event loop has no connection of its own to a server that takes several: it gets one, beside the call that found
    /// another loop's.
    private func connectHere(_ state: inout sending State, instead used: UpstreamConnection) {
        guard case .server(let port) = kind, let process = state.process, !used.eventLoop.inEventLoop,
            state.connects.isEmpty, state.open < capacity, let loop = MultiThreadedEventLoopGroup.currentEventLoop
        else { return }
        state.connectNumber += 1
        let number = state.connectNumber
        state.connects[number] = Task { await self.connectOne(number, process, port: port, on: loop) }
    }

    private func connectOne(_ number: Int, _ process: any SandboxProcess, port: Int, on loop: (any EventLoop)? = nil) async {
        var orphan: UpstreamCall?
        do {
            let handle = try await process.connect(port: port)
            try await adopt(handle, on: loop)
        } catch {
            // As with a lost connection: the end of the process may be the cause, and is about to be known.
            try? await Task.sleep(for: .nanoseconds(limits.causeGrace.nanoseconds))
            orphan = state.withLock { state in
                // A connection that no call waits for may fail without harm.
                loop == nil && state.failure == nil && !state.waiting.isEmpty ? state.waiting.removeFirst() : nil
            }
        }
        state.withLock { $0.connects[number] = nil }
        orphan?.fail(CallFailure(.badReply, "The function accepts no connection on port \(port)."))
    }

    /// The call is over and the connection good: hands it to the next call, if one waits, or keeps it.
    func release(_ connection: UpstreamConnection, call: CallID) -> UpstreamCall? {
        let now = mayRepeat ? NIODeadline.now() : .uptimeNanoseconds(0)
        return state.withLock { state in
            state.active[call] = nil
            guard !state.waiting.isEmpty else {
                state.idle.append((connection, now))
                return nil
            }
            let next = state.waiting.removeFirst()
            state.active[next.id] = connection
            return next
        }
    }

    /// The connection is of no more use, and its call (if it had one) is over. May be said more than once.
    func lost(_ connection: UpstreamConnection, call: CallID?) {
        state.withLock { state in
            if let call, state.active[call] === connection {
                state.active[call] = nil
                state.open -= 1
            } else if let index = state.idle.firstIndex(where: { $0.connection === connection }) {
                state.idle.remove(at: index)
                state.open -= 1
            }
            if !state.waiting.isEmpty { connectIfWanted(&state) }
        }
    }

    func cancel(_ call: CallID) {
        let (connection, waiting) = state.withLock { state -> (UpstreamConnection?, UpstreamCall?) in
            if let index = state.waiting.firstIndex(where: { $0.id == call }) { return (nil, state.waiting.remove(at: index)) }
            return (state.active[call], nil)
        }
        connection?.cancel(call)
        waiting?.fail(CallFailure(.abandoned, "The caller went away."))
    }

    func terminated(_ failure: CallFailure) {
        startSignal.set(.failure(BrumeError(.failed, failure.message)))
        let (connections, waiting, connects, listener) = state.withLock { state in
            state.failure = state.failure ?? failure
            defer {
                state.waiting = []
                state.connects = [:]
                state.idle = []
                state.listener = nil
                state.process = nil
            }
            return (
                Array(state.active.values) + state.idle.map(\.connection), state.waiting, Array(state.connects.values), state.listener
            )
        }
        for task in connects { task.cancel() }
        for connection in connections { connection.terminate(failure) }
        for call in waiting { call.fail(.unsentToReplica) }
        listener?.whenSuccess { $0.close(promise: nil) }
    }
}
