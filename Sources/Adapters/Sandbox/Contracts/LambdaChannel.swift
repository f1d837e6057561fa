// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// The channel of the `lambda` contract: the node serves the AWS Lambda runtime API inside the sandbox, and the program polls it.
final class LambdaChannel: ReplicaChannel {
    /// The address in a sandbox's own network; nothing else lives there.
    static let port = 9001

    /// One invocation on its way. `answering` begins with the first byte of the program's answer; `answered` lasts until it asks for more.
    private struct Invocation {
        enum Phase { case delivered, answering, answered }
        let call: UpstreamCall
        let id: String
        var phase: Phase
        var isReplied = false
    }

    private struct State {
        var parked: RuntimeAPIHandler?
        var pending: (call: UpstreamCall, delivery: LambdaDelivery)?
        var current: Invocation?
        var isInitialised = false
        var failure: CallFailure?
        var gate: (any Channel)?
        var isServing = false
        var listeners: [EventLoopFuture<any Channel>] = []
        var connections: [ObjectIdentifier: any Channel] = [:]
        var gatherings: [CallID: Task<Void, Never>] = [:]
    }

    /// How the state answers a request of the program.
    enum Verdict: Equatable { case good, wrongState, unknownID }

    let limits: ContractLimits
    let form: LambdaEventForm
    private let spec: FunctionSpec
    private let group: any EventLoopGroup
    /// The port where it had to be chosen free, because the sandbox shares the host's loopback.
    private let sharesLoopback: Bool
    private let wallTime: @Sendable (Instant) -> Instant
    private let makePlan: @Sendable (_ port: Int) -> LaunchPlan
    private let startSignal = StartSignal()
    private let state = Mutex(State())

    init(
        spec: FunctionSpec, group: any EventLoopGroup, limits: ContractLimits, sharesLoopback: Bool,
        wallTime: @escaping @Sendable (Instant) -> Instant,
        plan: @escaping @Sendable (_ port: Int) -> LaunchPlan
    ) throws(BrumeError) {
        self.spec = spec
        self.group = group
        self.limits = limits
        self.sharesLoopback = sharesLoopback
        self.wallTime = wallTime
        form = try LambdaEventForm(spec)
        makePlan = plan
    }

    // MARK: Starting

