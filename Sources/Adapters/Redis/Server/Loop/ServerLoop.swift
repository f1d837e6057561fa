// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import CBrumeLinux
import Glibc
import Logging

/// The one thread of a Redis server: it waits for its sockets, reads and executes what came on all that are ready, then writes all replies.
///
/// A loop of our own, though NIO is a well-kept one: its channels, buffers and promises were most of the processor time of a request, of
/// which the write itself takes half a microsecond.
///
/// `@unchecked Sendable`: after `start` everything but `mail` is touched by its thread alone.
@safe final class ServerLoop: @unchecked Sendable {
    /// What happens in time.
    enum Timer {
        case event(ServerEvent)
        /// The connection of this token is closed, whatever has not left.
        case farewell(UInt64)
        /// Silent clients are closed.
        case idleness
        /// There may be descriptors again for clients that wait to be accepted.
        case accepting
    }

    let mail: LoopMail
    let agenda: LoopAgenda
    private let poller: Poller
    private let core: ServerCore
    private let logger: Logger
    /// By descriptor, which the kernel keeps small.
    private var connections: [SocketConnection?] = []
    private var listeners: [Int32: ListeningSocket] = [:]
    /// Whether listeners are not watched, because there is no descriptor for one more client.
    private var isFull = false
    /// Distinguishes connections that have had one descriptor after the other.
    private var serial: UInt32 = 0
    /// Connections that have something to write, or to end.
    private var queue: [SocketConnection] = []
    private var answered: [SocketConnection] = []
    /// What is read lands here first, whoever sent it.
    private let space: UnsafeMutableRawBufferPointer
    private var isEnding = false
    private var enders: [@Sendable () -> Void] = []

    /// 64 KiB: as much as is read from one client before the others have their turn.
    private static let readBytes = 64 << 10
    /// Clients that are accepted before those that are there have their turn.
    private static let acceptsPerTurn = 128
    /// How long nobody is accepted where there is no descriptor for one more client.
    private static let fullPause = Duration.milliseconds(100)
    /// How often in an idle time all clients are looked at, at most, and how far apart at least.
    private static let idleLooks = 16
    private static let idleLookMin = Duration.milliseconds(1)
    /// The token of the mail's descriptor; connections have a serial number in theirs, listeners nothing above their descriptor.
    private static let mailToken = UInt64.max

