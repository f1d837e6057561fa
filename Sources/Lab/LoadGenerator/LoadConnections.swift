// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix

/// The connections of one worker: opens them, hands out idle ones in turn, and opens lost ones again with growing pauses.
///
/// Confined to the worker's event loop.
final class LoadConnections {
    /// Connections in the making at the same time: below the accept queue of any server, where more would wait a second for a repeated SYN.
    static let openingMax = 64
    /// Longest wait for a connection.
    static let connectTimeout = TimeAmount.seconds(5)
    /// Pause after a failed attempt; doubles up to the second.
    static let pauseMilliseconds: (first: Int64, max: Int64) = (10, 1000)

    private enum Slot {
        case closed
        case opening
        case live(LoadConnection)
    }

    weak var worker: LoadWorker?
    /// Whether a failed attempt is repeated.
    var keepsTrying = true
    private(set) var liveCount = 0
    /// Connections opened again after they were lost.
    private(set) var reopened = 0
    private(set) var lastFailure: LoadFailure?

    private let loop: any EventLoop
    private let address: SocketAddress
    private var slots: [Slot]
    private var pauses: [Int64]
    private var idle = CircularBuffer<LoadConnection>()
    private var openingCount = 0
    private var isClosed = false
    /// Slots still to be opened for the first time, and who waits for that.
    private var unopened: Range<Int>
    private var allOpened: EventLoopPromise<Void>?

    init(loop: any EventLoop, address: SocketAddress, count: Int) {
        self.loop = loop
        self.address = address
        slots = Array(repeating: .closed, count: count)
        pauses = Array(repeating: Self.pauseMilliseconds.first, count: count)
        unopened = 0..<count
    }

    var count: Int { slots.count }

    /// The open connections.
    var live: [LoadConnection] {
        slots.compactMap { slot in
            if case .live(let connection) = slot { connection } else { nil }
        }
    }

    /// Why no connection is there and none is being made; nil while there is hope.
    var failureOfAll: LoadFailure? { liveCount + openingCount == 0 ? lastFailure : nil }

    // MARK: - Idle connections

    /// The connection that has been idle for longest, so that all take their turn.
    func takeIdle() -> LoadConnection? { idle.popFirst() }

    func putIdle(_ connection: LoadConnection) { idle.append(connection) }

    // MARK: - Opening and closing

    /// Opens all; succeeds when each is open or has failed once.
    func openAll() -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        allOpened = promise
        openMore()
        return promise.futureResult
    }

    private func openMore() {
        while openingCount < Self.openingMax, let slot = unopened.popFirst() { open(slot) }
        if unopened.isEmpty && openingCount == 0 {
            allOpened?.succeed(())
            allOpened = nil
        }
    }

    /// Opens a connection in the place of one that was lost.
    func reopen(slot: Int) {
        reopened += 1
        open(slot)
    }

    private func open(_ slot: Int) {
        guard !isClosed, let worker else { return }
        slots[slot] = .opening
        openingCount += 1
        let connection = NIOLoopBound(LoadConnection(slot: slot, worker: worker), eventLoop: loop)
        ClientBootstrap(group: loop)
            .connectTimeout(Self.connectTimeout)
            // One read takes the whole answer; a second one would only find nothing.
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(connection.value) }
            }
            .connect(to: address)
            .assumeIsolated()
            .whenComplete { [self] result in
                openingCount -= 1
                switch result {
                case .success: succeeded(connection.value)
                case .failure(let error): failed(slot, LoadFailure(connecting: error))
                }
                openMore()
            }
    }

    private func succeeded(_ connection: LoadConnection) {
        guard !isClosed, connection.isOpen else {
            connection.abandon()
            failed(connection.slot, .closedEarly)
            return
        }
        slots[connection.slot] = .live(connection)
        pauses[connection.slot] = Self.pauseMilliseconds.first
        liveCount += 1
        worker?.opened(connection)
    }

    private func failed(_ slot: Int, _ failure: LoadFailure) {
        guard !isClosed else { return }
        slots[slot] = .closed
        lastFailure = failure
        worker?.couldNotOpen(failure)
        // The worker may have ended the run over it.
        guard keepsTrying, !isClosed else { return }
        let pause = pauses[slot]
        pauses[slot] = min(pause * 2, Self.pauseMilliseconds.max)
        loop.assumeIsolated().scheduleTask(in: .milliseconds(pause)) { [weak self] in self?.open(slot) }
    }

    /// Closes a connection for good and forgets it.
    func drop(_ connection: LoadConnection) {
        connection.abandon()
        guard !isClosed, case .live(let current) = slots[connection.slot], current === connection else { return }
        slots[connection.slot] = .closed
        liveCount -= 1
        idle.removeAll { $0 === connection }
    }

    func closeAll() {
        isClosed = true
        for connection in live { connection.abandon() }
        idle.removeAll()
        slots.removeAll()
        liveCount = 0
    }
}
