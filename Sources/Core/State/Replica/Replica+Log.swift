// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import DequeModule

/// What a record of the log says.
enum RecordKind: UInt8 {
    /// A batch, of this node or of another.
    case batch = 1
    /// Objects that a comparison or a question brought.
    case objects = 2
    /// How far this replica has come with everybody's batches, without their content.
    case received = 3
    /// That this node keeps a namespace from here on, or forgot it.
    case interest = 4
    /// Objects that must be seen together, of those that a comparison brought.
    case groups = 5
    /// That epochs of exclusive owners up to a moment may have been promised.
    case epochs = 6
}

/// What a record says about a namespace.
enum KeptState: UInt8 {
    case dropped = 0
    case whole = 1
    /// It was still being pulled from others.
    case partly = 2
}

/// Which batches become durable with which record.
struct DurableQueue {
    private var waiting: Deque<(record: UInt64, site: SiteID, number: UInt64)> = []

    mutating func add(_ record: UInt64, _ site: SiteID, _ number: UInt64) { waiting.append((record, site, number)) }

    mutating func pop(through record: UInt64) -> (site: SiteID, number: UInt64)? {
        guard let first = waiting.first, first.record <= record else { return nil }
        waiting.removeFirst()
        return (first.site, first.number)
    }
}

extension Replica {
    /// Writes a batch down as far as its namespaces ask for it.
    mutating func log(_ batch: Batch, of origin: SiteID, previous: UInt64) {
        var kept = batch
        var isUrgent = false
        kept.sections.removeAll { section in
            let durability = knownNamespace(section.namespace)?.settings.durability ?? .interval
            if durability == .sync { isUrgent = true }
            return durability == .none
        }
        if !kept.sections.isEmpty {
            var writer = ByteWriter(capacity: kept.bytes + 64)
            writer.byte(RecordKind.batch.rawValue)
            writer.value(nextLogTime())
            writer.site(origin)
            writer.varint(previous)
            kept.encode(into: &writer) { _ in true }
            record(writer, now: isUrgent)
        }
        durables.add(nextRecord - 1, origin, batch.number)
        if kept.sections.isEmpty { settleDurables() }
    }

    /// Writes down what a comparison brought, and how far that brings this replica.
    mutating func log(sections: [BatchSection], time: HybridTime) {
        let kept = sections.filter { knownNamespace($0.namespace)?.settings.durability ?? .interval != .none }
        guard !kept.isEmpty else { return }
        var writer = ByteWriter()
        writer.byte(RecordKind.objects.rawValue)
        writer.value(nextLogTime())
        Batch(number: 1, time: time, stable: forgettable, isAtomic: false, sections: kept).encode(into: &writer) { _ in true }
        record(writer, now: false)
    }

    mutating func logReceived(_ vector: VersionVector) {
        var writer = ByteWriter()
        writer.byte(RecordKind.received.rawValue)
        writer.value(nextLogTime())
        writer.value(vector)
        record(writer, now: false)
        for entry in vector.entries { durables.add(nextRecord - 1, entry.site, entry.sequence) }
    }

    /// Writes down that this node keeps a namespace, once it has all of it, or that it has dropped it.
    mutating func logInterest(in namespace: Namespace) {
        // What all keep, for nobody has said otherwise, needs no word.
        guard namespace.settings.durability > .none, !namespace.interest.isPinned || namespace.hasPolicy else { return }
        isVectorUnsaved = true
        var writer = ByteWriter()
        writer.byte(RecordKind.interest.rawValue)
        writer.value(nextLogTime())
        writer.string(Bytes(namespace.name))
        let interest = namespace.interest
        writer.byte((interest.isHeld ? interest.isFilled ? KeptState.whole : .partly : .dropped).rawValue)
        record(writer, now: true)
    }

    /// A time after every part of a snapshot that does not hold what is logged now.
    private mutating func nextLogTime() -> HybridTime {
        clock = HybridClock(last: clock.last.next)
        return clock.last
    }

    /// Begins a record.
    mutating func logWriter(_ kind: RecordKind) -> ByteWriter {
        var writer = ByteWriter()
        writer.byte(kind.rawValue)
        writer.value(nextLogTime())
        return writer
    }

    mutating func record(_ writer: ByteWriter, now: Bool) {
        outputs.append(.log(Sealed.seal(writer.bytes), number: nextRecord, now: now))
        nextRecord += 1
    }

    /// The shell tells that records are on disk.
    public mutating func logged(through record: UInt64, _ now: StateTime) {
        loggedRecord = max(loggedRecord, record)
        settleDurables()
        settlePromises(now)
        checkWaits(now)
    }

    private mutating func settleDurables() {
        while let (origin, number) = durables.pop(through: loggedRecord) {
            if origin == site {
                durableBatch = max(durableBatch, number)
            } else {
                origins.update(origin) { $0.durable = max($0.durable, number) }
                if let node = origins[origin]?.node, let peer = find(node), peer.tellsAt == nil {
                    peer.statusDue = lastInstant + settings.ackDelay
                }
            }
        }
    }
}

/// Bytes with a checksum behind them, so that a reader knows whether they are what was written.
enum Sealed {
    static let seed: UInt64 = 0x0042_7275_6D65_0001

    static func seal(_ bytes: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(capacity: bytes.count + 8)
        writer.raw(bytes)
        writer.fixed(stableHash(Bytes(bytes), seed: seed))
        return writer.bytes
    }

    /// The content, nil unless it is what was sealed.
    static func open(_ sealed: [UInt8]) -> [UInt8]? {
        guard sealed.count >= 8 else { return nil }
        let content = Array(sealed.dropLast(8))
        var reader = ByteReader(Array(sealed.suffix(8)))
        guard let sum = try? reader.fixed(), sum == stableHash(Bytes(content), seed: seed) else { return nil }
        return content
    }
}
