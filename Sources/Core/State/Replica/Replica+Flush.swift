// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
public import BrumeModel

extension Replica {
    /// Puts what changed since the last flush into a batch: for the log, and for the peers that are interested.
    public mutating func flush(_ now: StateTime) {
        if !dirtySpaces.isEmpty { makeBatch(now) }
        flushDue = nil
        for peer in peers { pump(peer, now) }
        checkWaits(now)
    }

    private mutating func makeBatch(_ now: StateTime) {
        let time = clock.now(wall: now.wallMilliseconds)
        var sections: [BatchSection] = []
        var members: [StateObject] = []
        let listed = dirtySpaces.map { spaces[$0] }.sorted { $0.name < $1.name }
        var index = 0
        while index < listed.count {
            let namespace = listed[index].namespace
            var end = index
            while end < listed.count, listed[end].namespace === namespace { end += 1 }
            var writer = ByteWriter(capacity: 64 * (listed[index].dirty.count + 1))
            writer.count(end - index)
            for space in listed[index..<end] { encodeChanges(of: space, time, members: &members, into: &writer) }
            sections.append(BatchSection(namespace: namespace.name, blob: writer.bytes))
            index = end
        }
        let batch = Batch(number: nextBatch, time: time, stable: forgettable, isAtomic: isAtomic, sections: sections)
        nextBatch += 1
        if isAtomic { groups.add(members, at: time) }
        isAtomic = false
        dirtySpaces.removeAll(keepingCapacity: true)
        dirtyCount = 0
        counts.batches += 1
        log(batch, of: site, previous: batch.number - 1)
        recent.note(batch)
        ring.append(batch)
        trimRing()
    }

    private mutating func encodeChanges(
        of space: Space, _ time: HybridTime, members: inout [StateObject], into writer: inout ByteWriter
    ) {
        writer.count(space.name.database)
        writer.count(space.dirty.count)
        for object in space.dirty {
            object.flags.remove(.dirty)
            // The batch's time: nobody can call it stable before the batch has come everywhere.
            object.updated = time
            encodeChanges(of: object, into: &writer)
            account(object, in: space)
        }
        counts.flushedObjects += space.dirty.count
        if isAtomic { members += space.dirty }
        space.dirty.removeAll(keepingCapacity: space.dirty.count <= settings.flushObjects * 2)
    }

    /// Lets go of batches that every member has, and of the oldest beyond the limits.
    mutating func trimRing() {
        var needed = nextBatch - 1
        for peer in peers where peer.isMember { needed = min(needed, peer.isBehind ? nextBatch - 1 : peer.cleared) }
        ring.trim(through: needed, bytesMax: settings.ringBytesMax, batchesMax: settings.ringBatchesMax)
        for peer in peers where peer.isMember && !peer.isBehind && peer.cleared + 1 < ring.first { lapse(peer) }
    }

    /// A peer that lacks batches which are not kept any more must compare.
    private mutating func lapse(_ peer: Peer) {
        peer.isBehind = true
        peer.rewind(to: nextBatch - 1)
        peer.statusDue = peer.statusDue ?? .zero
        counts.lapsedPeers += 1
    }

    /// Runs operations whose changes become visible elsewhere, and are logged, as one.
    ///
    /// What the body changed before it throws stays changed.
    public mutating func atomically<Result, Failure: Error>(
        _ body: (inout Replica) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { if isDirty { isAtomic = true } }
        return try body(&self)
    }
}

// MARK: Sending batches

extension Replica {
    /// Sends a peer what concerns it and fits what may be on the way.
    mutating func pump(_ peer: Peer, _ now: StateTime) {
        guard peer.isUp, peer.isMember, !peer.isBlocked, !peer.isBehind, peer.site != nil else { return }
        if peer.cursor < peer.acked { peer.rewind(to: peer.acked) }
        var chosen: [Batch] = []
        var bytes = 0
        var number = max(peer.cursor + 1, ring.first)
        while number < nextBatch, let batch = ring[number] {
            if batch.sections.contains(where: { peer.interest.keeps($0.namespace) }) {
                guard peer.flyingBytes + bytes + batch.bytes <= settings.windowBytesMax || peer.flying.isEmpty && chosen.isEmpty else {
                    break
                }
                // A frame ends where the next batch would not fit; one that fits no frame travels in parts.
                if !chosen.isEmpty, bytes + batch.bytes > Frame.fragmentBytes / 2 {
                    send(chosen, to: peer, now)
                    chosen = []
                    bytes = 0
                }
                chosen.append(batch)
                bytes += batch.bytes
            }
            peer.cursor = number
            number += 1
        }
        if !chosen.isEmpty { send(chosen, to: peer, now) }
        peer.clear()
    }

    private mutating func send(_ batches: [Batch], to peer: Peer, _ now: StateTime) {
        var writer = Frame.writer(.batches, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(ring.first)
        writer.byte(waits.wantsAcknowledgement ? 1 : 0)
        writer.count(batches.count)
        for batch in batches {
            writer.varint(peer.sent)
            batch.encode(into: &writer) { peer.interest.keeps($0) }
            peer.sends(batch, now: now.instant)
        }
        peer.resendAt = peer.resendMoment(now.instant, settings: settings)
        counts.sentBatches += batches.count
        transmit(writer.bytes, .state, to: peer)
    }

    /// Hands a message to the link, in parts where it is longer than a frame.
    mutating func transmit(_ message: [UInt8], _ kind: LinkKind, to peer: Peer) {
        counts.sentBytes += message.count
        guard message.count > Frame.bytesMax else {
            outputs.append(.send(message, kind, peer.node))
            counts.sentFrames += 1
            return
        }
        nextNonce += 1
        let parts = (message.count + Frame.fragmentBytes - 1) / Frame.fragmentBytes
        for index in 0..<parts {
            let start = index * Frame.fragmentBytes
            let part = message[start..<min(start + Frame.fragmentBytes, message.count)]
            var writer = Frame.writer(.fragment, site: site, time: clock.last)
            writer.varint(nextNonce)
            writer.count(index)
            writer.count(parts)
            writer.count(part.count)
            writer.raw(Array(part))
            outputs.append(.send(writer.bytes, kind, peer.node))
            counts.sentFrames += 1
        }
    }

    /// The link's queue for a kind to a node was full, and the frame was not sent.
    public mutating func refused(_ peer: NodeID, kind: LinkKind) {
        guard let peer = find(peer) else { return }
        if kind == .state { peer.isBlocked = true } else { peer.isBulkBlocked = true }
    }

    /// The link's queue has room again.
    public mutating func writable(_ node: NodeID, _ kind: LinkKind, _ now: StateTime) {
        guard let peer = find(node) else { return }
        if kind == .state {
            guard peer.isBlocked else { return }
            peer.isBlocked = false
            peer.rewind(to: peer.acked)
            pump(peer, now)
        } else {
            peer.isBulkBlocked = false
        }
    }

    func find(_ node: NodeID) -> Peer? {
        let index = peers.partitioningIndex { $0.node >= node }
        return index < peers.count && peers[index].node == node ? peers[index] : nil
    }

    mutating func makePeer(_ node: NodeID) -> Peer {
        let index = peers.partitioningIndex { $0.node >= node }
        if index < peers.count, peers[index].node == node { return peers[index] }
        let made = Peer(node: node, settings: settings)
        made.rewind(to: 0)
        peers.insert(made, at: index)
        return made
    }
}
