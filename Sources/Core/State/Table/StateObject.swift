// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT

/// An object of a replica: its name, and what every kind needs to be found, compared, expired and collected.
///
/// A class so that an operation changes it where it lies; owned by exactly one ``Replica`` and never handed out of it.
class StateObject {
    final let name: Bytes
    /// The name's hash in its key space, the same on every node.
    final let hash: UInt64
    /// The index of its key space.
    final let space: Int32
    final let kind: ObjectKind
    final var flags: ObjectFlags = []
    /// Bytes it was last accounted for, cut at 4 GiB.
    final var accounted: UInt32 = 0
    /// The latest time of a change that was made or merged.
    final var updated = HybridTime.zero
    /// What it adds to its key space's digest.
    final var contribution: UInt64 = 0
    /// Expiry and epoch: absent for most objects.
    final var side: ObjectSide?

    init(name: Bytes, hash: UInt64, space: SpaceID, kind: ObjectKind) {
        self.name = name
        self.hash = hash
        self.space = Int32(space.index)
        self.kind = kind
    }

    // What each kind says about its content.

    /// Whether there is content that a reader sees, expiry aside.
    var hasContent: Bool { false }
    /// The digest of the content.
    var contentDigest: UInt64 { 0 }
    /// Bytes beside the fields of this class.
    var contentBytes: Int { 0 }
    /// The time of the content's last overwriting, for kinds where one voids an expiry that was set before.
    var overwritten: Stamp { .zero }
    /// Whether deleting needs a new epoch, because the content alone cannot shrink.
    var needsEpoch: Bool { false }
    /// Whether expiring needs a new epoch, so that all nodes come to the same state by themselves.
    var expiresByEpoch: Bool { false }
    /// Writes the content's changes since the last time, and forgets them.
    func encodeDelta(into writer: inout ByteWriter) {}
    /// Writes all of the content.
    func encodeContent(into writer: inout ByteWriter) {}
    /// What was seen of the content's writes, for a peer that then sends only the rest; nil for kinds that cannot tell.
    var seen: CausalContext? { nil }
    /// Writes what somebody lacks who has seen so much of the content.
    func encodeContent(lacking seen: CausalContext, into writer: inout ByteWriter) { encodeContent(into: &writer) }
    /// How many removed parts are still remembered; O(n).
    var restCount: Int { 0 }
    /// Forgets removed parts that everybody has seen to be removed; answers how many. O(n).
    func forgetRests(seenByAll: CausalContext) -> Int { 0 }
    /// Whether changes wait to be written.
    var hasDelta: Bool { false }
    /// Merges content or changes of content.
    func mergeContent(from reader: inout ByteReader) throws(DecodingFailure) {}
    /// Reads content and forgets it: whether it can be read.
    func checkContent(from reader: inout ByteReader) throws(DecodingFailure) {}
    /// Removes what is seen here, collecting the delta.
    func removeContent(_ stamp: Stamp) {}
    /// Forgets everything, as at the start of an epoch. What was not sent of the old content is dropped with it.
    func resetContent() {}
    /// Begins the numbering of a site's writes after `floor`: an object of this name may have existed before.
    func beginNumbering(of site: SiteID, after floor: UInt64) {}
    /// The last number that a site used here.
    func lastNumber(of site: SiteID) -> UInt64 { 0 }
    /// Forgets what waits to be sent.
    func forgetDelta() {}
    /// Makes the whole content travel with the next delta.
    func resendAll() {}
}

extension StateObject {
    /// The moment of expiry in milliseconds since 1970; nil if it never expires.
    final var expiry: Int64? {
        guard let side, let expiry = side.expiry, expiry.moment >= 0, expiry.stamp >= overwritten else { return nil }
        return expiry.moment
    }

    final var epoch: Stamp { side?.epoch ?? .zero }

    /// Whether a reader sees it at a time of the hybrid clock.
    @inline(__always) final func isVisible(at milliseconds: Int64) -> Bool {
        guard hasContent else { return false }
        if side == nil { return true }
        guard let expiry else { return true }
        return expiry > milliseconds
    }

    final func makeSide() -> ObjectSide {
        if let side { return side }
        let made = ObjectSide()
        side = made
        return made
    }

    /// What it should add to the digest: nothing when there is nothing to see, so that a collected object and a missing one agree.
    final var digest: UInt64 {
        guard hasContent else { return 0 }
        var value = Mixing.hash(hash, contentDigest, seed: UInt64(kind.rawValue))
        // A side that says nothing is the same as none.
        if let side, side.expiry != nil || side.epoch > .zero { value = Mixing.hash(value, side.digest) }
        return value
    }

    /// About what it takes in memory, its place in the table included.
    final var memoryBytes: Int { StateObject.overheadBytes + name.heapBytes + contentBytes + (side == nil ? 0 : ObjectSide.bytes) }

    /// The fields of this class, the allocator's share and two thirds-filled slots of the table.
    static let overheadBytes = 128
}

/// What is known of an object beside its content.
struct ObjectFlags: OptionSet {
    let rawValue: UInt8
    /// Has changes that were not flushed.
    static let dirty = ObjectFlags(rawValue: 1)
    /// Its part of the digest is out of date.
    static let stale = ObjectFlags(rawValue: 2)
    /// Another kind lives under the same name.
    static let sibling = ObjectFlags(rawValue: 4)
    /// Counted among the objects that exist.
    static let counted = ObjectFlags(rawValue: 8)
    /// Waits to be collected.
    static let shell = ObjectFlags(rawValue: 16)
    /// Was taken out of its table: whoever still holds it must let go.
    static let dropped = ObjectFlags(rawValue: 32)
    /// An object of its name may have existed before; this site's numbering must begin behind it.
    static let unnumbered = ObjectFlags(rawValue: 64)
    /// Stands in its key space's list of those that may remember removed parts.
    static let littered = ObjectFlags(rawValue: 128)
}

/// A moment after which an object is gone: the last writer decides, and of equal stamps the later moment.
struct Expiry: Hashable {
    var stamp: Stamp
    /// Milliseconds since 1970; -1 for never.
    var moment: Int64

    mutating func merge(_ other: Expiry) {
        if (stamp, moment) < (other.stamp, other.moment) { self = other }
    }
}

/// Expiry and epoch of an object that has them.
final class ObjectSide {
    /// About what one takes in memory.
    static let bytes = 96

    var expiry: Expiry?
    /// Content of a greater epoch replaces that of a smaller one: deletions of what cannot shrink, and owners of exclusive objects.
    var epoch = Stamp.zero
    /// Whether the expiry changed since the last flush.
    var isDirty = false

    var digest: UInt64 {
        var value = Mixing.hash(epoch.time.rawValue, epoch.site.rawValue)
        if let expiry {
            value = Mixing.hash(value, expiry.stamp.time.rawValue ^ expiry.stamp.site.rawValue, seed: UInt64(bitPattern: expiry.moment))
        }
        return value
    }
}
