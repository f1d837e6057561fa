// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT

// The most used kinds, with what every operation needs compiled for them: a generic class's methods look everything up at run time.

/// A kind that may write one thing again under the same dot for as long as nobody else can know of it.
class ReusingObject<Content: ObjectContent>: ContentObject<Content> {
    /// This site's writes beyond this number have been written nowhere; nil if that is not known.
    final var written: UInt64?

    override func encodeContent(into writer: inout ByteWriter) {
        super.encodeContent(into: &writer)
        written = nil
    }

    override func encodeContent(lacking seen: CausalContext, into writer: inout ByteWriter) {
        super.encodeContent(lacking: seen, into: &writer)
        written = nil
    }
}

final class SetObject: ReusingObject<SetContent> {
    override var hasContent: Bool { !content.store.isEmpty }
    override var contentDigest: UInt64 { content.concreteDigest }
    override var contentBytes: Int { content.concreteMemoryBytes + MemoryLayout<SetContent>.size * 2 }

    override func encodeDelta(into writer: inout ByteWriter) {
        delta.encodeConcrete(into: &writer)
        delta = SetContent()
        isPending = false
        written = nil
    }

    /// Whether adding the member again changes nothing: an add that nobody knows of cannot be removed elsewhere, so it stands for this one.
    @inline(__always)
    func isAdded(_ member: Bytes, by site: SiteID) -> Bool {
        if let written { return content.store.isHeld(member, bySite: site, after: written) }
        written = content.context.last(of: site)
        return false
    }

    override func mergeContent(from reader: inout ByteReader) throws(DecodingFailure) { try content.mergeConcrete(from: &reader) }
}

final class HashObject: ReusingObject<HashContent> {
    override var hasContent: Bool { content.hasFields }
    override var contentDigest: UInt64 { content.concreteDigest }
    override var contentBytes: Int { content.concreteMemoryBytes + MemoryLayout<HashContent>.size * 2 }

    override func encodeDelta(into writer: inout ByteWriter) {
        delta.encodeConcrete(into: &writer)
        delta = HashContent()
        isPending = false
        written = nil
    }

    /// Sets a field and answers whether it was absent. A write that nobody knows of makes room for the next one.
    @inline(__always)
    func set(_ field: Bytes, to value: Bytes, at time: HybridTime, by site: SiteID) -> Bool {
        isPending = true
        if let written {
            if content.setAgain(field, to: value, at: time, by: site, after: written, into: &delta) { return false }
        } else {
            written = content.context.last(of: site)
        }
        return content.set(field, to: value, at: time, by: site, into: &delta)
    }

    override func mergeContent(from reader: inout ByteReader) throws(DecodingFailure) { try content.mergeConcrete(from: &reader) }
}

final class ScoredObject: ContentObject<ScoredContent> {
    override var hasContent: Bool { content.store.count > 0 }
    override var contentDigest: UInt64 { content.concreteDigest }
    override var contentBytes: Int { content.concreteMemoryBytes + MemoryLayout<ScoredContent>.size * 2 }

    override func encodeDelta(into writer: inout ByteWriter) {
        delta.encodeConcrete(into: &writer)
        delta = ScoredContent()
        isPending = false
    }

    override func mergeContent(from reader: inout ByteReader) throws(DecodingFailure) { try content.mergeConcrete(from: &reader) }
}
