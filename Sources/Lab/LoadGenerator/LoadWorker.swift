// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload
import NIOCore

/// What happens on one event loop during a run: which request goes out when, over which connection, and how it is counted.
///
/// Confined to its event loop. No task and no allocation per request: the encoded request is shared, timers are reused, and one wake-up
/// sends every request that is due.
final class LoadWorker {
    /// Due requests that wait for a free connection, at most: 16 MB of times. Further ones count as not sent.
    static let backlogMax = 1 << 20

    private let loop: any EventLoop
    private let plan: LoadPlan
    private let request: ByteBuffer
    private let connections: LoadConnections
    private var tally = LoadTally()
    private var finished: EventLoopPromise<LoadTally>?

    // Times are nanoseconds of the event loop's clock.
    private var windowStart: UInt64 = 0
    private var windowEnd: UInt64 = 0
    private var beginning: UInt64 = 0
    private var isSending = false
    private var inFlight = 0

    // Open loop.
    private var schedule: DueTimes?
    private var nextDue: UInt64?
    private var backlog = CircularBuffer<UInt64>()

    private lazy var dueAlarm = Alarm(on: loop) { [weak self] in self?.sendDueRequests(now: Self.now()) }
    private lazy var endAlarm = Alarm(on: loop) { [weak self] in self?.windowEnded() }
    private lazy var timeoutAlarm = Alarm(on: loop) { [weak self] in self?.closeOverdue() }
    private var progress: ProgressTicker?

    /// - Parameters:
    ///   - share: which part of the work is this worker's: connections and due requests are dealt out in turn.
    init(loop: any EventLoop, plan: LoadPlan, address: SocketAddress, share: Share) {
        self.loop = loop
        self.plan = plan
        request = ByteBuffer(bytes: plan.requestBytes)
        connections = LoadConnections(loop: loop, address: address, count: share.part(of: plan.connections))
        if case .open(let process) = plan.pace { schedule = DueTimes(process, seed: plan.seed, share: share) }
    }

    static func now() -> UInt64 { NIODeadline.now().uptimeNanoseconds }

    // MARK: - Beginning and end

    /// Opens all connections. Succeeds when each is open or has failed once.
    func connect() -> EventLoopFuture<Void> {
        connections.worker = self
        return connections.openAll()
    }

    /// Runs the plan from `start` on and returns what was counted, when the last answer is there or given up.
    func run(from start: NIODeadline, progress ticker: ProgressTicker?) -> EventLoopFuture<LoadTally> {
        let promise = loop.makePromise(of: LoadTally.self)
        finished = promise
        beginning = start.uptimeNanoseconds
        let isBurst = plan.pace == .burst
        windowStart = beginning + (isBurst ? 0 : UInt64(plan.warmUp.wholeNanoseconds))
        windowEnd = windowStart + UInt64(plan.duration.wholeNanoseconds)
        isSending = true
        progress = ticker
        ticker?.start(on: loop)
        connections.keepsTrying = !isBurst
        dueAlarm.set(at: start)
        endAlarm.set(at: .uptimeNanoseconds(windowEnd))
        if case .open = plan.pace { takeNextDue() }
        return promise.futureResult
    }

    /// Ends the run at once; what is under way is not counted.
    func stop() { finish() }

    private func windowEnded() {
        isSending = false
        dueAlarm.cancel()
        // Requests under way still count: the alarm now stands for the longest wait for them.
        endAlarm.set(at: .uptimeNanoseconds(windowEnd + UInt64(plan.timeout.wholeNanoseconds)))
        guard inFlight > 0 || !backlog.isEmpty, Self.now() < windowEnd + UInt64(plan.timeout.wholeNanoseconds) else {
            finish()
            return
        }
    }

    private func finishIfDone() {
        if !isSending && inFlight == 0 && backlog.isEmpty { finish() }
    }

    private func finish() {
        guard let promise = finished else { return }
        finished = nil
        isSending = false
        for due in backlog where isCounted(due) { tally.countFailure(.notSent) }
        backlog.removeAll()
        for alarm in [dueAlarm, endAlarm, timeoutAlarm] { alarm.cancel() }
        for connection in connections.live where connection.isBusy && isCounted(connection.due) { tally.countFailure(.timedOut) }
        progress?.stop()
        connections.closeAll()
        tally.reconnects = connections.reopened
        promise.succeed(tally)
    }

    // MARK: - Sending

    private func isCounted(_ due: UInt64) -> Bool { due >= windowStart && due < windowEnd }

    private func takeNextDue() { nextDue = schedule?.next().map { beginning + $0 } }

