// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState

/// What carries a session's bytes. Used on the server's loop alone.
protocol SessionTransport: AnyObject {
    /// Takes bytes, which leave after all that were given before, and hands back an empty array, maybe with memory.
    func send(_ bytes: inout [UInt8])
    /// Bytes that were given and have not left yet.
    var unsentBytes: Int { get }
    /// Closes once everything that was given has left.
    func closeWhenSent()
    /// Closes at the end of the loop's turn, whatever has not left.
    func abort()
    /// Stops reading, or goes on. Who stops is told by ``Session/drained()`` when half of what may wait has left.
    func setReading(_ isReading: Bool)
}

/// One client: its requests in, its replies out in their order, and what it has said about itself.
///
/// Lives on the server's loop and is touched nowhere else.
final class Session {
    enum ReplyMode { case on, off, skipNext, skipThis }

    let id: Int64
    /// It lets go of a session when its connection ends. Not unowned: each request would count the references twice.
    let server: ServerCore
    let door: RedisListener.Door
    let addresses: (peer: String, own: String)
    let created: Instant
    var transport: (any SessionTransport)?

    private var parser: RequestParser
    private var turn = Turn()
    /// Whether the parser stands behind a request that was not executed yet.
    private var hasRequest = false

    // What the client has said about itself.
    private(set) var user: Int?
    var name = ""
    var library: (name: String, version: String) = ("", "")
    var database = 0
    /// The key spaces of the databases that were used, found once.
    var spaces: [SpaceID?]
    /// Key spaces that were here, or were waited for once: at most as many as there are databases.
    private var wasPresent: [SpaceID] = []
    var replies = ReplyMode.on { didSet { look() } }
    var isEvictable = true
    var isThree = false
    var lastCommand = 0
    var lastHeard: Instant
    var consistency = Consistency.local

    var transaction: Transaction? { didSet { look() } }
    var watched: [WatchedKey] = []

    var channels: [Bytes] = [] { didSet { look() } }
    var patterns: [Bytes] = [] { didSet { look() } }
    /// What the client waits for until a list has it.
    var blocked: BlockedRequest?
    /// Messages that came while this session executed something; they follow its replies.
    private var inbox: [UInt8] = []
    private var isExecuting = false

    /// What requests wait for just now, nil when they run.
    private(set) var wait: Wait?
    private var waits = 0
    private var isPrepared = false
    /// What the request still needs before it may run, the next one last.
    private var needs: [StateNeed] = []
    private(set) var isClosing = false
    private var isPaused = false
    private var hasInputEnded = false
    /// Where each reply of the run begins that waits for its writes to settle.
    private var replyStarts: [Int] = []

    init(id: Int64, server: ServerCore, door: RedisListener.Door, addresses: (peer: String, own: String)) {
        self.id = id
        self.server = server
        self.door = door
        self.addresses = addresses
        self.created = server.now
        self.lastHeard = server.now
        self.parser = RequestParser(limits: server.limits)
        self.spaces = Array(repeating: nil, count: ServerCore.databases)
        look()
    }

    /// Whether the client has still to say who it is.
    private(set) var isStranger = false
    /// Whether any command runs at once and is answered: no rule, transaction, subscription or mode of replies has a say. Kept, because
    /// every request asks.
    private(set) var isPlain = true

    /// Brings both up to date.
    private func look() {
        if case .users = door { isStranger = user == nil && !server.rules.isOpen }
        isPlain = user == nil && !isStranger && !isListening && transaction == nil && replies == .on
    }

    var namespace: String {
        switch door {
        case .namespace(let name): name
        case .users(let unauthenticated): user.map { server.rules.user($0).namespace } ?? unauthenticated
        }
    }

    var isListening: Bool { !channels.isEmpty || !patterns.isEmpty }

    // MARK: Bytes in

