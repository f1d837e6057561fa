// SPDX-License-Identifier: Apache-2.0

/// What is written in front of a run.
private struct RunTag {
    static let isRun: UInt8 = 1
    static let isRight: UInt8 = 2
    static let isRemoved: UInt8 = 4
    static let isGone: UInt8 = 8
    static let hangsAtBeginning: UInt8 = 16
    static let all: UInt8 = 31
}

extension ReplicatedList: BinaryCodable, Lattice {
    private static var listTag: UInt8 { 0 }
    private static var deltaTag: UInt8 { 1 }

    /// A tag, what is known, then runs, each after the one at which it hangs: removed runs without content, a list of what one site wrote
    /// as one run.
    @specialized(where Element == Bytes)
    public func encode(into writer: inout ByteWriter) {
        writer.byte(isDelta ? Self.deltaTag : Self.listTag)
        writer.value(context)
        writer.value(collected)
        writer.count(removals.entries.count)
        for removal in removals.entries {
            writer.site(removal.site)
            writer.varint(removal.start)
            writer.varint(removal.end - removal.start)
            Self.encode(removal.fate, into: &writer)
        }
        storage?.tree.forEachRun { Self.encode($0, into: &writer) }
        for run in pending.runs { Self.encode(run, into: &writer) }
        writer.byte(0)
    }

    private static func encode(_ fate: Fate, into writer: inout ByteWriter) {
        switch fate {
        case .live, .gone: writer.byte(RunTag.isGone)
        case .removed(let dot):
            writer.byte(RunTag.isRemoved)
            writer.dot(dot)
        }
    }

    private static func encode(_ run: Run<Element>, into writer: inout ByteWriter) {
        var tag = RunTag.isRun
        if run.side == .right { tag |= RunTag.isRight }
        if run.parent.sequence == 0 { tag |= RunTag.hangsAtBeginning }
        switch run.fate {
        case .live: break
        case .removed: tag |= RunTag.isRemoved
        case .gone: tag |= RunTag.isGone
        }
        writer.byte(tag)
        writer.site(run.site)
        writer.varint(run.start)
        writer.count(run.length)
        if run.parent.sequence > 0 { writer.dot(run.parent) }
        switch run.fate {
        case .live: Element.encode(run.elements[...], into: &writer)
        case .removed(let dot): writer.dot(dot)
        case .gone: break
        }
    }

    @specialized(where Element == Bytes)
    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        let tag = try reader.byte()
        guard tag <= Self.deltaTag else { throw reader.failure(.unknownTag) }
        isDelta = tag == Self.deltaTag
        var known = try CausalContext(from: &reader)
        let forgotten = try VersionVector(from: &reader)
        guard !isDelta || forgotten.isEmpty else { throw reader.failure(.impossible) }
        for _ in 0..<(try reader.count(entryBytes: 4)) {
            let site = try reader.site()
            let range = try Self.range(from: &reader)
            removals.insert(site, range, try Self.fate(from: &reader))
            context.insert(site, range)
        }
        while true {
            let tag = try reader.byte()
            if tag == 0 { break }
            let run = try Self.run(tag, from: &reader)
            if !known.contains(CausalContext.Span(site: run.site, first: run.start, last: run.end - 1)) {
                known.insert(run.site, run.range)
            }
            receive(run)
        }
        context.merge(known)
        collected = forgotten
    }

    private static func range(from reader: inout ByteReader) throws(DecodingFailure) -> Range<UInt64> {
        let start = try reader.varint()
        let length = try reader.varint()
        guard start > 0, start <= CausalContext.sequenceMax, length > 0, length <= UInt64(Block.lengthMax) else {
            throw reader.failure(.impossible)
        }
        return start..<start + length
    }

    private static func fate(from reader: inout ByteReader) throws(DecodingFailure) -> Fate {
        switch try reader.byte() {
        case RunTag.isGone: return .gone
        case RunTag.isRemoved: return .removed(by: try reader.dot())
        default: throw reader.failure(.unknownTag)
        }
    }

    private static func run(_ tag: UInt8, from reader: inout ByteReader) throws(DecodingFailure) -> Run<Element> {
        guard tag & ~RunTag.all == 0, tag & RunTag.isRun != 0, tag & RunTag.isGone == 0 || tag & RunTag.isRemoved == 0 else {
            throw reader.failure(.unknownTag)
        }
        let site = try reader.site()
        let range = try range(from: &reader)
        let atBeginning = tag & RunTag.hangsAtBeginning != 0
        let parent = atBeginning ? Run<Element>.beginning : try reader.dot()
        guard !atBeginning || tag & RunTag.isRight != 0 else { throw reader.failure(.impossible) }
        let length = Int(range.upperBound - range.lowerBound)
        var run = Run<Element>(
            site: site, start: range.lowerBound, length: length, parent: parent, side: tag & RunTag.isRight != 0 ? .right : .left,
            fate: .live, elements: [])
        if tag & RunTag.isGone != 0 {
            run.fate = .gone
        } else if tag & RunTag.isRemoved != 0 {
            run.fate = .removed(by: try reader.dot())
        } else {
            run.elements = try Element.decode(length, from: &reader)
        }
        return run
    }
}
