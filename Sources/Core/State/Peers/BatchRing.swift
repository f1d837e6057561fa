// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import DequeModule

/// What one flush made: the changes of a replica's own writes, encoded once for the log and for every peer.
struct Batch {
    /// Counts from 1 in each incarnation, without gaps.
    var number: UInt64
    var time: HybridTime
    /// What was forgotten when it was made: a reader must forget what ended before, or new content would meet the old end.
    var stable: HybridTime
    /// Whether its objects must become visible together.
    var isAtomic: Bool
    /// By namespace.
    var sections: [BatchSection]

    var bytes: Int { sections.reduce(32) { $0 + $1.blob.count + 32 } }
}

/// The changes of one namespace.
struct BatchSection {
    var namespace: String
    /// How many key spaces, and of each its database, how many entries, and the entries; one writer's, read by one reader.
    var blob: [UInt8]
}

extension Batch {
    private static let atomicFlag: UInt8 = 1

    /// Writes the batch as far as a reader wants it.
    func encode(into writer: inout ByteWriter, where wanted: (String) -> Bool) {
        writer.varint(number)
        writer.value(time)
        writer.value(stable)
        writer.byte(isAtomic ? Self.atomicFlag : 0)
        let chosen = sections.filter { wanted($0.namespace) }
        writer.count(chosen.count)
        for section in chosen {
            writer.string(Bytes(section.namespace))
            writer.count(section.blob.count)
            writer.raw(section.blob)
        }
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        number = try reader.varint()
        guard number > 0, number <= CausalContext.sequenceMax else { throw reader.failure(.impossible) }
        time = try HybridTime(from: &reader)
        stable = try HybridTime(from: &reader)
        let flags = try reader.byte()
        guard flags <= Self.atomicFlag else { throw reader.failure(.unknownTag) }
        isAtomic = flags & Self.atomicFlag > 0
        sections = []
        for _ in 0..<(try reader.count(entryBytes: 3)) {
            let namespace = try reader.string().text
            let length = try reader.count()
            sections.append(BatchSection(namespace: namespace, blob: Array(try reader.raw(length))))
        }
    }
}

/// Which namespaces the last batches are about: whoever waits for a batch asks after it may have left the ring.
struct RecentBatches {
    /// Whoever waits begins right after the write; so many batches are made in seconds.
    private static let countMax = 1_024

    private var names: Deque<[String]> = []
    /// The number of the last one.
    private var last: UInt64 = 0

    mutating func note(_ batch: Batch) {
        if batch.number != last + 1 { names = [] }
        last = batch.number
        names.append(batch.sections.map(\.namespace))
        if names.count > Self.countMax { names.removeFirst() }
    }

    /// The namespaces of a batch; none where it was made too long ago.
    func namespaces(of number: UInt64) -> [String] {
        guard number <= last, last - number < UInt64(names.count) else { return [] }
        return names[names.count - 1 - Int(last - number)]
    }
}

/// The batches that some member may not have yet, oldest first.
struct BatchRing {
    private(set) var batches: Deque<Batch> = []
    private(set) var bytes = 0
    /// The number of the first batch that is kept, or of the next one to be made.
    private(set) var first: UInt64 = 1

    mutating func begin(at number: UInt64) {
        batches = []
        bytes = 0
        first = number
    }

    mutating func append(_ batch: Batch) {
        if batches.isEmpty { first = batch.number }
        bytes += batch.bytes
        batches.append(batch)
    }

    /// Lets go of batches up to a number, and of the oldest until no more than the limits are kept.
    mutating func trim(through number: UInt64, bytesMax: Int, batchesMax: Int) {
        while let oldest = batches.first, oldest.number <= number || bytes > bytesMax || batches.count > batchesMax {
            bytes -= oldest.bytes
            first = oldest.number + 1
            batches.removeFirst()
        }
    }

    subscript(number: UInt64) -> Batch? {
        guard number >= first, number - first < UInt64(batches.count) else { return nil }
        return batches[Int(number - first)]
    }
}