    /// Takes bytes that the client sent, and executes what is complete.
    func receive(_ bytes: UnsafeRawBufferPointer) {
        guard !isClosing else { return }
        lastHeard = server.now
        server.statistics.bytesIn &+= UInt64(bytes.count)
        unsafe turn.input.append(contentsOf: bytes)
        if wait == nil { proceed() } else { pauseIfFull() }
    }

    /// The client will send no more, though it may read on: what came is answered, and then the connection ends.
    func inputEnded() {
        hasInputEnded = true
        closeIfDone()
    }

    /// Enough has left that a client who had not read its replies may go on.
    func drained() {
        guard !isClosing else { return }
        if wait == nil { proceed() } else { pauseIfFull() }
    }

    /// Executes what is complete and may run, and sends the replies. What a client does not read in time is not executed either.
    private func proceed() {
        loop: while wait == nil, !isClosing, unsent <= RedisSettings.unreadBytesPause {
            if !hasRequest {
                switch parser.next(turn.input, isStranger: isStranger) {
                case .incomplete: break loop
                case .failure(let reason):
                    turn.reply.error("ERR Protocol error: \(reason)")
                    server.statistics.protocolErrors &+= 1
                    close()
                    return
                case .request: hasRequest = true
                }
            }
            guard isPrepared || prepare() else { break }
            run()
        }
        compact()
        if wait == nil { flush() }
        pauseIfFull()
        closeIfDone()
    }

    /// Closes where the client sends no more and nothing that it has sent is still to be answered. Who waits for a list, a channel or
    /// other nodes by a command of its own is taken to have gone.
    private func closeIfDone() {
        guard hasInputEnded else { return }
        switch wait {
        case nil: if !isPaused { close() }
        case .command: close()
        case .presence, .need, .settlement: break
        }
    }

    /// 64 KiB: the lock is let go of after replies of this size.
    private static let flushBytes = 64 << 10

    /// Executes the request that was read and those behind it, under one hold of the replica's lock.
    private func run() {
        var turn = Turn()
        swap(&turn, &self.turn)
        isExecuting = true
        replyStarts.removeAll(keepingCapacity: true)
        var absent: SpaceID?
        var mark = WriteMark.nothing
        var level = Settlement.accepted
        server.access.holdReplica { replica, time in
            turn.time = time
            turn.reply.isThree = isThree
            enterSpace(&turn, &replica)
            if let space = turn.space {
                replica.use(space, time)
                if !wasPresent.contains(space), !replica.isPresent(space) {
                    absent = space
                    return
                }
            }
            level = settlement(turn.space, replica)
            var left = consistency.isPlain ? RedisSettings.requestsPerRun : 1
            repeat {
                parser.exchangeArguments(&turn.arguments)
                turn.origin = parser.start
                if parser.isUnquoted { turn.useWords(parser.unquoted) }
                if level != .accepted { replyStarts.append(turn.reply.count) }
                execute(&turn, &replica)
                turn.restoreInput()
                turn.arguments.removeAll(keepingCapacity: true)
                parser.exchangeArguments(&turn.arguments)
                parser.finishRequest()
                left -= 1
            } while left > 0 && wait == nil && !isClosing && turn.reply.count < Self.flushBytes && !turn.endsRun
                && parser.next(turn.input, isStranger: isStranger) == .request
            if turn.hasWritten { mark = replica.mark }
        }
        isExecuting = false
        if let absent {
            swap(&turn, &self.turn)
            return fetch(absent)
        }
        server.statistics.commands &+= turn.executed
        turn.executed = 0
        lastCommand = turn.lastCommand
        server.unlocked()
        // A request that was read but not executed is still there.
        hasRequest = !parser.arguments.isEmpty && !parser.isWithinRequest
        isPrepared = false
        isThree = turn.reply.isThree
        turn.endsRun = false
        turn.hasWritten = false
        swap(&turn, &self.turn)
        if !inbox.isEmpty {
            self.turn.reply.raw(inbox)
            inbox = []
        }
        if isClosing { return finishClosing() }
        if level != .accepted, mark != .nothing, wait == nil { settle(mark, level) }
    }