    /// The due alarm: sends all requests of an open loop that are due by now; in the other loops, the first request on every connection.
    private func sendDueRequests(now: UInt64) {
        guard isSending else { return }
        guard case .open = plan.pace else {
            sendFirstRequests(now: now)
            return
        }
        while let due = nextDue, due <= now {
            guard due < windowEnd else {
                nextDue = nil
                return
            }
            if isCounted(due) { tally.due += 1 }
            dispatch(due: due, now: now)
            takeNextDue()
        }
        if let due = nextDue { dueAlarm.set(at: .uptimeNanoseconds(due)) }
    }

    private func sendFirstRequests(now: UInt64) {
        if plan.pace == .burst {
            let missing = connections.count - connections.liveCount
            tally.due += missing
            tally.countFailure(connections.lastFailure ?? .connectFailed, count: missing)
            isSending = false
        }
        while let connection = connections.takeIdle() { sendUnscheduled(connection, due: plan.pace == .burst ? beginning : now, now: now) }
        finishIfDone()
    }

    private func sendUnscheduled(_ connection: LoadConnection, due: UInt64, now: UInt64) {
        if isCounted(due) { tally.due += 1 }
        send(connection, due: due, now: now)
    }

    /// Sends an open loop's request, lets it wait for a connection, or fails it when there is none to wait for.
    private func dispatch(due: UInt64, now: UInt64) {
        if let connection = connections.takeIdle() {
            send(connection, due: due, now: now)
        } else if let failure = connections.failureOfAll {
            if isCounted(due) { tally.countFailure(failure) }
        } else if backlog.count < Self.backlogMax {
            backlog.append(due)
        } else if isCounted(due) {
            tally.countFailure(.notSent)
        }
    }

    private func send(_ connection: LoadConnection, due: UInt64, now: UInt64) {
        inFlight += 1
        if isCounted(due) { tally.sent += 1 }
        if !timeoutAlarm.isSet { timeoutAlarm.set(at: .uptimeNanoseconds(now + UInt64(plan.timeout.wholeNanoseconds))) }
        connection.send(request, due: due, now: now)
    }

    /// Finds the next work for a connection that is free.
    private func use(_ connection: LoadConnection, now: UInt64) {
        switch plan.pace {
        case .open:
            if let due = backlog.popFirst() { send(connection, due: due, now: now) } else { connections.putIdle(connection) }
            // A timer is dearer than a comparison, and the time is known here anyway.
            if let due = nextDue, due <= now { sendDueRequests(now: now) }
        case .closed:
            // The end alarm may come a moment late.
            if isSending && now < windowEnd { sendUnscheduled(connection, due: now, now: now) } else { connections.putIdle(connection) }
        case .burst: connections.putIdle(connection)
        }
        finishIfDone()
    }

    // MARK: - What connections tell

    func opened(_ connection: LoadConnection) {
        let running = finished != nil && Self.now() >= beginning
        if running { use(connection, now: Self.now()) } else { connections.putIdle(connection) }
    }

    func couldNotOpen(_ failure: LoadFailure) {
        guard finished != nil else { return }
        let now = Self.now()
        if plan.pace == .closed, isSending, isCounted(now) {
            tally.due += 1
            tally.countFailure(failure)
        }
        if let failure = connections.failureOfAll {
            while let due = backlog.popFirst() {
                if isCounted(due) { tally.countFailure(failure) }
            }
        }
        finishIfDone()
    }

    func answered(_ connection: LoadConnection, status: Int, reusable: Bool) {
        let now = Self.now()
        inFlight -= 1
        if isCounted(connection.due) {
            tally.countAnswer(status: status, fromDue: now - connection.due, fromSend: now - connection.sentAt)
            tally.lastCompletion = max(tally.lastCompletion, now - windowStart)
        }
        if isCounted(now) { tally.countCompletion(status: status) }
        progress?.count(ok: (200..<300).contains(status))
        if reusable { use(connection, now: now) } else { replace(connection) }
    }

    func failed(_ connection: LoadConnection, _ failure: LoadFailure) {
        inFlight -= 1
        if isCounted(connection.due) { tally.countFailure(failure) }
        progress?.count(ok: false)
        replace(connection)
    }

    /// An idle connection was closed by the server.
    func lost(_ connection: LoadConnection) { replace(connection) }

    private func replace(_ connection: LoadConnection) {
        connections.drop(connection)
        if isSending || !backlog.isEmpty { connections.reopen(slot: connection.slot) }
        finishIfDone()
    }

    /// The timeout alarm: closes the connections whose answer is overdue and waits for the next one.
    private func closeOverdue() {
        let timeout = UInt64(plan.timeout.wholeNanoseconds)
        let now = Self.now()
        for connection in connections.live where connection.isBusy && connection.sentAt + timeout <= now { failed(connection, .timedOut) }
        guard finished != nil, let oldest = connections.live.lazy.filter(\.isBusy).map(\.sentAt).min() else { return }
        timeoutAlarm.set(at: .uptimeNanoseconds(oldest + timeout))
    }
}
