// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState

/// What reaches the server's loop from elsewhere.
enum ServerEvent: Sendable {
    /// What a session waited for has come, or cannot come.
    case resume(session: Int64, wait: Int, StateError?)
    /// Objects changed.
    case changes([StateChange])
}

/// Counts for `INFO`.
struct ServerStatistics {
    var connections: UInt64 = 0
    var rejectedConnections: UInt64 = 0
    var commands: UInt64 = 0
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    var protocolErrors: UInt64 = 0
    var slowListeners: UInt64 = 0
    var refusedByRules: UInt64 = 0
    var idleClosed: UInt64 = 0
    /// How often nobody could be accepted for a while, for want of descriptors.
    var acceptPauses: UInt64 = 0
}

/// How a client wants its calls to be consistent.
enum Consistency: Equatable {
    /// This node's copy; writes settle as the namespace's durability says.
    case local
    /// Reads join the copies of so many nodes, writes are on so many before they are answered.
    case quorum(Int)
    /// Each key is owned by this node alone while a command uses it.
    case exclusive

    /// Whether requests need nothing before they run, so that a pipeline is executed in one go.
    var isPlain: Bool { self == .local }
}

/// What all sessions of a server share. Lives on the server's loop and is touched nowhere else.
final class ServerCore {
    /// Redis' own default.
    static let databases = 16

    let access: any StateAccess
    let settings: RedisSettings
    let table: CommandTable
    let rules: AccessRules
    let limits: RequestLimits
    /// Hands an event to the loop, from any thread.
    let post: @Sendable (ServerEvent) -> Void
    /// Hands an event to the loop after a while, unless that is cancelled.
    private let postLater: (Duration, ServerEvent) -> TimerNumber
    private let cancelLater: (TimerNumber) -> Void
    let started: Instant
    var statistics = ServerStatistics()
    private(set) var sessions: [Int64: Session] = [:]
    private var nextSession: Int64 = 1
    private var places: [SpaceID: (namespace: String, database: Int)] = [:]
    private(set) var channels = ChannelTable()
    private var changes: StateSubscription?
    /// Sessions that wait for lists, in the order they came; some may have been answered since.
    private var blockedSessions: [Int64] = []
    /// What ends their waits in time.
    private var blockTimers: [Int64: TimerNumber] = [:]
    private let clock: () -> Instant
    var chance: RandomChoice
    /// What has to be asked of the state once the lock is free: asking under it would wait for itself.
    private var deferred: [(ServerCore) -> Void] = []

    init(
        access: any StateAccess, settings: RedisSettings, clock: @escaping () -> Instant,
        post: @escaping @Sendable (ServerEvent) -> Void, postLater: @escaping (Duration, ServerEvent) -> TimerNumber,
        cancelLater: @escaping (TimerNumber) -> Void
    ) {
        self.access = access
        self.settings = settings
        self.table = CommandTable.all
        self.rules = AccessRules(users: settings.users, table: CommandTable.all)
        self.limits = RequestLimits(bulkBytesMax: settings.valueBytesMax)
        self.clock = clock
        self.started = clock()
        self.post = post
        self.postLater = postLater
        self.cancelLater = cancelLater
        var generator = SystemRandomNumberGenerator()
        chance = RandomChoice(seed: generator.next())
    }

    func afterLock(_ body: @escaping (ServerCore) -> Void) { deferred.append(body) }

    /// Does what was put off while the lock was held.
    func unlocked() {
        guard !deferred.isEmpty else { return }
        let bodies = deferred
        deferred = []
        for body in bodies { body(self) }
    }

    /// The loop's own clock; only differences of it mean anything.
    var now: Instant { clock() }

    /// Seconds since a moment of the loop's clock.
    func elapsed(since moment: Instant) -> Double { (now - moment).inSeconds }

    /// Clients whose last command waits for something.
    var blockedCount: Int { sessions.values.count { $0.wait != nil } }

    // MARK: Sessions

