// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT
public import BrumeModel

/// Builds a replica from what a log kept: parts of a snapshot first, then records; in any number of repetitions.
public struct StateRecovery: ~Copyable {
    private var replica: Replica
    /// The last batch of each site that the log holds.
    private var vector = VersionVector()
    /// What the log says of namespaces: whether this node kept them, as far as it was read.
    private var kept: [String: KeptState] = [:]
    /// What the snapshot says of objects that must be seen together; they may stand in parts that come behind it.
    private var groups: [NamedGroup] = []
    /// Records that were merged.
    public private(set) var recordsMerged = 0
    /// Parts that were merged.
    public private(set) var partsMerged = 0

    /// Begins with nothing.
    public init(node: NodeID, settings: StateSettings, seed: UInt64, now: StateTime) {
        // Reading must not write: the identity is given at the end.
        replica = Replica(node: node, site: SiteID(rawValue: 0), settings: settings, seed: seed, now: now)
    }

    /// Merges a record. Answers false, and merges nothing, if it is not what was written.
    public mutating func record(_ sealed: [UInt8]) -> Bool {
        guard let content = Sealed.open(sealed) else { return false }
        do throws(DecodingFailure) {
            var reader = ByteReader(content)
            try merge(&reader)
            recordsMerged += 1
            return true
        } catch {
            return false
        }
    }

    private mutating func merge(_ reader: inout ByteReader) throws(DecodingFailure) {
        guard let kind = RecordKind(rawValue: try reader.byte()) else { throw reader.failure(.unknownTag) }
        replica.replaying = try HybridTime(from: &reader)
        replica.clock = HybridClock(last: max(replica.clock.last, replica.replaying))
        switch kind {
        case .batch:
            let site = try reader.site()
            _ = try reader.varint()
            let batch = try Batch(from: &reader)
            try mergeBatch(batch)
            vector.raise(site, to: batch.number)
        case .objects:
            try mergeBatch(try Batch(from: &reader))
        case .received:
            vector.merge(try VersionVector(from: &reader))
        case .groups: replica.adopt(try NamedGroup.decode(from: &reader))
        case .epochs: note(promised: try HybridTime(from: &reader))
        case .interest:
            let name = try reader.string().text
            guard let state = KeptState(rawValue: try reader.byte()) else { throw reader.failure(.unknownTag) }
            mergeInterest(name, state)
        }
        try reader.finish()
    }

    /// Whatever an earlier run promised, this one promises too.
    private mutating func note(promised time: HybridTime) {
        replica.leases.raise(to: Stamp(time: time, site: Leases.lastSite))
        replica.leases.logged.time = max(replica.leases.logged.time, time)
    }

    private mutating func mergeInterest(_ name: String, _ state: KeptState) {
        let namespace = replica.namespace(name)
        if state != .dropped {
            kept[name] = state
        } else if !replica.spaces.contains(where: { $0.namespace === namespace && $0.wasSaved(after: replica.replaying) }) {
            // Unless the snapshot tells of a later time, in which it was kept again.
            replica.forgetObjects(of: namespace)
            kept[name] = .dropped
        }
    }

    private mutating func mergeBatch(_ batch: Batch) throws(DecodingFailure) {
        replica.adopt(forgettable: batch.stable)
        try replica.merge(batch)
        // Whatever the wall clock says now, this was written before.
        replica.clock = HybridClock(last: max(replica.clock.last, batch.time))
    }

    /// Merges a part of a snapshot. Answers false, and merges nothing, if it is not what was written.
    public mutating func part(_ name: [UInt8], _ body: [UInt8]) -> Bool {
        guard let content = Sealed.open(body) else { return false }
        do throws(DecodingFailure) {
            var reader = ByteReader(content)
            if name == SnapshotPart.vectorName {
                try mergeState(&reader)
            } else if name == SnapshotPart.groupsName {
                groups = try NamedGroup.decode(from: &reader)
                try reader.finish()
            } else {
                try mergePart(try Batch(from: &reader), name)
            }
            partsMerged += 1
            return true
        } catch {
            return false
        }
    }

