// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

extension HybridTime {
    /// Later than any time a clock gives out.
    static let max = HybridTime(rawValue: .max)
}

/// An object, or a change of one, as it stands in batches, answers, records and snapshots: name, kind, what is beside the content, content.
struct EntryHead {
    var name: Bytes
    var kind: ObjectKind
    var expiry: Expiry?
    var epoch = Stamp.zero

    private static let hasExpiry: UInt8 = 1
    private static let hasEpoch: UInt8 = 2

    static func encode(_ object: StateObject, withExpiry: Bool, into writer: inout ByteWriter) {
        writer.string(object.name)
        writer.byte(object.kind.rawValue)
        guard let side = object.side else { return writer.byte(0) }
        let expiry = withExpiry ? side.expiry : nil
        writer.byte((expiry == nil ? 0 : hasExpiry) | (side.epoch == .zero ? 0 : hasEpoch))
        if let expiry {
            writer.value(expiry.stamp)
            writer.signed(expiry.moment)
        }
        if side.epoch > .zero { writer.value(side.epoch) }
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        name = try reader.string()
        guard let kind = ObjectKind(rawValue: try reader.byte()) else { throw reader.failure(.unknownTag) }
        self.kind = kind
        let parts = try reader.byte()
        guard parts < 4 else { throw reader.failure(.unknownTag) }
        if parts & Self.hasExpiry > 0 {
            let stamp = try Stamp(from: &reader)
            let moment = try reader.signed()
            guard moment >= -1 else { throw reader.failure(.impossible) }
            expiry = Expiry(stamp: stamp, moment: moment)
        }
        if parts & Self.hasEpoch > 0 { epoch = try Stamp(from: &reader) }
    }
}

extension Replica {
    /// Writes what changed since the last time.
    func encodeChanges(of object: StateObject, into writer: inout ByteWriter) {
        EntryHead.encode(object, withExpiry: object.side?.isDirty ?? false, into: &writer)
        object.side?.isDirty = false
        object.encodeDelta(into: &writer)
    }

    /// Writes all of an object.
    func encodeWhole(_ object: StateObject, into writer: inout ByteWriter) {
        EntryHead.encode(object, withExpiry: true, into: &writer)
        object.encodeContent(into: &writer)
    }

    /// Writes what somebody lacks of an object who has seen a part of it; all of it for who has seen nothing.
    func encode(_ object: StateObject, lacking seen: CausalContext?, into writer: inout ByteWriter) {
        guard let seen else { return encodeWhole(object, into: &writer) }
        EntryHead.encode(object, withExpiry: true, into: &writer)
        object.encodeContent(lacking: seen, into: &writer)
    }

    /// Reads and merges the key spaces and entries of one namespace's section.
    ///
    /// - Parameters:
    ///   - time: when this was sent or made; what is merged counts as changed then.
    ///   - isAnswer: whether it was asked for, so that nobody repeats or orders it, and it may tell of what ended meanwhile.
    ///   - touched: gets the merged objects, for whoever keeps them together.
    mutating func merge(
        section blob: [UInt8], of namespace: String, time: HybridTime, isAnswer: Bool = false, touched: inout [StateObject]
    ) throws(DecodingFailure) {
        var reader = ByteReader(blob)
        let count = try reader.count(entryBytes: 2)
        for _ in 0..<count {
            let name = try readSpaceName(namespace, from: &reader)
            let entries = try reader.count(entryBytes: 4)
            guard entries > 0 else { continue }
            let known = spaceNumbers[name].map { spaces[$0] }
            guard known != nil || spaces.count < settings.spacesMax else { throw reader.failure(.impossible) }
            let space = known ?? makeSpace(name)
            for _ in 0..<entries {
                let head = try EntryHead(from: &reader)
                if let object = try merge(entry: head, in: space, time: time, isAnswer: isAnswer, from: &reader) { touched.append(object) }
            }
        }
        try reader.finish()
    }

    private func readSpaceName(_ namespace: String, from reader: inout ByteReader) throws(DecodingFailure) -> SpaceName {
        let database = try reader.varint()
        guard database < UInt64(SpaceName.databasesMax) else { throw reader.failure(.impossible) }
        do throws(StateError) {
            return try SpaceName(any: namespace, database: Int(database))
        } catch {
            throw reader.failure(.impossible)
        }
    }

