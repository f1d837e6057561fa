// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

/// Another node: what it wants, how far it has come with this replica's batches, and what is on the way to it.
final class Peer {
    let node: NodeID
    var tier = NodeTier.edge
    /// Whether it belongs to the cluster; what became of a member that does not answer is waited for, until it is removed.
    var isMember = false
    /// Whether it was removed for good: what it kept may tell of objects whose end is forgotten.
    var isRemoved = false
    /// When the last frame came from it.
    var lastHeard: Instant?
    /// Whether frames reach it.
    var isUp = false
    /// Its incarnation, as it last said.
    var site: SiteID?
    var interest = PeerInterest()

    /// It has merged all batches that concern it up to here; and has them durably up to there.
    var acked: UInt64 = 0
    var durable: UInt64 = 0
    /// The last batch sent that concerns it: the predecessor of the next.
    var sent: UInt64 = 0
    /// All batches up to here were sent or do not concern it.
    var cursor: UInt64 = 0
    /// All batches up to here are acknowledged or do not concern it.
    var cleared: UInt64 = 0
    /// What is on the way, oldest first.
    var flying: [(number: UInt64, bytes: Int, sentAt: Instant)] = []
    var flyingBytes = 0
    /// When what is on the way is taken for lost.
    var resendAt: Instant?
    var resendAfter: Duration
    /// Batches up to here were sent twice, so that an acknowledgement of them measures nothing.
    var sentAgain: UInt64 = 0
    var roundTrip: Duration?
    /// Whether batches it lacks are not kept any more: it must compare.
    var isBehind = false
    /// Whether the link's queue for new deltas, or for catching up, is full.
    var isBlocked = false
    var isBulkBlocked = false

    /// When a status must go out at the latest, for something else than its batches.
    var statusDue: Instant?
    /// The same for its batches: when the first came that were not acknowledged and the last, how many bytes, and when to acknowledge.
    var ackDue: Instant?
    var unackedSince: Instant?
    var unackedBytes = 0
    var batchesAt: Instant?
    /// Whether the next status tells what this node wants.
    var tellsInterest = true
    /// Everything that anybody did before this moment has reached it for good.
    var watermark = HybridTime.zero
    /// Of the set of members that it knows.
    var view: UInt64 = 0
    /// The newest version of frames that came from it.
    var version: UInt8 = 1
    /// Whether it answered what this replica speaks, and how often it was told.
    var isVersionKnown = false
    var hellos = 0
    /// Messages from it that come in parts.
    var assembly = Assembly()

    init(node: NodeID, settings: StateSettings) {
        self.node = node
        resendAfter = settings.resendAfter
    }

    /// Forgets what was on the way.
    func rewind(to number: UInt64) {
        sentAgain = max(sentAgain, flying.last?.number ?? 0)
        sent = number
        cursor = max(number, cleared)
        flying = []
        flyingBytes = 0
        resendAt = nil
    }

    /// Forgets everything: it, or this replica, began a new incarnation.
    func forget() {
        acked = 0
        durable = 0
        cleared = 0
        isBehind = false
        rewind(to: 0)
        sentAgain = 0
    }

    /// Takes note of a batch that leaves.
    func sends(_ batch: Batch, now: Instant) {
        sent = batch.number
        flying.append((batch.number, batch.bytes, now))
        flyingBytes += batch.bytes
    }

    /// When what is on the way is taken for lost: the last of it is acknowledged soon, the first of it before long.
    func resendMoment(_ now: Instant, settings: StateSettings) -> Instant? {
        flying.first.map { min(now, $0.sentAt + settings.streamAckMax) + resendAfter }
    }

