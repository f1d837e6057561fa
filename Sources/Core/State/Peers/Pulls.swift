// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

/// A comparison in which this replica gets from one peer all that differs.
///
/// The peer keeps nothing of it: every question holds what its answer needs, so a lost one is asked again by beginning anew.
struct Pull {
    let node: NodeID
    /// The number of the question that is open.
    var nonce: UInt64
    /// The number of its first question: what this replica began to keep after that was not asked for.
    var first: UInt64 = 0
    /// Whether even objects that change at this moment must come: for a peer or a replica that lost something.
    let isFull: Bool
    let startedAt: Instant
    /// When it is given up if nothing comes.
    var deadline: Instant
    /// What the peer had merged when it began to answer: what is merged here once the comparison is over.
    var vector = VersionVector()
    /// Whether the peer has all that it merged of others, in every namespace that this replica keeps.
    var speaksForOthers = true
    /// Whether something was left out because it changes at this moment.
    var isPartial = false
    /// What is still to be asked, last first.
    var tasks: [PullTask] = []
    /// What is being asked.
    var asked: PullTask?
}

/// One question of a comparison.
enum PullTask {
    /// The digests of buckets of some upper ranges.
    case leaves(SpaceName, tops: [Int])
    /// The objects in ranges of buckets, ascending.
    case objects(SpaceName, ranges: [Range<Int>])
    /// What single large objects hold beyond what is known here.
    case lacking(SpaceName, [ObjectAddress])
}

/// What names an object in its key space: the names of two objects have one hash only by chance, and then both are sent.
struct ObjectAddress: Hashable {
    let hash: UInt64
    let kind: UInt8

    init(_ object: StateObject) {
        hash = object.hash
        kind = object.kind.rawValue
    }

    func encode(into writer: inout ByteWriter) {
        writer.fixed(hash)
        writer.byte(kind)
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        hash = try reader.fixed()
        kind = try reader.byte()
    }
}

/// All comparisons of this replica.
struct Pulls {
    /// At most one per peer; few at once, so that a start after a long absence does not ask everybody for the same.
    var active: [Pull] = []
    private(set) var wanted: [(node: NodeID, isFull: Bool)] = []

    /// Comparisons at once.
    static let activeMax = 4
    /// Up to this many objects, buckets are not compared first.
    static let smallSpace = 256
    /// Entries that one question lists.
    static let entriesMax = 4_096

    mutating func request(_ node: NodeID, full: Bool) {
        if let index = wanted.firstIndex(where: { $0.node == node }) {
            wanted[index].isFull = wanted[index].isFull || full
        } else {
            wanted.append((node, full))
        }
    }

    func index(_ node: NodeID, _ nonce: UInt64) -> Int? { active.firstIndex { $0.node == node && $0.nonce == nonce } }

    /// The next one that may begin.
    mutating func next(where isReachable: (NodeID) -> Bool) -> (node: NodeID, isFull: Bool)? {
        guard active.count < Self.activeMax else { return nil }
        let index = wanted.firstIndex { entry in isReachable(entry.node) && !active.contains { $0.node == entry.node } }
        return index.map { wanted.remove(at: $0) }
    }
}
