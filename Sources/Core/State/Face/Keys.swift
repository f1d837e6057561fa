// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT
public import BrumeModel

/// A key space: one database of one namespace, by a small number that this replica gave it and keeps until it ends.
///
/// Ask ``Replica/space(_:database:)`` once per connection, then use the number.
public struct SpaceID: Hashable, Comparable, Sendable {
    public let index: Int

    init(_ index: Int) { self.index = index }

    public static func < (left: SpaceID, right: SpaceID) -> Bool { left.index < right.index }
}

/// The name of a key space that all nodes understand.
public struct SpaceName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Databases of a namespace: Redis' `SELECT 0` to `SELECT 15`, and room for faces' own.
    public static let databasesMax = 256

    public let namespace: String
    public let database: Int

    /// What namespaces begin with that are Brume's own.
    static let ownPrefix = ".brume"
    /// Where it stands who keeps which namespace: a string for each, under its name.
    static let policies = SpaceName(own: ".brume.keep")

    private init(own namespace: String) {
        self.namespace = namespace
        database = 0
    }

    /// A key space that a caller names.
    ///
    /// - Throws: `StateError` (`invalid`) unless the namespace is 1 to 127 bytes of letters, digits, `-`, `_`, `.`, and `/`, and none of
    ///   Brume's own, and the database is in `0..<256`.
    public init(_ namespace: String, database: Int = 0) throws(StateError) {
        guard !namespace.hasPrefix(Self.ownPrefix) else {
            throw StateError(
                .invalid, "Namespaces of state that begin with '\(Self.ownPrefix)' are Brume's own; take another name.")
        }
        try self.init(any: namespace, database: database)
    }

    /// A key space that another node or the log names: one of Brume's own too.
    ///
    /// - Throws: `StateError` (`invalid`).
    init(any namespace: String, database: Int = 0) throws(StateError) {
        let isNamed = (1...127).contains(namespace.utf8.count) && namespace.utf8.allSatisfy(Self.isAllowed)
        guard isNamed else {
            throw StateError(
                .invalid,
                "'\(namespace.prefix(40))' is no namespace of state; use 1 to 127 letters, digits, '-', '_', '.' and '/'.")
        }
        guard (0..<Self.databasesMax).contains(database) else {
            throw StateError(.invalid, "There is no database \(database); use 0 to \(Self.databasesMax - 1).")
        }
        self.namespace = namespace
        self.database = database
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "/"): true
        default: false
        }
    }

    public static func < (left: SpaceName, right: SpaceName) -> Bool {
        (left.namespace, left.database) < (right.namespace, right.database)
    }

    public var description: String { database == 0 ? namespace : "\(namespace)#\(database)" }
}

/// Where an object is: a key space and a name in it.
public struct ObjectKey: Hashable, Sendable {
    public var space: SpaceID
    public var name: Bytes

    public init(_ space: SpaceID, _ name: Bytes) {
        self.space = space
        self.name = name
    }
}

/// What an object is. The order decides which one is visible where two nodes made one key with two kinds at the same time.
public enum ObjectKind: UInt8, Sendable, CaseIterable, Hashable, Comparable {
    /// Bytes with `SET` and `INCR`: last writer wins, increments of one epoch add up.
    case string = 1
    /// A map of such strings; removal affects what was seen.
    case hash = 2
    /// Add wins over a removal at the same time.
    case set = 3
    /// Members with scores, in order.
    case scoredSet = 4
    /// A sequence of byte strings.
    case list = 5
    /// Approximate count of distinct elements.
    case hyperLogLog = 6
    /// Increments and decrements that all add up.
    case counter = 7
    /// A counter that never falls below its bound.
    case boundedCounter = 8
    /// Bytes; the last writer wins.
    case register = 9
    /// Bytes; writers at the same time leave all their values.
    case multiRegister = 10
    /// On or off; on wins.
    case enableWinsFlag = 11
    /// On or off; off wins.
    case disableWinsFlag = 12
    /// A set where a removal wins over an addition at the same time.
    case removeWinsSet = 13
    /// A set that only grows.
    case growSet = 14
    /// A sequence of characters.
    case text = 15
    /// A nested map of registers, counters, sets and maps.
    case document = 16

    public static func < (left: ObjectKind, right: ObjectKind) -> Bool { left.rawValue < right.rawValue }

    /// The word that `TYPE` answers, Redis' own where Redis has the kind.
    public var name: String {
        switch self {
        case .string, .hyperLogLog: "string"
        case .hash: "hash"
        case .set: "set"
        case .scoredSet: "zset"
        case .list: "list"
        case .counter: "counter"
        case .boundedCounter: "bounded-counter"
        case .register: "register"
        case .multiRegister: "multi-register"
        case .enableWinsFlag: "flag"
        case .disableWinsFlag: "disable-wins-flag"
        case .removeWinsSet: "remove-wins-set"
        case .growSet: "grow-set"
        case .text: "text"
        case .document: "document"
        }
    }
}

/// The time that operations are given: the node's own clock for deadlines, and the wall clock that hybrid stamps follow.
public struct StateTime: Hashable, Sendable {
    /// Monotonic; orders waits, leases and retries.
    public var instant: Instant
    /// Milliseconds since 1970 by the wall clock, which may jump.
    public var wallMilliseconds: UInt64

    public init(instant: Instant, wallMilliseconds: UInt64) {
        self.instant = instant
        self.wallMilliseconds = wallMilliseconds
    }
}