    /// Takes note of batches that came, `isStream` if they follow others closely.
    func received(_ bytes: Int, isUrgent: Bool, _ now: Instant, settings: StateSettings) {
        let isStream = batchesAt.map { now < $0 + settings.streamAckDelay } ?? false
        let since = unackedSince ?? now
        batchesAt = now
        unackedSince = since
        unackedBytes += bytes
        if isUrgent || unackedBytes >= settings.windowBytesMax / 4 {
            ackDue = now
        } else if isStream {
            ackDue = min(now + settings.streamAckDelay, since + settings.streamAckMax)
        } else {
            ackDue = min(ackDue ?? .distantFuture, now + settings.ackDelay)
        }
    }

    /// When a status must go out at the latest.
    var tellsAt: Instant? { statusDue.map { min($0, ackDue ?? $0) } ?? ackDue }

    /// Takes note that a status goes out.
    func told() {
        statusDue = nil
        ackDue = nil
        unackedSince = nil
        unackedBytes = 0
        tellsInterest = false
    }

    /// Forgets which frames it understands: another program may answer from now on.
    func forgetVersion() {
        version = 1
        isVersionKnown = false
        hellos = 0
    }

    /// Takes note that what was sent so far is all that concerns it.
    func clear() {
        if acked >= sent { cleared = max(cleared, cursor) }
    }

    /// Takes note that it has come so far.
    func acknowledge(_ number: UInt64, durable: UInt64, now: Instant, settings: StateSettings) {
        self.durable = max(self.durable, durable)
        guard number > acked else { return }
        acked = number
        cleared = max(cleared, number)
        if sent < number { sent = number }
        if cursor < number { cursor = number }
        var last: Instant?
        var count = 0
        while count < flying.count, flying[count].number <= number {
            flyingBytes -= flying[count].bytes
            if flying[count].number > sentAgain { last = flying[count].sentAt }
            count += 1
        }
        flying.removeFirst(count)
        // The last that it has was acknowledged soonest.
        if let last {
            let sample = now - last
            roundTrip = roundTrip.map { $0 * 7 / 8 + sample / 8 } ?? sample
        }
        resendAfter = roundTrip.map { max(.milliseconds(20), $0 * 3 + settings.streamAckDelay) } ?? settings.resendAfter
        resendAt = resendMoment(now, settings: settings)
    }
}

/// Which namespaces a peer keeps.
struct PeerInterest: Equatable {
    /// Whether it keeps those that are not named.
    var others = true
    /// By name.
    var named: [Named] = []

    struct Named: Equatable {
        var namespace: String
        var isKept: Bool
    }

    func keeps(_ namespace: String) -> Bool {
        let index = named.partitioningIndex { $0.namespace >= namespace }
        return index < named.count && named[index].namespace == namespace ? named[index].isKept : others
    }

    func encode(into writer: inout ByteWriter) {
        writer.byte(others ? 1 : 0)
        writer.count(named.count)
        for entry in named {
            writer.string(Bytes(entry.namespace))
            writer.byte(entry.isKept ? 1 : 0)
        }
    }

    init() {}

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        others = try reader.byte() == 1
        for _ in 0..<(try reader.count(entryBytes: 2)) {
            let entry = Named(namespace: try reader.string().text, isKept: try reader.byte() == 1)
            if let last = named.last, last.namespace >= entry.namespace { throw reader.failure(.outOfOrder) }
            named.append(entry)
        }
    }
}

/// Gathers the parts of a message that is longer than a frame; the parts of one message follow one another.
struct Assembly {
    private var message: UInt64 = 0
    private var next = 0
    private var bytes: [UInt8] = []

    /// Takes a part; answers the whole when it was the last one. A part out of turn loses the message: it is repeated.
    mutating func take(message: UInt64, index: Int, count: Int, part: ArraySlice<UInt8>, bytesMax: Int) -> [UInt8]? {
        if index == 0 {
            self.message = message
            next = 0
            bytes = []
        }
        guard message == self.message, index == next, bytes.count + part.count <= bytesMax else {
            bytes = []
            next = -1
            return nil
        }
        bytes.append(contentsOf: part)
        next += 1
        guard next == count else { return nil }
        defer {
            bytes = []
            next = -1
        }
        return bytes
    }
}
