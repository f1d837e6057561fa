// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

// What is exchanged of large objects that two replicas have and that differ: not the object, but what one of them lacks.

/// What somebody has seen of objects of one key space.
struct SeenParts {
    private var space: Int32?
    private var parts: [ObjectAddress: CausalContext] = [:]

    var count: Int { parts.count }

    mutating func note(_ part: CausalContext, of object: StateObject) {
        space = object.space
        parts[ObjectAddress(object)] = part
    }

    subscript(_ object: StateObject) -> CausalContext? { object.space == space ? parts[ObjectAddress(object)] : nil }
}

extension Replica {
    /// Objects of fewer bytes are sent whole: telling what was seen of them would cost about as much.
    private static let differenceBytesMin: UInt32 = 1_024
    /// How often a peer that does not answer is told, while it is reachable, which frames this replica understands.
    private static let hellosMax = 3

    // MARK: Versions

    /// Tells a peer that this replica understands the newest frames, until it answers; an older one says that it does not understand.
    mutating func sayHello(to peer: Peer, _ now: StateTime) {
        guard !peer.isVersionKnown, peer.hellos < Self.hellosMax else { return }
        peer.hellos += 1
        sendHello(to: peer, asks: true, now)
    }

    private mutating func sendHello(to peer: Peer, asks: Bool, _ now: StateTime) {
        var writer = Frame.writer(.hello, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.byte(Frame.version)
        writer.byte(asks ? 1 : 0)
        transmit(writer.bytes, .bulk, to: peer)
    }

    /// Takes note of the newest frames a peer understands; what it says beyond that belongs to versions to come.
    mutating func takeHello(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        peer.version = max(peer.version, min(try reader.byte(), Frame.version))
        let asks = try reader.byte() == 1
        peer.isVersionKnown = peer.isVersionKnown || !asks
        if asks { sendHello(to: peer, asks: false, now) }
    }

    // MARK: Asking

    /// Whether an asker that has the object too shall first tell what it has seen of it.
    ///
    /// Not where the object belongs to others: what must be seen together is sent together.
    func isNamedOnly(_ object: StateObject) -> Bool {
        object.accounted > Self.differenceBytesMin && !groups.holds(object) && object.seen != nil
    }

    /// Asks for what large objects hold beyond what was seen here of them.
    mutating func askLacking(_ index: Int, _ nonce: UInt64, _ name: SpaceName, _ addresses: [ObjectAddress], _ peer: Peer) {
        var asked: [(address: ObjectAddress, object: StateObject?)] = []
        var bytes = 0
        for address in addresses {
            guard bytes < settings.repairBytes else { break }
            let object = find(address, in: name)
            asked.append((address, object))
            // A span is a site and two numbers.
            bytes += 32 + (object?.seen?.spans.count ?? 0) * 16
        }
        let rest = addresses[asked.count...]
        if !rest.isEmpty { pulls.active[index].tasks.append(.lacking(name, Array(rest))) }
        pulls.active[index].asked = .lacking(name, asked.map(\.address))
        var writer = Frame.writer(.lackingWanted, site: site, time: clock.last)
        writer.varint(nonce)
        writer.spaceName(name)
        writer.count(asked.count)
        for (address, object) in asked {
            address.encode(into: &writer)
            writer.value(object?.epoch ?? .zero)
            writer.value(object?.seen ?? CausalContext())
        }
        transmit(writer.bytes, .bulk, to: peer)
    }

    mutating func takeLacking(from peer: Peer, _ head: FrameHead, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        guard let index = pulls.index(peer.node, nonce), case .lacking(let name, let addresses) = pulls.active[index].asked else { return }
        let done = try reader.varint()
        guard done > 0, done <= UInt64(addresses.count) else { throw reader.failure(.impossible) }
        let batch = try Batch(from: &reader)
        let groups = try takeCompany(true, &reader)
        try mergeAnswer(batch, head, groups)
        let rest = addresses[Int(done)...]
        if !rest.isEmpty { pulls.active[index].tasks.append(.lacking(name, Array(rest))) }
        askNext(index, now)
    }

    // MARK: Answering

    /// What a reader of this replica may have seen, what was not flushed included.
    var shownVector: VersionVector {
        var vector = currentVector
        vector.merge(ahead)
        if isDirty { vector[site] = nextBatch }
        return vector
    }

    /// Takes note of what objects that came as answers may show.
    mutating func noteShown(_ vector: VersionVector) { ahead.merge(vector) }

    /// Forgets what came ahead of its batches and has been followed by them.
    mutating func catchUp() {
        for entry in ahead.entries where entry.site == site || origins.reached(entry.site) >= entry.sequence { ahead[entry.site] = 0 }
    }

    /// Answers with what each object holds beyond what the asker has seen, as many objects as an answer takes.
    mutating func answerLacking(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let name = try reader.spaceName()
        var asked: [(address: ObjectAddress, epoch: Stamp, seen: CausalContext)] = []
        for _ in 0..<(try reader.count(entryBytes: 9)) {
            asked.append((try ObjectAddress(from: &reader), try Stamp(from: &reader), try CausalContext(from: &reader)))
        }
        try reader.finish()
        guard !asked.isEmpty else { return }
        var objects: [StateObject] = []
        var seen = SeenParts()
        var done = 0
        var bytes = 0
        for entry in asked {
            guard bytes < settings.repairBytes else { break }
            done += 1
            // What belongs to an older epoch would be refused.
            guard peer.interest.keeps(name.namespace), let object = find(entry.address, in: name), object.epoch >= entry.epoch else {
                continue
            }
            objects.append(object)
            if object.epoch == entry.epoch, let all = object.seen {
                seen.note(entry.seen, of: object)
                bytes += Self.estimate(object, of: all, lacking: entry.seen)
            } else {
                bytes += object.memoryBytes
            }
        }
        counts.answeredObjects += objects.count
        counts.answeredDifferences += seen.count
        var writer = Frame.writer(.lacking, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nonce)
        writer.count(done)
        batch(of: objects, peer, seen: seen).encode(into: &writer) { _ in true }
        encodeCompany(of: objects, peer.interest, into: &writer)
        transmit(writer.bytes, .bulk, to: peer)
    }

    /// About how many bytes the difference takes: its share of the writes, and the ranges of what was removed.
    private static func estimate(_ object: StateObject, of all: CausalContext, lacking seen: CausalContext) -> Int {
        let share = Double(all.subtracting(seen).count) / Double(max(1, all.count))
        return 64 + Int(share * Double(object.accounted)) + all.spans.count * 16
    }
}