    // MARK: Waiting

    /// Why requests are not executed just now.
    enum Wait {
        /// For the namespace to come to this node.
        case presence(Int)
        /// For what a request needs before it runs.
        case need(Int)
        /// For the writes of the run that was executed last.
        case settlement(Int)
        /// The last command waits by itself, and writes its reply when it is resumed.
        case command(Int, (inout ReplyBuffer, StateError?) -> Void)

        var number: Int {
            switch self {
            case .presence(let number), .need(let number), .settlement(let number), .command(let number, _): number
            }
        }
    }

    /// How far this client's writes must have come before they are answered.
    private func settlement(_ space: SpaceID?, _ replica: borrowing Replica) -> Settlement {
        if case .quorum(let nodes) = consistency { return .replicas(nodes) }
        return space.map { replica.settlement(of: $0) } ?? .accepted
    }

    /// Waits until the namespace is here, which it is unless no policy keeps it on this node and nobody has used it; then goes on.
    private func fetch(_ space: SpaceID) {
        wasPresent.append(space)
        let number = nextWait()
        wait = .presence(number)
        let post = server.post
        server.access.whenReady(.present([ObjectKey(space, Bytes())]), within: RedisSettings.presenceLimit) { [id] error in
            post(.resume(session: id, wait: number, error))
        }
    }

    private func nextWait() -> Int {
        waits += 1
        return waits
    }

    private func settle(_ mark: WriteMark, _ level: Settlement) {
        let number = nextWait()
        wait = .settlement(number)
        let post = server.post
        server.access.whenSettled(mark, level, within: RedisSettings.settlementLimit) { [id] error in
            post(.resume(session: id, wait: number, error))
        }
    }

    /// Makes sure that the request may run; false where something must be waited for.
    private func prepare() -> Bool {
        guard !consistency.isPlain, !isStranger, needs.isEmpty, let keys = keysOfRequest(), !keys.isEmpty else { return true }
        switch consistency {
        case .quorum(let nodes): needs = [.quorum(keys, nodes)]
        // In one order for all clients, so that two that want the same keys do not wait for each other.
        case .exclusive: needs = Set(keys).sorted { $0.name > $1.name }.map { .exclusive($0) }
        case .local: return true
        }
        waitForNextNeed()
        return false
    }

    private func waitForNextNeed() {
        guard let need = needs.popLast() else {
            isPrepared = true
            return
        }
        let number = nextWait()
        wait = .need(number)
        let post = server.post
        server.access.whenReady(need, within: RedisSettings.settlementLimit) { [id] error in
            post(.resume(session: id, wait: number, error))
        }
    }

    /// The keys of the request that was read, or of all that EXEC would execute; nil where they cannot be told.
    private func keysOfRequest() -> [ObjectKey]? {
        turn.arguments = parser.arguments
        turn.origin = parser.start
        if parser.isUnquoted { turn.useWords(parser.unquoted) }
        defer {
            turn.restoreInput()
            turn.arguments = []
        }
        guard let index = server.table.index(of: turn.input, turn.origin, turn.arguments[0]) else { return nil }
        return server.access.withReplica { replica, _ in
            guard let name = try? SpaceName(namespace, database: database), let space = try? replica.space(name) else { return nil }
            let command = server.table.commands[index]
            if command.name == "exec", let transaction {
                return transaction.queued.flatMap { request in
                    server.table.commands[request.command].keyPlaces(in: request.input, request.arguments).map {
                        ObjectKey(space, Bytes(request.input[$0.start..<$0.end]))
                    }
                }
            }
            guard transaction == nil else { return nil }
            return command.keyPlaces(in: turn).map { ObjectKey(space, turn.bytes($0)) }
        }
    }

    /// Begins a wait of a command's own; whatever `resume` is called with `number` first ends it.
    func waitForCommand(_ resume: @escaping (inout ReplyBuffer, StateError?) -> Void) -> Int {
        let number = nextWait()
        wait = .command(number, resume)
        return number
    }

