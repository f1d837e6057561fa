// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT

// The most used kinds, with what every operation needs compiled for them: a generic class's methods look everything up at run time.

final class SetObject: ContentObject<SetContent> {
    override var hasContent: Bool { !content.store.isEmpty }
    override var contentDigest: UInt64 { content.concreteDigest }
    override var contentBytes: Int { content.concreteMemoryBytes + MemoryLayout<SetContent>.size * 2 }

    override func encodeDelta(into writer: inout ByteWriter) {
        delta.encodeConcrete(into: &writer)
        delta = SetContent()
        isPending = false
    }

    override func mergeContent(from reader: inout ByteReader) throws(DecodingFailure) { try content.mergeConcrete(from: &reader) }
}

final class HashObject: ContentObject<HashContent> {
    override var hasContent: Bool { !content.store.isEmpty }
    override var contentDigest: UInt64 { content.concreteDigest }
    override var contentBytes: Int { content.concreteMemoryBytes + MemoryLayout<HashContent>.size * 2 }

    override func encodeDelta(into writer: inout ByteWriter) {
        delta.encodeConcrete(into: &writer)
        delta = HashContent()
        isPending = false
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
