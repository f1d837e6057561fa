// SPDX-License-Identifier: Apache-2.0

import BrumeLink
import BrumeMembership
import BrumeModel
import BrumeNode
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import SystemPackage

/// A node's way into its cluster: its identity, its certificate (made, kept or got by joining), its link and its membership.
struct ClusterAssembly {
    /// A node that takes part in a cluster.
    struct Parts: Sendable {
        let cluster: ClusterService
        let link: GRPCLink
        /// What frames go through: the link, or in a lab a bad network in front of it.
        let way: any PeerLink
        let emulated: EmulatedLink?
        /// What this node tells about itself.
        let profile: ClusterProfile
        /// Whom to look for first.
        let seeds: [(id: NodeID, address: String)]

        /// In the order of their dependence: the cluster says goodbye while the link still stands.
        var services: [any Service] { [link, cluster] }
    }

    /// A lab's cut line is noticed as a real one is by keepalive, only sooner: experiments need not wait.
    private static let cutNoticed = Duration.seconds(1)

    /// A member that is just starting, or busy, is there a little later; whoever is wrong about the address learns it in seconds.
    private static let joinAttempts = 3
    private static let joinPause = Duration.seconds(1)

    let plan: ClusterPlan
    let name: String
    let directory: NodeDirectory
    let clock: NodeClock
    /// Where the link works, and whoever takes its frames.
    let loop: any EventLoop
    /// What is said of the node, now or at its last start.
    let labels: [MemberMeta.Label]
    private let files: ClusterFiles
    private let logger = Logger(label: "brume.cluster")

    init(_ plan: ClusterPlan, name: String, directory: NodeDirectory, clock: NodeClock, loop: any EventLoop) throws {
        files = try ClusterFiles(directory)
        labels = files.labels(plan.labels, tier: plan.tier)
        self.plan = plan
        self.name = name
        self.directory = directory
        self.clock = clock
        self.loop = loop
    }

    /// - Returns: nil where the node works alone.
    /// - Throws: `BrumeError` and `CommandFailure` where joining fails or what is kept cannot be read.
    func make(identity: NodeIdentity) async throws -> Parts? {
        guard plan.link != .off else { return nil }
        let kept = files.link()
        guard plan.join != nil || plan.link != .unsaid || kept != nil else { return nil }
        let listening = listening(kept)
        var settings = LinkSettings()
        settings.host = listening.host
        settings.port = listening.port
        settings.advertised = listening.advertised ?? Machine.reachableAddress(host: listening.host, port: listening.port)
        let entrance = try await enter(identity, settings)
        var keeping = listening
        keeping.labels = labels.map { "\($0.key)=\($0.value)" }
        try files.keep(keeping)
        return try parts(identity, settings, entrance, files)
    }

    private func listening(_ kept: ClusterFiles.Link?) -> ClusterFiles.Link {
        if case .at(let host, let port) = plan.link { return ClusterFiles.Link(host: host, port: port, advertised: plan.advertised) }
        let fallback = plan.defaultLink
        var link = kept ?? ClusterFiles.Link(host: fallback.host, port: fallback.port, advertised: nil)
        if let advertised = plan.advertised { link.advertised = advertised }
        return link
    }

    // MARK: Becoming a member

    private struct Entrance {
        var credentials: NodeCredentials
        var authority: ClusterAuthority?
        var seeds: [(id: NodeID, address: String)] = []
        /// It has just become a member: what it kept of another cluster counts no more.
        var isNew = false
    }

    private func enter(_ identity: NodeIdentity, _ settings: LinkSettings) async throws -> Entrance {
        let path = directory.path.string
        if let authority = try ClusterAuthority.load(directory: path) {
            if plan.join != nil { logger.info("this node founded its cluster and does not join another; --join is ignored") }
            return Entrance(
                credentials: try .founder(directory: path, identity: identity, authority: authority, settings: settings),
                authority: authority)
        }
        if let credentials = try NodeCredentials.load(directory: path, identity: identity) {
            guard !credentials.wasRemoved else {
                throw BrumeError(
                    .permission,
                    """
                    This node (\(identity.id)) was removed from its cluster and cannot come back under this identity; \
                    start it with a new --data-dir and a new token, or alone with --link off.
                    """)
            }
            let isValid = credentials.expires > Machine.wallClock().milliseconds / 1_000
            if isValid || plan.join == nil {
                if !isValid {
                    throw BrumeError(
                        .permission,
                        """
                        This node's certificate has run out, so no member talks to it; join again with --join HOST:PORT --token TOKEN, \
                        or start it alone with --link off.
                        """)
                }
                if plan.join != nil { logger.info("this node is a member already; --join is ignored") }
                return Entrance(credentials: credentials)
            }
        }
        guard let address = plan.join else {
            logger.info("a cluster is founded; other nodes join with a token: brume node token")
            let authority = try ClusterAuthority.found(directory: path, settings: settings)
            return Entrance(
                credentials: try .founder(directory: path, identity: identity, authority: authority, settings: settings),
                authority: authority, isNew: true)
        }
        return try await join(address, identity, settings)
    }