    /// Merges a range of a key space, and remembers up to when it holds everything: older records must not touch it again, since
    /// they may tell the end of objects that were forgotten and began anew.
    private mutating func mergePart(_ batch: Batch, _ name: [UInt8]) throws(DecodingFailure) {
        replica.replaying = .max
        try mergeBatch(batch)
        for section in batch.sections {
            var reader = ByteReader(section.blob)
            _ = try reader.varint()
            let database = Int(clamping: try reader.varint())
            guard let space = try? SpaceName(any: section.namespace, database: database), name.count > 1, name[1] < Space.topCount else {
                throw reader.failure(.impossible)
            }
            replica.makeSpace(space).noteSaved(Int(name[1]), at: batch.time)
        }
    }

    private mutating func mergeState(_ reader: inout ByteReader) throws(DecodingFailure) {
        let state = try SnapshotState(from: &reader)
        vector.merge(state.vector)
        for name in state.held { mergeInterest(name, .whole) }
        replica.adopt(forgettable: state.stable)
        replica.floor = max(replica.floor, state.floor)
        note(promised: state.promised)
        replica.clock = HybridClock(last: max(replica.clock.last, state.time))
    }

    /// The replica, ready to be used.
    ///
    /// - Parameters:
    ///   - continuing: the incarnation that wrote last, if the log surely holds all it ever wrote; nil begins a new one.
    ///   - fresh: the identity of a new incarnation, never used before.
    public consuming func finish(continuing: SiteID?, fresh: SiteID, now: StateTime) -> Replica {
        let site = continuing ?? fresh
        replica.site = site
        if continuing == nil { replica.floor = 0 }
        for entry in vector.entries {
            if entry.site == site {
                replica.nextBatch = entry.sequence + 1
                replica.durableBatch = entry.sequence
                continue
            }
            replica.origins.update(entry.site) {
                $0.received = entry.sequence
                $0.durable = entry.sequence
            }
        }
        replica.adopt(groups)
        replica.ring.begin(at: replica.nextBatch)
        // What the previous incarnation told only some nodes, or what was lost here, comes back by comparing with each.
        replica.membership.isRecovering = true
        replica.counts = StateCounts()
        replica.replaying = .max
        for space in replica.spaces { space.forgetSaved() }
        replica.recoverInterest(now) { kept[$0] }
        _ = replica.takeOutputs()
        replica.clock.observe(HybridTime(milliseconds: now.wallMilliseconds), wall: now.wallMilliseconds)
        replica.rescheduleExpiries()
        return replica
    }
}

/// What a snapshot holds beside objects.
struct SnapshotState {
    var vector: VersionVector
    var stable: HybridTime
    var time: HybridTime
    var floor: UInt64
    /// Namespaces that are kept for another reason than that all are, by name.
    var held: [String]
    /// Up to when epochs of exclusive owners may have been promised.
    var promised: HybridTime

    func encode(into writer: inout ByteWriter) {
        writer.value(vector)
        writer.value(stable)
        writer.value(time)
        writer.varint(floor)
        writer.count(held.count)
        for name in held { writer.string(Bytes(name)) }
        writer.value(promised)
    }

    init(vector: VersionVector, stable: HybridTime, time: HybridTime, floor: UInt64, held: [String], promised: HybridTime) {
        self.promised = promised
        self.held = held
        self.vector = vector
        self.stable = stable
        self.time = time
        self.floor = floor
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        vector = try VersionVector(from: &reader)
        stable = try HybridTime(from: &reader)
        time = try HybridTime(from: &reader)
        floor = try reader.varint()
        guard floor <= CausalContext.sequenceMax else { throw reader.failure(.impossible) }
        held = []
        for _ in 0..<(try reader.count()) { held.append(try reader.string().text) }
        // A snapshot of an earlier program ends here.
        promised = reader.remaining > 0 ? try HybridTime(from: &reader) : .zero
    }
}

/// A part of a snapshot: one of 128 ranges of one key space.
public struct SnapshotPart: Sendable, Hashable {
    /// What it replaces.
    public var name: [UInt8]
    /// Its content; empty where the part is to be removed.
    public var body: [UInt8]

    static let vectorName = Array("state".utf8)
    static let groupsName = Array("groups".utf8)
}

