// SPDX-License-Identifier: Apache-2.0

import BrumeMembership
import BrumeModel
import BrumeNode
import BrumeRedis
import BrumeState
import BrumeStore
import FoundationEssentials
import Logging
import NIOCore
import SystemPackage

/// What `brume up` was told about state.
struct StatePlan: Sendable {
    /// What holds for a namespace of which nothing else is said.
    var standard = NamespaceSettings()
    /// The namespaces that differ from it, by name.
    var namespaces: [String: NamespaceSettings] = [:]
    /// Who keeps which namespace, until somebody says otherwise while the cluster runs.
    var keep: [(namespace: String, policy: InterestPolicy)] = []
    /// Where Redis' protocol is served over TCP; nil for nowhere.
    var redis: SocketPlace?
    /// Who may come in there; nobody but this machine where there are none.
    var redisUsers: [RedisUser] = []
}

extension StatePlan {
    /// Shortest time that what was used stays: below it a node would pull the same again and again.
    private static let idleMin = Duration.seconds(1)

    /// Reads `NAMESPACE=POLICY`.
    ///
    /// - Throws: `CommandFailure` (words).
    static func keep(_ text: String) throws(CommandFailure) -> (namespace: String, policy: InterestPolicy) {
        guard let sign = text.firstIndex(of: "=") else {
            throw .words("'\(text.prefix(64))' (--state-keep) is no NAMESPACE=POLICY; write for example --state-keep default=2.")
        }
        do throws(StateError) {
            let name = try SpaceName(String(text[..<sign])).namespace
            return (name, try InterestPolicy(word: String(text[text.index(after: sign)...])))
        } catch {
            throw .words("--state-keep \(text.prefix(64)): \(error.message)")
        }
    }

    /// - Throws: `CommandFailure` (words).
    static func idle(_ text: String) throws(CommandFailure) -> Duration {
        guard let duration = try? Duration(parsing: text), duration >= idleMin else {
            throw .words("'\(text.prefix(32))' (--state-idle) is no time of a second or more; write for example --state-idle 10m.")
        }
        return duration
    }
}

/// `HOST:PORT`.
struct SocketPlace: Sendable, Hashable {
    var host: String
    var port: Int

    /// Reads `HOST:PORT`, `[V6]:PORT`, or a port alone for loopback.
    ///
    /// - Throws: `CommandFailure` (words).
    init(parsing text: String) throws(CommandFailure) {
        let failure = CommandFailure.words("'\(text.prefix(64))' is no place to listen at; write HOST:PORT, like 127.0.0.1:6379.")
        guard let colon = text.lastIndex(of: ":") else {
            guard let port = Int(text), (0...65_535).contains(port) else { throw failure }
            (host, self.port) = ("127.0.0.1", port)
            return
        }
        var name = String(text[..<colon])
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        guard let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port), !name.isEmpty else { throw failure }
        (host, self.port) = (name, port)
    }
}

/// Puts a node's state together: its log, its replica, and the doors to it.
struct StateAssembly {
    let plan: StatePlan
    let directory: NodeDirectory
    /// Whom other nodes know this one as.
    let node: NodeID
    let labels: [MemberMeta.Label]
    /// Where flushes are made and what other nodes send is merged.
    let loop: any EventLoop

    /// The label that says where a node stands: `cloud`, or `edge` where it says nothing.
    static let tierLabel = ClusterPlan.tierLabel

    /// Reads the state of the data directory, and begins with nothing where there is none.
    func makeService() async throws -> StateService {
        let log = try SQLiteStateLog(directory: directory.path.string, logger: Logger(label: "brume.state-log"))
        var settings = StateServiceSettings()
        settings.replica.standard = plan.standard
        settings.replica.namespaces = plan.namespaces
        settings.replica.tier = Self.tier(labels)
        let world = StateWorld(
            now: StateClock().now, random: { UInt64.random(in: 1...UInt64.max) }, loop: loop)
        let state = try await StateService.open(
            node: node, settings: settings, world: world, log: log, logger: Logger(label: "brume.state"))
        try state.withReplica { replica, now throws(StateError) in
            for (namespace, policy) in plan.keep { try replica.keepAtStart(namespace, policy, now) }
        }
        return state
    }

    /// Connects state with the cluster: who belongs to it, and what the link brings.
    static func connect(_ state: StateService, to parts: ClusterAssembly.Parts) {
        state.attach(parts.way)
        parts.cluster.addTaker { state.take($0) }
        parts.cluster.onMembers { members in
            // Whoever is dead or left may return, and is waited for until it is removed.
            state.members(members.filter { $0.status != .removed }.map { StateMember(node: $0.id, tier: tier($0.meta.labels)) })
        }
    }

    private static func tier(_ labels: [MemberMeta.Label]) -> NodeTier {
        labels.contains { $0.key == tierLabel && $0.value == "cloud" } ? .cloud : .edge
    }

    /// The server of Redis' protocol, with the places to listen at that `brume up` was told.
    func makeRedis(_ state: StateService, onListening: @escaping @Sendable (RedisListener.Address) -> Void) throws -> RedisServer {
        let listeners = plan.redis.map {
            [RedisListener(.tcp(host: $0.host, port: $0.port), door: .users(unauthenticated: "default"))]
        }
        return try RedisServer(
            access: state, settings: RedisSettings(users: plan.redisUsers, version: Version.current), listeners: listeners ?? [],
            logger: Logger(label: "brume.redis"), onListening: onListening)
    }
}

/// The clock of state: monotonic time that began as wall time, and the wall clock, each one cheap call of the kernel's page.
private struct StateClock: Sendable {
    private let anchor = Machine.wallClock().nanoseconds - Self.uptime()

    func now() -> StateTime {
        StateTime(
            instant: Instant(nanoseconds: anchor + Self.uptime()),
            wallMilliseconds: UInt64(clamping: Machine.wallClock().milliseconds))
    }

    private static func uptime() -> Int64 { Int64(clamping: NIODeadline.now().uptimeNanoseconds) }
}

/// The users of Redis' protocol, one a line: name, SHA-256 of the password, namespace, and `read-only` where that holds.
enum RedisUserFile {
    /// Largest file, in bytes: thousands of users.
    private static let bytesMax = 1 << 20

    /// - Throws: `CommandFailure` (words), `BrumeError` (`invalid`) with the line that is wrong.
    static func read(_ path: String) throws -> [RedisUser] {
        guard let data = FileManager.default.contents(atPath: path), data.count <= bytesMax else {
            throw CommandFailure.words("The file of Redis users '\(path)' cannot be read, or is larger than 1 MiB.")
        }
        var users: [RedisUser] = []
        for (number, line) in String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.split(separator: " ").map(String.init)
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            guard words.count == 3 || words.count == 4 && words[3] == "read-only" else {
                throw CommandFailure.words(
                    "Line \(number + 1) of '\(path)' is no user; write NAME SHA256-OF-PASSWORD NAMESPACE, and read-only behind it if so.")
            }
            users.append(
                try RedisUser(name: words[0], passwordSHA256: words[1], namespace: words[2], isReadOnly: words.count == 4))
        }
        return users
    }
}
