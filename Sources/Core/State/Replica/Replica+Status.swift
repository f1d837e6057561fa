// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

/// What a replica tells a peer about how far both are.
private struct Status {
    static let tellsInterest: UInt8 = 1
    static let tellsGap: UInt8 = 2
    static let isBehind: UInt8 = 4
    static let tellsLast: UInt8 = 8

    /// The incarnation of the receiver that the sender knows of, and how far it has come with its batches.
    var about: SiteID
    var received: UInt64
    var durable: UInt64
    /// The last batch that concerns the receiver.
    var tip: UInt64
    var watermark: HybridTime
    var stable: HybridTime
    var view: UInt64
    var isBehind: Bool
    /// Batches after `received` and up to here are missing.
    var gapEnd: UInt64?
    var interest: PeerInterest?
    /// The last batch that was made, where all up to it that concerns the receiver was sent; since version 3.
    var last: UInt64?

    func encode(into writer: inout ByteWriter) {
        writer.byte(
            (interest == nil ? 0 : Self.tellsInterest) | (gapEnd == nil ? 0 : Self.tellsGap) | (isBehind ? Self.isBehind : 0)
                | (last == nil ? 0 : Self.tellsLast))
        writer.site(about)
        writer.varint(received)
        writer.varint(durable)
        writer.varint(tip)
        writer.value(watermark)
        writer.value(stable)
        writer.fixed(view)
        if let gapEnd { writer.varint(gapEnd) }
        interest?.encode(into: &writer)
        if let last { writer.varint(last) }
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        let parts = try reader.byte()
        guard parts < 16 else { throw reader.failure(.unknownTag) }
        about = try reader.site()
        received = try reader.varint()
        durable = try reader.varint()
        tip = try reader.varint()
        watermark = try HybridTime(from: &reader)
        stable = try HybridTime(from: &reader)
        view = try reader.fixed()
        isBehind = parts & Self.isBehind > 0
        gapEnd = parts & Self.tellsGap > 0 ? try reader.varint() : nil
        interest = parts & Self.tellsInterest > 0 ? try PeerInterest(from: &reader) : nil
        last = parts & Self.tellsLast > 0 ? try reader.varint() : nil
        try reader.finish()
        let highest = max(received, durable, tip, gapEnd ?? 0, last ?? 0)
        guard highest <= CausalContext.sequenceMax else { throw reader.failure(.numberTooLarge) }
    }

    init(to peer: Peer, in replica: borrowing Replica, origin: Origin?) {
        about = peer.site ?? SiteID(rawValue: 0)
        received = origin?.received ?? 0
        durable = origin?.durable ?? 0
        // What was written and not flushed belongs to what was done before this was said: the receiver has not all without it.
        let isComplete = peer.cursor + 1 == replica.nextBatch && !peer.isBehind && !replica.isDirty
        tip = isComplete ? peer.sent : replica.isDirty ? replica.nextBatch : replica.nextBatch - 1
        watermark = replica.membership.watermark
        stable = replica.stable
        view = replica.membership.view
        isBehind = peer.isBehind
        gapEnd = origin?.held.first?.previous
        interest = peer.tellsInterest ? replica.interest : nil
        last = isComplete && peer.version >= 3 && tip < replica.nextBatch - 1 ? replica.nextBatch - 1 : nil
    }
}

extension Replica {
    mutating func sendStatus(to peer: Peer, _ now: StateTime) {
        let origin = peer.site.flatMap { origins[$0] }
        let status = Status(to: peer, in: self, origin: origin)
        var writer = Frame.writer(.status, site: site, time: clock.now(wall: now.wallMilliseconds))
        status.encode(into: &writer)
        peer.told()
        counts.sentStatuses += 1
        transmit(writer.bytes, .state, to: peer)
    }