extension Replica {
    /// Begins a snapshot of what changed so far; what changes from here on belongs to the next one, so that a snapshot ends under any load.
    ///
    /// Once it is written, records that were made before it began may be forgotten.
    public mutating func beginSnapshot() {
        roundVector = currentVector
        for space in spaces {
            if space.namespace.settings.durability > .none { space.saving.formUnion(space.unsaved) }
            space.unsaved = RangeSet128()
        }
        isVectorUnsaved = true
    }

    /// The next parts of the snapshot that was begun, at most about `bytesMax` bytes and one part more; empty when it is complete.
    ///
    /// The part that tells how far everything came is always the last one, so that a snapshot cut short claims nothing that it lacks. A
    /// part holds what was flushed for it just now: records that are handed out before the parts must be on disk before them, or a crash
    /// between the two would leave half of what was written as one.
    public mutating func changedParts(bytesMax: Int, _ now: StateTime) -> [SnapshotPart] {
        if isDirty { flush(now) }
        var parts: [SnapshotPart] = []
        var bytes = 0
        for space in spaces where !space.saving.isEmpty {
            for top in 0..<Space.topCount where space.saving.contains(top) {
                guard bytes < bytesMax else { return parts }
                let part = part(of: space, top)
                space.saving.remove(top)
                bytes += part.body.count
                parts.append(part)
            }
        }
        guard isVectorUnsaved else { return parts }
        parts.append(groupsPart())
        parts.append(vectorPart())
        isVectorUnsaved = false
        roundVector = nil
        return parts
    }

    /// Makes every part count as changed: after a snapshot could not be written, or was found damaged.
    public mutating func forgetSnapshot() {
        roundVector = nil
        isVectorUnsaved = false
        for space in spaces {
            space.saving = RangeSet128()
            space.unsaved.fill()
        }
    }

    /// All batches that are merged here, this incarnation's own among them.
    var currentVector: VersionVector {
        var vector = origins.vector
        if nextBatch > 1 { vector[site] = nextBatch - 1 }
        return vector
    }

    private func part(of space: Space, _ top: Int) -> SnapshotPart {
        var name = ByteWriter()
        name.byte(UInt8(ascii: "o"))
        name.byte(UInt8(top))
        name.count(space.name.database)
        name.raw(Array(space.name.namespace.utf8))
        var count = 0
        let first = top * Space.leavesPerTop
        space.table.forEach(in: first..<(first + Space.leavesPerTop)) { _ in
            count += 1
            return true
        }
        guard count > 0 else { return SnapshotPart(name: name.bytes, body: []) }
        var blob = ByteWriter(capacity: 64 * count)
        blob.count(1)
        blob.count(space.name.database)
        blob.count(count)
        space.table.forEach(in: first..<(first + Space.leavesPerTop)) { object in
            encodeWhole(object, into: &blob)
            return true
        }
        let section = BatchSection(namespace: space.name.namespace, blob: blob.bytes)
        var writer = ByteWriter(capacity: blob.count + 64)
        Batch(number: 1, time: clock.last, stable: forgettable, isAtomic: false, sections: [section]).encode(into: &writer) { _ in true }
        return SnapshotPart(name: name.bytes, body: Sealed.seal(writer.bytes))
    }

    private func groupsPart() -> SnapshotPart {
        let kept = namedGroups { knownNamespace($0)?.settings.durability ?? .interval != .none }
        guard !kept.isEmpty else { return SnapshotPart(name: SnapshotPart.groupsName, body: []) }
        var writer = ByteWriter()
        NamedGroup.encode(kept, into: &writer)
        return SnapshotPart(name: SnapshotPart.groupsName, body: Sealed.seal(writer.bytes))
    }

    private mutating func vectorPart() -> SnapshotPart {
        let held = namespaces.filter {
            $0.interest.isHeld && (!$0.interest.isPinned || $0.hasPolicy) && $0.settings.durability > .none
        }.map(\.name)
        var writer = ByteWriter()
        SnapshotState(
            vector: roundVector ?? currentVector, stable: forgettable, time: clock.last, floor: floor, held: held,
            promised: leases.logged.time
        ).encode(into: &writer)
        return SnapshotPart(name: SnapshotPart.vectorName, body: Sealed.seal(writer.bytes))
    }
}
