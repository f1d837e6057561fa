// SPDX-License-Identifier: Apache-2.0

/// Which nodes keep a namespace without being asked.
public enum InterestPolicy: Sendable, Hashable {
    /// Those that use it: they run the function, hold a session, or were asked for a key; they drop it when it was idle for long.
    case used
    /// Those, and every node at the edge.
    case edge
    /// Those, and every node in the cloud.
    case cloud
    /// Every node.
    case all
    /// Those, and so many others that there are `count`; chosen by a hash that all nodes agree on.
    case copies(Int)

    /// The annotation of a function that says which nodes keep its namespace of state.
    public static let annotation = "dev.brume.state.keep"
    /// What stands for no policy of its own where a policy is said.
    public static let defaultWord = "default"
    /// Most copies that a policy may ask for: more nodes than a cluster is made for.
    public static let copiesMax = 1_000

    /// Reads the word that stands for a policy: `all`, `edge`, `cloud`, `functions`, or a number of copies.
    ///
    /// - Throws: `StateError` (`invalid`).
    public init(word: String) throws(StateError) {
        switch word {
        case "all": self = .all
        case "edge": self = .edge
        case "cloud": self = .cloud
        case "functions": self = .used
        default:
            guard let count = Int(word), String(count) == word, (1...Self.copiesMax).contains(count) else {
                throw StateError(
                    .invalid,
                    """
                    '\(word.prefix(32))' does not say who keeps a namespace; write all, edge, cloud, functions, or 1 to \
                    \(Self.copiesMax) for so many copies.
                    """)
            }
            self = .copies(count)
        }
    }

    /// The policy that a function's annotations name: nil where they say nothing, and a nil policy where they take it back.
    ///
    /// - Throws: `StateError` (`invalid`).
    public static func named(by annotations: [String: String]) throws(StateError) -> InterestPolicy?? {
        guard let word = annotations[annotation] else { return nil }
        return .some(try optional(word: word))
    }

    /// Reads a policy's word, or ``defaultWord`` for none.
    ///
    /// - Throws: `StateError` (`invalid`).
    public static func optional(word: String) throws(StateError) -> InterestPolicy? {
        word == defaultWord ? nil : try InterestPolicy(word: word)
    }

    /// The word that ``init(word:)`` reads.
    public var word: String {
        switch self {
        case .used: "functions"
        case .edge: "edge"
        case .cloud: "cloud"
        case .all: "all"
        case .copies(let count): "\(count)"
        }
    }
}

/// Where a node stands, for ``InterestPolicy``.
public enum NodeTier: UInt8, Sendable, Hashable {
    case edge = 0
    case cloud = 1
}