    /// A session for a new connection; nil where there are too many.
    func open(door: RedisListener.Door, addresses: (peer: String, own: String)) -> Session? {
        statistics.connections &+= 1
        guard sessions.count < settings.clientsMax else {
            statistics.rejectedConnections &+= 1
            return nil
        }
        let session = Session(id: nextSession, server: self, door: door, addresses: addresses)
        nextSession += 1
        sessions[session.id] = session
        return session
    }

    /// Forgets a session whose connection has ended.
    func ended(_ session: Session) {
        session.transport = nil
        sessions[session.id] = nil
        leaveAll(session)
        blockedSessions.removeAll { $0 == session.id }
        unblocked(session.id)
        stopListening()
        unlocked()
    }

    /// Sessions in the order they came.
    var sessionsByAge: [Session] { sessions.values.sorted { $0.id < $1.id } }

    /// Closes every connection and stops listening to changes.
    func closeAll() {
        for session in sessionsByAge { session.transport?.abort() }
        if let changes { access.unsubscribe(changes) }
        changes = nil
    }

    func handle(_ event: ServerEvent) {
        switch event {
        case .resume(let id, let wait, let error): sessions[id]?.resume(wait, error)
        case .changes(let changes):
            tell(changes)
            retryBlocked(changes)
        }
    }

    // MARK: Clients that wait for lists

    /// Notes a session that waits for a list, and ends its wait in time.
    func block(_ id: Int64, wait: Int, within limit: Duration) {
        blockedSessions.append(id)
        listenToChanges()
        if limit > .zero { blockTimers[id] = postLater(limit, .resume(session: id, wait: wait, nil)) }
        // What was pushed between the attempt and the subscription is not told.
        sessions[id]?.retryBlocked()
    }

    /// Takes note that a session waits no longer, so that timers that are not needed do not gather.
    func unblocked(_ id: Int64) {
        if let timer = blockTimers.removeValue(forKey: id) { cancelLater(timer) }
    }

    /// Lets those that wait for lists that changed try again, the one that waits longest first.
    private func retryBlocked(_ changes: [StateChange]) {
        guard !blockedSessions.isEmpty else { return }
        let changed = Set(changes.filter { $0.kind == .list }.map(\.key))
        guard !changed.isEmpty else { return }
        for id in blockedSessions {
            guard let session = sessions[id], let request = session.blocked, request.keys.contains(where: changed.contains) else {
                continue
            }
            session.retryBlocked()
        }
        blockedSessions.removeAll { sessions[$0]?.blocked == nil }
        stopListening()
    }

    /// Notes whose key space a number is, for changes that name only the number.
    func remember(_ space: SpaceID, namespace: String, database: Int) { places[space] = (namespace, database) }

    // MARK: Channels

    /// Adds a session's channel or pattern, and listens to changes of objects once somebody may want them.
    func join(_ session: Session, _ name: Bytes, isPattern: Bool) {
        channels.add(session.id, ChannelName(namespace: session.namespace, name: name), isPattern: isPattern)
        let mayMeanKeys = isPattern || name.array.starts(with: Array("__key".utf8))
        if mayMeanKeys { afterLock { $0.listenToChanges() } }
    }

    func leave(_ session: Session, _ name: Bytes, isPattern: Bool) {
        channels.remove(session.id, ChannelName(namespace: session.namespace, name: name), isPattern: isPattern)
        if channels.isEmpty { afterLock { $0.stopListening() } }
    }

    private func listenToChanges() {
        guard changes == nil, !channels.isEmpty || !blockedSessions.isEmpty else { return }
        changes = access.subscribe({ _ in true }, { [post] in post(.changes($0)) })
    }

    private func stopListening() {
        guard channels.isEmpty, blockedSessions.isEmpty, let changes else { return }
        access.unsubscribe(changes)
        self.changes = nil
    }

    func leaveAll(_ session: Session) {
        for name in session.channels { leave(session, name, isPattern: false) }
        for name in session.patterns { leave(session, name, isPattern: true) }
        session.channels = []
        session.patterns = []
    }

