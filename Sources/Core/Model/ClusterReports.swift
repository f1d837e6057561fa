// SPDX-License-Identifier: Apache-2.0

// What a node tells about its cluster, as the documents of `/v1/nodes` and `/v1/tokens` have it: times in seconds and milliseconds.

/// The cluster as one node sees it.
public struct ClusterReport: Hashable, Sendable, Codable {
    /// A member as the asked node sees it.
    public struct Node: Hashable, Sendable, Codable {
        public var id: NodeID
        /// What its operator calls it; empty where it said nothing.
        public var name: String
        /// Whether it is the node that was asked.
        public var isSelf: Bool
        /// `alive`, `suspect`, `dead`, `left` or `removed`.
        public var status: String
        public var isDraining: Bool
        /// Whether a connection to it stands.
        public var isConnected: Bool
        /// Whether it holds the cluster's key: it alone makes tokens and removes nodes.
        public var admits: Bool
        /// Where its link listens; empty where it only calls others.
        public var address: String
        public var version: String
        public var labels: [String: String]
        /// Since when it has its status, as the asked node saw it.
        public var sinceSeconds: Double
        /// Smoothed time of a question and its answer; nil before the first.
        public var roundTripMs: Double?
        /// How far a node that drains has come; nil for others.
        public var handover: HandoverReport?

        public init(
            id: NodeID, name: String, isSelf: Bool, status: String, isDraining: Bool, isConnected: Bool, admits: Bool, address: String,
            version: String, labels: [String: String], sinceSeconds: Double, roundTripMs: Double?, handover: HandoverReport? = nil
        ) {
            self.id = id
            self.name = name
            self.isSelf = isSelf
            self.status = status
            self.isDraining = isDraining
            self.isConnected = isConnected
            self.admits = admits
            self.address = address
            self.version = version
            self.labels = labels
            self.sinceSeconds = sinceSeconds
            self.roundTripMs = roundTripMs
            self.handover = handover
        }
    }

    /// The asked node.
    public var node: NodeID
    /// `alone` (no link), `member`, `expelled` (the cluster removed it) or `yielded` (another process has its identity).
    public var standing: String
    /// This node included, in the order of identities; those that are gone too.
    public var nodes: [Node]

    public init(node: NodeID, standing: String, nodes: [Node]) {
        self.node = node
        self.standing = standing
        self.nodes = nodes
    }
}

/// How far a node that drains has come: it finishes its calls, then hands its state over, then leaves.
public struct HandoverReport: Hashable, Sendable, Codable {
    public enum Phase: String, Sendable, Codable {
        /// Calls that it has accepted are still to be finished.
        case calls
        /// Others do not have all of its state yet.
        case state
        /// Nothing is lost when it goes; it goes.
        case done
    }

    public var phase: Phase
    /// Calls that run or wait.
    public var calls: Int
    /// Objects, and their bytes, that no other node has completely yet.
    public var objects: Int
    public var bytes: Int
    /// Members that have everything; that can be reached and do not yet; that cannot be reached.
    public var done: Int
    public var behind: Int
    public var unreachable: Int

    public init(phase: Phase, calls: Int = 0, objects: Int = 0, bytes: Int = 0, done: Int = 0, behind: Int = 0, unreachable: Int = 0) {
        self.phase = phase
        self.calls = calls
        self.objects = objects
        self.bytes = bytes
        self.done = done
        self.behind = behind
        self.unreachable = unreachable
    }

    /// The phase and the numbers, as nodes tell them to one another.
    public var words: String { "\(phase.rawValue) \(calls) \(objects) \(bytes) \(done) \(behind) \(unreachable)" }

    /// Nil for other words.
    public init?(words: String) {
        let parts = words.split(separator: " ")
        let numbers = parts.dropFirst().compactMap { Int($0) }
        guard let word = parts.first, let phase = Phase(rawValue: String(word)), parts.count == 7, numbers.count == 6 else { return nil }
        self.init(
            phase: phase, calls: numbers[0], objects: numbers[1], bytes: numbers[2], done: numbers[3], behind: numbers[4],
            unreachable: numbers[5])
    }
}

/// A join token, told this one time.
public struct JoinTokenReport: Hashable, Sendable, Codable {
    public var token: String
    /// Where to join with it: `HOST:PORT`.
    public var address: String
    public var lifeSeconds: Double
    public var uses: Int

    public init(token: String, address: String, lifeSeconds: Double, uses: Int) {
        self.token = token
        self.address = address
        self.lifeSeconds = lifeSeconds
        self.uses = uses
    }
}

/// A join token that still counts: everything but its secret.
public struct JoinTokenSummary: Hashable, Sendable, Codable {
    /// By which it is revoked.
    public var number: String
    public var expiresInSeconds: Double
    /// Joinings left.
    public var uses: Int

    public init(number: String, expiresInSeconds: Double, uses: Int) {
        self.number = number
        self.expiresInSeconds = expiresInSeconds
        self.uses = uses
    }
}

/// How the network between a node of a lab and the others is made to behave.
public struct NetworkShape: Hashable, Sendable {
    /// Time that each frame takes, one way.
    public var delay = Duration.zero
    /// Most that chance adds to it.
    public var jitter = Duration.zero
    /// Nil for no limit.
    public var bytesPerSecond: Int?
    /// Frames lost, of a million.
    public var lossPerMillion = 0
    /// Nodes that nothing goes to and nothing comes from.
    public var cut: [NodeID] = []

    public init() {}
}
