// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload
import NIOCore
import NIOPosix

/// What happens on the event loop during a replay: which call goes out when, over which connection, and what is recorded.
///
/// Confined to its event loop.
final class ReplayWorker {
    /// Longest wait for a connection.
    private static let connectTimeout = TimeAmount.seconds(5)
    /// Connections in the making at the same time: below the accept queue of any server.
    private static let openingMax = 64
    /// As often as a person can read.
    private static let progressInterval = TimeAmount.milliseconds(250)

    private let loop: any EventLoop
    private let plan: ReplayPlan
    private let address: SocketAddress
    private let tell: (@Sendable (ReplayProgress) -> Void)?
    private var records: [ReplayRecord]
    private var finished: EventLoopPromise<[ReplayRecord]>?

    private var beginning = NIODeadline.now()
    private var hasBegun = false
    /// The next call that is not due yet.
    private var next = 0
    /// Calls that are due and wait for a connection; bounded by the calls of the trace.
    private var waiting = CircularBuffer<Int>()
    private var idle = CircularBuffer<ReplayConnection>()
    private var live: [ObjectIdentifier: ReplayConnection] = [:]
    private var opening = 0
    private var succeeded = 0
    private var failed = 0

    private lazy var dueAlarm = Alarm(on: loop) { [weak self] in self?.sendDueCalls() }
    private lazy var progressAlarm = Alarm(on: loop) { [weak self] in self?.tellProgress() }

    init(loop: any EventLoop, plan: ReplayPlan, address: SocketAddress, progress: (@Sendable (ReplayProgress) -> Void)?) {
        self.loop = loop
        self.plan = plan
        self.address = address
        tell = progress
        let names = plan.trace.functions.map(\.name)
        records = plan.trace.calls.enumerated().map { index, call in
            ReplayRecord(index: index, function: names[call.function], due: call.offset, inputSize: call.inputSize)
        }
    }

    // MARK: - Beginning and end

    func run() -> EventLoopFuture<[ReplayRecord]> {
        let promise = loop.makePromise(of: [ReplayRecord].self)
        finished = promise
        // Opening a connection is the client's business and no part of a call; a gateway that takes none is found out now, too.
        for _ in 0..<min(plan.largestBurst, plan.connections, Self.openingMax) { open() }
        if opening == 0 { begin() }
        return promise.futureResult
    }

    private func begin() {
        hasBegun = true
        beginning = .now()
        if tell != nil { progressAlarm.set(at: beginning + Self.progressInterval) }
        sendDueCalls()
        finishIfDone()
    }

    /// Ends the replay at once.
    func stop() { finish() }

    private func finishIfDone() { if succeeded + failed == records.count { finish() } }

    private func finish() {
        guard let promise = finished else { return }
        finished = nil
        dueAlarm.cancel()
        progressAlarm.cancel()
        reportProgress()
        for connection in live.values { connection.abandon() }
        live.removeAll()
        idle.removeAll()
        waiting.removeAll()
        promise.succeed(records)
    }

    private func tellProgress() {
        reportProgress()
        if finished != nil { progressAlarm.set(at: .now() + Self.progressInterval) }
    }

    private func reportProgress() {
        tell?(ReplayProgress(elapsed: elapsed(.now()), due: next, calls: records.count, succeeded: succeeded, failed: failed))
    }

    private func elapsed(_ now: NIODeadline) -> Duration { .nanoseconds((now - beginning).nanoseconds) }

    // MARK: - Sending

    private func due(_ index: Int) -> NIODeadline { beginning + .nanoseconds(records[index].due.wholeNanoseconds) }

    private func sendDueCalls() {
        guard finished != nil else { return }
        let now = NIODeadline.now()
        while next < records.count, due(next) <= now {
            waiting.append(next)
            next += 1
        }
        if next < records.count { dueAlarm.set(at: due(next)) }
        serve()
    }

    /// Gives waiting calls to idle connections, and opens more connections for the rest.
    private func serve() {
        while let connection = idle.first, let index = waiting.popFirst() {
            idle.removeFirst()
            send(index, over: connection)
        }
        while opening < min(waiting.count, Self.openingMax), live.count + opening < plan.connections { open() }
    }

    private func send(_ index: Int, over connection: ReplayConnection) {
        let now = NIODeadline.now()
        records[index].sent = elapsed(now)
        connection.send(
            ByteBuffer(bytes: plan.request(of: plan.trace.calls[index])), call: index,
            until: now + .nanoseconds(plan.timeout.wholeNanoseconds))
    }

    private func open() {
        opening += 1
        let connection = NIOLoopBound(ReplayConnection(loop: loop, worker: self), eventLoop: loop)
        ClientBootstrap(group: loop)
            .connectTimeout(Self.connectTimeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(connection.value) }
            }
            .connect(to: address)
            .assumeIsolated()
            .whenComplete { [self] result in
                opening -= 1
                switch result {
                case .success: opened(connection.value)
                case .failure(let error): couldNotOpen(LoadFailure(connecting: error))
                }
                if !hasBegun, finished != nil, opening == 0 { begin() }
            }
    }

    private func opened(_ connection: ReplayConnection) {
        guard finished != nil, connection.isOpen else {
            connection.abandon()
            if finished != nil { couldNotOpen(.closedEarly) }
            return
        }
        live[ObjectIdentifier(connection)] = connection
        idle.append(connection)
        if hasBegun { serve() }
    }

    /// While others are there or come, the calls wait for them.
    private func couldNotOpen(_ failure: LoadFailure) {
        guard finished != nil, live.isEmpty, opening == 0 else { return }
        while let index = waiting.popFirst() { count(index, failure: failure) }
        finishIfDone()
    }

    // MARK: - What connections tell

    func answered(_ connection: ReplayConnection, call index: Int, status: Int, head: ResponseFields, reusable: Bool) {
        records[index].take(status: status, head: head)
        records[index].completion = elapsed(.now()) - records[index].due
        if records[index].succeeded { succeeded += 1 } else { failed += 1 }
        if reusable { idle.append(connection) } else { drop(connection) }
        serve()
        finishIfDone()
    }

    func failed(_ connection: ReplayConnection, call index: Int, _ failure: LoadFailure) {
        drop(connection)
        count(index, failure: failure)
        serve()
        finishIfDone()
    }

    /// An idle connection was closed by the server.
    func lost(_ connection: ReplayConnection) { drop(connection) }

    private func drop(_ connection: ReplayConnection) {
        connection.abandon()
        live[ObjectIdentifier(connection)] = nil
        idle.removeAll { $0 === connection }
    }

    private func count(_ index: Int, failure: LoadFailure) {
        failed += 1
        records[index].failure = failure.rawValue
        records[index].timedOut = failure == .timedOut
        if records[index].sent != nil { records[index].completion = elapsed(.now()) - records[index].due }
    }
}

extension ReplayRecord {
    /// Takes over what the answer's head says about the call.
    mutating func take(status: Int, head: ResponseFields) {
        self.status = status
        succeeded = (200..<300).contains(status)
        requestID = head["x-call-id"] ?? ""
        failure = head["x-brume-failure"] ?? (succeeded ? "" : "status")
        timedOut = failure == CallFailure.Kind.timedOut.rawValue || status == 504
        queued = head.milliseconds("x-brume-queued-ms")
        starting = head.milliseconds("x-brume-starting-ms")
        running = head.milliseconds("x-brume-running-ms")
        isCold = head["x-brume-start"].map { $0 == "cold" }
    }
}