    /// - Throws: `BrumeError` (`failed`) where the process has no descriptor left.
    init(access: any StateAccess, settings: RedisSettings, logger: Logger) throws(BrumeError) {
        let mail = try LoopMail()
        let agenda = LoopAgenda()
        self.mail = mail
        self.agenda = agenda
        self.logger = logger
        poller = try Poller()
        core = ServerCore(
            access: access, settings: settings, clock: { agenda.now }, post: { mail.post(.event($0)) },
            postLater: { agenda.add(after: $0, .event($1)) }, cancelLater: { agenda.cancel($0) })
        unsafe space = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.readBytes, alignment: 16)
        guard poller.add(mail.descriptor, token: Self.mailToken, for: .input) else {
            throw BrumeError(.failed, "The Redis server's own descriptor cannot be watched (errno \(errno)).")
        }
    }

    deinit { unsafe space.deallocate() }

    // MARK: The thread

    /// Starts the thread, which keeps the loop until it ends.
    ///
    /// - Throws: `BrumeError` (`failed`) where there is no thread to be had.
    func start() throws(BrumeError) {
        var thread = pthread_t()
        let loop = unsafe Unmanaged.passRetained(self)
        let result = unsafe pthread_create(
            &thread, nil,
            { given in
                guard let given = unsafe given else { return nil }
                unsafe Unmanaged<ServerLoop>.fromOpaque(given).takeRetainedValue().run()
                return nil
            }, loop.toOpaque())
        guard result == 0 else {
            unsafe loop.release()
            throw BrumeError(.failed, "The thread of the Redis server cannot be started (errno \(result)).")
        }
        pthread_detach(thread)
    }

    private func run() {
        unsafe brume_name_thread("brume-redis")
        // Who writes to a client that has gone is told by the write's result.
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGPIPE)
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
        if let limit = core.settings.idleTimeout { agenda.add(after: limit, .idleness) }
        while !isEnding { turn() }
        close()
    }

    /// Waits for what is to be done, does it, and answers.
    private func turn() {
        while let timer = agenda.popDue() { fire(timer) }
        answer()
        let letters = mail.takeOrSleep()
        for letter in letters { open(letter) }
        let isBusy = !letters.isEmpty || !queue.isEmpty
        let count = poller.wait(milliseconds: isBusy ? 0 : agenda.millisecondsLeft)
        agenda.look()
        for index in 0..<count {
            let (token, readiness) = poller.event(index)
            if let connection = connection(token) {
                unsafe connection.ready(readiness, space)
            } else if token == Self.mailToken {
                mail.wake()
            } else if let listener = listeners[Int32(truncatingIfNeeded: token)], token >> 32 == 0 {
                accept(listener)
            }
        }
    }

    private func open(_ letter: LoopMail.Letter) {
        switch letter {
        case .event(let event): core.handle(event)
        case .work(let body): body(self)
        }
    }

    private func fire(_ timer: Timer) {
        switch timer {
        case .event(let event): core.handle(event)
        case .farewell(let token): connection(token)?.abort()
        case .idleness: closeIdle()
        case .accepting: watchListeners()
        }
    }

    /// Writes what sessions have given since the last time. What follows from that has its turn next.
    private func answer() {
        guard !queue.isEmpty else { return }
        swap(&queue, &answered)
        for connection in answered {
            connection.isQueued = false
            connection.finishTurn()
        }
        answered.removeAll(keepingCapacity: true)
    }

    /// Ends the loop after this turn, and calls back once all is closed.
    func end(_ done: @escaping @Sendable () -> Void) {
        isEnding = true
        enders.append(done)
    }

    private func close() {
        for listener in listeners.values { listener.close() }
        listeners = [:]
        core.closeAll()
        // What a session says when others end is not sent any more.
        while !queue.isEmpty { answer() }
        for letter in mail.close() { open(letter) }
        for done in enders { done() }
        enders = []
    }

    // MARK: Connections

    private func connection(_ token: UInt64) -> SocketConnection? {
        let place = Int(truncatingIfNeeded: token & 0x7fff_ffff)
        guard place < connections.count, let connection = connections[place], connection.token == token else { return nil }
        return connection
    }

    func enqueue(_ connection: SocketConnection) {
        guard !connection.isQueued else { return }
        connection.isQueued = true
        queue.append(connection)
    }

    func watch(_ connection: SocketConnection, for interest: Poller.Readiness) {
        poller.change(connection.descriptor, token: connection.token, for: interest)
    }

    /// Forgets a connection, and closes its socket.
    func remove(_ connection: SocketConnection, of session: Session) {
        connections[Int(connection.descriptor)] = nil
        _ = Glibc.close(connection.descriptor)
        core.ended(session)
    }

    private func closeIdle() {
        guard let limit = core.settings.idleTimeout else { return }
        var next = agenda.now + limit
        for connection in connections {
            guard let connection, let session = connection.session, !session.isListening else { continue }
            let end = session.lastHeard + limit
            if end <= agenda.now {
                core.statistics.idleClosed &+= 1
                connection.abort()
            } else {
                next = min(next, end)
            }
        }
        agenda.add(at: max(next, agenda.now + max(limit / Self.idleLooks, Self.idleLookMin)), .idleness)
    }

    // MARK: Listeners

    /// Accepts clients on a socket from now on; false where the loop has ended or cannot watch it.
    func add(_ listener: ListeningSocket) -> Bool {
        guard !isEnding, poller.add(listener.descriptor, token: UInt64(listener.descriptor), for: isFull ? [] : .input) else {
            return false
        }
        listeners[listener.descriptor] = listener
        return true
    }

    /// Stops listening at an address, and closes nothing else.
    func remove(_ address: RedisListener.Address) {
        for (descriptor, listener) in listeners where listener.address == address {
            listeners[descriptor] = nil
            listener.close()
        }
    }

    private func accept(_ listener: ListeningSocket) {
        for _ in 0..<Self.acceptsPerTurn {
            switch listener.accept() {
            case .client(let descriptor, let peer): add(descriptor, peer, listener)
            case .gone: continue
            case .nobody: return
            case .full: return pauseListeners()
            }
        }
    }

    private func add(_ descriptor: Int32, _ peer: sockaddr_storage, _ listener: ListeningSocket) {
        let own: String
        switch listener.address {
        case .unix(let path): own = "\(path):0"
        case .tcp:
            own = SocketName.text(SocketName.own(of: descriptor))
            var yes: Int32 = 1
            // Replies leave at once, however short.
            _ = unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        }
        guard let session = core.open(door: listener.door, addresses: (peer: SocketName.text(peer), own: own)) else {
            return refuse(descriptor)
        }
        serial = serial == .max - 1 ? 1 : serial + 1
        let token = UInt64(serial) << 32 | UInt64(descriptor)
        let connection = SocketConnection(descriptor: descriptor, token: token, session: session, loop: self)
        let place = Int(descriptor)
        while connections.count <= place { connections.append(nil) }
        connections[place] = connection
        if !poller.add(descriptor, token: token, for: .input) { connection.abort() }
    }

    private func refuse(_ descriptor: Int32) {
        // Fits into any socket's memory.
        let reply: StaticString = "-ERR max number of clients reached\r\n"
        _ = unsafe Glibc.write(descriptor, reply.utf8Start, reply.utf8CodeUnitCount)
        _ = Glibc.close(descriptor)
    }

    /// Looks away from clients that cannot be accepted: they would be told of in every turn.
    private func pauseListeners() {
        core.statistics.acceptPauses &+= 1
        guard !isFull else { return }
        logger.warning("no Redis client can be accepted; raise the limit of open files")
        isFull = true
        for listener in listeners.values { poller.change(listener.descriptor, token: UInt64(listener.descriptor), for: []) }
        agenda.add(after: Self.fullPause, .accepting)
    }

    private func watchListeners() {
        isFull = false
        for listener in listeners.values { poller.change(listener.descriptor, token: UInt64(listener.descriptor), for: .input) }
    }
}