    private func join(_ address: String, _ identity: NodeIdentity, _ settings: LinkSettings) async throws -> Entrance {
        guard let text = plan.token else {
            throw CommandFailure.words("--join needs --token (or BRUME_TOKEN); 'brume node token' at the member to join makes one.")
        }
        _ = try ClusterPlan.place(address, option: "--join")
        let token = try JoinToken(text)
        let joined = try await join(address, token, identity, settings)
        logger.info("joined the cluster", metadata: ["by": "\(joined.admittedBy)", "members": "\(joined.members.count)"])
        let others = joined.members.filter { $0.id != joined.admittedBy }.map { (id: $0.id, address: $0.address) }
        return Entrance(credentials: joined.credentials, seeds: [(id: joined.admittedBy, address: address)] + others, isNew: true)
    }

    /// Asks to be let in, again where nobody answers yet: nodes that are started together are not ready in order.
    private func join(
        _ address: String, _ token: JoinToken, _ identity: NodeIdentity, _ settings: LinkSettings
    ) async throws -> Enrolment.Joined {
        for attempt in 1... {
            do {
                return try await Enrolment.join(
                    address, token: token, directory: directory.path.string, identity: identity, advertised: settings.advertised,
                    settings: settings)
            } catch {
                guard error.code == .unavailable, attempt < Self.joinAttempts else { throw error }
                logger.notice("joining failed; trying again", metadata: ["reason": "\(error.message)"])
            }
            try await Task.sleep(for: Self.joinPause)
        }
        throw BrumeError(.unavailable, "Nobody at \(address) let this node join.")
    }

    // MARK: Putting together

    private func parts(
        _ identity: NodeIdentity, _ settings: LinkSettings, _ entrance: Entrance, _ files: ClusterFiles
    ) throws -> Parts {
        let profile = ClusterProfile(
            name: name, admits: entrance.authority != nil, labels: labels, address: settings.advertised ?? "")
        var chance = SystemRandomNumberGenerator()
        let membership = Membership(
            Membership.Identity(id: identity.id, session: chance.next(), meta: try profile.meta),
            known: entrance.isNew ? [] : files.members(), seed: chance.next(), now: clock.now)
        let logger = logger
        let cluster = ClusterService(
            membership,
            world: ClusterWorld(now: { [clock] in clock.now }, loop: MultiThreadedEventLoopGroup.singleton.next()) { records in
                do {
                    try files.keep(records)
                } catch {
                    logger.warning("the members are not on disk; a restart must find them again", metadata: ["error": "\(error)"])
                }
            },
            logger: logger)
        let emulated =
            plan.emulatesNetwork
            ? EmulatedLink(seed: chance.next(), noticeAfter: Self.cutNoticed) { cluster.take($0) } : nil
        let notices = LinkNotices(cluster: cluster, profile: profile, settings: settings, logger: logger)
        let link = GRPCLink(
            settings: settings, credentials: entrance.credentials, authority: entrance.authority, loop: loop,
            members: { cluster.linkMembers }, notices: { notices.take($0) },
            events: { event in
                if let emulated { emulated.pass(event) } else { cluster.take(event) }
            })
        emulated?.attach(link)
        let way: any PeerLink = emulated ?? link
        cluster.attach(way)
        return Parts(
            cluster: cluster, link: link, way: way, emulated: emulated, profile: profile,
            seeds: entrance.seeds)
    }
}

extension ClusterService {
    /// The members as enrolment tells of them.
    var linkMembers: [LinkMember] {
        members.filter { $0.status.isPresent && !$0.meta.address.isEmpty }.map { LinkMember(id: $0.id, address: $0.meta.address) }
    }
}

/// What a node says of itself; its address is known for sure when its link listens.
final class ClusterProfile: Sendable {
    let name: String
    private let admission: Mutex<Bool>
    let labels: [MemberMeta.Label]
    private let state: Mutex<String>
    private let handover = Mutex<HandoverReport?>(nil)

    init(name: String, admits: Bool, labels: [MemberMeta.Label], address: String) {
        self.name = name
        admission = Mutex(admits)
        self.labels = labels
        state = Mutex(address)
    }

    /// Where others reach this node; empty where they cannot.
    var address: String { state.withLock { $0 } }

    func setAddress(_ address: String) { state.withLock { $0 = address } }

    /// Whether this node holds the cluster's key.
    var admits: Bool { admission.withLock { $0 } }

    func setAdmits() { admission.withLock { $0 = true } }