    /// Whether a section can be read, without merging it: for batches that must be merged whole or not at all.
    func check(section blob: [UInt8], of namespace: String) throws(DecodingFailure) {
        var reader = ByteReader(blob)
        let count = try reader.count(entryBytes: 2)
        for _ in 0..<count {
            _ = try readSpaceName(namespace, from: &reader)
            let entries = try reader.count(entryBytes: 4)
            for _ in 0..<entries {
                let head = try EntryHead(from: &reader)
                try head.kind.makeObject(head.name, 0, SpaceID(0)).checkContent(from: &reader)
            }
        }
        try reader.finish()
    }

    /// Merges one entry; answers its object.
    private mutating func merge(
        entry head: EntryHead, in space: Space, time: HybridTime, isAnswer: Bool, from reader: inout ByteReader
    ) throws(DecodingFailure) -> StateObject? {
        let hash = space.hash(head.name)
        var found = space.table.find(hash, head.name, head.kind)
        if replaying < .max, space.isSaved(hash, at: replaying) {
            try head.kind.makeObject(head.name, hash, space.id).checkContent(from: &reader)
            return found
        }
        if isAnswer, forgotten.hasEnded(space, hash, head.kind, after: time) {
            try head.kind.makeObject(head.name, hash, space.id).checkContent(from: &reader)
            counts.lateAnswers += 1
            return nil
        }
        // Whoever sent this may have forgotten an end that everybody knew of, and begun anew.
        if let object = found, !object.hasContent, collectIfStable(object) { found = nil }
        let object = found ?? head.kind.makeObject(head.name, hash, space.id)
        if head.epoch < object.epoch {
            try object.checkContent(from: &reader)
            counts.refusedEpochs += 1
            return found
        }
        if head.epoch > object.epoch {
            // Content is read before the old one is forgotten: bytes that cannot be read must change nothing.
            var trial = reader
            try object.checkContent(from: &trial)
            object.resetContent()
            object.makeSide().epoch = head.epoch
            // When it was to end was said of the old content.
            object.side?.expiry = nil
        }
        try object.mergeContent(from: &reader)
        if found == nil {
            let others = space.table.all(hash, head.name)
            insert(object, besides: others, in: space)
            if !others.isEmpty { noteConflict(object, others) }
        }
        mergeExpiry(head.expiry, into: object)
        object.updated = max(object.updated, time)
        settle(object, in: space)
        account(object, in: space)
        if isWatched { noteChange(object, isLocal: false) }
        if space.holdsPolicies { changedPolicies.append(object.name) }
        return object
    }

    private mutating func mergeExpiry(_ expiry: Expiry?, into object: StateObject) {
        guard let expiry else { return }
        let side = object.makeSide()
        if side.expiry == nil { side.expiry = expiry } else { side.expiry?.merge(expiry) }
        schedule(object)
    }

    private mutating func noteConflict(_ object: StateObject, _ others: [StateObject]) {
        guard object.hasContent, let other = others.filter(\.hasContent).min(by: { $0.kind < $1.kind }) else { return }
        counts.kindConflicts += 1
        let key = ObjectKey(SpaceID(Int(object.space)), object.name)
        outputs.append(
            .note(.kindConflict(key, visible: min(object.kind, other.kind), hidden: max(object.kind, other.kind))))
    }

    /// Objects of more bytes than this are measured now and then only: measuring walks through some kinds.
    private static let measuredBytesMax: UInt32 = 16_384

    /// Brings the namespace's sum of bytes up to date, approximately, and notes that a snapshot lacks the object as it is now.
    func account(_ object: StateObject, in space: Space) {
        space.unsaved.insert(Space.top(object.hash))
        if object.accounted > Self.measuredBytesMax, object.hasContent, (nextBatch ^ object.hash) & 255 != 0 { return }
        let bytes = UInt32(clamping: object.memoryBytes)
        space.namespace.bytes += Int(bytes) - Int(object.accounted)
        object.accounted = bytes
    }
}