    /// Sends a message to everybody of the namespace who listens; answers how many they are.
    func publish(namespace: String, channel: Bytes, message: Bytes) -> Int {
        let name = ChannelName(namespace: namespace, name: channel)
        var count = 0
        for id in channels.listeners(name) {
            guard let session = sessions[id] else { continue }
            session.deliver(Self.message(["message"], channel, message, isThree: session.isThree))
            count += 1
        }
        for (pattern, ids) in channels.matching(name) {
            for id in ids {
                guard let session = sessions[id] else { continue }
                session.deliver(Self.message(["pmessage", pattern], channel, message, isThree: session.isThree))
                count += 1
            }
        }
        return count
    }

    private static func message(_ head: [Bytes], _ channel: Bytes, _ message: Bytes, isThree: Bool) -> [UInt8] {
        var reply = ReplyBuffer()
        reply.isThree = isThree
        reply.push(head.count + 2)
        for word in head { reply.bulk(word) }
        reply.bulk(channel)
        reply.bulk(message)
        return reply.bytes
    }

    /// Tells listeners of `__keyspace@N__:KEY` and `__keyevent@N__:EVENT` about changes.
    private func tell(_ changes: [StateChange]) {
        for change in changes {
            guard let (namespace, database) = places[change.key.space] else { continue }
            let event = change.isRemoval ? "del" : change.kind.event
            _ = publish(
                namespace: namespace, channel: Bytes(Array("__keyspace@\(database)__:".utf8) + change.key.name.array), message: Bytes(event)
            )
            _ = publish(namespace: namespace, channel: Bytes("__keyevent@\(database)__:\(event)"), message: change.key.name)
        }
    }
}

extension ObjectKind {
    /// The event of a change that is no removal: a change may be the sum of many commands, also of other nodes, so it tells the kind.
    var event: String {
        switch self {
        case .string: "set"
        case .hash: "hset"
        case .set: "sadd"
        case .scoredSet: "zadd"
        case .list: "rpush"
        case .hyperLogLog: "pfadd"
        default: "change"
        }
    }
}

/// A channel or a pattern of a namespace; those of other namespaces are others.
struct ChannelName: Hashable {
    var namespace: String
    var name: Bytes
}

/// Who listens to what.
struct ChannelTable {
    private var channels: [ChannelName: [Int64]] = [:]
    private var patterns: [ChannelName: (glob: GlobPattern, listeners: [Int64])] = [:]

    var isEmpty: Bool { channels.isEmpty && patterns.isEmpty }

    mutating func add(_ session: Int64, _ name: ChannelName, isPattern: Bool) {
        if isPattern {
            patterns[name, default: (GlobPattern(name.name.array), [])].listeners.append(session)
        } else {
            channels[name, default: []].append(session)
        }
    }

    mutating func remove(_ session: Int64, _ name: ChannelName, isPattern: Bool) {
        if isPattern {
            patterns[name]?.listeners.removeAll { $0 == session }
            if patterns[name]?.listeners.isEmpty ?? false { patterns[name] = nil }
        } else {
            channels[name]?.removeAll { $0 == session }
            if channels[name]?.isEmpty ?? false { channels[name] = nil }
        }
    }

    func listeners(_ name: ChannelName) -> [Int64] { channels[name] ?? [] }

    /// Patterns that match a channel, with who listens to them.
    func matching(_ name: ChannelName) -> [(pattern: Bytes, listeners: [Int64])] {
        guard !patterns.isEmpty else { return [] }
        let text = name.name.array
        return patterns.filter { $0.key.namespace == name.namespace && $0.value.glob.matches(text) }
            .map { ($0.key.name, $0.value.listeners) }
    }

    /// Channels of a namespace that somebody listens to.
    func active(namespace: String, matching glob: GlobPattern?) -> [Bytes] {
        channels.keys.filter { $0.namespace == namespace && glob?.matches($0.name.array) ?? true }.map(\.name).sorted()
    }

    func patternCount(namespace: String) -> Int { patterns.keys.count { $0.namespace == namespace } }
}