    func setHandover(_ report: HandoverReport?) { handover.withLock { $0 = report } }

    var meta: MemberMeta {
        get throws(BrumeError) {
            var pairs = [MemberMeta.Pair(ClusterService.NodeWords.name, Array(name.utf8.prefix(MemberMeta.wordBytesMax)))]
            if admits { pairs.append(MemberMeta.Pair(ClusterService.NodeWords.admits, [1])) }
            if let report = handover.withLock({ $0 }) {
                pairs.append(MemberMeta.Pair(ClusterService.NodeWords.handover, Array(report.words.utf8)))
            }
            return try MemberMeta(address: address, version: Version.current, labels: labels, pairs: pairs)
        }
    }
}

/// Acts on what the link tells beside its events, and writes the rest to the log.
final class LinkNotices: Sendable {
    /// Complaints of one kind are logged once in this time: a stranger must not fill the log.
    private static let pause = Duration.seconds(10)

    private let cluster: ClusterService
    private let profile: ClusterProfile
    private let settings: LinkSettings
    private let logger: Logger
    private let quietUntil = Mutex<[String: ContinuousClock.Instant]>([:])

    init(cluster: ClusterService, profile: ClusterProfile, settings: LinkSettings, logger: Logger) {
        self.cluster = cluster
        self.profile = profile
        self.settings = settings
        self.logger = logger
    }

    func take(_ notice: LinkNotice) {
        switch notice {
        case .listening(let port): listens(port, level(of: notice))
        case .joined(let node, let address):
            logger.log(level: level(of: notice), "a node was admitted", metadata: ["node": "\(node)", "address": "\(address ?? "")"])
        case .joinRefused(let remote, let reason): complain("join", "a node may not join", ["from": "\(remote)", "reason": "\(reason)"])
        case .address: break
        case .refused(let node, let remote, let reason):
            let who = node.map { "\($0)" } ?? ""
            complain("refused", "a connection was refused", ["node": "\(who)", "from": "\(remote)", "reason": "\(reason)"])
        case .unreachable(let node, let address, let reason):
            complain(
                "to \(node)", "a node was not reached; trying again", ["node": "\(node)", "address": "\(address)", "reason": "\(reason)"])
        case .unneeded(let node, let address):
            logger.log(
                level: level(of: notice), "a connection to a node was not needed", metadata: ["node": "\(node)", "address": "\(address)"])
        case .duplicateIdentity(let node, let remote):
            complain(
                "twin", "two processes have one identity; the second was refused: its data directory is a copy",
                ["node": "\(node)", "from": "\(remote)"])
        case .removed(let node): removed(node)
        case .renewed(let expires): logger.log(level: level(of: notice), "the certificate was renewed", metadata: ["expires": "\(expires)"])
        case .signs: signs(level(of: notice))
        case .keyRefused(let reason): complain("key", "a key was refused that a node sent", ["reason": "\(reason)"])
        case .renewalFailed(let reason): complain("renewal", "the certificate was not renewed", ["reason": "\(reason)"])
        }
    }

    private func level(of notice: LinkNotice) -> Logger.Level {
        switch notice.loudness {
        case .detail: .debug
        case .news: .info
        case .trouble: .warning
        }
    }

    private func listens(_ port: Int, _ level: Logger.Level) {
        logger.log(level: level, "the link listens", metadata: ["host": "\(settings.host)", "port": "\(port)"])
        guard profile.address.isEmpty, let address = Machine.reachableAddress(host: settings.host, port: port) else { return }
        profile.setAddress(address)
        do {
            cluster.describe(try profile.meta)
        } catch {
            logger.error("others are not told where this node listens", metadata: ["error": "\(error)"])
        }
    }

    private func signs(_ level: Logger.Level) {
        logger.log(
            level: level, "this node holds the cluster's key from now on: it makes tokens, removes nodes and renews certificates")
        profile.setAdmits()
        do {
            cluster.describe(try profile.meta)
        } catch {
            logger.error("others are not told that this node signs", metadata: ["error": "\(error)"])
        }
    }

    private func removed(_ node: NodeID) {
        // A removal of this node itself comes by the membership as well; it is said there.
        guard node != cluster.id else { return cluster.expelled() }
        do { try cluster.remove(node) } catch { logger.error("a removal was not passed on", metadata: ["error": "\(error)"]) }
    }

    private func complain(_ kind: String, _ text: String, _ metadata: Logger.Metadata) {
        let now = ContinuousClock.now
        let isDue = quietUntil.withLock { quiet in
            if let until = quiet[kind], now < until { return false }
            // Bounded by the peers that the link knows and the few kinds above.
            quiet[kind] = now + Self.pause
            return true
        }
        if isDue { logger.warning("\(text)", metadata: metadata) }
    }
}