    /// Goes on after a wait.
    func resume(_ number: Int, _ error: StateError?) {
        guard let wait, wait.number == number, !isClosing else { return }
        self.wait = nil
        endBlock()
        switch wait {
        // A node that is cut off works with what it has.
        case .presence: break
        case .need:
            if let error {
                hasRequest = false
                needs = []
                parser.finishRequest()
                turn.reply.error("UNAVAILABLE \(error.message)")
            } else {
                waitForNextNeed()
            }
        case .settlement:
            if let error { turn.reply.replace(from: replyStarts, with: "UNAVAILABLE \(error.message)") }
        case .command(_, let finish):
            finish(&turn.reply, error)
        }
        proceed()
    }

    private func endBlock() {
        guard blocked != nil else { return }
        blocked = nil
        server.unblocked(id)
    }

    /// Ends the wait for a list with a reply that was written already.
    func finishBlocked(_ number: Int, with reply: [UInt8]) {
        guard case .command(number, _) = wait, !isClosing else { return }
        wait = nil
        endBlock()
        turn.reply.raw(reply)
        proceed()
    }

    /// Ends the wait of a command that waits by itself, before what it waits for came; answers whether there was one.
    func unblock(withError: Bool) -> Bool {
        guard case .command(let number, _) = wait, !isExecuting else { return false }
        resume(number, withError ? StateError(.unavailable, "client unblocked via CLIENT UNBLOCK") : nil)
        return true
    }

    // MARK: Bytes out

    /// Hands what was written to the transport.
    private func flush() {
        guard turn.reply.count > 0, let transport else { return }
        server.statistics.bytesOut &+= UInt64(turn.reply.count)
        turn.reply.hand(to: transport)
    }

    /// Sends a message of a channel: after the replies of what is executed, between replies otherwise.
    func deliver(_ message: [UInt8]) {
        guard !isClosing else { return }
        if isExecuting {
            inbox.append(contentsOf: message)
        } else {
            turn.reply.raw(message)
            if wait == nil { flush() }
        }
        if unsent > RedisSettings.unreadBytesMax {
            server.statistics.slowListeners &+= 1
            transport?.abort()
        }
    }

    private var unsent: Int { (transport?.unsentBytes ?? 0) + turn.reply.count + inbox.count }

    /// Reads no more from a client that does not read its replies, or whose requests have to wait.
    private func pauseIfFull() {
        let isFull = unsent > RedisSettings.unreadBytesPause || wait != nil && turn.input.count > RedisSettings.unreadBytesPause
        guard isFull != isPaused else { return }
        isPaused = isFull
        transport?.setReading(!isFull)
    }

    /// Sends what was written, and closes.
    func close() {
        guard !isClosing else { return }
        isClosing = true
        endBlock()
        // A command that closes has still to write its reply.
        if !isExecuting { finishClosing() }
    }

    private func finishClosing() {
        flush()
        transport?.closeWhenSent()
    }

    /// Takes away the requests that were executed.
    private func compact() {
        let done = parser.start
        guard done > 0 else { return }
        if done == turn.input.count {
            // What a large request needed is given back.
            turn.input.removeAll(keepingCapacity: turn.input.capacity <= Self.flushBytes)
        } else {
            turn.input.removeSubrange(0..<done)
        }
        parser.rebase()
    }

    // MARK: Who and where

    /// Makes the turn work in the database that is selected.
    func enterSpace(_ turn: inout Turn, _ replica: inout Replica) {
        if let known = spaces[database] {
            turn.space = known
            return
        }
        do throws(StateError) {
            let found = try replica.space(SpaceName(namespace, database: database))
            spaces[database] = found
            server.remember(found, namespace: namespace, database: database)
            turn.space = found
        } catch {
            turn.space = nil
        }
    }

    /// Forgets what belongs to the user it was until now.
    func becomes(user index: Int?) {
        user = index
        look()
        spaces = Array(repeating: nil, count: spaces.count)
        wasPresent = []
    }
}