    mutating func takeStatus(from peer: Peer, _ head: FrameHead, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        var status = try Status(from: &reader)
        if status.about != site {
            // It does not know yet that this replica began anew, and tells of an incarnation that is no more.
            (status.received, status.durable, status.gapEnd) = (0, 0, nil)
            peer.statusDue = now.instant
        }
        guard status.received < nextBatch else {
            // It has seen batches of this incarnation that were never made here: another one made them.
            let last = nextBatch - 1
            outputs.append(.note(.duplicateIdentity(peer: peer.node, incarnation: site.rawValue)))
            counts.duplicateIdentities += 1
            reincarnate(as: SiteID(rawValue: random.next()), now)
            return origins.update(site) { $0.received = max($0.received, last) }
        }
        if let interest = status.interest { learn(interest, of: peer) }
        peer.acknowledge(status.received, durable: status.durable, now: now.instant, settings: settings)
        peer.view = status.view
        peer.watermark = max(peer.watermark, status.watermark)
        origins.update(head.site) { origin in
            origin.tip = status.tip
            origin.tipTime = head.time
            origin.last = status.last ?? 0
        }
        adopt(stable: status.stable)
        // Status frames of an up peer prove that frames reach us, so a way back is worth trying.
        peer.clear()
        if peer.isBehind, peer.cleared + 1 >= ring.first { peer.isBehind = false }
        if !peer.isBehind, peer.cleared + 1 < ring.first, peer.cleared < nextBatch - 1 {
            peer.isBehind = true
            peer.statusDue = now.instant
        }
        if let end = status.gapEnd { resend(to: peer, through: end, now) }
        if status.isBehind { pulls.request(peer.node, full: true) }
        pump(peer, now)
        confirmView()
    }

    /// Sends once more what the peer lacks before batches that it has.
    private mutating func resend(to peer: Peer, through end: UInt64, _ now: StateTime) {
        guard end > peer.acked, end <= peer.sent, peer.isUp, !peer.isBlocked else { return }
        let sent = peer.sent
        let flying = peer.flying
        var missing: [Batch] = []
        var number = peer.acked + 1
        while number <= end, let batch = ring[number] {
            if batch.sections.contains(where: { peer.interest.keeps($0.namespace) }) { missing.append(batch) }
            number += 1
        }
        guard !missing.isEmpty else { return }
        counts.resentBatches += missing.count
        peer.sent = peer.acked
        var writer = Frame.writer(.batches, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(ring.first)
        writer.byte(1)
        writer.count(missing.count)
        for batch in missing {
            writer.varint(peer.sent)
            batch.encode(into: &writer) { peer.interest.keeps($0) }
            peer.sent = batch.number
        }
        peer.sent = sent
        peer.flying = flying
        peer.sentAgain = max(peer.sentAgain, missing[missing.count - 1].number)
        peer.resendAt = now.instant + peer.resendAfter
        transmit(writer.bytes, .state, to: peer)
    }

    // MARK: Stability

    /// Learns that everything up to a moment has reached every member.
    mutating func adopt(stable moment: HybridTime) {
        guard moment > stable else { return }
        stable = moment
    }

    /// Learns that somebody may have forgotten what ended before a moment, so that this replica must forget it too.
    mutating func adopt(forgettable moment: HybridTime) {
        forgettable = max(forgettable, moment)
        adopt(stable: moment)
    }

    /// Takes as forgettable what was stable some time ago.
    ///
    /// Everybody has what is stable, but perhaps not yet what others wrote before they heard of it. They had heard of it when this
    /// replica found it stable; so once everything up to that moment is stable as well, nothing written beside it is on its way.
    mutating func ripen() {
        if let (moment, heardAt) = ripening, stable >= heardAt {
            forgettable = max(forgettable, moment)
            ripening = nil
        }
        if ripening == nil, stable > forgettable { ripening = (stable, clock.last) }
    }

    /// Computes how far everything has come here for good, and what that means for the cluster.
    mutating func advanceStability() {
        var lowest = clock.last
        for peer in peers where peer.isMember {
            guard let site = peer.site, let origin = origins[site] else { return }
            if origin.durable >= origin.tip, origin.received >= origin.tip, origin.tipTime > origin.known {
                origins.update(site) { $0.known = origin.tipTime }
            }
            lowest = min(lowest, max(origin.known, origins[site]?.known ?? .zero))
        }
        // A moment that still runs is not over: a write of this very time may follow.
        if membership.holds.isEmpty { membership.watermark = max(membership.watermark, lowest) }
        var everywhere = membership.watermark
        for peer in peers where peer.isMember { everywhere = min(everywhere, peer.watermark) }
        adopt(stable: everywhere)
    }
}
