// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

/// The form of what replicas say to one another: a version, a type, who speaks and when, then the type's own fields.
enum Frame {
    /// Raised when a frame's meaning changes or kinds are added; a reader refuses what is newer and says so.
    static let version: UInt8 = 4

    /// What a frame is about. Numbers are never used again.
    enum Kind: UInt8 {
        /// Batches of deltas.
        case batches = 1
        /// How far the sender has come with the receiver's batches, and with everybody's.
        case status = 2
        /// Digests of the sender's key spaces: the first question of a comparison.
        case roots = 3
        /// The answer: digests of upper ranges where the key spaces differ.
        case tops = 4
        /// Asks for the digests of buckets.
        case leavesWanted = 5
        case leaves = 6
        /// Asks for objects whose digests differ from those listed.
        case objectsWanted = 7
        case objects = 8
        /// Asks for single objects by name.
        case fetch = 9
        case fetched = 10
        /// A part of a message that is longer than a frame.
        case fragment = 11
        /// A node asks for the sole ownership of an object.
        case leaseAsked = 12
        case leaseAnswered = 13
        /// Asks for rights of a bounded counter.
        case rightsAsked = 14
        /// Asks whether the receiver keeps a namespace, so that the sender may drop it.
        case releaseAsked = 15
        case releaseAnswered = 16
        /// Tells that the sender knows the kinds from here on, which are of version 2.
        case hello = 17
        /// As `objectsWanted`; large objects that both have are only named in the answer.
        case differencesWanted = 18
        case differences = 19
        /// Asks for what objects hold beyond what the sender has seen of them, which it lists.
        case lackingWanted = 20
        case lacking = 21
        /// As `fetch` and `leaseAsked`; the answers tell too which objects belong together, and what a reader of them has seen.
        case fetchWanted = 22
        case fetchedWhole = 23
        case leaseWanted = 24
        case leaseGiven = 25
        /// As `leaseWanted`, with the epoch that the asker would begin; the answer tells which was the last before.
        case ownershipWanted = 26
        case ownershipGiven = 27
        /// A node that is about to leave asks whether the receiver has all that it has, and names what nobody else keeps.
        case handoverWanted = 28
        case handoverTaken = 29

        /// The version that brought the kind: what its frames begin with, so that an older reader says what it lacks.
        var version: UInt8 {
            switch rawValue {
            case ..<Self.hello.rawValue: 1
            case ..<Self.fetchWanted.rawValue: 2
            case ..<Self.ownershipWanted.rawValue: 3
            default: 4
            }
        }
    }

    /// Bytes a link carries at once, less what a fragment's head takes.
    static let bytesMax = PeerLinkLimits.frameBytesMax
    static let fragmentBytes = bytesMax - 64

    /// Begins a frame.
    static func writer(_ kind: Kind, site: SiteID, time: HybridTime, capacity: Int = 0) -> ByteWriter {
        var writer = ByteWriter()
        writer.byte(kind.version)
        writer.byte(kind.rawValue)
        writer.site(site)
        writer.value(time)
        return writer
    }
}

/// The head of a frame.
struct FrameHead {
    let version: UInt8
    let kind: Frame.Kind
    let site: SiteID
    let time: HybridTime
}

extension FrameHead {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        version = try reader.byte()
        guard version > 0, version <= Frame.version, let kind = Frame.Kind(rawValue: try reader.byte()), version >= kind.version else {
            throw reader.failure(.unknownTag)
        }
        self.kind = kind
        site = try reader.site()
        time = try HybridTime(from: &reader)
    }
}