    func plan(socketDirectory: String) throws(BrumeError) -> LaunchPlan {
        let handle = try HostSocket.listenUnix(directory: socketDirectory, name: Inside.socketName)
        let gate = ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(WorkerGreeting { self.greeted($0, $1.channel) })
                }
            }
            .withBoundSocket(handle)
        state.withLock { $0.listeners.append(gate) }
        guard sharesLoopback else { return makePlan(Self.port) }
        let api = try HostSocket.listenLoopback()
        serve(api.handle)
        return makePlan(api.port)
    }

    func ready(_ process: any SandboxProcess) async throws(BrumeError) {
        if !sharesLoopback { serve(try await process.listen(port: Self.port)) }
        let gate = state.withLock { state -> (any Channel)? in
            state.isServing = true
            return state.gate
        }
        gate.map(open)
        let limit = limits.startTimeout
        try await startSignal.wait(limit: limit) { "The function did not ask the runtime API for its first event within \(limit)." }
    }

    private func serve(_ handle: CInt) {
        let listener = ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    try channel.pipeline.syncOperations.addHandler(RuntimeAPIHandler(self, channel.eventLoop))
                }
            }
            .withBoundSocket(handle)
        state.withLock { $0.listeners.append(listener) }
    }

    /// The program waits at a gate until the API is there, so that its first request cannot be refused.
    private func greeted(_ word: WorkerGreeting.Word, _ channel: any Channel) {
        switch word {
        case .gate:
            let isServing = state.withLock { state in
                state.gate = channel
                return state.isServing
            }
            if isServing { open(channel) }
        case .failed(let why):
            startSignal.set(.failure(BrumeError(.failed, "The function could not be started: \(why).")))
            channel.close(promise: nil)
        case .ready:
            channel.close(promise: nil)
        }
    }

    private func open(_ gate: any Channel) { gate.writeAndFlush(ByteBuffer(string: "g"), promise: nil) }

    // MARK: Calls

    func invoke(
        _ call: CallID, _ request: CallRequest<ByteBuffer>, deadline: Instant,
        reply: @escaping @Sendable (Result<CallResponse<ByteBuffer>, CallFailure>) -> Void,
        finished: @escaping @Sendable (CallFailure?) -> Void
    ) {
        let call = UpstreamCall(id: call, request: request, reply: reply, finished: finished)
        switch request.body {
        case .whole(let bytes):
            deliver(call, body: bytes, deadline: deadline)
        case .stream(let pieces):
            // An event is one piece; a task gathers it, and ends with the stream, with the replica or with the call.
            state.withLock { $0.gatherings[call.id] = Task { await self.gather(pieces, for: call, deadline: deadline) } }
        }
    }

    private func gather(_ pieces: any AsyncSequence<ByteBuffer, any Error> & Sendable, for call: UpstreamCall, deadline: Instant) async {
        var whole = ByteBuffer()
        var failure: CallFailure?
        do {
            for try await piece in pieces {
                var piece = piece
                whole.writeBuffer(&piece)
                guard whole.readableBytes <= limits.lambdaEventBytesMax else {
                    failure = CallFailure(
                        .badReply, "A Lambda event may have \(limits.lambdaEventBytesMax >> 20) MiB; this body is larger.")
                    break
                }
            }
        } catch {
            failure = CallFailure(.abandoned, "The caller's request body ended too early.")
        }
        state.withLock { $0.gatherings[call.id] = nil }
        if let failure { call.fail(failure) } else { deliver(call, body: whole, deadline: deadline) }
    }

    private func deliver(_ call: UpstreamCall, body: ByteBuffer, deadline: Instant) {
        let id = LambdaDelivery.makeID()
        let delivery = LambdaDelivery(
            id: id, deadlineMilliseconds: wallTime(deadline).milliseconds,
            arn: "arn:aws:lambda:us-east-1:000000000000:function:\(spec.id.name)",
            trace: call.request.headers.first { Header.equal($0.name, "x-amzn-trace-id") }?.value,
            event: form.event(call.request, body: body, requestID: id))
        enum Step { case deliver(RuntimeAPIHandler), wait, fail(CallFailure) }
        let step = state.withLock { state -> Step in
            if state.failure != nil { return .fail(.unsentToReplica) }
            guard state.pending == nil, state.current == nil || state.current?.phase == .answered else {
                return .fail(CallFailure(.stopped, "A Lambda instance takes one call at a time."))
            }
            guard let parked = state.parked else {
                state.pending = (call, delivery)
                return .wait
            }
            state.parked = nil
            state.current = Invocation(call: call, id: id, phase: .delivered)
            return .deliver(parked)
        }
        switch step {
        case .deliver(let handler): handler.deliver(delivery)
        case .fail(let failure): call.fail(failure)
        case .wait: break
        }
    }

    // MARK: What the program asks (from its connections)

    /// `next`: the program is idle. The handler is answered with an event, now or later.
    func next(_ handler: RuntimeAPIHandler) -> Verdict {
        var finished: UpstreamCall?
        var delivery: LambdaDelivery?
        var replaced: RuntimeAPIHandler?
        let verdict = state.withLock { state -> Verdict in
            if let current = state.current {
                guard current.phase == .answered else { return .wrongState }
                finished = current.call
                state.current = nil
            }
            state.isInitialised = true
            if let pending = state.pending {
                state.pending = nil
                state.current = Invocation(call: pending.call, id: pending.delivery.id, phase: .delivered)
                delivery = pending.delivery
            } else {
                replaced = state.parked
                state.parked = handler
            }
            return .good
        }
        guard verdict == .good else { return verdict }
        replaced?.close()
        startSignal.set(.success(()))
        if let delivery { handler.deliver(delivery) }
        finished?.finished(nil)
        return .good
    }

    /// The program begins to answer.
    func beginAnswer(_ id: String) -> Verdict {
        state.withLock { state in
            guard let current = state.current, current.phase == .delivered else { return .wrongState }
            guard current.id == id else { return .unknownID }
            state.current?.phase = .answering
            return .good
        }
    }

    /// Hands the caller its reply; for a stream the answer goes on until `endAnswer`.
    func reply(_ id: String, _ result: Result<CallResponse<ByteBuffer>, CallFailure>) {
        let call = state.withLock { state -> UpstreamCall? in
            guard let current = state.current, current.id == id, !current.isReplied else { return nil }
            state.current?.isReplied = true
            return current.call
        }
        call?.reply(result)
    }

    func endAnswer(_ id: String) {
        state.withLock { state in
            if state.current?.id == id { state.current?.phase = .answered }
        }
    }

    /// The program reports that it cannot start.
    func initError(_ sentence: String) -> Verdict {
        guard !state.withLock({ $0.isInitialised }) else { return .wrongState }
        startSignal.set(.failure(BrumeError(.failed, "The function failed to initialise: \(sentence)")))
        return .good
    }

    func opened(_ channel: any Channel) { state.withLock { $0.connections[ObjectIdentifier(channel)] = channel } }

    func closed(_ channel: any Channel, handler: RuntimeAPIHandler) {
        state.withLock { state in
            state.connections[ObjectIdentifier(channel)] = nil
            if state.parked === handler { state.parked = nil }
        }
    }

    /// The connection of an answer ended before the answer did; the end of the process may be the cause and is waited for.
    func broken(_ id: String, on eventLoop: any EventLoop, _ stream: ReplyStream.Sequence.Source?) {
        eventLoop.scheduleTask(in: limits.causeGrace) {
            self.fail(id, CallFailure(.badReply, "The function closed its connection before its answer was complete."), stream)
        }
    }

    private func fail(_ id: String, _ failure: CallFailure, _ stream: ReplyStream.Sequence.Source?) {
        let cause = state.withLock { $0.failure ?? failure }
        stream?.finish(cause)
        reply(id, .failure(cause))
        endAnswer(id)
    }

    // MARK: Ending

    func cancel(_ call: CallID) {
        // What runs is let finish; what waits is taken back.
        let (pending, gathering) = state.withLock { state -> (UpstreamCall?, Task<Void, Never>?) in
            guard let pending = state.pending, pending.call.id == call else { return (nil, state.gatherings[call]) }
            state.pending = nil
            return (pending.call, nil)
        }
        gathering?.cancel()
        pending?.fail(CallFailure(.abandoned, "The caller went away."))
    }

    func terminated(_ failure: CallFailure) {
        startSignal.set(.failure(BrumeError(.failed, failure.message)))
        let ended = state.withLock { state in
            state.failure = state.failure ?? failure
            defer {
                state.current = nil
                state.pending = nil
                state.parked = nil
                state.gate = nil
                state.listeners = []
                state.connections = [:]
                state.gatherings = [:]
            }
            return (state.current, state.pending?.call, state.listeners, Array(state.connections.values), Array(state.gatherings.values))
        }
        for task in ended.4 { task.cancel() }
        for listener in ended.2 { listener.whenSuccess { $0.close(promise: nil) } }
        for channel in ended.3 { channel.close(promise: nil) }
        ended.1?.fail(.unsentToReplica)
        guard let current = ended.0 else { return }
        // A stream is failed by its connection, which was closed above.
        if !current.isReplied { current.call.reply(.failure(failure)) }
        current.call.finished(current.phase == .answered ? nil : failure)
    }
}

/// An event with what the runtime API says about it.
struct LambdaDelivery: Sendable {
    let id: String
    let deadlineMilliseconds: Int64
    let arn: String
    let trace: String?
    let event: ByteBuffer

    /// A random UUID (version 4) in its usual form.
    static func makeID() -> String {
        let high = UInt64.random(in: 0...UInt64.max) & 0xffff_ffff_ffff_0fff | 0x4000
        let low = UInt64.random(in: 0...UInt64.max) & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
        func hex(_ value: UInt64) -> [Character] {
            let digits = Array(String(value, radix: 16))
            return Array(repeating: "0", count: 16 - digits.count) + digits
        }
        let all = hex(high) + hex(low)
        return [all[0..<8], all[8..<12], all[12..<16], all[16..<20], all[20..<32]].map { String($0) }.joined(separator: "-")
    }
}
